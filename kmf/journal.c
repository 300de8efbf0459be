/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Lines of base64url, each a sealed JSON object whose additional data names
 * the data's id and the line's number: what was taken out, doubled or moved
 * shows where the next line is opened. Only an end cut off does not; how far
 * the journal went stands in root.gen.
 */
#include "kmf/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/secret.h"

#define PAGE		500
#define PLAIN_MAX	2048
#define LINE_MAX_OCTETS (PERC_B64_LEN(PLAIN_MAX + PERC_SEAL_OVERHEAD) + 2)

static size_t
aad_put(char out[static 96], const struct kmf_journal *j, uint64_t line)
{
	return (size_t)snprintf(
	    out, 96, "perch-journal|%s|%" PRIu64, j->id, line);
}

/* One line of text with its newline; its length. */
static int
line_seal(char *out, size_t *lenp, const struct kmf_journal *j, uint64_t line,
    const json_t *v)
{
	uint8_t sealed[PLAIN_MAX + PERC_SEAL_OVERHEAD];
	char plain[PLAIN_MAX], aad[96];
	size_t n, a = aad_put(aad, j, line);
	int r;

	n = json_dumpb(v, plain, sizeof(plain), JSON_COMPACT);
	if (n == 0 || n > sizeof(plain))
		return PERC_ERR_LIMIT;
	if ((r = perc_seal(sealed, j->key, aad, a, plain, n)) != 0)
		return r;
	perc_b64_put(out, sealed, n + PERC_SEAL_OVERHEAD);
	n = strlen(out);
	out[n++] = '\n';
	*lenp = n;
	return 0;
}

static int
line_open(json_t **vp, const struct kmf_journal *j, uint64_t line, char *text)
{
	uint8_t sealed[PLAIN_MAX + PERC_SEAL_OVERHEAD], plain[PLAIN_MAX];
	size_t n = sizeof(sealed), a;
	char aad[96];
	int r;

	text[strcspn(text, "\n")] = '\0';
	if (perc_b64_get(sealed, &n, text, strlen(text)) != 0 ||
	    n <= PERC_SEAL_OVERHEAD)
		return PERC_ERR_FORMAT;
	a = aad_put(aad, j, line);
	if ((r = perc_unseal(plain, j->key, aad, a, sealed, n)) != 0)
		return r;
	*vp = json_loadb((char *)plain, n - PERC_SEAL_OVERHEAD, 0, NULL);
	return *vp != NULL ? 0 : PERC_ERR_FORMAT;
}

static json_t *
revocation_json(const struct db_revocation *r)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I}", "no",
	    (json_int_t)r->no, "kind", r->kind, "conference", r->conf, "a",
	    r->a, "b", r->b, "c", r->c, "at", (json_int_t)r->at_s);
}

static int
text_get(char *out, size_t cap, const json_t *v, const char *name)
{
	const char *s = perc_json_str(v, name);

	if (s == NULL || strlen(s) >= cap)
		return PERC_ERR_FORMAT;
	memcpy(out, s, strlen(s) + 1);
	return 0;
}

static int
revocation_get(struct db_revocation *r, const json_t *v)
{
	int e;

	memset(r, 0, sizeof(*r));
	if ((e = perc_json_int(&r->no, v, "no", 1, INT64_MAX)) != 0 ||
	    (e = perc_json_int(&r->at_s, v, "at", 0, INT64_MAX)) != 0 ||
	    (e = text_get(r->kind, sizeof(r->kind), v, "kind")) != 0 ||
	    (e = text_get(r->conf, sizeof(r->conf), v, "conference")) != 0 ||
	    (e = text_get(r->a, sizeof(r->a), v, "a")) != 0 ||
	    (e = text_get(r->b, sizeof(r->b), v, "b")) != 0)
		return e;
	return text_get(r->c, sizeof(r->c), v, "c");
}

static int
line_take(struct kmf_journal *j, char *text, kmf_journal_fn fn, void *arg)
{
	struct db_revocation r;
	json_t *v = NULL;
	int e;

	if ((e = line_open(&v, j, j->lines, text)) != 0)
		return e;
	if (j->lines == 0) {
		if ((e = perc_json_int(&j->from, v, "from", 1, INT64_MAX)) == 0)
			e = perc_json_int(&j->last, v, "upto", 0, INT64_MAX);
	} else if ((e = revocation_get(&r, v)) == 0) {
		j->last = r.no > j->last ? r.no : j->last;
		e = fn != NULL ? fn(&r, arg) : 0;
	}
	json_decref(v);
	if (e == 0)
		j->lines++;
	return e;
}

