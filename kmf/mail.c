/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The queue of mail. A guest's code stands in it sealed, for as long as the
 * message waits; it is nowhere else. A mail server that fails is asked again
 * after a while, longer each time, for a day.
 */
#include "kmf/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/cal.h"

#define BATCH	     4 /* at once; also the most under way */
#define RETRY_MS     (30 * 1000LL)
#define RETRY_MAX_MS (3600 * 1000LL)
#define CODE_LEN     22

int
kmf_mail_queue(struct kmf_keeper *k, const char *about, const char *address,
    const char *calendar, const char *code)
{
	struct db_mail m = { .state = DB_MAIL_QUEUED,
		.at_ms = k->now_ms,
		.due_ms = k->now_ms,
		.until_ms = k->now_ms + KMF_MAIL_KEEP_MS };
	int r;

	if (k->mail_from[0] == '\0' || address[0] == '\0')
		return 0;
	perc_random_id(m.id, sizeof(m.id), "e_");
	if ((r = kmf_copy(m.about, sizeof(m.about), about)) != 0 ||
	    (r = kmf_copy(m.address, sizeof(m.address), address)) != 0 ||
	    (code != NULL &&
		(r = kmf_seal_by(
		     &m.code, k->root->data, m.id, code, CODE_LEN)) != 0) ||
	    (r = db_mail_add(k->db, &m, calendar)) != 0)
		return r;
	kmf_errand_wake(k, KMF_ERRAND_MAIL);
	return 0;
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

/* --- whom it is for ---------------------------------------------------------
 */

/* A code that was revoked or replaced, and still waits, opens nothing any
 * more. The cancellation goes out all the same: a try may have arrived. */
int
kmf_mail_guest(struct kmf_keeper *k, const struct db_conf *c,
    const struct db_inv *i, const char *code)
{
	const struct kmf_guest g = { i->email, i->name, i->kind, i->role };
	bool out = i->state == DB_INV_REVOKED;
	char *text;
	int r;

	if ((out || code != NULL) && (r = db_mail_drop(k->db, i->id)) != 0)
		return r;
	if (k->mail_from[0] == '\0' || i->email[0] == '\0')
		return 0;
	if ((r = kmf_calendar_conf(&text, k, c, &g, out)) != 0)
		return r;
	r = kmf_mail_queue(k, i->id, i->email, text, code);
	kmf_ics_free(text);
	return r;
}

int
kmf_mail_invitee(struct kmf_keeper *k, const struct db_conf *c,
    const struct db_invitee *v, bool out)
{
	const struct kmf_guest g = { v->email, "", v->kind, v->role };
	char *text;
	int r;

	if (out && (r = db_mail_drop(k->db, v->id)) != 0)
		return r;
	if (k->mail_from[0] == '\0' || v->email[0] == '\0')
		return 0;
	if ((r = kmf_calendar_conf(&text, k, c, &g, out)) != 0)
		return r;
	r = kmf_mail_queue(k, v->id, v->email, text, NULL);
	kmf_ics_free(text);
	return r;
}

static int
guests_tell(struct kmf_keeper *k, const struct db_conf *c)
{
	struct db_inv *list = NULL;
	size_t i, n;
	int r;

	if ((r = db_inv_list(k->db, &list, &n, c->id)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		if (list[i].state != DB_INV_REVOKED)
			r = kmf_mail_guest(k, c, &list[i], NULL);
	free(list);
	return r;
}

int
kmf_mail_conf(struct kmf_keeper *k, const struct db_conf *c)
{
	struct db_invitee *list = NULL;
	size_t i, n;
	int r;

	if (k->mail_from[0] == '\0')
		return 0;
	if ((r = db_invitee_list(k->db, &list, &n, c->id)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		r = kmf_mail_invitee(k, c, &list[i], false);
	free(list);
	return r != 0 ? r : guests_tell(k, c);
}

int
kmf_mail_series(struct kmf_keeper *k, const struct kmf_series *o)
{
	struct db_invitee *list = NULL;
	struct kmf_guest g;
	char *text;
	size_t i, n;
	int r;

	if (k->mail_from[0] == '\0')
		return 0;
	if ((r = db_series_invitee_list(k->db, &list, &n, o->s.id)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++) {
		if (list[i].email[0] == '\0')
			continue;
		g = (struct kmf_guest){ list[i].email, "", list[i].kind,
			list[i].role };
		if ((r = kmf_calendar_series(&text, k, o, &g)) != 0)
			break;
		r = kmf_mail_queue(k, list[i].id, list[i].email, text, NULL);
		kmf_ics_free(text);
	}
	free(list);
	return r;
}

/* --- sending ----------------------------------------------------------------
 */

static bool
flies(const struct kmf_keeper *k, int64_t no)
{
	size_t i;

	for (i = 0; i < BATCH; i++)
		if (k->mail_flying[i] == no)
			return true;
	return false;
}

static int
send(struct kmf_keeper *k, const struct db_mail *m, size_t place)
{
	char code[CODE_LEN + 1] = "", *calendar = NULL, *text = NULL;
	json_t *o = NULL;
	char *body = NULL;
	int r;

	if ((r = db_mail_event(k->db, &calendar, m->no)) != 0 ||
	    (m->code.len != 0 &&
		(r = kmf_unseal_by(
		     code, CODE_LEN, k->root->data, m->id, &m->code)) != 0) ||
	    (r = kmf_mail_text(
		 &text, k, m, calendar, code[0] != '\0' ? code : NULL)) != 0)
		goto out;
	r = PERC_ERR_NOMEM;
	o = json_pack("{s:s, s:s}", "to", m->address, "text", text);
	if (o == NULL || (body = perc_json_text(o)) == NULL)
		goto out;
	r = kmf_errand_send(
	    k, KMF_ERRAND_MAIL, (uint64_t)m->no, body, strlen(body));
	if (r == 0)
		k->mail_flying[place] = m->no;
out:
	perc_json_free(body);
	json_decref(o);
	if (text != NULL)
		perc_wipe(text, strlen(text));
	free(text);
	free(calendar);
	perc_wipe(code, sizeof(code));
	return r;
}

static int
pump(struct kmf_keeper *k, int64_t *next_ms)
{
	int64_t now = k->clock(k->clock_arg);
	struct db_mail *list = NULL, next;
	size_t i, n, place;
	int r;

	if (k->mail_from[0] == '\0')
		return 0;
	if ((r = db_mail_due(k->db, &list, &n, now, 2 * BATCH)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++) {
		for (place = 0; place < BATCH; place++)
			if (k->mail_flying[place] == 0)
				break;
		if (place == BATCH)
			break;
		if (!flies(k, list[i].no))
			r = send(k, &list[i], place);
	}
	free(list);
	if (r == 0 && db_mail_next(k->db, &next) == 0 && next.due_ms > now)
		*next_ms = next.due_ms;
	return r;
}

static int
end(struct kmf_keeper *k, const struct kmf_errand_end *e)
{
	struct db_mail m;
	int64_t wait;
	size_t i;
	int r;

	for (i = 0; i < BATCH; i++)
		if (k->mail_flying[i] == (int64_t)e->job)
			k->mail_flying[i] = 0;
	if ((r = db_mail_find(k->db, &m, (int64_t)e->job)) != 0)
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	m.at_ms = k->now_ms;
	m.tries++;
	snprintf(m.why, sizeof(m.why), "%.250s", e->why);
	wait = m.tries > 7 ? RETRY_MAX_MS : RETRY_MS << (m.tries - 1);
	m.due_ms = k->now_ms + wait;
	if (e->how == KMF_ERRAND_DONE)
		m.state = DB_MAIL_SENT;
	else if (e->how == KMF_ERRAND_REFUSED || m.due_ms > m.until_ms)
		m.state = DB_MAIL_FAILED;
	if (e->how != KMF_ERRAND_DONE)
		log_warnx("mail.failed id=%s tries=%lld final=%d why=\"%s\"",
		    m.id, (long long)m.tries, m.state == DB_MAIL_FAILED, m.why);
	if (m.state != DB_MAIL_QUEUED) {
		m.due_ms = 0;
		m.code.len = 0;
	}
	return db_mail_put(k->db, &m);
}

static void
lost(struct kmf_keeper *k)
{
	memset(k->mail_flying, 0, sizeof(k->mail_flying));
}

const struct kmf_errand_kind_ops kmf_mail_errands = { pump, end, lost };
