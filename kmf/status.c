/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How the keeper is: readiness with named reasons, and numbers for
 * Prometheus. Neither names a person or a conference.
 */
#include "kmf/keeper_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kmf/hook.h"

/* Writing is what fails first when a disk is full: so that is tried. */
int
kmf_op_ready(struct kmf_job *j)
{
	struct kmf_keeper *k = j->k;
	bool writable;

	writable = db_replay_add(k->db, "ready", k->now_ms / 1000) == 0 &&
	    db_replay_drop(k->db, "ready") == 0;
	return kmf_answer_json(j, writable ? 200 : 503,
	    json_pack("{s:b, s:{s:s, s:s, s:s}}", "ready", (int)writable,
		"checks", "database", writable ? "ok" : "cannot be written",
		"keys", "ok", "secret_memory", perc_secmem_level_name()));
}

int
kmf_op_metrics(struct kmf_job *j)
{
	const struct kmf_counters *c = &j->k->count;
	struct db_count n;
	char text[12288];
	size_t used;
	int r;

	if ((r = db_count(j->k->db, &n)) != 0)
		return r;
	snprintf(text, sizeof(text),
	    "perch_kmf_conferences %" PRId64 "\n"
	    "perch_kmf_conferences_live %" PRId64 "\n"
	    "perch_kmf_members_live %" PRId64 "\n"
	    "perch_kmf_audit_rows %" PRId64 "\n"
	    "perch_kmf_keeper_calls_total %" PRIu64 "\n"
	    "perch_kmf_keeper_refused_total %" PRIu64 "\n"
	    "perch_kmf_keeper_failed_total %" PRIu64 "\n"
	    "perch_kmf_keeper_commits_total %" PRIu64 "\n"
	    "perch_kmf_keeper_commit_failures_total %" PRIu64 "\n"
	    "perch_kmf_epochs_total %" PRIu64 "\n"
	    "perch_kmf_rosters_total %" PRIu64 "\n"
	    "perch_kmf_epoch_pushes_total %" PRIu64 "\n"
	    "perch_kmf_dpop_replays_total %" PRIu64 "\n",
	    n.conferences, n.live_conferences, n.live_members, n.audit,
	    c->calls, c->refused, c->failed, c->commits, c->commit_failures,
	    c->epochs, c->rosters, c->pushes, c->replays);
	used = strlen(text);
	if ((r = kmf_hook_metrics(j->k, text + used, sizeof(text) - used)) != 0)
		return r;
	return kmf_answer_text(j, 200, "text/plain; version=0.0.4", text);
}
