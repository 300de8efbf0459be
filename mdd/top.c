/* SPDX-License-Identifier: Apache-2.0 */
/*
 * It reads what /metrics says, by the operator's socket (mdd/admin.h), and so
 * knows nothing that Prometheus would not; rates are differences of two
 * texts. Workers count once a second, so a shorter look would show nothing.
 */
#include "mdd/top.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mdd/admin.h"
#include "perc/loop.h"

#define TOP_REASONS 32
#define TOP_ONCE_MS 2000
#define TOP_LIVE_MS 2000

enum top_value { /* of a worker; gauges first */
	TOP_CONFERENCES,
	TOP_LEGS,
	TOP_LEGS_UP,
	TOP_LEGS_FLOODED,
	TOP_GAUGES,
	TOP_IN = TOP_GAUGES,
	TOP_IN_OCTETS,
	TOP_OUT,
	TOP_OUT_OCTETS,
	TOP_CPU_MS,
	TOP_DROPPED,
	TOP_LOST,
	TOP_VALUES
};

static const char *const names[TOP_VALUES] = {
	[TOP_CONFERENCES] = "perch_mdd_conferences",
	[TOP_LEGS] = "perch_mdd_legs",
	[TOP_LEGS_UP] = "perch_mdd_legs_up",
	[TOP_LEGS_FLOODED] = "perch_mdd_legs_flooded",
	[TOP_IN] = "perch_mdd_received_total",
	[TOP_IN_OCTETS] = "perch_mdd_received_octets_total",
	[TOP_OUT] = "perch_mdd_sent_total",
	[TOP_OUT_OCTETS] = "perch_mdd_sent_octets_total",
	[TOP_CPU_MS] = "perch_mdd_cpu_milliseconds_total",
	[TOP_DROPPED] = "perch_mdd_dropped_total",
	[TOP_LOST] = "perch_mdd_receive_lost_total",
};

struct top_reason {
	char name[32];
	uint64_t n;
};

struct top_look {
	int64_t at_ms;
	unsigned workers, reasons;
	bool draining;
	uint64_t v[MDD_WORKERS_MAX][TOP_VALUES];
	struct top_reason reason[TOP_REASONS];
};

struct top_rates {
	double seconds;
	unsigned workers;
	bool draining;
	double v[MDD_WORKERS_MAX + 1][TOP_VALUES]; /* the last: all */
	unsigned reasons;
	const char *name[TOP_REASONS];
	double reason[TOP_REASONS];
};

/* ---- reading ---------------------------------------------------------- */

static void
reason_add(struct top_look *l, const char *labels, uint64_t n)
{
	const char *at = strstr(labels, "reason=\"");
	struct top_reason *r;
	size_t len;

	if (at == NULL || l->reasons == TOP_REASONS)
		return;
	at += 8;
	len = strcspn(at, "\"");
	for (r = l->reason; r < l->reason + l->reasons; r++)
		if (strlen(r->name) == len && memcmp(r->name, at, len) == 0) {
			r->n += n;
			return;
		}
	if (len >= sizeof(r->name))
		return;
	memcpy(r->name, at, len);
	r->n = n;
	l->reasons++;
}

static void
line_take(struct top_look *l, char *line)
{
	char *labels = strchr(line, '{'), *value = strrchr(line, ' ');
	unsigned w = 0, k;
	uint64_t n;

	if (line[0] == '#' || value == NULL)
		return;
	n = strtoull(value + 1, NULL, 10);
	if (labels == NULL) {
		if (strncmp(line, "perch_mdd_draining ", 19) == 0)
			l->draining = n != 0;
		return;
	}
	*labels++ = '\0';
	if (sscanf(labels, "worker=\"%u\"", &w) != 1 || w >= MDD_WORKERS_MAX)
		return;
	for (k = 0; k < TOP_VALUES; k++)
		if (strcmp(line, names[k]) == 0) {
			l->v[w][k] += n;
			if (w >= l->workers)
				l->workers = w + 1;
			if (k == TOP_DROPPED)
				reason_add(l, labels, n);
		}
}

static bool
look(struct top_look *l, const struct mdd_conf *conf)
{
	const char *why = "";
	char *text = NULL, *line, *save = NULL;
	size_t len;

	memset(l, 0, sizeof(*l));
	if (mdd_admin_ask(&text, &len, conf, "metrics\n", &why) != 0) {
		fprintf(stderr, "perch-mdd: %s\n", why);
		return false;
	}
	l->at_ms = perc_now_ms();
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		line_take(l, line);
	free(text);
	return true;
}

/* ---- rates ------------------------------------------------------------ */

/* A counter that went back is a worker that was started anew. */
static double
rate(uint64_t before, uint64_t now, double seconds)
{
	return now < before ? 0 : (double)(now - before) / seconds;
}

static void
rates_make(
    struct top_rates *r, const struct top_look *a, const struct top_look *b)
{
	unsigned w, k, i;

