/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is compared with what this program would have written for the same
 * members, octet by octet: JSON has many spellings, and a changed spelling is
 * a changed log too. Checkpoints are numbered, so that one which was taken
 * out is missed like a record.
 */
#include "perc/chain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"

int
perc_chain_hash(char out[static PERC_JKT_LEN + 1], const char *prev,
    const char *text, size_t len)
{
	uint8_t buf[PERC_SHA256_LEN + PERC_CHAIN_LINE_MAX];
	uint8_t hash[PERC_SHA256_LEN];
	size_t n = 0;
	int r;

	if (len > PERC_CHAIN_LINE_MAX)
		return PERC_ERR_LIMIT;
	if (prev[0] != '\0') {
		n = PERC_SHA256_LEN;
		if ((r = perc_b64_get_exact(buf, n, prev)) != 0)
			return r;
	}
	memcpy(buf + n, text, len);
	if ((r = perc_sha256(hash, buf, n + len)) == 0)
		perc_b64_put(out, hash, sizeof(hash));
	return r;
}

char *
perc_chain_text(const json_t *v)
{
	size_t n = json_dumpb(v, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS);
	char *text;

	if (n == 0 || (text = malloc(n + 1)) == NULL)
		return NULL;
	if (json_dumpb(v, text, n, JSON_COMPACT | JSON_SORT_KEYS) != n) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/* --- checkpoints ---------------------------------------------------------- */
static int
claims_get(struct perc_checkpoint *out, const json_t *o, const char *issuer)
{
	const char *hash = perc_json_str(o, "hash");
	const char *iss = perc_json_str(o, "iss");

	if (hash == NULL || strlen(hash) != PERC_JKT_LEN || iss == NULL ||
	    perc_json_int(&out->n, o, "n", 1, INT64_MAX) != 0 ||
	    perc_json_int(&out->seq, o, "seq", 1, INT64_MAX) != 0 ||
	    perc_json_int(&out->at_s, o, "iat", 1, INT64_MAX) != 0)
		return PERC_ERR_FORMAT;
	memcpy(out->hash, hash, PERC_JKT_LEN + 1);
	return issuer == NULL || strcmp(iss, issuer) == 0 ? 0 : PERC_ERR_DENIED;
}

static const char *
sign_phrase(int r)
{
	if (r == PERC_ERR_UNKNOWN_KEY)
		return "is signed by a key that is not among the given ones";
	if (r == PERC_ERR_DENIED)
		return "is a statement of another kind";
	return r == PERC_ERR_AUTH ? "has a false signature" : "is malformed";
}

int
perc_checkpoint_get(struct perc_checkpoint *out, const char *jws, size_t len,
    const struct perc_jwks *keys, const char *issuer, char *why, size_t cap)
{
	struct perc_jws j = { 0 };
	int r;

	memset(out, 0, sizeof(*out));
	if ((r = perc_jws_verify_set(
		 &j, jws, len, PERC_JOSE_TOKEN_MAX, keys, PERC_CHAIN_TYP)) != 0)
		snprintf(why, cap, "%s", sign_phrase(r));
	else if ((r = claims_get(out, j.payload, issuer)) == PERC_ERR_DENIED)
		snprintf(why, cap, "is of another KMF");
	else if (r != 0)
		snprintf(why, cap, "is malformed");
	perc_jws_clear(&j);
	return r;
}

/* --- a log ---------------------------------------------------------------- */
void
perc_chain_start(struct perc_chain *c, const struct perc_jwks *keys,
    const char *issuer, int64_t after)
{
	memset(c, 0, sizeof(*c));
	c->keys = keys;
	c->issuer = issuer;
	c->seq = after;
}

static int bad(struct perc_chain *c, const char *fmt, ...) PERC_PRINTF(2, 3);

static int
bad(struct perc_chain *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	return PERC_ERR_AUTH;
}

bool
perc_chain_restored(const json_t *o, int64_t seq, int64_t at, const char *hash)
{
	const json_t *d = json_object_get(o, "detail");
	const char *kind = perc_json_str(o, "kind");
	const char *was = d != NULL ? perc_json_str(d, "backup_hash") : NULL;
	int64_t from = 0, lost = 0;

	if (kind == NULL || strcmp(kind, "restored") != 0 || was == NULL ||
	    perc_json_int(&from, d, "backup_seq", 0, INT64_MAX) != 0 ||
	    perc_json_int(&lost, d, "lost", 1, INT64_MAX) != 0)
		return false;
	return from == at && strcmp(was, hash) == 0 && seq - at - 1 == lost;
}

/* A gap that the record itself owns up to; what is lost is told. */
static bool
gap_is_told(struct perc_chain *c, const json_t *o, int64_t seq)
{
	if (seq <= c->seq + 1 || c->hash[0] == '\0' ||
	    !perc_chain_restored(o, seq, c->seq, c->hash))
		return false;
	c->lost += seq - c->seq - 1;
	return true;
}

static int
order_check(
    struct perc_chain *c, const json_t *o, int64_t seq, const char *prev)
{
	int64_t want = c->seq + 1;

	if (gap_is_told(c, o, seq))
		return 0;
	if (seq > want && seq - 1 > want)
		return bad(c, "records %" PRId64 " to %" PRId64 " are missing",
		    want, seq - 1);
	if (seq > want)
		return bad(c, "record %" PRId64 " is missing", want);
	if (seq < want)
		return bad(c,
		    "record %" PRId64 " stands where record %" PRId64
		    " should be",
		    seq, want);
	if (c->hash[0] == '\0' && (want == 1) != (prev[0] == '\0'))
		return bad(c,
		    "record %" PRId64 ": only the first has no hash before it",
		    seq);
	if (c->hash[0] != '\0' && strcmp(prev, c->hash) != 0)
		return bad(c,
		    "record %" PRId64 " does not follow record %" PRId64
		    " as that one stands here: one of the two was changed",
		    seq, c->seq);
	return 0;
}

/* o loses prev and hash: the rest is what was hashed. */
static int
record_line(struct perc_chain *c, json_t *o)
{
	char prev[PERC_JKT_LEN + 2] = "", hash[PERC_JKT_LEN + 2] = "";
	char is[PERC_JKT_LEN + 1];
	const char *p = perc_json_str(o, "prev"), *h = perc_json_str(o, "hash");
	char *text = NULL;
	int64_t seq;
	int r;

	if (p == NULL || h == NULL ||
	    perc_json_int(&seq, o, "seq", 1, INT64_MAX) != 0)
		return bad(c,
		    "what stands behind record %" PRId64 " is no record",
		    c->seq);
	snprintf(prev, sizeof(prev), "%s", p);
	snprintf(hash, sizeof(hash), "%s", h);
	if ((r = order_check(c, o, seq, prev)) != 0)
		return r;
	(void)json_object_del(o, "prev");
	(void)json_object_del(o, "hash");
	if ((text = perc_chain_text(o)) == NULL)
		return PERC_ERR_NOMEM;
	r = perc_chain_hash(is, prev, text, strlen(text));
	free(text);
	if (r != 0 || strcmp(is, hash) != 0)
		return bad(c, "record %" PRId64 " was changed", seq);
	c->seq = seq;
	memcpy(c->hash, is, sizeof(is));
	c->records++;
	return 0;
}

static int
checkpoint_line(struct perc_chain *c, const json_t *o)
{
	const char *jws = perc_json_str(o, "checkpoint");
	struct perc_checkpoint p;
	char why[80] = "is malformed";

	if (jws == NULL || json_object_size(o) != 1 ||
	    perc_checkpoint_get(&p, jws, strlen(jws), c->keys, c->issuer, why,
		sizeof(why)) != 0)
		return bad(c, "the checkpoint behind record %" PRId64 " %s",
		    c->seq, why);
	if (c->last.n != 0 && p.n != c->last.n + 1)
		return bad(c,
		    "checkpoint %" PRId64 " stands where number %" PRId64
		    " should be (behind record %" PRId64 ")",
		    p.n, c->last.n + 1, c->seq);
	if (c->last.n == 0 && c->records == (uint64_t)c->seq && p.n != 1)
		return bad(c, "checkpoint 1 is missing");
	if (p.seq != c->seq)
		return bad(c,
		    "checkpoint %" PRId64 " is of record %" PRId64
		    " and stands behind record %" PRId64,
		    p.n, p.seq, c->seq);
	if (strcmp(p.hash, c->hash) != 0)
		return bad(c,
		    "record %" PRId64 " or one before it is not the one "
		    "that was signed",
		    p.seq);
	c->last = p;
	c->checkpoints++;
	return 0;
}

int
perc_chain_line(struct perc_chain *c, const char *line, size_t len)
{
	json_t *o = NULL;
	char *text = NULL;
	int r;

	if (perc_json_parse(&o, line, len, PERC_CHAIN_LINE_MAX, NULL, 0) != 0)
		return bad(c,
		    "what stands behind record %" PRId64 " is no record",
		    c->seq);
	r = PERC_ERR_NOMEM;
	if ((text = perc_chain_text(o)) == NULL)
		goto out;
	if (strlen(text) != len || memcmp(text, line, len) != 0)
		r = bad(c,
		    "the line behind record %" PRId64
		    " is not as it was written",
		    c->seq);
	else if (json_object_get(o, "checkpoint") != NULL)
		r = checkpoint_line(c, o);
	else
		r = record_line(c, o);
out:
	free(text);
	json_decref(o);
	return r;
}

int
perc_chain_end(struct perc_chain *c)
{
	if (c->records == 0)
		return bad(c, "there is no record");
	if (c->last.seq != c->seq)
		return bad(c,
		    "no checkpoint stands behind record %" PRId64
		    ": the end was cut off",
		    c->seq);
	return 0;
}
