/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent of this user knows of the way of media: each relay that is
 * configured, tried now, and which path a conference goes by. Nobody needs an
 * agent for the rest of an examination, so one that does not run is no news.
 */
#include "agent/clidoctor.h"

#include <string.h>

#include "agent/clitalk.h"
#include "agent/text.h"
#include "perc/loop.h"

#define TRY_MS 15000

json_t *
doctor_ask(const struct doctor *d, const char *cmd)
{
	json_t *what = json_pack("{s:s}", "cmd", cmd), *result = NULL;
	struct talk t = { .quiet = true,
		.keep = true,
		.deadline_ms = perc_now_ms() + TRY_MS };

	if (perch_client_open(&t.client, d->c->opt[CLI_SOCKET]) == 0) {
		(void)talk_ask(&t, what, &result);
		json_decref(t.error);
	}
	talk_close(&t);
	json_decref(what);
	return result;
}

static const char *
advice_for(const char *words)
{
	static const struct {
		const char *has, *advice;
	} all[] = {
		{ "username and password",
		    "set username and password_file of its [turn] section in "
		    "perch-agent.conf" },
		{ "certificate",
		    "add its CA to ca_file, or write the host that its "
		    "certificate names into the url" },
		{ "find the host", "check the host's name and the DNS" },
		{ "forbids", "let the server relay to the distributors" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strstr(words, all[i].has) != NULL)
			return all[i].advice;
	return "start it, or open the way to it (port, firewall)";
}

static void
relays(struct doctor *d)
{
	json_t *j = doctor_ask(d, "relays");
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(j, "relays"), i, one)
	{
		const char *words = cli_get(one, "words");

		if (json_is_true(json_object_get(one, "carries")))
			doctor_good(
			    d, "relay", cli_get(one, "url"), "it carries");
		else
			doctor_wrong(d, "relay", cli_get(one, "url"),
			    advice_for(words), "%s", cli_clean(words));
	}
	json_decref(j);
}

static void
paths(struct doctor *d)
{
	json_t *j = doctor_ask(d, "status");
	const json_t *one, *leg;
	size_t i;

	json_array_foreach(json_object_get(j, "conferences"), i, one)
	{
		leg = json_object_get(one, "leg");
		if (strcmp(cli_get(leg, "path"), "direct") == 0)
			doctor_good(d, "media", "path",
			    "%s goes straight to the distributor",
			    cli_get(one, "conference"));
		else if (strcmp(cli_get(leg, "path"), "relay") == 0)
			doctor_note(d, "media", "path",
			    "open the way for UDP to the distributor, if "
			    "turn = always is not your wish",
			    "%s goes by the relay %s",
			    cli_get(one, "conference"), cli_get(leg, "relay"));
		else if (cli_get(one, "mdd_trouble")[0] != '\0')
			doctor_wrong(d, "media", "path",
			    "open the way for UDP to the distributor, or "
			    "configure a relay ([turn] in perch-agent.conf)",
			    "%s: %s", cli_get(one, "conference"),
			    cli_get(one, "mdd_trouble"));
	}
	json_decref(j);
}

void
doctor_relays(struct doctor *d)
{
	relays(d);
	paths(d);
}
