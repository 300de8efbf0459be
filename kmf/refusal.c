/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a refusal leaves behind for the auditor. The first of its kind (who,
 * where, why) is recorded at once; its repeats are counted, and recorded as
 * one line a minute later. So whoever tries all day fills neither the chain
 * nor the disk, and nothing is left out. The counts are rows: a crash loses
 * none of them.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MERGE_MS  60000
#define PLACES	  20  /* conferences of one actor that are told apart */
#define FLUSH_MAX 200 /* rows of one look */

const char *
kmf_id_or_nothing(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-";
	size_t n = strspn(s, letters);

	return s[n] == '\0' && n < DB_ID_MAX ? s : "";
}

static const char *
text_or_nothing(const char *s, size_t cap)
{
	return kmf_text_check(s, cap - 1) == 0 ? s : "";
}

/* Who, where and why; the rest is filled by who finds it. */
static int
key_put(struct db_refusal *f, const struct kmf_job *j)
{
	const struct kmf_identity *id = &j->call->id;
	bool known = id->who != KMF_WHO_CODE && id->who != KMF_WHO_NOBODY;
	int r;

	memset(f, 0, sizeof(*f));
	if ((r = kmf_copy(f->iss, sizeof(f->iss),
		 id->who == KMF_WHO_PERSON
		     ? text_or_nothing(id->iss, sizeof(f->iss))
		     : "")) != 0 ||
	    (r = kmf_copy(f->actor, sizeof(f->actor),
		 known ? text_or_nothing(id->sub, sizeof(f->actor)) : "")) !=
		0 ||
	    (r = kmf_copy(f->conf, sizeof(f->conf),
		 kmf_id_or_nothing(j->call->conf))) != 0)
		return r;
	return kmf_copy(f->code, sizeof(f->code), j->a.code);
}

/* Its row, or that of "many conferences". NOTFOUND: it is new. */
static int
row_find(struct kmf_keeper *k, struct db_refusal *f)
{
	int64_t places;
	int r;

	if ((r = db_refusal_find(k->db, f)) != PERC_ERR_NOTFOUND)
		return r;
	if ((r = db_refusal_places(k->db, &places, f)) != 0)
		return r;
	if (places < PLACES)
		return PERC_ERR_NOTFOUND;
	strcpy(f->conf, "*");
	return db_refusal_find(k->db, f);
}

static int
note_first(struct kmf_job *j, struct db_refusal *f)
{
	int r;

	f->status = j->a.status;
	f->noted_ms = j->k->now_ms;
	if ((r = db_refusal_put(j->k->db, f)) != 0)
		return r;
	return kmf_audit(j->k, KMF_AUDIT_REFUSED, f->actor, f->conf,
	    kmf_id_or_nothing(j->call->obj),
	    json_pack("{s:i, s:s, s:i, s:s*}", "status", (int)f->status, "code",
		f->code, "op", (int)j->call->op, "iss", kmf_json_opt(f->iss)));
}

int
kmf_refusal_audit(struct kmf_job *j)
{
	struct db_refusal f;
	int64_t now = j->k->now_ms;
	int r;

	j->k->count.refused++;
	if (j->a.status >= 500 || j->call->op == KMF_OP_CLIENT_KEY)
		return 0;
	if ((r = key_put(&f, j)) != 0)
		return r;
	r = row_find(j->k, &f);
	if (r == PERC_ERR_NOTFOUND)
		return note_first(j, &f);
	if (r != 0)
		return r;
	if (f.count++ == 0)
		f.first_ms = now;
	f.last_ms = now;
	return db_refusal_put(j->k->db, &f);
}

static int
note_repeats(struct kmf_keeper *k, const struct db_refusal *f)
{
	int r;

	if ((r = db_refusal_delete(k->db, f)) != 0 || f->count == 0)
		return r;
	return kmf_audit(k, KMF_AUDIT_REFUSED, f->actor, f->conf, "",
	    json_pack("{s:i, s:s, s:I, s:o, s:o, s:s*}", "status",
		(int)f->status, "code", f->code, "count", (json_int_t)f->count,
		"first", kmf_time_json(f->first_ms), "last",
		kmf_time_json(f->last_ms), "iss", kmf_json_opt(f->iss)));
}

int
kmf_refusals_flush(struct kmf_keeper *k)
{
	struct db_refusal *list = NULL;
	size_t i, n;
	int r;

	if ((r = db_refusal_due(
		 k->db, &list, &n, k->now_ms - MERGE_MS, FLUSH_MAX)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		r = note_repeats(k, &list[i]);
	free(list);
	return r;
}
