/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the keeper is told by the configuration and may be told anew while it
 * runs. All that can fail is done first, in a transaction of its own with the
 * record for the auditor; then the new values take the place of the old ones
 * at one stroke. What is under way outside stays so: it ends as it began.
 */
#include "kmf/settings.h"

#include <stdlib.h>
#include <string.h>

#include "kmf/event.h"
#include "kmf/hook.h"
#include "kmf/keeper_int.h"

static void
list_free(char **list)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

static int
list_copy(char ***out, char *const *in)
{
	char **list;
	size_t i, n = 0;

	while (in != NULL && in[n] != NULL)
		n++;
	if ((list = calloc(n + 1, sizeof(*list))) == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < n; i++)
		if ((list[i] = strdup(in[i])) == NULL) {
			list_free(list);
			return PERC_ERR_NOMEM;
		}
	*out = list;
	return 0;
}

static int64_t
limit(int64_t n, int64_t max)
{
	return n > 0 && n < max ? n : max;
}

static int64_t
or_else(int64_t n, int64_t def)
{
	return n != 0 ? n : def;
}

/* Nothing in here can fail; mdds and hooks are the keeper's from now on. */
static void
take(struct kmf_keeper *k, const struct kmf_keeper_opts *o, char **mdds,
    struct kmf_hooks *hooks)
{
	const char *from = o->mail_from != NULL ? o->mail_from : "";

	list_free(k->mdds);
	k->mdds = mdds;
	kmf_hooks_take(k, hooks);
	k->cascade = o->cascade;
	k->limit_conferences =
	    limit(o->limit_conferences, KMF_LIMIT_CONFERENCES);
	k->limit_invitees = limit(o->limit_invitees, KMF_INVITEES_MAX);
	k->limit_invitations = limit(o->limit_invitations, KMF_INVITATIONS_MAX);
	k->keep.ended_ms =
	    or_else(o->keep.ended_ms, KMF_KEEP_ENDED_DAYS * KMF_DAY_MS);
	k->keep.gone_ms =
	    or_else(o->keep.gone_ms, KMF_KEEP_GONE_DAYS * KMF_DAY_MS);
	k->keep.revoked_ms =
	    or_else(o->keep.revoked_ms, KMF_KEEP_REVOKED_DAYS * KMF_DAY_MS);
	k->events_keep_ms = or_else(o->events_keep_ms, KMF_EVENTS_KEEP_MS);
	memset(k->mail_from, 0, sizeof(k->mail_from));
	memcpy(k->mail_from, from, strlen(from));
}

static int
record(struct kmf_keeper *k, const char *config)
{
	return kmf_audit(k, KMF_AUDIT_CONFIGURED, "", "", "",
	    json_pack("{s:s}", "config", config));
}

/* In a transaction; config NULL: at the start, of which note_start() tells. */
static int
prepare(struct kmf_hooks **hooks, struct kmf_keeper *k,
    const struct kmf_keeper_opts *o, const char *config)
{
	int r;

	if (config == NULL && o->nhooks == 0)
		return kmf_hooks_make(hooks, k, NULL, 0, false);
	if ((r = kmf_turn_begin(k)) != 0)
		return r;
	if ((r = kmf_hooks_make(
		 hooks, k, o->hooks, o->nhooks, config != NULL)) != 0 ||
	    (config != NULL && (r = db_mail_hurry(k->db, k->now_ms)) != 0) ||
	    (config != NULL && (r = record(k, config)) != 0) ||
	    (r = kmf_turn_commit(k)) != 0)
		db_rollback(k->db);
	return r;
}

int
kmf_settings_open(struct kmf_keeper *k, const struct kmf_keeper_opts *o)
{
	struct kmf_hooks *hooks = NULL;
	char **mdds = NULL;
	int r;

	if (o->mail_from != NULL && strlen(o->mail_from) >= DB_EMAIL_MAX)
		return PERC_ERR_LIMIT;
	if ((r = list_copy(&mdds, o->mdds)) == 0 &&
	    (r = prepare(&hooks, k, o, NULL)) == 0) {
		take(k, o, mdds, hooks);
		return 0;
	}
	kmf_hooks_free(hooks);
	list_free(mdds);
	return r;
}

int
kmf_settings_change(struct kmf_keeper *k, const struct kmf_keeper_opts *o,
    const char *config, unsigned moved)
{
	struct kmf_hooks *hooks = NULL;
	char **mdds = NULL;
	unsigned i;
	int r;

	if (o->mail_from != NULL && strlen(o->mail_from) >= DB_EMAIL_MAX)
		return PERC_ERR_LIMIT;
	kmf_turn_finish(k); /* what others did commits, or fails, alone */
	if ((r = list_copy(&mdds, o->mdds)) != 0 ||
	    (r = prepare(&hooks, k, o, config)) != 0) {
		kmf_hooks_free(hooks);
		list_free(mdds);
		return r;
	}
	take(k, o, mdds, hooks);
	for (i = 0; i < KMF_OUTLETS; i++)
		if ((moved & 1u << i) != 0)
			kmf_errands_rest(k, (enum kmf_outlet)i);
	kmf_feed_settle(k, true);
	kmf_errand_wake(k, KMF_ERRAND_HOOK);
	kmf_errand_wake(k, KMF_ERRAND_MAIL);
	kmf_errands_pump(k);
	return 0;
}

void
kmf_settings_close(struct kmf_keeper *k)
{
	list_free(k->mdds);
	k->mdds = NULL;
	kmf_hooks_free(k->hooks);
	k->hooks = NULL;
}
