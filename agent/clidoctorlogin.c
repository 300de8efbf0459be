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
static json_t *
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
	json_decref(what);
	return result;
}

/* What the tokens look like; NULL: there are none. */
static json_t *
login(struct doctor *d)
{
	const struct cli *c = d->c;
	char code[64], words[512];
	json_t *result, *seen = NULL;

	result = ask(d,
	    json_pack("{s:s, s:s, s:s, s:s?, s:b}", "cmd", "login", "kmf",
		d->kmf, "method",
		c->opt[CLI_BROWSER] != NULL ? "browser" : "device", "provider",
		c->opt[CLI_PROVIDER], "examine", 1),
	    false, LOGIN_MS, code, sizeof(code), words, sizeof(words));
	if (code[0] == '\0') {
		doctor_good(d, "login", "tokens", "the provider gave some");
		seen = json_incref(json_object_get(result, "tokens"));
	} else {
		doctor_wrong(d, "login", "tokens",
		    strcmp(code, "none") == 0
			? "start perch-agent, or name its --socket"
			: "see client, redirect and grants of perch at the "
			  "provider",
		    "%s", words);
	}
	json_decref(result);
	return seen;
}

static const char audience_advice[] =
    "its log says why (front.refuse ... reason=...): client_id and audience "
    "of the issuer's section must be what the tokens name in aud";

static void
audience(struct doctor *d, const json_t *seen)
{
	char id[40], code[64], words[512];
	const char *advice = doctor_tokens_advice(seen), *more;
	char *uri;

	perc_random_id(id, sizeof(id), "c_");
	uri = text_new("%s/c/%s", d->kmf, id);
	json_decref(ask(d, json_pack("{s:s, s:s?}", "cmd", "join", "uri", uri),
	    true, TRIAL_MS, code, sizeof(code), words, sizeof(words)));
	text_free(uri);
	more = strchr(words, ';');
	if (strcmp(code, "not_invited") != 0)
		doctor_wrong(d, "login", "audience",
		    advice != NULL ? advice : audience_advice, "%s",
		    words[0] != '\0' ? words : "an unexpected yes");
	else if (more != NULL)
		doctor_wrong(d, "login", "audience",
		    "see the guides in docs/sso",
		    "the KMF accepts this login, but says%s", more + 1);
	else
		doctor_good(d, "login", "audience",
		    "the KMF accepts this login (asked for a conference that "
		    "does not exist)");
}

void
doctor_login(struct doctor *d)
{
	json_t *seen = login(d);

	if (seen == NULL)
		return;
	doctor_tokens(d, seen);
	audience(d, seen);
	json_decref(seen);
}
