/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /metrics in the text format of Prometheus: what the workers counted last (a
 * second ago at most), each with its worker's number. How much is going on is
 * nobody's business but the operator's, so strangers get a 404 unless the
 * configuration says otherwise.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/cascade.h"

static bool
is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	if (sa == NULL)
		return false;
	if (sa->sa_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return sa->sa_family == AF_INET6 &&
	    (IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		(IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
		    in6->sin6_addr.s6_addr[12] == 127));
}

static void
print_api(FILE *f, const struct ctl *c)
{
	const struct {
		const char *name;
		uint64_t v;
	} t[] = { { "joined", c->joins }, { "conflict", c->refused },
		{ "unauthorized", c->unauthorized }, { "full", c->full },
		{ "limited", c->limited } };
	size_t i;

	fprintf(f,
	    "# HELP perch_mdd_join_total Answers of the join API.\n"
	    "# TYPE perch_mdd_join_total counter\n");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		fprintf(f, "perch_mdd_join_total{result=\"%s\"} %llu\n",
		    t[i].name, (unsigned long long)t[i].v);
	fprintf(f,
	    "# HELP perch_mdd_draining No new leg is let in.\n"
	    "# TYPE perch_mdd_draining gauge\n"
	    "perch_mdd_draining %d\n",
	    c->draining);
	fprintf(f,
	    "# HELP perch_mdd_http_malformed_total Requests refused unread, "
	    "connections without one.\n"
	    "# TYPE perch_mdd_http_malformed_total counter\n"
	    "perch_mdd_http_malformed_total %llu\n",
	    (unsigned long long)perc_httpd_malformed(c->httpd));
}

static void
print_metric(FILE *f, const struct ctl *c, unsigned k)
{
	const struct mdd_metric *m = &mdd_metrics[k];
	unsigned i;

	if (m->help != NULL)
		fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help,
		    m->name, k >= MDD_GAUGES ? "gauge" : "counter");
	for (i = 0; i < c->workers; i++)
		fprintf(f, "%s{worker=\"%u\"%s%s} %llu\n", m->name, i,
		    m->label == NULL ? "" : ",",
		    m->label == NULL ? "" : m->label,
		    (unsigned long long)c->worker[i].v[k]);
}

/* Of one leg; the labels are pseudonyms (no name of a person comes here). */
static const struct {
	const char *name, *type, *help;
	size_t offset;
	bool wide; /* 64 bits */
} leg_metrics[] = {
#define LEG(m) offsetof(struct mdd_legstat, m)
	{ "perch_mdd_leg_received_total", "counter",
	    "Datagrams from the leg's address.", LEG(rx), true },
	{ "perch_mdd_leg_received_octets_total", "counter",
	    "Octets from the leg's address.", LEG(rx_octets), true },
	{ "perch_mdd_leg_accepted_total", "counter",
	    "RTP packets of the leg that were authenticated.", LEG(taken),
	    true },
	{ "perch_mdd_leg_sent_total", "counter", "RTP packets sent to the leg.",
	    LEG(tx), true },
	{ "perch_mdd_leg_sent_octets_total", "counter",
	    "Octets of RTP sent to the leg.", LEG(tx_octets), true },
	{ "perch_mdd_leg_rtt_milliseconds", "gauge",
	    "Round trip to the leg; 0: not known.", LEG(rtt_ms), false },
	{ "perch_mdd_leg_lost_256ths", "gauge",
	    "Loss on the way to the leg, as it last told.", LEG(lost), false },
	{ "perch_mdd_leg_estimate_kbps", "gauge",
	    "What the road to the leg carries, as its feedback shows; 0: not "
	    "known.",
	    LEG(kbps), false },
#undef LEG
};

static uint64_t
leg_value(const struct ctl_leg *leg, unsigned k)
{
	const char *at = (const char *)&leg->stat + leg_metrics[k].offset;
	uint64_t wide;
	uint32_t narrow;

	if (leg_metrics[k].wide) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

static void
print_legs(FILE *f, const struct ctl *c)
{
	const struct ctl_leg *leg;
	int64_t n;
	size_t k;

	for (k = 0; k < sizeof(leg_metrics) / sizeof(leg_metrics[0]); k++) {
		fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", leg_metrics[k].name,
		    leg_metrics[k].help, leg_metrics[k].name,
		    leg_metrics[k].type);
		for (leg = c->first, n = 0;
		     leg != NULL && n < c->conf->metrics_legs;
		     leg = leg->next, n++)
			fprintf(f,
			    "%s{worker=\"%u\",conference=\"%s\","
			    "member=\"%s\",leg=\"%s\"} %llu\n",
			    leg_metrics[k].name, leg->room->worker->index,
			    leg->room->key, leg->member, leg->id,
			    (unsigned long long)leg_value(leg, (unsigned)k));
	}
}

char *
metrics_text(const struct ctl *c, size_t *len)
{
	char *text = NULL;
	unsigned k;
	FILE *f = open_memstream(&text, len);

	if (f == NULL)
		return NULL;
	print_api(f, c);
	cascade_print(f, c);
	for (k = 0; k < MDD_COUNTS; k++)
		print_metric(f, c, k);
	if (c->conf->metrics_legs > 0)
		print_legs(f, c);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

void
metrics_reply(struct ctl *c, struct perc_httpd_req *r)
{
	static const struct perc_httpd_header h = { "Content-Type",
		"text/plain; version=0.0.4" };
	char *text;
	size_t len = 0;

	if (!c->conf->metrics_open && !is_loopback(perc_httpd_peer(r))) {
		join_problem(r, 404, "not_found", "Nothing here");
		return;
	}
	if ((text = metrics_text(c, &len)) != NULL)
		perc_httpd_reply(r, 200, &h, 1, text, len, false);
	else
		perc_httpd_reply(r, 500, NULL, 0, NULL, 0, false);
	free(text);
}
