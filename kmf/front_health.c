/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whether this KMF lives, is ready and how it does: /healthz, /readyz,
 * /metrics. The keeper answers for itself and for the sum of the fronts; a
 * front adds what it alone knows, its certificate and the issuers' keys.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

static void
text_reply(struct front_req *q, const char *text)
{
	static const struct perc_httpd_header type = { "Content-Type",
		"text/plain; version=0.0.4; charset=utf-8" };

	front_reply(q, 200, &type, 1, text, strlen(text), false);
}

void
front_health(struct front_req *q)
{
	static const struct perc_httpd_header type = { "Content-Type",
		"text/plain; charset=utf-8" };

	front_reply(q, 200, &type, 1, "ok\n", 3, false);
}

/* --- readiness ------------------------------------------------------------ */
/* NULL: no memory. reason NULL: it is well. */
static int
check_add(json_t *checks, const char *name, const char *reason)
{
	json_t *v =
	    json_pack("{s:b, s:s*}", "ok", reason == NULL, "reason", reason);

	return v == NULL				? PERC_ERR_NOMEM
	    : json_object_set_new(checks, name, v) == 0 ? 0
							: PERC_ERR_NOMEM;
}

/* NULL: well. */
static const char *
issuer_why(char *out, size_t cap, const struct front *f, size_t i)
{
	const struct front_keys *k = &f->keys[i];
	long long age = (long long)(perc_wall_ms() / 1000 - k->fetched_s);

	if (f->conf->issuers[i].certificate)
		return NULL;
	if (k->jwks == NULL)
		snprintf(out, cap, "no keys yet: %s",
		    k->why[0] != '\0' ? k->why : "still asking");
	else if (front_keys_stale(f, i))
		snprintf(out, cap, "logins refused, keys are %lld s old: %s",
		    age, k->why);
	else if (k->why[0] != '\0')
		snprintf(out, cap, "not reached, keys are %lld s old: %s", age,
		    k->why);
	else
		return NULL;
	return out;
}

/* An issuer without good keys is named, but the KMF is ready: guests and the
 * members of other issuers can come. */
static int
issuers_add(const struct front *f, json_t *checks)
{
	char name[128], why[256];
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < f->conf->nissuers; i++) {
		snprintf(name, sizeof(name), "issuer:%.100s",
		    f->conf->issuers[i].label);
		r = check_add(checks, name, issuer_why(why, sizeof(why), f, i));
	}
	return r;
}

static int
certificate_add(const struct front *f, json_t *checks)
{
	int64_t left = perc_httpd_cert_until(f->httpd) - perc_wall_ms() / 1000;
	char why[80];

	if (left >= 0 && left > FRONT_CERT_WARN_S)
		return check_add(checks, "certificate", NULL);
	if (left < 0)
		snprintf(why, sizeof(why), "has expired");
	else
		snprintf(why, sizeof(why), "expires in %lld hours",
		    (long long)left / 3600);
	return check_add(checks, "certificate", why);
}

static void
on_ready(struct front_req *q, const struct kmf_reply *a)
{
	bool ready = a->status < 300;
	json_t *v = NULL, *checks;

	if (perc_json_parse(&v, a->body, a->body_len, KMF_BODY_MAX, NULL, 0) !=
	    0)
		v = json_pack("{s:b, s:{}}", "ready", (int)ready, "checks");
	checks = json_object_get(v, "checks");
	/* No body: the keeper could not even say why. */
	if (v == NULL ||
	    (!ready && json_object_size(checks) == 0 &&
		check_add(checks, "keeper", a->detail) != 0) ||
	    certificate_add(q->f, checks) != 0 ||
	    issuers_add(q->f, checks) != 0) {
		json_decref(v);
		v = NULL;
	}
	front_json(q, ready ? 200 : 503, v);
}

void
front_ready(struct front_req *q)
{
	struct kmf_call c = { .op = KMF_OP_READY };

	if (q->f->stopping)
		front_json(q, 503,
		    json_pack("{s:b, s:{s:{s:b, s:s}}}", "ready", 0, "checks",
			"front", "ok", 0, "reason", "stopping"));
	else
		front_call(q, &c, on_ready);
}

/* --- metrics -------------------------------------------------------------- */
void
front_counts_send(struct front *f)
{
	struct kmf_counts m;
	uint8_t *buf = NULL;
	size_t len;

	if (f->keeper == NULL)
		return;
	f->count[COUNT_MALFORMED] = perc_httpd_malformed(f->httpd);
	f->count[COUNT_CONNECTIONS] = perc_httpd_conns(f->httpd);
	f->count[COUNT_STREAMS] = f->nstreams;
	f->count[COUNT_CALLS] = f->ncalls;
	f->count[COUNT_PARKED] = 0;
	for (const struct front_req *q = f->parked; q != NULL; q = q->park_next)
		f->count[COUNT_PARKED]++;
	memcpy(m.n, f->count, sizeof(m.n));
	if (kmf_counts_encode(&buf, &len, &m) != 0 ||
	    perc_chan_send(f->keeper, KMF_MSG_COUNTS, 0, buf, len) != 0)
		log_warnx("front.counts err=not_sent");
	perc_secmem_free(buf);
}

static void
issuers_put(FILE *out, const struct front *f)
{
	size_t i;

	if (f->conf->nissuers == 0)
		return;
	fputs("# HELP perch_kmf_issuer_keys Are keys of this issuer here?\n"
	      "# TYPE perch_kmf_issuer_keys gauge\n",
	    out);
	for (i = 0; i < f->conf->nissuers; i++)
		fprintf(out, "perch_kmf_issuer_keys{issuer=\"%s\"} %d\n",
		    f->conf->issuers[i].label, f->keys[i].jwks != NULL);
	fputs("# HELP perch_kmf_issuer_keys_time_seconds When they came; 0: "
	      "never\n"
	      "# TYPE perch_kmf_issuer_keys_time_seconds gauge\n",
	    out);
	for (i = 0; i < f->conf->nissuers; i++)
		fprintf(out,
		    "perch_kmf_issuer_keys_time_seconds{issuer=\"%s\"} %lld\n",
		    f->conf->issuers[i].label, (long long)f->keys[i].fetched_s);
}

static void
on_metrics(struct front_req *q, const struct kmf_reply *a)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	if (a->status >= 300) {
		front_relay(q, a);
		return;
	}
	if ((out = open_memstream(&text, &len)) == NULL) {
		front_problem(q, 500, "no_memory", "try again");
		return;
	}
	fprintf(out,
	    "# HELP perch_kmf_certificate_expiry_seconds When the certificate "
	    "ends\n# TYPE perch_kmf_certificate_expiry_seconds gauge\n"
	    "perch_kmf_certificate_expiry_seconds %lld\n",
	    (long long)perc_httpd_cert_until(q->f->httpd));
	issuers_put(out, q->f);
	fprintf(out, "%.*s", (int)a->body_len, (const char *)a->body);
	if (fclose(out) == 0)
		text_reply(q, text);
	else
		front_problem(q, 500, "no_memory", "try again");
	free(text);
}

void
front_metrics(struct front_req *q)
{
	struct kmf_call c = { .op = KMF_OP_METRICS };

	front_counts_send(q->f); /* the sum shall not be behind itself */
	front_call(q, &c, on_metrics);
}
