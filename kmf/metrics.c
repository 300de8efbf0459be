/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Numbers for Prometheus (docs/OPERATIONS.md has the table, a test compares
 * the two). None names a person or a conference. A front that went takes its
 * gauges with it; what it had counted stays, or every reload would look like
 * a restart.
 */
#include "config.h"

#include "kmf/keeper_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "kmf/hook.h"

const uint64_t kmf_hist_us[KMF_HIST_BUCKETS] = { 1000, 2500, 5000, 10000, 25000,
	50000, 100000, 250000, 500000, 1000000, 5000000 };

uint64_t
kmf_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
kmf_hist_add(uint64_t *h, uint64_t us)
{
	unsigned i = 0;

	while (i < KMF_HIST_BUCKETS && us > kmf_hist_us[i])
		i++;
	h[i]++;
	h[KMF_HIST_BUCKETS + 1] += us;
}

/* --- the form ------------------------------------------------------------- */
enum type { COUNTER, GAUGE, HISTOGRAM };

static void
head(FILE *f, const char *name, enum type type, const char *help)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };

	fprintf(f, "# HELP perch_kmf_%s %s\n# TYPE perch_kmf_%s %s\n", name,
	    help, name, types[type]);
}

static void
put(FILE *f, const char *name, enum type type, const char *help, uint64_t v)
{
	head(f, name, type, help);
	fprintf(f, "perch_kmf_%s %" PRIu64 "\n", name, v);
}

static void
hist_put(FILE *f, const char *name, const char *help, const uint64_t *h)
{
	uint64_t all = 0;
	unsigned i;

	head(f, name, HISTOGRAM, help);
	for (i = 0; i < KMF_HIST_BUCKETS; i++) {
		all += h[i];
		fprintf(f, "perch_kmf_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
		    (double)kmf_hist_us[i] / 1e6, all);
	}
	all += h[KMF_HIST_BUCKETS];
	fprintf(f,
	    "perch_kmf_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n"
	    "perch_kmf_%s_sum %.6f\nperch_kmf_%s_count %" PRIu64 "\n",
	    name, all, name, (double)h[KMF_HIST_BUCKETS + 1] / 1e6, name, all);
}

/* --- the fronts ----------------------------------------------------------- */
static const struct {
	enum kmf_count count;
	const char *name, *help;
} front_rows[] = {
	{ COUNT_REQUESTS, "front_requests_total", "HTTP requests" },
	{ COUNT_2XX, "front_answers_2xx_total", "Answers below 300" },
	{ COUNT_4XX, "front_answers_4xx_total", "Answers 300 to 499" },
	{ COUNT_5XX, "front_answers_5xx_total", "Answers above 499" },
	{ COUNT_REFUSED, "front_refused_total",
	    "Credentials that were not good" },
	{ COUNT_EXCHANGED, "front_exchanges_total", "Tokens given out" },
	{ COUNT_EXCHANGE_FAILED, "front_exchange_failures_total",
	    "Token requests that were refused" },
	{ COUNT_LIMITED, "front_exchange_limited_total",
	    "Token requests turned away after too many failures" },
	{ COUNT_RATE, "front_rate_limited_total",
	    "Requests turned away as too many of one caller" },
	{ COUNT_CACHE_HITS, "front_token_cache_hits_total",
	    "Access tokens known from before" },
	{ COUNT_EVENTS, "front_events_total", "Events sent on streams" },
	{ COUNT_MALFORMED, "front_malformed_total",
	    "Requests that broke off or were no HTTP" },
	{ COUNT_TIMEOUTS, "front_keeper_timeouts_total",
	    "Calls that the keeper did not answer in time" },
	{ COUNT_CONNECTIONS, "front_connections", "Open connections" },
	{ COUNT_STREAMS, "front_streams", "Open event streams" },
	{ COUNT_CALLS, "front_calls_pending", "Calls waiting for the keeper" },
	{ COUNT_PARKED, "front_parked", "Logins waiting for keys" },
};

void
kmf_counts_gone(struct kmf_keeper *k, const struct kmf_front *f)
{
	unsigned i;

	for (i = 0; i < COUNT_GAUGES; i++)
		k->gone[i] += f->counts.n[i];
}

static void
fronts_put(FILE *f, const struct kmf_keeper *k)
{
	uint64_t sum[COUNT_LAST] = { 0 };
	const struct kmf_front *t;
	unsigned i, fronts = 0;

	memcpy(sum, k->gone, sizeof(k->gone));
	for (t = k->fronts; t != NULL; t = t->next) {
		if (t->chan == NULL)
			continue;
		fronts++;
		for (i = 0; i < COUNT_LAST; i++)
			sum[i] += t->counts.n[i];
	}
	put(f, "fronts", GAUGE, "Front processes, those that retire included",
	    fronts);
	for (i = 0; i < sizeof(front_rows) / sizeof(front_rows[0]); i++)
		put(f, front_rows[i].name,
		    front_rows[i].count < COUNT_GAUGES ? COUNTER : GAUGE,
		    front_rows[i].help, sum[front_rows[i].count]);
	hist_put(f, "front_answer_seconds",
	    "From a whole request to its answer", sum + COUNT_ANSWER);
}

