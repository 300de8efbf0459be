/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Idempotency-Key: the same client, key and request get the same answer for a
 * day. The answer may hold an invitation code, so it stands sealed.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

#define HEAD_LEN (2 * DB_ID_MAX + 64) /* which operation, on what */

_Static_assert(DB_CLIENT_MAX >= DB_HASH_MAX, "a caller is kept as a hash");

/* One subject of two issuers is two callers. */
static int
caller_hash(char out[static DB_HASH_MAX], const struct kmf_identity *id)
{
	char text[DB_ISS_MAX + DB_SUB_MAX + 32];
	uint8_t hash[PERC_SHA256_LEN];
	int n, r;

	n = snprintf(
	    text, sizeof(text), "%d|%s|%s", (int)id->who, id->iss, id->sub);
	if (n < 0 || (size_t)n >= sizeof(text))
		return PERC_ERR_LIMIT;
	if ((r = perc_sha256(hash, text, (size_t)n)) == 0)
		perc_b64_put(out, hash, sizeof(hash));
	return r;
}

static int
request_hash(char out[static DB_HASH_MAX], const struct kmf_call *c)
{
	uint8_t hash[PERC_SHA256_LEN], *buf;
	size_t n;
	int r;

	n = c->body_len + HEAD_LEN;
	if ((buf = calloc(1, n)) == NULL)
		return PERC_ERR_NOMEM;
	snprintf(
	    (char *)buf, HEAD_LEN, "%d|%s|%s", (int)c->op, c->conf, c->obj);
	if (c->body_len > 0)
		memcpy(buf + HEAD_LEN, c->body, c->body_len);
	if ((r = perc_sha256(hash, buf, n)) == 0)
		perc_b64_put(out, hash, sizeof(hash));
	free(buf);
	return r;
}

static int
replay_answer(struct kmf_job *j, const struct db_idem *i)
{
	struct perc_wire w;
	uint8_t *buf = NULL;
	size_t n;
	uint16_t status;
	const char *location, *etag, *body;
	int r;

	if (i->answer.len <= PERC_SEAL_OVERHEAD)
		return PERC_ERR_FORMAT;
	n = i->answer.len - PERC_SEAL_OVERHEAD;
	if ((buf = perc_secmem_alloc(n)) == NULL)
		return PERC_ERR_NOMEM;
	if ((r = kmf_root_unseal(
		 j->k, buf, i->body_hash, i->answer.data, i->answer.len)) != 0)
		goto out;
	perc_wire_reader(&w, buf, n);
	status = perc_wire_get_u16(&w);
	location = perc_wire_get_str(&w);
	etag = perc_wire_get_str(&w);
	body = perc_wire_get_str(&w);
	if ((r = perc_wire_end(&w)) != 0 ||
	    (r = kmf_copy(j->a.location, sizeof(j->a.location), location)) ||
	    (r = kmf_copy(j->a.etag, sizeof(j->a.etag), etag)) != 0)
		goto out;
	j->a.status = status;
	if (body[0] != '\0')
		r = kmf_answer_text(j, status, "application/json", body);
out:
	perc_secmem_free(buf);
	return r;
}

int
kmf_idem_check(struct kmf_job *j)
{
	const struct kmf_call *c = j->call;
	char hash[DB_HASH_MAX], caller[DB_HASH_MAX];
	struct db_idem i;
	int r;

	if (c->idempotency_key[0] == '\0')
		return 0;
	if (kmf_text_check(c->idempotency_key, 128) != 0) {
		kmf_refuse(j, 400, "invalid_request",
		    "Idempotency-Key: 1 to 128 characters");
		return 1;
	}
	if ((r = caller_hash(caller, &c->id)) != 0)
		return r;
	r = db_idem_find(j->k->db, &i, caller, c->idempotency_key);
	if (r == PERC_ERR_NOTFOUND)
		return 0;
	if (r != 0)
		return r;
	if (i.until_ms <= j->k->now_ms) { /* not purged yet; replaced */
		free(i.answer.data);
		return 0;
	}
	if ((r = request_hash(hash, c)) == 0) {
		if (strcmp(hash, i.body_hash) != 0)
			kmf_refuse(j, 422, "idempotency_conflict",
			    "Idempotency-Key: it came with another request");
		else
			r = replay_answer(j, &i);
	}
	free(i.answer.data);
	return r != 0 ? r : 1;
}

static size_t
pack(uint8_t *out, size_t cap, const struct kmf_answer *a)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, cap);
	perc_wire_put_u16(&w, a->status);
	perc_wire_put_str(&w, a->location);
	perc_wire_put_str(&w, a->etag);
	perc_wire_put_str(&w, a->body != NULL ? a->body : "");
	return perc_wire_end(&w) == 0 ? w.pos : 0;
}

int
kmf_idem_keep(struct kmf_job *j)
{
	const struct kmf_call *c = j->call;
	struct db_idem i = { .until_ms = j->k->now_ms + KMF_IDEM_KEEP_MS };
	size_t cap = j->a.body_len + 1024, n;
	uint8_t *plain = NULL;
	int r;

	if (c->idempotency_key[0] == '\0' || j->a.status >= 300)
		return 0;
	if ((plain = perc_secmem_alloc(cap)) == NULL)
		return PERC_ERR_NOMEM;
	r = PERC_ERR_LIMIT;
	if ((n = pack(plain, cap, &j->a)) == 0)
		goto out;
	r = PERC_ERR_NOMEM;
	i.answer.len = n + PERC_SEAL_OVERHEAD;
	if ((i.answer.data = malloc(i.answer.len)) == NULL)
		goto out;
	if ((r = caller_hash(i.client, &c->id)) == 0 &&
	    (r = kmf_copy(i.key, sizeof(i.key), c->idempotency_key)) == 0 &&
	    (r = request_hash(i.body_hash, c)) == 0 &&
	    (r = kmf_root_seal(j->k, i.answer.data, i.body_hash, plain, n)) ==
		0)
		r = db_idem_add(j->k->db, &i);
out:
	free(i.answer.data);
	perc_secmem_free(plain);
	return r;
}
