/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * GET /v1/audit: pages of the audit log, selected and in the form that was
 * asked for. Whoever reads to the end without a selection gets a checkpoint
 * for it, so that what he holds can be verified whole. A selection without a
 * conference has no index: a page looks at AUDIT_SCAN rows and may be empty
 * though there is a next one.
 */
#include "config.h"

#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/cef.h"
#include "perc/chain.h"

#define AUDIT_SCAN   5000
#define AUDIT_OCTETS (256u << 10) /* a page ends behind so many */

struct ask {
	struct db_audit_query q;
	char kind[DB_ID_MAX], conf[DB_ID_MAX], actor[DB_SUB_MAX];
	char from[PERC_TIME_LEN], to[PERC_TIME_LEN];
	enum form { FORM_JSON, FORM_LINES, FORM_CEF } form;
	bool selects;
};

struct page {
	struct db_audit *rows;
	struct db_checkpoint *marks;
	size_t n, nmarks;
	int64_t next; /* 0: that was all */
};

/* --- what was asked ------------------------------------------------------- */
static int
text_get(
    char *out, size_t cap, struct ask *a, const char *query, const char *name)
{
	int r = kmf_query_get(out, cap, query, name);

	if (r == 0 && out[0] != '\0')
		a->selects = true;
	return r;
}

static int
time_get(char out[static PERC_TIME_LEN], struct ask *a, const char *query,
    const char *name)
{
	char text[64];
	int64_t ms;
	int r;

	out[0] = '\0';
	if ((r = text_get(text, sizeof(text), a, query, name)) != 0 ||
	    text[0] == '\0')
		return r;
	if ((r = perc_time_get(&ms, text)) == 0)
		perc_time_put(out, ms);
	return r;
}

static int
form_get(struct ask *a, const char *query)
{
	static const char *const names[] = { "json", "jsonl", "cef" };
	char text[16];
	unsigned i;

	if (kmf_query_get(text, sizeof(text), query, "format") != 0)
		return PERC_ERR_FORMAT;
	for (i = 0; text[0] != '\0'; i++) {
		if (i == sizeof(names) / sizeof(names[0]))
			return PERC_ERR_FORMAT;
		if (strcmp(text, names[i]) != 0)
			continue;
		a->form = (enum form)i;
		break;
	}
	return 0;
}

/* NULL: good; else what is wrong. */
static const char *
ask_get(struct ask *a, const char *query)
{
	int64_t limit, after, cursor;

	memset(a, 0, sizeof(*a));
	if (kmf_query_int(&after, query, "after", 0, 0, INT64_MAX) != 0 ||
	    kmf_query_int(&cursor, query, "cursor", 0, 0, INT64_MAX) != 0)
		return "after: a number, the next of an answer";
	if (kmf_query_int(&limit, query, "limit", 100, 1, 1000) != 0)
		return "limit: 1 to 1000";
	if (text_get(a->kind, sizeof(a->kind), a, query, "type") != 0)
		return "type: one of docs/wire/audit.md";
	if (text_get(a->conf, sizeof(a->conf), a, query, "conference") != 0)
		return "conference: the id of one";
	if (text_get(a->actor, sizeof(a->actor), a, query, "actor") != 0)
		return "actor: too long";
	if (time_get(a->from, a, query, "from") != 0 ||
	    time_get(a->to, a, query, "to") != 0)
		return "from, to: RFC 3339, as 2026-11-21T09:30:00Z";
	if (form_get(a, query) != 0)
		return "format: json, jsonl or cef";
	a->q = (struct db_audit_query){ .after_seq =
					    after > cursor ? after : cursor,
		.upto_seq = INT64_MAX,
		.kind = a->kind,
		.conf = a->conf,
		.actor = a->actor,
		.from = a->from,
		.to = a->to,
		.limit = (unsigned)limit };
	return NULL;
}

/* --- a page --------------------------------------------------------------- */
static void
page_clear(struct page *p)
{
	free(p->rows);
	free(p->marks);
	memset(p, 0, sizeof(*p));
}

