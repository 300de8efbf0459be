/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trial login through the agent, and whether the KMF takes what it brings.
 * The KMF judges a token before it looks for the conference, and answers for
 * one that does not exist as for one that somebody is not invited to: so a
 * conference invented here tells "your login is good" from "your login is not
 * accepted", and nobody is disturbed. Why a token was not accepted only the
 * KMF's log says; strangers are not told.
 */
#include "agent/clidoctor.h"

#include <string.h>

#include "agent/clitalk.h"
#include "agent/text.h"
#include "perc/crypto.h"
#include "perc/loop.h"

#define LOGIN_MS 600000
#define TRIAL_MS 30000

/* The answer's error code, "" for success; words says more. */
static int
ask(const struct doctor *d, json_t *what, bool quiet, int64_t ms, char *code,
    size_t codecap, char *words, size_t wordscap)
{
	json_t *result = NULL;
	struct talk t;
	int r;

	text_put(words, wordscap, "perch-agent does not answer");
	text_put(code, codecap, "none");
	if ((r = talk_open(&t, d->c)) == CLI_OK) {
		t.quiet = t.quiet || quiet;
		t.keep = true;
		t.deadline_ms = perc_now_ms() + ms;
		r = talk_ask(&t, what, &result);
		if (r == CLI_OK || t.error != NULL) {
			text_put(code, codecap, "%s", cli_get(t.error, "code"));
			text_put(
			    words, wordscap, "%s", cli_get(t.error, "text"));
		}
		json_decref(t.error);
	}
	talk_close(&t);
	json_decref(result);
	json_decref(what);
	return r;
}

static bool
login(struct doctor *d)
{
	const struct cli *c = d->c;
	char code[64], words[512];

	ask(d,
	    json_pack("{s:s, s:s, s:s, s:s?}", "cmd", "login", "kmf", d->kmf,
		"method", c->opt[CLI_BROWSER] != NULL ? "browser" : "device",
		"provider", c->opt[CLI_PROVIDER]),
	    false, LOGIN_MS, code, sizeof(code), words, sizeof(words));
	if (code[0] == '\0') {
		doctor_good(d, "login", "tokens", "the provider gave some");
		return true;
	}
	doctor_wrong(d, "login", "tokens",
	    strcmp(code, "none") == 0
		? "start perch-agent, or name its --socket"
		: "see client, redirect and grants of perch at the provider",
	    "%s", words);
	return false;
}

static void
audience(struct doctor *d)
{
	char id[40], code[64], words[512];
	char *uri;

	perc_random_id(id, sizeof(id), "c_");
	uri = text_new("%s/c/%s", d->kmf, id);
	ask(d, json_pack("{s:s, s:s?}", "cmd", "join", "uri", uri), true,
	    TRIAL_MS, code, sizeof(code), words, sizeof(words));
	text_free(uri);
	if (strcmp(code, "not_invited") == 0)
		doctor_good(d, "login", "audience",
		    "the KMF accepts this login (asked for a conference that "
		    "does not exist)");
	else
		doctor_wrong(d, "login", "audience",
		    "its log says why (refused why=...): client_id and "
		    "audience of the issuer's section must be what the tokens "
		    "name in aud",
		    "%s", words[0] != '\0' ? words : "an unexpected yes");
}

void
doctor_login(struct doctor *d)
{
	if (login(d))
		audience(d);
}
