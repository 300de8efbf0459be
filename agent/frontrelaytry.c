/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every relay of the configuration tried at once, for `perch doctor`: an
 * allocation and a channel, and nothing is sent. The peer is an address of
 * documentation (RFC 5737), so a server that lets us nowhere but to some
 * places may refuse here what it grants to a leg.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/front.h"
#include "agent/local.h"
#include "perc/log.h"

#define TRY_MS 12000 /* perch-turn gives up before */

struct front_relay_try {
	struct agent *agent;
	struct local_req *req; /* NULL: gone */
	struct perc_timer late;
	size_t left;
	struct {
		int fd; /* -1: it is known */
		uint32_t id;
		bool up;
		char words[TURN_WORDS_MAX];
	} server[TURN_SERVERS_MAX];
};

void
front_relay_try_stop(struct agent *a)
{
	struct front_relay_try *t = a->relay_try;

	if (t == NULL)
		return;
	a->relay_try = NULL;
	perc_timer_stop(a->loop, &t->late);
	for (size_t i = 0; i < a->conf->nservers; i++)
		if (t->server[i].fd >= 0)
			close(t->server[i].fd);
	free(t);
}

static void
answer(struct front_relay_try *t)
{
	const struct agent_conf *conf = t->agent->conf;
	json_t *all = json_array();

	for (size_t i = 0; i < conf->nservers; i++)
		json_array_append_new(all,
		    json_pack("{s:s, s:b, s:s}", "url", conf->server[i].url,
			"carries", t->server[i].up, "words",
			t->server[i].up ? "" : t->server[i].words));
	if (t->req != NULL)
		local_result(t->req, json_pack("{s:o}", "relays", all));
	else
		json_decref(all);
	front_relay_try_stop(t->agent);
}

static void
on_late(void *arg)
{
	answer(arg);
}

void
front_relay_try_told(struct agent *a, uint32_t id, bool up, const char *words)
{
	struct front_relay_try *t = a->relay_try;

	for (size_t i = 0; t != NULL && i < a->conf->nservers; i++) {
		if (t->server[i].fd < 0 || t->server[i].id != id)
			continue;
		t->server[i].up = up;
		text_put(t->server[i].words, sizeof(t->server[i].words), "%s",
		    words);
		close(t->server[i].fd);
		t->server[i].fd = -1;
		if (--t->left == 0)
			answer(t);
		return;
	}
}

void
front_relay_try_gone(struct agent *a, const struct local_req *r)
{
	if (a->relay_try != NULL && a->relay_try->req == r)
		a->relay_try->req = NULL;
}

void
front_relay_try(struct agent *a, struct local_req *r, const json_t *args)
{
	struct sockaddr_in nowhere = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(0xc0000201) }; /* 192.0.2.1 */
	struct front_relay_try *t;

	(void)args;
	if (a->relays == NULL) {
		local_result(r, json_pack("{s:[]}", "relays"));
		return;
	}
	if (a->relay_try != NULL || (t = calloc(1, sizeof(*t))) == NULL) {
		local_error(r, "failed", "relays are being tried just now");
		return;
	}
	t->agent = a;
	t->req = r;
	a->relay_try = t;
	for (size_t i = 0; i < a->conf->nservers; i++) {
		t->server[i].fd = front_relay_open(a->relays,
		    (struct sockaddr *)&nowhere, (int)i, &t->server[i].id);
		text_put(t->server[i].words, sizeof(t->server[i].words),
		    "perch-turn does not answer");
		t->left += t->server[i].fd >= 0;
	}
	if (perc_timer_set(
		a->loop, &t->late, t->left > 0 ? TRY_MS : 0, on_late, t) != 0)
		fatalx("no memory for a timer");
}