/* --- the keeper ----------------------------------------------------------- */
static void
keeper_put(FILE *f, const struct kmf_keeper *k)
{
	const struct kmf_counters *c = &k->count;
	const struct {
		const char *name, *help;
		uint64_t v;
	} rows[] = {
		{ "keeper_calls_total", "Calls of fronts", c->calls },
		{ "keeper_refused_total", "Calls that were refused",
		    c->refused },
		{ "keeper_failed_total", "Calls that failed (5xx)", c->failed },
		{ "keeper_commits_total", "Transactions", c->commits },
		{ "keeper_commit_failures_total", "Transactions that were lost",
		    c->commit_failures },
		{ "login_failures_total", "Logins that fronts refused",
		    c->login_failures },
		{ "mail_sent_total", "Messages that a mail server took",
		    c->mail_sent },
		{ "mail_tries_failed_total", "Tries that failed",
		    c->mail_again },
		{ "mail_failed_total", "Messages that were given up",
		    c->mail_failed },
		{ "epochs_total", "Epochs made", c->epochs },
		{ "rosters_total", "Rosters signed", c->rosters },
		{ "epoch_pushes_total", "Epochs pushed to members", c->pushes },
		{ "keys_refused_total",
		    "Live members' requests for the key that were refused",
		    c->keys_refused },
		{ "dpop_replays_total", "Proofs that were used before",
		    c->replays },
		{ "audit_checkpoints_total", "Checkpoints signed",
		    c->checkpoints },
		{ "outbox_messages_total", "Messages to fronts", c->out },
		{ "outbox_bytes_total", "Size of those", c->out_octets },
		{ "outbox_lost_total",
		    "Messages that a front had no room for, and so was cut off",
		    c->out_lost },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		put(f, rows[i].name, COUNTER, rows[i].help, rows[i].v);
	put(f, "outbox_peak_messages", GAUGE,
	    "Most messages that ever waited for one commit", c->out_peak);
	hist_put(f, "keeper_commit_seconds",
	    "Duration of a commit, disk flush included", c->commit_hist);
}

static void
disk_put(FILE *f, const struct kmf_keeper *k)
{
	struct statvfs v;

	if (k->db_file[0] == '\0' || statvfs(k->db_file, &v) != 0)
		return;
	put(f, "disk_free_bytes", GAUGE, "Free where the database is",
	    (uint64_t)v.f_bavail * v.f_frsize);
}

static int
database_put(FILE *f, const struct kmf_keeper *k)
{
	struct db_checkpoint mark = { 0 };
	struct db_count n;
	int r;

	if ((r = db_count(k->db, &n)) != 0)
		return r;
	r = db_checkpoint_last(k->db, &mark);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	put(f, "conferences", GAUGE, "Conferences in the database",
	    (uint64_t)n.conferences);
	put(f, "conferences_live", GAUGE, "Conferences somebody is in",
	    (uint64_t)n.live_conferences);
	put(f, "members_live", GAUGE, "Endpoints with a live lease",
	    (uint64_t)n.live_members);
	put(f, "members_behind", GAUGE,
	    "Of those, how many do not hold their conference's newest epoch",
	    (uint64_t)n.behind);
	put(f, "members_streams", GAUGE,
	    "Members with an event stream; the others poll, or are lost",
	    kmf_streams_count(k));
	put(f, "audit_rows", GAUGE, "Number of the newest audit record",
	    (uint64_t)n.audit);
	put(f, "audit_signed_rows", GAUGE,
	    "Number of the newest record that a checkpoint covers",
	    (uint64_t)mark.seq);
	return 0;
}

static void
program_put(FILE *f, const struct kmf_keeper *k)
{
	head(f, "build_info", GAUGE, "Which program this is; always 1");
	fprintf(f, "perch_kmf_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	put(f, "start_time_seconds", GAUGE, "When the keeper started",
	    (uint64_t)(k->start_ms / 1000));
	head(f, "secret_memory", GAUGE,
	    "How secret memory is protected; always 1");
	fprintf(f, "perch_kmf_secret_memory{level=\"%s\"} 1\n",
	    perc_secmem_level_name());
}

static int
all_put(FILE *f, struct kmf_job *j)
{
	int r;

	program_put(f, j->k);
	if ((r = database_put(f, j->k)) != 0)
		return r;
	disk_put(f, j->k);
	keeper_put(f, j->k);
	fronts_put(f, j->k);
	return kmf_hook_metrics(j->k, f);
}

int
kmf_op_metrics(struct kmf_job *j)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f;
	int r;

	if ((f = open_memstream(&text, &len)) == NULL)
		return PERC_ERR_NOMEM;
	r = all_put(f, j);
	if (fclose(f) != 0 && r == 0)
		r = PERC_ERR_NOMEM;
	if (r == 0)
		r = kmf_answer_text(j, 200, "text/plain; version=0.0.4", text);
	free(text);
	return r;
}