static int
scan(struct kmf_journal *j, FILE *f, kmf_journal_fn fn, void *arg)
{
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = getline(&text, &cap, f)) > 0) {
		if (text[n - 1] != '\n')
			break; /* torn: its commit never was */
		if ((r = line_take(j, text, fn, arg)) == 0)
			j->len += n;
	}
	free(text);
	if (r == 0 && j->lines == 0)
		r = PERC_ERR_NOTFOUND;
	return r == PERC_ERR_FORMAT ? PERC_ERR_AUTH : r;
}

static void
start(struct kmf_journal *j, const char *path, const char *id,
    const uint8_t key[static 32])
{
	memset(j, 0, sizeof(*j));
	snprintf(j->path, sizeof(j->path), "%s", path);
	snprintf(j->id, sizeof(j->id), "%s", id);
	memcpy(j->key, key, sizeof(j->key));
	j->fd = -1;
}

int
kmf_journal_open(struct kmf_journal *j, const char *path, const char *id,
    const uint8_t key[static 32], kmf_journal_fn fn, void *arg)
{
	FILE *f;
	int r, fd;

	start(j, path, id, key);
	if ((j->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return errno == ENOENT ? PERC_ERR_NOTFOUND : PERC_ERR_SYS;
	r = PERC_ERR_SYS;
	if ((fd = dup(j->fd)) < 0)
		goto out;
	if ((f = fdopen(fd, "r")) == NULL) {
		close(fd);
		goto out;
	}
	r = scan(j, f, fn, arg);
	fclose(f);
	if (r == 0 && ftruncate(j->fd, j->len) != 0)
		r = PERC_ERR_SYS;
out:
	if (r != 0)
		kmf_journal_close(j);
	return r;
}

static int
put(struct kmf_journal *j, const json_t *v)
{
	char text[LINE_MAX_OCTETS];
	size_t n;
	int r;

	if (v == NULL)
		return PERC_ERR_NOMEM;
	if ((r = line_seal(text, &n, j, j->lines, v)) != 0)
		return r;
	if (pwrite(j->fd, text, n, j->len) != (ssize_t)n)
		return PERC_ERR_SYS;
	j->len += (off_t)n;
	j->lines++;
	return 0;
}

static int
put_all(struct kmf_journal *j, const struct db_revocation *list, size_t n)
{
	json_t *v;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		v = revocation_json(&list[i]);
		r = put(j, v);
		json_decref(v);
		if (r == 0 && list[i].no > j->last)
			j->last = list[i].no;
	}
	return r;
}

int
kmf_journal_add(
    struct kmf_journal *j, const struct db_revocation *list, size_t n)
{
	const uint64_t lines = j->lines;
	const int64_t last = j->last;
	const off_t len = j->len;
	int r;

	if (j->fd < 0)
		return PERC_ERR_STATE;
	if ((r = put_all(j, list, n)) == 0 && fdatasync(j->fd) == 0)
		return 0;
	/* Whatever got there is overwritten by the next. */
	j->lines = lines;
	j->last = last;
	j->len = len;
	(void)!ftruncate(j->fd, len);
	return r != 0 ? r : PERC_ERR_SYS;
}

static int
fill(struct kmf_journal *j, struct db *db)
{
	struct db_revocation *list = NULL;
	int64_t at;
	size_t n = 0;
	json_t *v;
	int r;

	if ((r = db_revocation_from(db, &j->from)) != 0 ||
	    (r = db_revocation_last(db, &j->last)) != 0)
		return r;
	v = json_pack("{s:I, s:I}", "from", (json_int_t)j->from, "upto",
	    (json_int_t)j->last);
	r = put(j, v);
	json_decref(v);
	at = j->from - 1;
	while (r == 0 &&
	    (r = db_revocation_list(db, &list, &n, at, PAGE)) == 0 && n > 0) {
		at = list[n - 1].no;
		r = put_all(j, list, n);
		free(list);
		list = NULL;
	}
	free(list);
	return r;
}

int
kmf_journal_make(struct kmf_journal *j, const char *path, const char *id,
    const uint8_t key[static 32], struct db *db)
{
	char tmp[sizeof(j->path) + 8];
	int r;

	start(j, path, id, key);
	snprintf(tmp, sizeof(tmp), "%s.making", path);
	(void)unlink(tmp);
	j->fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return PERC_ERR_SYS;
	if ((r = fill(j, db)) == 0 &&
	    (fsync(j->fd) != 0 || rename(tmp, path) != 0))
		r = PERC_ERR_SYS;
	if (r == 0)
		return 0;
	(void)unlink(tmp);
	kmf_journal_close(j);
	return r;
}

void
kmf_journal_close(struct kmf_journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	perc_wipe(j->key, sizeof(j->key));
	j->fd = -1;
}