	memset(r, 0, sizeof(*r));
	r->seconds = (double)(b->at_ms - a->at_ms) / 1000;
	r->workers = b->workers;
	r->draining = b->draining;
	for (w = 0; w < b->workers; w++)
		for (k = 0; k < TOP_VALUES; k++) {
			r->v[w][k] = k < TOP_GAUGES
			    ? (double)b->v[w][k]
			    : rate(a->v[w][k], b->v[w][k], r->seconds);
			r->v[r->workers][k] += r->v[w][k];
		}
	r->reasons = b->reasons;
	for (i = 0; i < b->reasons; i++) {
		r->name[i] = b->reason[i].name;
		r->reason[i] = rate(i < a->reasons ? a->reason[i].n : 0,
		    b->reason[i].n, r->seconds);
	}
}

/* ---- printing --------------------------------------------------------- */

#define MBIT(octets) ((octets)*8 / 1e6)

static void
print_row(const char *who, const double *v)
{
	printf("%-7s %5.0f %6.0f %6.0f %10.0f %9.1f %10.0f %9.1f %6.1f %10.0f "
	       "%9.0f\n",
	    who, v[TOP_CONFERENCES], v[TOP_LEGS], v[TOP_LEGS_UP], v[TOP_IN],
	    MBIT(v[TOP_IN_OCTETS]), v[TOP_OUT], MBIT(v[TOP_OUT_OCTETS]),
	    v[TOP_CPU_MS] / 10, v[TOP_DROPPED], v[TOP_LOST]);
}

static void
print_table(const struct top_rates *r, const char *listen)
{
	char who[16];
	unsigned i;

	printf("perch-mdd %s%s\n\n", listen, r->draining ? ", draining" : "");
	printf("%-7s %5s %6s %6s %10s %9s %10s %9s %6s %10s %9s\n", "worker",
	    "conf", "legs", "up", "in/s", "Mbit/s", "out/s", "Mbit/s", "cpu %",
	    "dropped/s", "lost/s");
	for (i = 0; i < r->workers; i++) {
		(void)snprintf(who, sizeof(who), "%u", i);
		print_row(who, r->v[i]);
	}
	print_row("all", r->v[r->workers]);
	printf("\ndropped/s:");
	for (i = 0; i < r->reasons; i++)
		if (r->reason[i] > 0)
			printf(" %s %.0f", r->name[i], r->reason[i]);
	printf("\nlegs whose address floods us: %.0f\n",
	    r->v[r->workers][TOP_LEGS_FLOODED]);
}

static json_t *
row_json(const double *v)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, "
			 "s:f}",
	    "conferences", (json_int_t)v[TOP_CONFERENCES], "legs",
	    (json_int_t)v[TOP_LEGS], "legs_up", (json_int_t)v[TOP_LEGS_UP],
	    "legs_flooded", (json_int_t)v[TOP_LEGS_FLOODED], "in_packets_per_s",
	    v[TOP_IN], "in_mbit_per_s", MBIT(v[TOP_IN_OCTETS]),
	    "out_packets_per_s", v[TOP_OUT], "out_mbit_per_s",
	    MBIT(v[TOP_OUT_OCTETS]), "cpu_percent", v[TOP_CPU_MS] / 10,
	    "dropped_per_s", v[TOP_DROPPED], "lost_per_s", v[TOP_LOST]);
}

static bool
print_json(const struct top_rates *r, const char *listen)
{
	json_t *workers = json_array(), *drops = json_object(), *all;
	unsigned i;
	int bad;

	for (i = 0; i < r->workers; i++)
		(void)json_array_append_new(workers, row_json(r->v[i]));
	for (i = 0; i < r->reasons; i++)
		(void)json_object_set_new(
		    drops, r->name[i], json_real(r->reason[i]));
	all = json_pack("{s:s, s:b, s:f, s:o, s:o, s:o}", "listen", listen,
	    "draining", r->draining, "seconds", r->seconds, "all",
	    row_json(r->v[r->workers]), "workers", workers, "dropped_per_s",
	    drops);
	bad = all == NULL ||
	    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) !=
		0;
	json_decref(all);
	printf("\n");
	return !bad;
}

int
mdd_top_main(const struct mdd_conf *conf, bool once, bool json)
{
	static struct top_look at[2];
	struct top_rates r;
	unsigned turn = 0;

	if (!look(&at[0], conf))
		return 1;
	do {
		(void)usleep((once || json ? TOP_ONCE_MS : TOP_LIVE_MS) * 1000);
		turn ^= 1;
		if (!look(&at[turn], conf))
			return 1;
		rates_make(&r, &at[turn ^ 1], &at[turn]);
		if (json)
			return !print_json(&r, conf->listen);
		if (!once && isatty(STDOUT_FILENO))
			printf("\033[H\033[2J");
		print_table(&r, conf->listen);
	} while (!once && fflush(stdout) == 0);
	return 0;
}
