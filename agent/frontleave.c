/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out, in order: the vault erases and signs a receipt, the KMF gets
 * it, the MDD is told; and if nobody answers, out all the same. Who was cut
 * off until the key's time was over has no key any more, but did not want to
 * go: he enters again as soon as the KMF answers.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "agent/frontsdp.h"
#include "agent/local.h"
#include "perc/log.h"

#define LEAVE_WAIT_MS 4000 /* for receipts and goodbyes */
#define WAKE_MS	      500  /* networks come back after the machine */

/* ---- the way out
 * ---------------------------------------------------------------------- */

static const char *
goodbye(const struct front_conf *c)
{
	static const struct {
		const char *reason, *words;
	} all[] = {
		{ "left", "left" },
		{ "ended", "the conference has ended; all keys are erased" },
		{ "evicted",
		    "you were removed from the conference; all keys are "
		    "erased" },
		{ "expired",
		    "the key's time was over and the KMF gave no other" },
		{ "stopped", "the vault stopped" },
		{ "locked", "the screen was locked; all keys are erased" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (c->reason != NULL && strcmp(c->reason, all[i].reason) == 0)
			return all[i].words;
	return "left";
}

static void
leave_finish(struct front_conf *c)
{
	if (c->state == FRONT_OVER)
		return;
	if (c->doomed)
		text_put(c->words, sizeof(c->words), "the KMF says: %s",
		    c->kmf_words);
	else
		text_put(c->words, sizeof(c->words), "%s", goodbye(c));
	if (c->joiner != NULL)
		local_error(c->joiner, c->reason != NULL ? c->reason : "left",
		    c->words);
	c->joiner = NULL;
	log_info("over conf=%s reason=%s", c->id,
	    c->reason != NULL ? c->reason : "left");
	front_conf_close(c);
}

void
front_leave_step(struct front_conf *c)
{
	if (c->state == FRONT_LEAVING && c->call == NULL &&
	    c->leave_req == NULL && (c->vault_erased || !c->vault_open))
		leave_finish(c);
}

static void
on_leave_late(void *arg)
{
	leave_finish(arg);
}

static void
quiet(struct front_conf *c)
{
	struct perc_loop *l = c->agent->loop;

	front_events_stop(c);
	front_login_forget(c->agent, c);
	front_call_cancel(c->token_call);
	front_call_cancel(c->lease_call);
	front_call_cancel(c->keys_call);
	front_call_cancel(c->roster_call);
	front_call_cancel(c->token2_call);
	perc_timer_stop(l, &c->token_timer);
	perc_timer_stop(l, &c->lease_timer);
	perc_timer_stop(l, &c->roster_timer);
	perc_timer_stop(l, &c->keys_retry.timer);
	perc_timer_stop(l, &c->mdd_retry.timer);
	perc_timer_stop(l, &c->token2_timer);
}

void
front_leave(struct front_conf *c)
{
	const char *strs[] = { c->id };

	if (c->state == FRONT_OVER || c->state == FRONT_LEAVING)
		return;
	if (!c->vault_open) {
		front_fail(c, "left", "left");
		return;
	}
	front_call_cancel(c->call);
	c->state = FRONT_LEAVING;
	quiet(c);
	front_later(c, &c->over_timer, LEAVE_WAIT_MS, on_leave_late);
	if (front_vault_ask(
		c->agent->vault, VAULT_LEAVE, strs, 1, NULL, NULL) != 0)
		leave_finish(c);
}

static void
on_lease_ended(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;

	if (a->err != 0 || a->status / 100 != 2)
		log_warnx("receipt_not_taken conf=%s status=%d %s", c->id,
		    a->status, a->why);
	front_leave_step(c);
}

static void
receipt_send(struct front_conf *c, const char *receipt)
{
	struct front_ask ask = { .method = "DELETE", .token = c->token1 };
	char *url = text_new("%s/lease", c->resource), *body = NULL;

	if (*receipt != '\0') {
		body = text_new("{\"receipt\":\"%s\"}", receipt);
		ask.type = "application/json";
	}
	ask.url = url;
	ask.body = body;
	if (url == NULL || c->token1 == NULL ||
	    front_call_start(c->agent, &c->call, &c->nonces, FRONT_NONCE_RS,
		&ask, on_lease_ended, c) != 0)
		log_warnx("receipt_not_sent conf=%s", c->id);
	free(url);
	free(body);
}

void
front_erased(struct front_conf *c, const char *reason, const char *receipt)
{
	bool asleep = strcmp(reason, "suspended") == 0;

	log_info("erased conf=%s reason=%s", c->id, reason);
	if ((strcmp(reason, "expired") == 0 || asleep) && front_is_live(c)) {
		if (*receipt != '\0') {
			free(c->receipt);
			c->receipt = text_dup(receipt);
		}
		front_progress(c, "%s",
		    asleep ? "the machine sleeps, all keys are erased; coming "
			     "back when it wakes"
			   : "cut off from the KMF, the key's time is over; "
			     "coming back when it answers");
		front_return(c);
		c->asleep = asleep;
		if (asleep)
			perc_timer_stop(c->agent->loop, &c->over_timer);
		return;
	}
	c->vault_erased = true;
	c->vault_live = false;
	free(c->reason);
	c->reason = text_dup(reason);
	c->state = FRONT_LEAVING;
	front_call_cancel(c->call);
	quiet(c);
	front_later(c, &c->over_timer, LEAVE_WAIT_MS, on_leave_late);
	receipt_send(c, receipt);
	front_mdd_stop(c);
	front_leave_step(c);
}

/* ---- the end ------------------------------------------------------------ */

static void
forget(char **s)
{
	text_free(*s);
	*s = NULL;
}

static void
forget_json(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

/* Stop all that is under way and wipe what it brought. What stays is who and
 * where. */
static void
conf_reset(struct front_conf *c)
{
	quiet(c);
	front_call_cancel(c->call);
	perc_timer_stop(c->agent->loop, &c->over_timer);
	perc_httpc_cancel(c->plain);
	perc_httpc_cancel(c->join_req);
	perc_httpc_cancel(c->leave_req);
	perc_httpc_cancel(c->subscribe_req);
	c->subscribe_req = NULL;
	c->plain = c->join_req = c->leave_req = NULL;
	front_vault_forget(c->agent->vault, c);
	front_opening_forget(c);
	front_news_forget(c);
	front_login_forget(c->agent, c);
	front_leg_free(c->leg);
	c->leg = NULL;
	perc_dtls_id_free(c->dtls_id);
	c->dtls_id = NULL;
	if (c->id[0] != '\0')
		front_sdp_remove(c->agent->conf->sdp_dir, c->id);
	front_sse_clear(&c->sse);
	front_events_early_forget(c);
	forget(&c->token1);
	forget(&c->token2);
	forget(&c->leg_url);
	forget_json(&c->streams);
	forget_json(&c->speaking);
	c->vault_live = false;
}

void
front_conf_close(struct front_conf *c)
{
	front_subscribe_stop(c);
	conf_reset(c);
	forget(&c->code);
	c->state = FRONT_OVER;
	if (c->leaver != NULL)
		local_result(c->leaver,
		    json_pack(
			"{s:s, s:s}", "conference", c->id, "state", "over"));
	c->leaver = NULL;
	front_stop_step(c->agent);
}

static void
on_return(void *arg)
{
	front_enter_again(arg);
}

void
front_return(struct front_conf *c)
{
	conf_reset(c);
	forget_json(&c->roster);
	forget_json(&c->roster_state);
	c->returning = true;
	c->state = FRONT_ENTERING;
	c->vault_open = c->vault_erased = false;
	c->epoch = c->epoch_told = c->roster_seq = 0;
	front_later(
	    c, &c->over_timer, front_backoff(&c->token_retry), on_return);
}

void
front_wake(struct agent *a)
{
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
		struct front_conf *c = a->confs[i];

		if (c == NULL || !c->asleep)
			continue;
		c->asleep = false;
		if (c->state == FRONT_ENTERING)
			front_later(c, &c->over_timer, WAKE_MS, on_return);
	}
}

void
front_conf_free(struct front_conf *c)
{
	if (c == NULL)
		return;
	front_conf_close(c);
	free(c->uri);
	free(c->kmf);
	free(c->resource);
	free(c->token_endpoint);
	free(c->mdd);
	free(c->title);
	free(c->name);
	free(c->starts_at);
	free(c->ends_at);
	free(c->reason);
	front_news_forget(c);
	free(c->receipt);
	json_decref(c->media);
	json_decref(c->policy);
	json_decref(c->mdds);
	json_decref(c->roster);
	json_decref(c->roster_state);
	free(c);
}
