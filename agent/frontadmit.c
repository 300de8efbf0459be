/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for admission: what proves who the user is, for token1. A login may
 * have two tokens, and a KMF that refuses one may take the other. What counts
 * then is the refusal that says more: of somebody who is known and not
 * invited, not of a second token that was nothing from the start.
 */
#include "agent/front.h"

#include <string.h>

/* More than that the KMF says only of the login itself. */
static void
not_invited(struct front_conf *c, const char *words)
{
	const char *more = strchr(words, ';');

	front_fail(c, "not_invited",
	    "no such conference, or you are not invited%s",
	    more != NULL ? more : "");
}

void
front_fail_answer(
    struct front_conf *c, const struct perc_httpc_answer *a, const char *what)
{
	char words[FRONT_WORDS_MAX], code[64];

	front_answer_words(a, words, sizeof(words));
	front_answer_code(a, code, sizeof(code));
	if (a->err == PERC_ERR_AUTH)
		front_fail(c, "untrusted", "%s", words);
	else if (a->err != 0)
		front_fail(c,
		    front_answer_transient(a) ? "unreachable" : "failed", "%s",
		    words);
	else if (strcmp(code, "invalid_grant") == 0 && c->refusal[0] != '\0')
		not_invited(c, c->refusal);
	else if (strcmp(code, "invalid_grant") == 0 && c->code != NULL)
		front_fail(c, "refused",
		    "the KMF does not accept this invitation: %s; a code is "
		    "for the one perch-agent that used it first, while that "
		    "runs: ask for another",
		    words);
	else if (strcmp(code, "invalid_grant") == 0)
		front_fail(c, "refused",
		    "the KMF does not accept this login: %s", words);
	else if (strcmp(code, "invalid_target") == 0 ||
	    strcmp(code, "not_found") == 0)
		not_invited(c, words);
	else
		front_fail(c, code[0] != '\0' ? code : "refused", "%s: %s",
		    what, words);
}

static void
on_token1(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	int r;

	if (a->err != 0 || a->status != 200) {
		front_fail_answer(c, a, "asking for admission");
	} else if ((r = front_token1_take(c, a)) != 0) {
		front_fail(
		    c, "failed", "the KMF's token is %s", perc_strerror(r));
	} else {
		front_enter_admitted(c);
	}
}

static void
on_token1_first(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	char code[64];

	if (a->err != 0 || a->status / 100 != 4 || c->code != NULL) {
		on_token1(a, arg);
		return;
	}
	front_answer_code(a, code, sizeof(code));
	if (strcmp(code, "invalid_target") == 0)
		front_answer_words(a, c->refusal, sizeof(c->refusal));
	if (front_token1_ask(c, &c->call, true, on_token1) != 0)
		on_token1(a, arg);
}

void
front_admit(void *arg)
{
	struct front_conf *c = arg;
	int r;

	if (c->state != FRONT_ENTERING)
		return; /* left while the login was being refreshed */
	c->refusal[0] = '\0';
	front_progress(c,
	    c->code != NULL ? "checking invitation" : "asking for admission");
	if ((r = front_token1_ask(c, &c->call, false, on_token1_first)) ==
	    PERC_ERR_NOTFOUND)
		front_fail(c, "login_required",
		    "log in first (perch login), or give an invitation code");
	else if (r != 0)
		front_fail(c, "failed", "%s", perc_strerror(r));
}
