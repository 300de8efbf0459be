/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The queue of mail, from its other end. A mail server that fails is asked
 * again after a while, longer each time, for a day. A message that cannot be
 * composed is given up at once, alone: those behind it have done nothing.
 */
#include "kmf/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/cal.h"

#define BATCH	     4 /* at once; also the most under way */
#define RETRY_MS     (30 * 1000LL)
#define RETRY_MAX_MS (3600 * 1000LL)
#define CODE_LEN     KMF_MAIL_CODE_LEN

/* kind is empty when the calendar was addressed before it was queued. */
static int
calendar_get(char **textp, struct kmf_keeper *k, const struct db_mail *m)
{
	const struct kmf_ics_guest to = { m->address, m->name, m->kind,
		m->role };
	char *sheet = NULL;
	int r;

	if ((r = db_mail_event(k->db, &sheet, m->no)) != 0)
		return r;
	if (m->kind[0] == '\0') {
		*textp = sheet;
		return 0;
	}
	r = kmf_ics_address(textp, sheet, &to);
	free(sheet);
	return r;
}

static int
compose(char **bodyp, struct kmf_keeper *k, const struct db_mail *m)
{
	char code[CODE_LEN + 1] = "", *calendar = NULL, *text = NULL;
	json_t *o = NULL;
	int r;

	if ((r = calendar_get(&calendar, k, m)) != 0 ||
	    (m->code.len != 0 &&
		(r = kmf_unseal_by(
		     code, CODE_LEN, k->root->data, m->id, &m->code)) != 0) ||
	    (r = kmf_mail_text(
		 &text, k, m, calendar, code[0] != '\0' ? code : NULL)) != 0)
		goto out;
	r = PERC_ERR_NOMEM;
	o = json_pack("{s:s, s:s}", "to", m->address, "text", text);
	if (o != NULL && (*bodyp = perc_json_text(o)) != NULL)
		r = strlen(*bodyp) <= KMF_ERRAND_BODY_MAX ? 0 : PERC_ERR_LIMIT;
out:
	json_decref(o);
	if (text != NULL)
		perc_wipe(text, strlen(text));
	free(text);
	free(calendar);
	perc_wipe(code, sizeof(code));
	return r;
}

/* Trouble of ours passes; trouble of the message does not. */
static bool
passes(int r)
{
	return r == PERC_ERR_NOMEM || r == PERC_ERR_SYS || r == PERC_ERR_CLOSED;
}

static int
send(struct kmf_keeper *k, const struct db_mail *m)
{
	char *body = NULL;
	int r;

	if ((r = compose(&body, k, m)) != 0 && !passes(r)) {
		log_warnx(
		    "mail.spoilt id=%s err=\"%s\"", m->id, perc_strerror(r));
		k->mail_spoilt = m->no;
		r = 0;
	} else if (r == 0)
		r = kmf_errand_send(
		    k, KMF_ERRAND_MAIL, (uint64_t)m->no, body, strlen(body));
	perc_json_free(body);
	return r;
}

/* Those of a fetcher before this one hold up nobody. */
static int
pump(struct kmf_keeper *k, int64_t *next_ms)
{
	int64_t now = k->clock(k->clock_arg);
	struct db_mail *list = NULL, next;
	size_t i, n;
	int r;

	if (k->mail_from[0] == '\0')
		return 0;
	if ((r = db_mail_due(k->db, &list, &n, now,
		 BATCH + kmf_errands_count(k, KMF_ERRAND_MAIL, false))) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++) {
		if (kmf_errands_count(k, KMF_ERRAND_MAIL, true) >= BATCH)
			break;
		if (!kmf_errand_flies(k, KMF_ERRAND_MAIL, (uint64_t)list[i].no))
			r = send(k, &list[i]);
	}
	free(list);
	if (k->mail_spoilt != 0)
		*next_ms = now; /* settle() */
	else if (r == 0 && db_mail_next(k->db, &next) == 0 && next.due_ms > now)
		*next_ms = next.due_ms;
	return r;
}

/* --- what became of it ---------------------------------------------------- */
static int
give_up(struct kmf_keeper *k, struct db_mail *m)
{
	m->state = DB_MAIL_FAILED;
	k->count.mail_failed++;
	return kmf_audit(k, KMF_AUDIT_MAIL_FAILED, "", m->place, m->about,
	    json_pack("{s:s, s:s, s:I}", "about", m->about, "why", m->why,
		"tries", (json_int_t)m->tries));
}

static int
over(struct kmf_keeper *k, struct db_mail *m)
{
	m->due_ms = 0;
	m->code.len = 0;
	return db_mail_put(k->db, m);
}

static int
failed(struct kmf_keeper *k, struct db_mail *m, bool for_good)
{
	int64_t wait;
	int r = 0;

	k->count.mail_again++;
	wait = m->tries > 7 ? RETRY_MAX_MS : RETRY_MS << (m->tries - 1);
	m->due_ms = k->now_ms + wait;
	for_good = for_good || m->due_ms > m->until_ms;
	log_warnx("mail.failed id=%s tries=%lld final=%d why=\"%s\"", m->id,
	    (long long)m->tries, for_good, m->why);
	if (!for_good)
		return db_mail_put(k->db, m);
	if ((r = give_up(k, m)) != 0)
		return r;
	return over(k, m);
}

static int
end(struct kmf_keeper *k, const struct kmf_errand_end *e)
{
	struct db_mail m;
	int r;

	if ((r = db_mail_find(k->db, &m, (int64_t)e->job)) != 0 ||
	    m.state != DB_MAIL_QUEUED) /* replaced while it flew */
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	m.at_ms = k->now_ms;
	m.tries++;
	snprintf(m.why, sizeof(m.why), "%.250s", e->why);
	if (e->how != KMF_ERRAND_DONE)
		return failed(k, &m, e->how == KMF_ERRAND_REFUSED);
	m.state = DB_MAIL_SENT;
	k->count.mail_sent++;
	return over(k, &m);
}

static int
settle(struct kmf_keeper *k)
{
	struct db_mail m;
	int r;

	if (k->mail_spoilt == 0)
		return 0;
	if ((r = kmf_turn_begin(k)) != 0)
		return r;
	r = db_mail_find(k->db, &m, k->mail_spoilt);
	k->mail_spoilt = 0;
	kmf_errand_wake(k, KMF_ERRAND_MAIL);
	if (r != 0)
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	m.at_ms = k->now_ms;
	snprintf(m.why, sizeof(m.why), "the message cannot be composed");
	if ((r = give_up(k, &m)) != 0)
		return r;
	return over(k, &m);
}

/* The errands' own list is all that knew. */
static void
lost(struct kmf_keeper *k, uint64_t job)
{
}

const struct kmf_errand_kind_ops kmf_mail_errands = { pump, end, settle, lost };
