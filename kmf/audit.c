/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The audit chain. Each row's text is canonical JSON (sorted members, no
 * blanks) and its hash covers the hash before it, so whoever holds one hash
 * can tell whether anything older was changed. Rows are written in the
 * transaction of what they record: neither stands without the other.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

static const char *const kinds[] = {
	[KMF_AUDIT_CONF_CREATED] = "conference_created",
	[KMF_AUDIT_CONF_CHANGED] = "conference_changed",
	[KMF_AUDIT_CONF_DELETED] = "conference_deleted",
	[KMF_AUDIT_CONF_ENDED] = "conference_ended",
	[KMF_AUDIT_CONF_EMPTY] = "conference_empty",
	[KMF_AUDIT_INVITED] = "invited",
	[KMF_AUDIT_UNINVITED] = "uninvited",
	[KMF_AUDIT_TOKEN] = "token",
	[KMF_AUDIT_REFUSED] = "refused",
	[KMF_AUDIT_JOINED] = "joined",
	[KMF_AUDIT_KEY] = "key",
	[KMF_AUDIT_LEFT] = "left",
	[KMF_AUDIT_EVICTED] = "evicted",
	[KMF_AUDIT_EPOCH] = "epoch",
	[KMF_AUDIT_RECEIPT] = "receipt",
	[KMF_AUDIT_ADMITTED] = "admitted",
};

/* hash = SHA-256(octets of prev || text); prev of the first row is empty. */
static int
chain(struct db_audit *a)
{
	uint8_t buf[PERC_SHA256_LEN + DB_AUDIT_MAX], hash[PERC_SHA256_LEN];
	size_t n = 0, len = strlen(a->text);
	int r;

	if (a->prev[0] != '\0') {
		n = PERC_SHA256_LEN;
		if ((r = perc_b64_get_exact(buf, n, a->prev)) != 0)
			return r;
	}
	memcpy(buf + n, a->text, len);
	if ((r = perc_sha256(hash, buf, n + len)) == 0)
		perc_b64_put(a->hash, hash, sizeof(hash));
	return r;
}

static json_t *
event_json(struct kmf_keeper *k, const struct db_audit *a,
    enum kmf_audit_kind kind, const char *actor, const char *conf,
    const char *subject, json_t *detail)
{
	json_t *v;

	v = json_pack("{s:I, s:o, s:s, s:s, s:s, s:s}", "seq",
	    (json_int_t)a->seq, "at", kmf_time_json(k->now_ms), "kind",
	    kinds[kind], "actor", actor, "conference", conf, "subject",
	    subject);
	if (v != NULL && detail != NULL &&
	    json_object_set(v, "detail", detail) != 0) {
		json_decref(v);
		v = NULL;
	}
	return v;
}

int
kmf_audit(struct kmf_keeper *k, enum kmf_audit_kind kind, const char *actor,
    const char *conf, const char *subject, json_t *detail)
{
	struct db_audit last, a = { .seq = 1 };
	json_t *v = NULL;
	size_t n;
	int r;

	r = db_audit_last(k->db, &last);
	if (r == 0) {
		a.seq = last.seq + 1;
		memcpy(a.prev, last.hash, sizeof(a.prev));
	} else if (r != PERC_ERR_NOTFOUND)
		goto out;
	r = PERC_ERR_NOMEM;
	v = event_json(k, &a, kind, actor, conf, subject, detail);
	if (v == NULL)
		goto out;
	r = PERC_ERR_LIMIT;
	n = json_dumpb(
	    v, a.text, sizeof(a.text) - 1, JSON_COMPACT | JSON_SORT_KEYS);
	if (n == 0 || n >= sizeof(a.text))
		goto out;
	a.text[n] = '\0';
	if ((r = chain(&a)) == 0)
		r = db_audit_add(k->db, &a);
out:
	json_decref(v);
	json_decref(detail);
	return r;
}

static json_t *
item_json(const struct db_audit *a)
{
	json_t *v = json_loads(a->text, 0, NULL);

	if (v != NULL &&
	    json_object_set_new(v, "prev", json_string(a->prev)) == 0 &&
	    json_object_set_new(v, "hash", json_string(a->hash)) == 0)
		return v;
	json_decref(v);
	return NULL;
}

static json_t *
items_json(const struct db_audit *list, size_t n)
{
	json_t *items = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		kmf_json_add(&items, item_json(&list[i]));
	return items;
}

int
kmf_op_audit(struct kmf_job *j)
{
	struct db_audit *list = NULL;
	int64_t after, limit;
	json_t *v;
	size_t n;
	int r;

	if (kmf_query_int(&after, j->call->arg, "after", 0, 0, INT64_MAX) ||
	    kmf_query_int(&limit, j->call->arg, "limit", 100, 1, 1000))
		return kmf_refuse(j, 400, "invalid_request",
		    "after: a number; limit: 1 to 1000");
	if ((r = db_audit_list(j->k->db, &list, &n, after, (unsigned)limit)) !=
	    0)
		return r;
	v = json_pack("{s:o}", "items", items_json(list, n));
	if (v != NULL && n == (size_t)limit &&
	    json_object_set_new(v, "next", json_integer(list[n - 1].seq))) {
		json_decref(v);
		v = NULL;
	}
	free(list);
	return kmf_answer_json(j, 200, v);
}
