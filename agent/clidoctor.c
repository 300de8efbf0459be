/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `perch doctor`: whatever must fit before somebody can log in, asked one by
 * one, from the machine of whoever wants to. Single sign-on fails in a few
 * well-known ways (a trailing slash in the issuer, a CA that one of three
 * programs does not know, a clock, an audience), and all of them end in the
 * same dull refusal, since a server must not explain itself to strangers. So
 * each line here says what was seen and what to change.
 */
#include "agent/clidoctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/text.h"
#include "perc/httpc.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/loop.h"

#define PAGE_MAX (256u << 10)

/* ---- findings
 * ------------------------------------------------------------------- */

enum level { GOOD, NOTE, WRONG };

static void
finding(struct doctor *d, enum level level, const char *who, const char *check,
    const char *advice, const char *fmt, va_list ap)
{
	static const char *const marks[] = { "OK   ", "NOTE ", "WRONG" };
	char what[512];

	vsnprintf(what, sizeof(what), fmt, ap);
	if (level == WRONG)
		d->bad++;
	json_array_append_new(d->checks,
	    json_pack("{s:s, s:s, s:b, s:s, s:s*}", "subject", who, "check",
		check, "ok", level != WRONG, "what", what, "do", advice));
	if (!cli_json(d->c))
		cli_say("%s  %s, %s: %s%s%s", marks[level], who, check, what,
		    advice != NULL ? "; " : "", advice != NULL ? advice : "");
}

void
doctor_good(
    struct doctor *d, const char *who, const char *check, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finding(d, GOOD, who, check, NULL, fmt, ap);
	va_end(ap);
}

void
doctor_note(struct doctor *d, const char *who, const char *check,
    const char *advice, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finding(d, NOTE, who, check, advice, fmt, ap);
	va_end(ap);
}

void
doctor_wrong(struct doctor *d, const char *who, const char *check,
    const char *advice, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finding(d, WRONG, who, check, advice, fmt, ap);
	va_end(ap);
}

/* ---- documents
 * ------------------------------------------------------------------ */

/* RFC 9110 section 5.6.7. Date has whole seconds and is as old as half of the
 * way: the middle of both is within a second of the truth on a fair network. */
static void
date_take(struct doctor_page *p, const char *date)
{
	struct tm tm = { 0 };
	char *end;

	if (date == NULL ||
	    (end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm)) == NULL ||
	    *end != '\0')
		return;
	p->dated = true;
	p->skew_ms = (int64_t)timegm(&tm) * 1000 + 500 -
	    (p->asked_ms + perc_wall_ms()) / 2;
}

static void
on_page(const struct perc_httpc_answer *a, void *arg)
{
	struct doctor_page *p = arg;

	p->err = a->err;
	p->status = a->status;
	text_put(p->why, sizeof(p->why), "%s", a->why);
	if (a->err != 0)
		return;
	date_take(p, perc_httpc_header(a->req, "Date", NULL));
	p->text = text_new("%s", a->body != NULL ? a->body : "");
	if (perc_json_parse(&p->json, a->body, a->len, PAGE_MAX, NULL, 0) != 0)
		p->json = NULL;
}

bool
doctor_get(const struct doctor *d, struct doctor_page *p, const char *url)
{
	static const char *const headers[] = { "Accept: application/json",
		NULL };
	struct perc_httpc_conf conf = { .ca_file = d->ca,
		.user_agent = "perch-doctor",
		.max_body = PAGE_MAX };
	int r;

	memset(p, 0, sizeof(*p));
	p->asked_ms = perc_wall_ms();
	r = url == NULL
	    ? PERC_ERR_NOMEM
	    : perc_httpc_once(&conf, "GET", url, headers, NULL, 0, on_page, p);
	if (r != 0 && p->err == 0) {
		p->err = r;
		text_put(p->why, sizeof(p->why), "%s", perc_strerror(r));
	}
	return p->err == 0 && p->status == 200;
}

void
doctor_page_clear(struct doctor_page *p)
{
	text_free(p->text);
	json_decref(p->json);
	memset(p, 0, sizeof(*p));
}

