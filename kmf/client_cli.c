/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `perch-kmf client`: who may schedule, administrate or audit with a key of
 * its own. The list is read beside the keeper; changes it makes itself. A new
 * key's private half goes into a file for the client and nowhere else.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"
#include "kmf/control.h"
#include "kmf/keeper.h"
#include "kmf/kmf.h"
#include "perc/conf.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/secret.h"

#define KEY_MAX 8192

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "perch-kmf: client: %s: %s\n", what, why);
	return 1;
}

static int
list(const struct kmf_conf *c)
{
	char path[4200], why[512] = "cannot be read", at[PERC_TIME_LEN];
	struct db_client *rows = NULL;
	struct db *db = NULL;
	size_t i, n = 0;
	int r;

	snprintf(path, sizeof(path), "%s/%s", c->state_dir, KMF_DB_FILE);
	if ((r = db_open_reader(&db, path, why, sizeof(why))) == 0)
		r = db_client_list(db, &rows, &n);
	if (r == 0)
		printf("%-24s%-10s%-26s%s\n", "NAME", "STATE", "SINCE", "MAY");
	for (i = 0; r == 0 && i < n; i++) {
		perc_time_put(at, rows[i].created_ms);
		printf("%-24s%-10s%-26s%s\n", rows[i].id,
		    rows[i].disabled ? "disabled" : "enabled", at,
		    rows[i].scope);
	}
	free(rows);
	db_close(db);
	return r == 0 ? 0 : fail(path, why);
}

/* The file that `perch` reads: name, KMF, private key. */
static int
key_new(
    json_t **jwk, const struct kmf_conf *c, const char *name, const char *file)
{
	char *private = NULL, *public = NULL, *out = NULL;
	struct perc_jwk *key = NULL;
	json_t *v = NULL;
	int fd = -1, r = 1;

	if (perc_jwk_generate(&key) != 0 ||
	    perc_jwk_private_json(&private, key) != 0 ||
	    perc_jwk_public_json(&public, key) != 0 ||
	    (v = json_pack("{s:s, s:s, s:o}", "client_id", name, "kmf",
		 c->base_url, "key", json_loads(private, 0, NULL))) == NULL ||
	    (out = perc_json_text(v)) == NULL) {
		(void)fail(file, "out of memory");
		goto out;
	}
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, out, strlen(out)) != (ssize_t)strlen(out) ||
	    fsync(fd) != 0) {
		(void)fail(file, strerror(errno));
		goto out;
	}
	*jwk = json_loads(public, 0, NULL);
	r = 0;
out:
	if (fd >= 0)
		close(fd);
	json_decref(v);
	perc_json_free(out);
	perc_json_free(private);
	perc_json_free(public);
	perc_jwk_free(key);
	return r;
}

/* A JWK, or a client file; its public half. */
static int
key_read(json_t **jwk, const char *file)
{
	struct perc_conf_error e = { "" };
	char *text = NULL, *one = NULL, *public = NULL;
	struct perc_jwk *key = NULL;
	const json_t *inner;
	json_t *v = NULL;
	size_t len;
	int r = 1;

	if (perc_conf_read_file(&text, &len, file, KEY_MAX, &e) != 0) {
		(void)fail(file, e.text);
		goto out;
	}
	if (perc_json_parse(&v, text, len, KEY_MAX, NULL, 0) != 0 ||
	    (one = perc_json_text(
		 (inner = json_object_get(v, "key")) != NULL ? inner : v)) ==
		NULL ||
	    perc_jwk_from_json(&key, one, strlen(one), false) != 0 ||
	    perc_jwk_public_json(&public, key) != 0) {
		(void)fail(file, "is no JWK (RFC 7517)");
		goto out;
	}
	*jwk = json_loads(public, 0, NULL);
	r = 0;
out:
	json_decref(v);
	perc_json_free(one);
	perc_json_free(public);
	perc_jwk_free(key);
	perc_secmem_free(text);
	return r;
}

static int
add(const struct kmf_conf *c, const struct kmf_client_opts *o)
{
	json_t *jwk = NULL;
	int code;

	if ((o->key == NULL) == (o->fresh == NULL) || o->scope == NULL) {
		fputs("perch-kmf: client add: --scope, and --key FILE (its "
		      "public JWK) or --new FILE (to make one)\n",
		    stderr);
		return 2;
	}
	code = o->key != NULL ? key_read(&jwk, o->key)
			      : key_new(&jwk, c, o->name, o->fresh);
	if (code != 0)
		return code;
	code = kmf_control_ask(c, "client",
	    json_pack("{s:s, s:s, s:s, s:o}", "what", "add", "name", o->name,
		"scope", o->scope, "jwk", jwk));
	if (code == 1 && o->fresh != NULL)
		(void)unlink(o->fresh);
	return code;
}

int
kmf_client_cli(const struct kmf_conf *c, const struct kmf_client_opts *o)
{
	if (strcmp(o->what, "list") == 0 && o->name == NULL)
		return list(c);
	if (o->name != NULL && strcmp(o->what, "add") == 0)
		return add(c, o);
	if (o->name != NULL &&
	    (strcmp(o->what, "disable") == 0 || strcmp(o->what, "enable") == 0))
		return kmf_control_ask(c, "client",
		    json_pack("{s:s, s:s}", "what", o->what, "name", o->name));
	fputs("perch-kmf: client list, client add NAME, client disable NAME or "
	      "client enable NAME\n",
	    stderr);
	return 2;
}
