/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keeper's answers on their way out. The keeper knows no HTTP but the
 * status: it says what is wrong in one line, "/member: why" or "Field: why",
 * and only here does that become a problem document with a pointer, for the
 * front's own refusals, of which the keeper never hears, have to look alike.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/front.h"
#include "kmf/nonce.h"

#define JSON "application/json"

/* What the keeper refuses as "/member: why" or "Field: why" has its place. */
static void
fault_of(struct kmf_faults *f, const struct kmf_reply *a)
{
	size_t n = strcspn(a->detail, ": ");
	const char *rest = a->detail + n;
	enum kmf_fault_in in = KMF_IN_QUERY;
	char where[KMF_WHERE_MAX];

	f->n = 0;
	if (a->status != 400 && a->status != 422 && a->status != 428)
		return;
	snprintf(where, sizeof(where), "%.*s", (int)n, a->detail);
	if (rest[0] != ':' || rest[1] != ' ') {
		where[0] = '\0'; /* the request as a whole */
		rest = a->detail;
	} else
		rest += 2;
	if (where[0] == '/' || where[0] == '\0')
		in = KMF_IN_BODY;
	else if (strchr(where, '-') != NULL)
		in = KMF_IN_HEADER;
	kmf_fault_add(f, in, where, "%s", rest);
}

static void
relay_problem(struct front_req *q, const struct kmf_reply *a)
{
	struct perc_httpd_header h[2];
	struct kmf_faults f;
	char seconds[16];
	size_t n = 0;

	if (a->status == 401) {
		front_challenge(q, 401, a->code, a->detail);
		return;
	}
	if (a->status == 403 || a->status == 404)
		front_refused_by_keeper(q, a->code);
	if (a->retry_after_s != 0) {
		snprintf(seconds, sizeof(seconds), "%u", a->retry_after_s);
		h[n++] = (struct perc_httpd_header){ "Retry-After", seconds };
	}
	fault_of(&f, a);
	q->notice = a->body_len != 0 ? a : NULL;
	front_faults_with(q, a->status, a->code, a->detail, h, n, &f);
}

void
front_relay(struct front_req *q, const struct kmf_reply *a)
{
	struct perc_httpd_header h[7];
	char nonce[KMF_NONCE_LEN + 1];
	char link[2048];
	bool secret = a->secret_header[0] != '\0';
	bool kept = q->route->op == KMF_OP_ROSTER && a->body_len == 0;
	const struct front_roster *roster = NULL;
	size_t n = 0;

	if (a->status >= 300) {
		relay_problem(q, a);
		return;
	}
	if (kept && (roster = front_roster_find(q, a)) == NULL) {
		front_busy(q);
		return;
	}
	if (a->content_type[0] != '\0')
		h[n++] = (struct perc_httpd_header){ "Content-Type",
			a->content_type };
	if (a->location[0] != '\0')
		h[n++] = (struct perc_httpd_header){ "Location", a->location };
	if (a->etag[0] != '\0' && !kept)
		h[n++] = (struct perc_httpd_header){ "ETag", a->etag };
	if (a->next[0] != '\0' &&
	    front_link_next(
		link, sizeof(link), perc_httpd_query(q->r), a->next) == 0)
		h[n++] = (struct perc_httpd_header){ "Link", link };
	if (secret)
		h[n++] = (struct perc_httpd_header){ "Encryption-Key",
			a->secret_header };
	if (q->proved &&
	    (q->who.who == KMF_WHO_MEMBER || q->who.who == KMF_WHO_PERSON)) {
		front_nonce_make(q->f, nonce);
		h[n++] = (struct perc_httpd_header){ "DPoP-Nonce", nonce };
	}
	if (kept)
		front_reply(
		    q, a->status, h, n, roster->text, roster->len, false);
	else
		front_reply(q, a->status, h, n, a->body, a->body_len, secret);
}

void
front_token_relay(struct front_req *q, const struct kmf_reply *a)
{
	static const struct perc_httpd_header h[] = { { "Content-Type", JSON },
		{ "Pragma", "no-cache" } };

	if (a->status >= 300) {
		/* The code alone does not tell a replay from a wrong key. */
		front_refused_by_keeper(q, a->detail);
		front_token_error(q, a->status, a->code, a->detail);
		return;
	}
	q->f->count[COUNT_EXCHANGED]++;
	front_reply(q, a->status, h, 2, a->body, a->body_len, true);
}