void
doctor_page_wrong(struct doctor *d, const char *who, const char *check,
    const char *url, const struct doctor_page *p)
{
	static const struct {
		int err;
		const char *advice;
	} all[] = {
		{ PERC_ERR_AUTH,
		    "give the CA that signed its certificate with --ca, and as "
		    "ca_file to perch-agent.conf and to the issuer's section "
		    "of "
		    "perch-kmf.conf" },
		{ PERC_ERR_NOTFOUND, "check the host's name and the DNS" },
		{ PERC_ERR_CLOSED,
		    "start it, or open the way to it (port, firewall)" },
		{ PERC_ERR_TIMEOUT, "see whether a firewall drops packets" },
		{ PERC_ERR_DENIED, "give an https URL" },
		{ PERC_ERR_SYS, "does the file of --ca exist?" },
	};
	const char *advice = "is this URL the right one?";

	url = url != NULL ? url : d->kmf;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (p->err != 0 && all[i].err == p->err)
			advice = all[i].advice;
	if (p->err != 0)
		doctor_wrong(d, who, check, advice, "%s: %s", cli_clean(url),
		    cli_clean(p->why));
	else
		doctor_wrong(d, who, check, advice, "%s: HTTP status %d",
		    cli_clean(url), p->status);
}

unsigned
doctor_keys(const json_t *set, const char *const algs[])
{
	const json_t *keys = json_object_get(set, "keys"), *one;
	unsigned n = 0;
	size_t i;

	json_array_foreach(keys, i, one)
	{
		const char *use = perc_json_str(one, "use"), *alg;
		char *text = perc_json_text(one);
		struct perc_jwk *k = NULL;

		if (text != NULL && (use == NULL || strcmp(use, "sig") == 0) &&
		    perc_jwk_from_json(&k, text, strlen(text), true) == 0 &&
		    (alg = perc_jwk_alg(k)) != NULL)
			for (size_t a = 0; algs[a] != NULL; a++)
				n += strcmp(alg, algs[a]) == 0;
		perc_jwk_free(k);
		perc_json_free(text);
	}
	return n;
}

/* ---- all of it
 * ------------------------------------------------------------------ */

/* A conference URI names its KMF; so does the KMF's own base URL. */
static char *
kmf_of(const char *s)
{
	const char *c = strstr(s, "/c/");
	size_t n = c != NULL ? (size_t)(c - s) : strlen(s);

	while (n > 0 && s[n - 1] == '/')
		n--;
	return strndup(s, n);
}

static int
examine(struct doctor *d)
{
	char *url = text_new("%s" WELL "oauth-authorization-server", d->kmf);
	struct doctor_page p;
	int r = CLI_UNREACHABLE;

	if (!doctor_get(d, &p, url)) {
		doctor_page_wrong(d, "KMF", "reach", d->kmf, &p);
		goto out;
	}
	doctor_good(d, "KMF", "reach", "%s answers, its certificate is trusted",
	    cli_clean(d->kmf));
	doctor_kmf(d, &p);
	doctor_providers(
	    d, json_object_get(p.json, "perch_identity_providers"));
	if (d->c->opt[CLI_TRIAL] != NULL)
		doctor_login(d);
	doctor_relays(d);
	doctor_vault(d);
	r = d->bad == 0 ? CLI_OK : CLI_FAILED;
out:
	doctor_page_clear(&p);
	free(url);
	return r;
}

int
cli_doctor(const struct cli *c)
{
	const char *kmf = c->nargs > 0 ? c->arg[0] : c->opt[CLI_KMF];
	struct doctor d = { .c = c };
	int r = CLI_FAILED;

	if (kmf == NULL) {
		cli_complain("doctor: which KMF? Give a conference's URI, or "
			     "--kmf URL");
		return CLI_USAGE;
	}
	d.kmf = kmf_of(kmf);
	d.ca = cli_ca_file(c);
	d.checks = json_array();
	if (d.kmf != NULL && d.checks != NULL)
		r = examine(&d);
	if (cli_json(c)) {
		json_t *j = json_pack("{s:s, s:b, s:O}", "kmf", d.kmf, "ok",
		    r == CLI_OK, "checks", d.checks);

		cli_print_json(j);
		json_decref(j);
	} else {
		cli_say(
		    r == CLI_OK ? "All is well." : "Not all is well: %u wrong.",
		    d.bad);
	}
	json_decref(d.checks);
	free(d.kmf);
	free(d.ca);
	return r;
}