static int
page_get(struct kmf_keeper *k, struct page *p, struct ask *a)
{
	struct db_audit last = { 0 };
	size_t i, size = 0;
	int r;

	memset(p, 0, sizeof(*p));
	if ((r = db_audit_last(k->db, &last)) != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	if (a->conf[0] == '\0' && last.seq - a->q.after_seq > AUDIT_SCAN)
		a->q.upto_seq = a->q.after_seq + AUDIT_SCAN;
	if ((r = db_audit_find(k->db, &p->rows, &p->n, &a->q)) != 0)
		return r;
	for (i = 0; i < p->n && size < AUDIT_OCTETS; i++)
		size += strlen(p->rows[i].text);
	if (i > 0 && (i < p->n || p->n == a->q.limit) &&
	    p->rows[i - 1].seq < last.seq)
		p->next = p->rows[i - 1].seq;
	else if (a->q.upto_seq != INT64_MAX)
		p->next = a->q.upto_seq;
	p->n = i;
	return 0;
}

static int
marks_get(struct kmf_keeper *k, struct page *p, const struct ask *a)
{
	int r;

	if (a->selects || p->n == 0)
		return 0;
	if (p->next == 0 && (r = kmf_checkpoint(k)) != 0)
		return r;
	return db_checkpoint_list(k->db, &p->marks, &p->nmarks, a->q.after_seq,
	    p->rows[p->n - 1].seq);
}

/* --- its forms ------------------------------------------------------------ */
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
page_json(const struct page *p)
{
	json_t *items = json_array(), *marks = json_array(), *v;
	size_t i;

	for (i = 0; i < p->n; i++)
		kmf_json_add(&items, item_json(&p->rows[i]));
	for (i = 0; i < p->nmarks; i++)
		kmf_json_add(&marks,
		    json_pack("{s:I, s:s}", "seq", (json_int_t)p->marks[i].seq,
			"jws", p->marks[i].jws));
	v = json_pack("{s:o, s:o}", "items", items, "checkpoints", marks);
	if (v != NULL && p->next != 0 &&
	    json_object_set_new(v, "next", json_integer(p->next)) != 0) {
		json_decref(v);
		v = NULL;
	}
	return v;
}

static int
row_put(FILE *f, const struct db_audit *a, enum form form)
{
	json_t *v = item_json(a);
	char *text = NULL;

	if (v != NULL)
		text = form == FORM_CEF ? perc_cef_text(v, PACKAGE_VERSION)
					: perc_chain_text(v);
	json_decref(v);
	if (text == NULL)
		return PERC_ERR_NOMEM;
	fprintf(f, "%s\n", text);
	free(text);
	return 0;
}

static int
page_put(FILE *f, const struct page *p, enum form form)
{
	size_t i, m = 0;
	int r = 0;

	for (i = 0; r == 0 && i < p->n; i++) {
		r = row_put(f, &p->rows[i], form);
		for (; form == FORM_LINES && m < p->nmarks &&
		     p->marks[m].seq == p->rows[i].seq;
		     m++)
			fprintf(
			    f, "{\"checkpoint\":\"%s\"}\n", p->marks[m].jws);
	}
	return r;
}

static int
lines_answer(struct kmf_job *j, const struct page *p, enum form form)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f;
	int r;

	if ((f = open_memstream(&text, &len)) == NULL)
		return PERC_ERR_NOMEM;
	r = page_put(f, p, form);
	if (fclose(f) != 0 && r == 0)
		r = PERC_ERR_NOMEM;
	if (r == 0)
		r = kmf_answer_text(j, 200,
		    form == FORM_CEF ? "text/plain; charset=utf-8"
				     : "application/jsonl",
		    text);
	free(text);
	return r;
}

int
kmf_op_audit(struct kmf_job *j)
{
	struct ask a;
	struct page p = { 0 };
	const char *bad;
	int r;

	if ((bad = ask_get(&a, j->call->arg)) != NULL)
		return kmf_refuse(j, 400, "invalid_request", "%s", bad);
	if ((r = page_get(j->k, &p, &a)) != 0 ||
	    (r = marks_get(j->k, &p, &a)) != 0)
		goto out;
	if (a.form == FORM_JSON)
		r = kmf_answer_json(j, 200, page_json(&p));
	else
		r = lines_answer(j, &p, a.form);
out:
	page_clear(&p);
	return r;
}
