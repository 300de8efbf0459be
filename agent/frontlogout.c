/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a login that its owner wants: the tokens are wiped at once, and
 * the provider is told that the refresh token is good for nothing any more
 * (RFC 7009). Whether it listens is its own business; that the browser stays
 * logged in at the provider too.
 */
#include "agent/frontlogin.h"

#include <stdlib.h>
#include <string.h>

#include "agent/local.h"
#include "perc/log.h"

static void
logout_tell(struct front_login *l, bool revoked)
{
	log_info("logged_out kmf=%s issuer=%s revoked=%d", l->kmf, l->issuer,
	    revoked);
	if (l->req != NULL)
		local_result(l->req,
		    json_pack("{s:s, s:s, s:b}", "kmf", l->kmf, "issuer",
			l->issuer, "revoked", revoked));
	l->req = NULL;
	front_login_remove(l);
}

static void
on_revoked(const struct perc_httpc_answer *a, void *arg)
{
	struct front_login *l = arg;

	l->http = NULL;
	logout_tell(l, a->err == 0 && a->status == 200);
}

static int
revoke_ask(struct front_login *l)
{
	const char *headers[] = { front_form_type, "Accept: application/json",
		NULL };
	struct text form = { 0 };
	int r = PERC_ERR_NOMEM;

	text_add_form(&form, "token", l->refresh_token);
	text_add_form(&form, "token_type_hint", "refresh_token");
	text_add_form(&form, "client_id", l->client_id);
	if (!form.failed)
		r = perc_httpc_start(l->agent->http, &l->http, "POST",
		    l->revoke_url, headers, form.p, form.len, NULL, 0,
		    on_revoked, l);
	text_clear(&form);
	return r;
}

static void
logout_start(struct front_login *l, struct local_req *req)
{
	bool ask = l->refresh_token != NULL && l->revoke_url != NULL;

	l->over = false;
	l->leaving = true;
	l->req = req;
	perc_timer_stop(l->agent->loop, &l->timer);
	perc_httpc_cancel(l->http);
	front_call_cancel(l->call);
	l->http = NULL;
	front_login_wake(l);
	ask = ask && revoke_ask(l) == 0;
	text_free(l->access_token);
	text_free(l->role_token);
	text_free(l->id_token);
	text_free(l->refresh_token);
	l->access_token = l->id_token = l->refresh_token = NULL;
	l->role_token = NULL;
	if (!ask)
		logout_tell(l, false);
}

int
front_login_logout(struct agent *a, struct local_req *req, const char *kmf,
    char *why, size_t whycap)
{
	char *base = kmf != NULL ? front_login_kmf(kmf) : NULL;
	struct front_login *l = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++) {
		struct front_login *one = a->logins[i];

		if (one == NULL || !one->over ||
		    (base != NULL && strcmp(one->kmf, base) != 0))
			continue;
		l = one;
		n++;
	}
	free(base);
	if (n != 1) {
		text_put(why, whycap, "%s",
		    n == 0 ? "not logged in"
			   : "logged in at several KMFs: name one");
		return PERC_ERR_NOTFOUND;
	}
	logout_start(l, req);
	return 0;
}
