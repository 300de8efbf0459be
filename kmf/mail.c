/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whom to tell by mail. A thousand invitees are told the same, so it is
 * composed once and kept once (a sheet); whose it is goes in when a message
 * leaves (mail_send.c). The turn in which a conference changes is the one that
 * everybody waits for who wants a key. A guest's code stands in the queue
 * sealed, for as long as the message waits; it is nowhere else.
 */
#include "kmf/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/cal.h"

#define CODE_LEN KMF_MAIL_CODE_LEN

struct letter {
	const char *place, *about; /* c_ or s_; v_ or i_ */
	int64_t sheet;
	struct kmf_ics_guest to;
	const char *code; /* NULL: none */
};

static int
queue(struct kmf_keeper *k, const struct letter *l)
{
	struct db_mail m = { .state = DB_MAIL_QUEUED,
		.at_ms = k->now_ms,
		.due_ms = k->now_ms,
		.until_ms = k->now_ms + KMF_MAIL_KEEP_MS };
	int r;

	perc_random_id(m.id, sizeof(m.id), "e_");
	if ((r = kmf_copy(m.place, sizeof(m.place), l->place)) != 0 ||
	    (r = kmf_copy(m.about, sizeof(m.about), l->about)) != 0 ||
	    (r = kmf_copy(m.address, sizeof(m.address), l->to.email)) != 0 ||
	    (r = kmf_copy(m.name, sizeof(m.name), l->to.name)) != 0 ||
	    (r = kmf_copy(m.kind, sizeof(m.kind), l->to.kind)) != 0 ||
	    (r = kmf_copy(m.role, sizeof(m.role), l->to.role)) != 0 ||
	    (l->code != NULL &&
		(r = kmf_seal_by(
		     &m.code, k->root->data, m.id, l->code, CODE_LEN)) != 0) ||
	    (r = db_mail_add(k->db, &m, l->sheet)) != 0)
		return r;
	kmf_errand_wake(k, KMF_ERRAND_MAIL);
	return 0;
}

static int
conf_sheet(struct kmf_keeper *k, int64_t *no, const struct db_conf *c, bool out)
{
	char *text = NULL;
	int r;

	if ((r = kmf_calendar_conf(&text, k, c, NULL, out)) == 0)
		r = db_sheet_add(k->db, no, text);
	kmf_ics_free(text);
	return r;
}

static int
series_sheet(struct kmf_keeper *k, int64_t *no, const struct kmf_series *o)
{
	char *text = NULL;
	int r;

	if ((r = kmf_calendar_series(&text, k, o, NULL)) == 0)
		r = db_sheet_add(k->db, no, text);
	kmf_ics_free(text);
	return r;
}

json_t *
kmf_mail_json(struct kmf_keeper *k, const char *about)
{
	static const char *const states[] = { "queued", "sent", "failed" };
	struct db_mail m;

	if (db_mail_last(k->db, &m, about) != 0)
		return json_pack("{s:s}", "state", "none");
	return json_pack("{s:s, s:o, s:s*}", "state", states[m.state], "at",
	    kmf_time_json(m.at_ms), "reason", kmf_json_opt(m.why));
}

/* --- one of them ---------------------------------------------------------- */
static struct letter
guest_letter(const struct db_inv *i, const char *code)
{
	return (struct letter){ i->conf, i->id, 0,
		{ i->email, i->name, i->kind, i->role }, code };
}

static struct letter
invitee_letter(const char *place, const struct db_invitee *v)
{
	return (struct letter){ place, v->id, 0,
		{ v->email, "", v->kind, v->role }, NULL };
}

/* A code that was revoked or replaced, and still waits, opens nothing any
 * more. The cancellation goes out all the same: a try may have arrived. */
int
kmf_mail_guest(struct kmf_keeper *k, const struct db_conf *c,
    const struct db_inv *i, const char *code)
{
	struct letter l = guest_letter(i, code);
	bool out = i->state == DB_INV_REVOKED;
	int r;

	if ((out || code != NULL) && (r = db_mail_drop(k->db, i->id)) != 0)
		return r;
	if (k->mail_from[0] == '\0' || i->email[0] == '\0')
		return 0;
	if ((r = conf_sheet(k, &l.sheet, c, out)) != 0)
		return r;
	return queue(k, &l);
}

int
kmf_mail_invitee(struct kmf_keeper *k, const struct db_conf *c,
    const struct db_invitee *v, bool out)
{
	struct letter l = invitee_letter(c->id, v);
	int r;

	if (out && (r = db_mail_drop(k->db, v->id)) != 0)
		return r;
	if (k->mail_from[0] == '\0' || v->email[0] == '\0')
		return 0;
	if ((r = conf_sheet(k, &l.sheet, c, out)) != 0)
		return r;
	return queue(k, &l);
}

int
kmf_mail_series_invitee(struct kmf_keeper *k, const struct kmf_series *o,
    const struct db_invitee *v)
{
	struct letter l = invitee_letter(o->s.id, v);
	int r;

	if ((r = series_sheet(k, &l.sheet, o)) != 0)
		return r;
	return queue(k, &l);
}

/* --- all of them ---------------------------------------------------------- */
static int
invitees_tell(struct kmf_keeper *k, const char *place, int64_t sheet,
    const struct db_invitee *list, size_t n)
{
	struct letter l;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		l = invitee_letter(place, &list[i]);
		l.sheet = sheet;
		if (l.to.email[0] != '\0')
			r = queue(k, &l);
	}
	return r;
}

static int
guests_tell(struct kmf_keeper *k, const struct db_conf *c, int64_t sheet)
{
	struct db_inv *list = NULL;
	struct letter l;
	size_t i, n;
	int r;

	if ((r = db_inv_list(k->db, &list, &n, c->id)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++) {
		l = guest_letter(&list[i], NULL);
		l.sheet = sheet;
		if (list[i].state != DB_INV_REVOKED && l.to.email[0] != '\0')
			r = queue(k, &l);
	}
	free(list);
	return r;
}

int
kmf_mail_conf(struct kmf_keeper *k, const struct db_conf *c)
{
	struct db_invitee *list = NULL;
	int64_t sheet;
	size_t n;
	int r;

	if (k->mail_from[0] == '\0')
		return 0;
	if ((r = db_invitee_list(k->db, &list, &n, c->id)) == 0 &&
	    (r = conf_sheet(k, &sheet, c, false)) == 0 &&
	    (r = invitees_tell(k, c->id, sheet, list, n)) == 0)
		r = guests_tell(k, c, sheet);
	free(list);
	return r;
}

int
kmf_mail_series(struct kmf_keeper *k, const struct kmf_series *o)
{
	struct db_invitee *list = NULL;
	int64_t sheet;
	size_t n;
	int r;

	if (k->mail_from[0] == '\0')
		return 0;
	if ((r = db_series_invitee_list(k->db, &list, &n, o->s.id)) == 0 &&
	    (r = series_sheet(k, &sheet, o)) == 0)
		r = invitees_tell(k, o->s.id, sheet, list, n);
	free(list);
	return r;
}
