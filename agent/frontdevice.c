/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login by device grant (RFC 8628): a code that the person types into any
 * browser anywhere, and polling with the patience that the server asks for.
 */
#include "agent/frontlogin.h"

#include <stdlib.h>
#include <string.h>

#include "agent/local.h"
#include "perc/json.h"
#include "perc/log.h"

#define ANSWER_MAX	65536
#define INTERVAL_MAX_MS 60000

static void on_poll(void *arg);

/* ---- device grant: RFC 8628
 * ------------------------------------------------------------ */

static void
poll_later(struct front_login *l)
{
	if (perc_timer_set(
		l->agent->loop, &l->timer, l->interval_ms, on_poll, l) != 0)
		fatalx("no memory for a timer");
}

/* Section 3.5: pending and slow_down go on, all else ends; a server that
 * cannot be asked just now is asked less often. */
static void
on_polled(const struct perc_httpc_answer *a, void *arg)
{
	struct front_login *l = arg;
	const char *why;
	char code[64];

	l->http = NULL;
	front_answer_code(a, code, sizeof(code));
	if (a->err == 0 && a->status == 200) {
		if (front_login_take(l, a, &why) == 0)
			front_login_succeed(l);
		else
			front_login_fail(l, "the identity provider: %s", why);
	} else if (perc_boot_ms() > l->device_until_ms) {
		front_login_fail(l, "the code's time is over: try again");
	} else if (a->err != 0 ||
	    (code[0] == '\0' && front_answer_transient(a))) {
		if (l->interval_ms < INTERVAL_MAX_MS)
			l->interval_ms *= 2;
		poll_later(l);
	} else if (strcmp(code, "authorization_pending") == 0) {
		poll_later(l);
	} else if (strcmp(code, "slow_down") == 0) {
		l->interval_ms += 5000;
		poll_later(l);
	} else {
		front_login_refused(l, a, "the identity provider refused");
	}
}

static void
on_poll(void *arg)
{
	struct front_login *l = arg;
	struct text form = { 0 };
	int r;

	text_add_form(&form, "grant_type",
	    "urn:ietf:params:oauth:grant-type:device_code");
	text_add_form(&form, "device_code", l->device_code);
	text_add_form(&form, "client_id", l->client_id);
	r = front_token_ask(l, &form, on_polled);
	text_clear(&form);
	if (r != 0)
		front_login_fail(l, "%s", perc_strerror(r));
}

static void
device_tell(struct front_login *l, const json_t *j)
{
	static const char *const names[] = { "user_code", "verification_uri",
		"verification_uri_complete", "expires_in" };
	json_t *o = json_object();

	for (size_t i = 0; i < 4; i++)
		if (json_object_get(j, names[i]) != NULL)
			json_object_set(
			    o, names[i], json_object_get(j, names[i]));
	local_event(l->req, "device", o);
	json_decref(o);
}

static void
on_device(const struct perc_httpc_answer *a, void *arg)
{
	struct front_login *l = arg;
	int64_t interval = 5, expires = 600;
	json_t *j = NULL;

	l->http = NULL;
	if (a->err != 0 || a->status != 200) {
		front_login_refused(l, a, "the identity provider gave no code");
		return;
	}
	if (perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0) == 0)
		front_login_keep(&l->device_code, j, "device_code");
	if (l->device_code == NULL || perc_json_str(j, "user_code") == NULL) {
		front_login_fail(l,
		    "the identity provider's answer is "
		    "malformed");
	} else {
		if (perc_json_int(&interval, j, "interval", 1, 600) != 0)
			interval = 5;
		if (perc_json_int(&expires, j, "expires_in", 1, 86400) != 0)
			expires = 600;
		l->interval_ms = interval * 1000;
		l->device_until_ms = perc_boot_ms() + expires * 1000;
		device_tell(l, j);
		poll_later(l);
	}
	json_decref(j);
}

void
front_device_start(struct front_login *l)
{
	const char *headers[] = { front_form_type, "Accept: application/json",
		NULL };
	struct text form = { 0 };
	int r = PERC_ERR_NOMEM;

	/* RFC 8628 knows no grant_type here; glewlwyd demands it, others
	 * ignore it (RFC 6749 section 3.1). */
	text_add_form(&form, "grant_type", "device_authorization");
	text_add_form(&form, "client_id", l->client_id);
	text_add_form(&form, "scope", l->scope);
	text_add_form(&form, "resource", l->resource ? l->kmf : NULL);
	if (!form.failed)
		r = perc_httpc_start(l->agent->http, &l->http, "POST",
		    l->device_url, headers, form.p, form.len, NULL, 0,
		    on_device, l);
	text_clear(&form);
	if (r != 0)
		front_login_fail(l, "%s", perc_strerror(r));
}
