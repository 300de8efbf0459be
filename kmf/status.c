/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whether the keeper is ready, with named reasons; kmf/front_health.c adds
 * the front's own.
 */
#include "kmf/keeper_int.h"

static int
check_add(json_t *checks, const char *name, const char *reason)
{
	json_t *v =
	    json_pack("{s:b, s:s*}", "ok", reason == NULL, "reason", reason);

	return v == NULL || json_object_set_new(checks, name, v) != 0
	    ? PERC_ERR_NOMEM
	    : 0;
}

/* NULL: well. What fails first on a full disk is writing: that is tried. */
static const char *
database_why(struct kmf_keeper *k)
{
	return db_replay_add(k->db, "ready", k->now_ms / 1000) == 0 &&
		db_replay_drop(k->db, "ready") == 0
	    ? NULL
	    : "cannot be written";
}

static const char *
memory_why(void)
{
	return perc_secmem_level() == PERC_SECMEM_SECRET
	    ? NULL
	    : "the kernel has no memfd_secret: root can read keys in memory";
}

/* NULL: well. A message that waits is not lost. */
static const char *
mailer_why(const struct kmf_keeper *k)
{
	return kmf_errands_out(k, KMF_OUTLET_MAILER)
	    ? NULL
	    : "the process that sends mail is gone; it is started again";
}

/* Only the database makes us unready. */
int
kmf_op_ready(struct kmf_job *j)
{
	const char *database = database_why(j->k);
	json_t *checks = json_object();
	int r = PERC_ERR_NOMEM;

	if (checks != NULL &&
	    (r = check_add(checks, "database", database)) == 0 &&
	    (r = check_add(checks, "secret_memory", memory_why())) == 0 &&
	    j->k->mail_from[0] != '\0')
		r = check_add(checks, "mailer", mailer_why(j->k));
	if (r != 0) {
		json_decref(checks);
		return r;
	}
	return kmf_answer_json(j, database == NULL ? 200 : 503,
	    json_pack(
		"{s:b, s:o}", "ready", database == NULL, "checks", checks));
}
