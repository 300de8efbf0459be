/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * To send again. An invitation that is still open gets a new code, for the
 * old one stands nowhere but in the mail that was lost.
 */
#include "kmf/mail.h"

#include <string.h>

bool
kmf_notify(const json_t *body)
{
	const json_t *v = json_object_get(body, "notify");

	return v == NULL || json_is_true(v);
}

static bool
sendable(struct kmf_job *j, const char *email)
{
	if (j->k->mail_from[0] != '\0' && email[0] != '\0')
		return true;
	kmf_refuse(j, 409, "no_mail",
	    email[0] == '\0' ? "there is no address to send it to"
			     : "this KMF sends no mail; download the .ics");
	return false;
}

int
kmf_op_inv_send(struct kmf_job *j)
{
	char code[KMF_CODE_MAX];
	struct db_inv i;
	bool fresh;
	int r;

	if ((r = kmf_inv_load(j, &i)) != 0 || j->a.status != 0 ||
	    !sendable(j, i.email))
		return r;
	if (i.state == DB_INV_REVOKED || j->conf.state == DB_CONF_ENDED)
		return kmf_refuse(j, 409, "ended", "it is over or revoked");
	fresh = i.state == DB_INV_OPEN && !kmf_inv_expired(j->k, &i, &j->conf);
	if (fresh) {
		kmf_code_new(code);
		if ((r = kmf_code_hash(i.code_hash, code)) != 0 ||
		    (r = db_inv_put(j->k->db, &i)) != 0)
			goto out;
	}
	if ((r = kmf_mail_guest(j->k, &j->conf, &i, fresh ? code : NULL)) !=
		0 ||
	    (r = kmf_audit(j->k, KMF_AUDIT_INVITED, j->call->id.sub, j->conf.id,
		 i.id, NULL)) != 0)
		goto out;
	r = kmf_answer_json(j, 202, kmf_inv_json(j, &i));
out:
	perc_wipe(code, sizeof(code));
	return r;
}

static int
invitee_answer(struct kmf_job *j, const struct db_invitee *v)
{
	json_t *list = kmf_invitees_json(j->k, v, 1);
	int r;

	r = kmf_answer_json(j, 202, json_incref(json_array_get(list, 0)));
	json_decref(list);
	return r;
}

int
kmf_op_invitee_send(struct kmf_job *j)
{
	struct db_invitee v;
	int r;

	r = db_invitee_find(j->k->db, &v, j->conf.id, j->call->obj);
	if (r == PERC_ERR_NOTFOUND)
		return kmf_not_found(j);
	if (r != 0 || !sendable(j, v.email) ||
	    (r = kmf_mail_invitee(j->k, &j->conf, &v, false)) != 0)
		return r;
	return invitee_answer(j, &v);
}

int
kmf_op_series_send(struct kmf_job *j)
{
	struct db_invitee v;
	struct kmf_series o;
	int r;

	if ((r = kmf_series_load(&o, j)) != 0 || j->a.status != 0)
		goto out;
	r = kmf_series_invitee_find(j, o.s.id, &v);
	if (r == PERC_ERR_NOTFOUND)
		r = kmf_not_found(j);
	else if (r == 0 && o.s.state == DB_SERIES_ENDED)
		r = kmf_refuse(j, 409, "ended", "it is over");
	else if (r == 0 && sendable(j, v.email) &&
	    (r = kmf_mail_series_invitee(j->k, &o, &v)) == 0)
		r = invitee_answer(j, &v);
out:
	kmf_series_close(&o);
	return r;
}
