/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Reading and telling apart root keys. After a crash nothing but root_id in
 * the database says how far a rewrap came: a key is never guessed by trying
 * it on rows, for half of them may be sealed by either.
 */
#include "kmf/root.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kmf/keeper.h"
#include "perc/b64.h"
#include "perc/conf.h"
#include "perc/crypto.h"

int
kmf_root_derive(
    uint8_t out[static 32], const struct perc_secret *root, const char *what)
{
	return perc_hmac_sha256(out, root->data, root->len, what, strlen(what));
}

int
kmf_root_id(char out[static DB_HASH_MAX], const struct perc_secret *root)
{
	uint8_t id[32];
	int r;

	if ((r = kmf_root_derive(id, root, "perch root id")) == 0)
		perc_b64_put(out, id, sizeof(id));
	return r;
}

int
kmf_root_read(struct perc_secret **sp, const char *path, char *why, size_t cap)
{
	struct perc_conf_error e = { "" };
	struct perc_secret *s = NULL;
	struct stat st;
	int r;

	if (lstat(path, &st) != 0 && errno == ENOENT) {
		snprintf(why, cap,
		    "%s: is not there; put the root key back, without it "
		    "nothing in the database opens",
		    path);
		return PERC_ERR_NOTFOUND;
	}
	if ((r = perc_conf_read_secret(&s, path, KMF_ROOT_KEY_LEN, &e)) != 0) {
		snprintf(why, cap, "%s", e.text);
		return r;
	}
	if (s->len != KMF_ROOT_KEY_LEN) {
		snprintf(why, cap, "%s: must have %d octets", path,
		    KMF_ROOT_KEY_LEN);
		perc_secret_free(s);
		return PERC_ERR_FORMAT;
	}
	*sp = s;
	return 0;
}

void
kmf_root_new_path(char *out, size_t cap, const char *path, bool credential)
{
	snprintf(out, cap, "%s%s", path, credential ? "_new" : ".new");
}

int
kmf_roots_read(struct perc_secret **now, struct perc_secret **next,
    const struct kmf_conf *c, char *why, size_t cap)
{
	char path[4096], why_not[512];
	bool cred = c->root_credential;
	int r, rn;

	kmf_root_new_path(path, sizeof(path), c->root_key, cred);
	rn = kmf_root_read(next, path, why_not, sizeof(why_not));
	if (rn != 0 && rn != PERC_ERR_NOTFOUND) {
		snprintf(why, cap, "%s", why_not);
		return rn;
	}
	r = kmf_root_read(now, c->root_key, why, cap);
	/* The old one is gone already, the new one has not its name yet. */
	return r == PERC_ERR_NOTFOUND && rn == 0 ? 0 : r;
}

static int
is_id(const struct perc_secret *s, const char *root_id, bool *is)
{
	char id[DB_HASH_MAX];
	int r;

	*is = false;
	if (s == NULL)
		return 0;
	if ((r = kmf_root_id(id, s)) == 0)
		*is = strcmp(id, root_id) == 0;
	return r;
}

static int
copy(struct perc_secret **to, const struct perc_secret *from)
{
	return from == NULL ? 0 : perc_secret_from(to, from->data, from->len);
}

int
kmf_roots_choose(struct kmf_roots *out, struct perc_secret *now,
    struct perc_secret *next, const char *root_id)
{
	bool is_now = false, is_next = false;
	int r;

	*out = (struct kmf_roots){ 0 };
	if ((r = is_id(now, root_id, &is_now)) != 0 ||
	    (r = is_id(next, root_id, &is_next)) != 0)
		return r;
	if (root_id[0] == '\0')
		is_now = now != NULL;
	if (!is_now && !is_next)
		return PERC_ERR_AUTH;
	if (next == NULL)
		return copy(&out->seal, now);
	/* With a new one at hand all is sealed by that; the old opens. */
	if ((r = copy(&out->seal, next)) == 0)
		r = copy(&out->other, now);
	if (r != 0)
		kmf_roots_clear(out);
	return r;
}

void
kmf_roots_clear(struct kmf_roots *r)
{
	perc_secret_free(r->seal);
	perc_secret_free(r->other);
	*r = (struct kmf_roots){ 0 };
}
