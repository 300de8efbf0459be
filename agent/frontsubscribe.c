/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this endpoint wants of the distributor (PUT .../subscriptions of
 * docs/wire/join.md). A leg that is lost takes its subscription with it, so
 * the last one that was accepted is kept and told to each leg that follows.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "agent/local.h"
#include "perc/json.h"
#include "perc/log.h"

static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	struct local_req *r = c->subscriber;
	char words[FRONT_WORDS_MAX];

	c->subscribe_req = NULL;
	c->subscriber = NULL;
	if (a->err == 0 && a->status == 204) {
		if (r != NULL)
			local_result(r,
			    json_pack("{s:s, s:b}", "conference", c->id,
				"subscribed", 1));
		return;
	}
	front_answer_words(a, words, sizeof(words));
	log_warnx("subscription conf=%s words=\"%s\"", c->id, words);
	if (r != NULL)
		local_error(r, "refused", words);
	if (a->err == 0 && a->status == 400) { /* no leg would take it */
		text_free(c->subscription);
		c->subscription = NULL;
	}
}

static int
ask(struct front_conf *c)
{
	char *auth = text_new("Authorization: Bearer %s", c->token2);
	char *url = text_new("%s/subscriptions", c->leg_url);
	const char *headers[] = { auth, "Content-Type: application/json",
		NULL };
	int r = PERC_ERR_NOMEM;

	perc_httpc_cancel(c->subscribe_req);
	c->subscribe_req = NULL;
	if (auth != NULL && url != NULL)
		r = perc_httpc_start(c->agent->http, &c->subscribe_req, "PUT",
		    url, headers, c->subscription, strlen(c->subscription),
		    NULL, 0, on_answer, c);
	text_free(auth);
	text_free(url);
	return r;
}

void
front_subscribe_again(struct front_conf *c)
{
	if (c->subscription != NULL && ask(c) != 0)
		log_warnx("subscription conf=%s words=\"no memory\"", c->id);
}

void
front_subscribe(struct front_conf *c, struct local_req *r, const json_t *wanted)
{
	if (!json_is_object(wanted)) {
		local_error(r, "usage", "subscribe: subscriptions is missing");
		return;
	}
	if (c->state != FRONT_UP || c->leg_url == NULL) {
		local_error(r, "not_joined", "no leg at the distributor now");
		return;
	}
	if (c->subscriber != NULL)
		local_error(c->subscriber, "failed", "somebody else asked too");
	c->subscriber = r;
	text_free(c->subscription);
	if ((c->subscription = perc_json_text(wanted)) == NULL || ask(c) != 0) {
		c->subscriber = NULL;
		local_error(r, "failed", "out of memory");
	}
}

void
front_subscribe_stop(struct front_conf *c)
{
	perc_httpc_cancel(c->subscribe_req);
	c->subscribe_req = NULL;
	if (c->subscriber != NULL)
		local_error(c->subscriber, "failed", "the conference is over");
	c->subscriber = NULL;
	text_free(c->subscription);
	c->subscription = NULL;
}
