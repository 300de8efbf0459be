/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The audit chain. Each row's text is canonical JSON (sorted members, no
 * blanks) and its hash covers the hash before it, so whoever holds one hash
 * can tell whether anything older was changed. Rows are written in the
 * transaction of what they record: neither stands without the other.
 */
#include "kmf/event.h"

#include <string.h>

#include "perc/chain.h"

static const char *const kinds[] = {
	[KMF_AUDIT_CONF_CREATED] = "conference_created",
	[KMF_AUDIT_CONF_CHANGED] = "conference_changed",
	[KMF_AUDIT_CONF_DELETED] = "conference_deleted",
	[KMF_AUDIT_CONF_STARTED] = "conference_started",
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
	[KMF_AUDIT_LOGIN_FAILED] = "login_failed",
	[KMF_AUDIT_STARTED] = "started",
	[KMF_AUDIT_CONFIGURED] = "configured",
	[KMF_AUDIT_STOPPED] = "stopped",
	[KMF_AUDIT_SIGNING_KEY] = "signing_key",
	[KMF_AUDIT_CLIENT] = "client",
	[KMF_AUDIT_ROOT_KEY] = "root_key",
	[KMF_AUDIT_RESTORED] = "restored",
	[KMF_AUDIT_CONF_CANCELLED] = "conference_cancelled",
	[KMF_AUDIT_CONF_LOCKED] = "conference_locked",
	[KMF_AUDIT_CONF_UNLOCKED] = "conference_unlocked",
	[KMF_AUDIT_CONF_ADJOURNED] = "conference_adjourned",
	[KMF_AUDIT_SERIES_CREATED] = "series_created",
	[KMF_AUDIT_SERIES_CHANGED] = "series_changed",
	[KMF_AUDIT_SERIES_CANCELLED] = "series_cancelled",
	[KMF_AUDIT_SERIES_DELETED] = "series_deleted",
	[KMF_AUDIT_MAIL_FAILED] = "mail_failed",
	[KMF_AUDIT_REDELIVERED] = "redelivered",
};

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
	struct db_audit last;
	int r;

	r = db_audit_tail(k->db, &last);
	if (r == PERC_ERR_NOTFOUND)
		memset(&last, 0, sizeof(last));
	else if (r != 0) {
		json_decref(detail);
		return r;
	}
	return kmf_audit_behind(k, &last, kind, actor, conf, subject, detail);
}

int
kmf_audit_behind(struct kmf_keeper *k, const struct db_audit *last,
    enum kmf_audit_kind kind, const char *actor, const char *conf,
    const char *subject, json_t *detail)
{
	struct db_audit a = { .seq = last->seq + 1 };
	json_t *v = NULL;
	size_t n;
	int r = PERC_ERR_NOMEM;

	memcpy(a.prev, last->hash, sizeof(a.prev));
	v = event_json(k, &a, kind, actor, conf, subject, detail);
	if (v == NULL)
		goto out;
	r = PERC_ERR_LIMIT;
	n = json_dumpb(
	    v, a.text, sizeof(a.text) - 1, JSON_COMPACT | JSON_SORT_KEYS);
	if (n == 0 || n >= sizeof(a.text))
		goto out;
	a.text[n] = '\0';
	if ((r = perc_chain_hash(a.hash, a.prev, a.text, n)) == 0 &&
	    (r = db_audit_add(k->db, &a)) == 0 &&
	    (r = kmf_event_write(k, &a, kind, actor, conf, subject, detail)) ==
		0)
		k->audit_new++;
out:
	json_decref(v);
	json_decref(detail);
	return r;
}
