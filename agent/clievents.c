/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feed of events and the webhooks made of it (docs/wire/feed.md). Who
 * follows asks again and again, each time until something happens; a KMF
 * that is away for a while is waited for, and nothing is missed.
 */
#include "agent/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/json.h"

#define AWAY_S	   2 /* and twice that each time up to */
#define AWAY_MAX_S 60

/* What of the data is worth a place in the line. */
static void
print_event(const json_t *e)
{
	static const char *const names[] = { "title", "name", "member",
		"invitation", "email", "cause", "reason", "why" };
	const json_t *d = json_object_get(e, "data"), *v;
	char line[512] = "";
	size_t i, n = 0;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (cli_get(d, names[i])[0] != '\0' && n < sizeof(line))
			n += (size_t)snprintf(line + n, sizeof(line) - n,
			    "  %s %s", names[i], cli_get(d, names[i]));
	if ((v = json_object_get(d, "epoch")) != NULL && n < sizeof(line))
		snprintf(line + n, sizeof(line) - n, "  epoch %lld, %lld live",
		    cli_number(d, "epoch"), cli_number(d, "members"));
	cli_say("%s  %-22s %s%s", cli_time(e, "at"), cli_get(e, "type"),
	    cli_get(e, "conference"), line);
}

static void
print_line(const json_t *e)
{
	char *s = json_dumps(e, JSON_COMPACT);

	if (s != NULL)
		puts(s);
	text_free(s);
	fflush(stdout);
}

static char *
events_path(const struct cli *c, const char *after, unsigned wait_s)
{
	static const struct {
		enum cli_opt opt;
		const char *name;
	} selects[] = { { CLI_TYPE, "type" },
		{ CLI_CONFERENCE, "conference" } };
	struct text t = { 0 };
	size_t i;

	text_addf(&t, "/v1/events?limit=1000&wait=%u&after=", wait_s);
	text_add_escaped(&t, after);
	for (i = 0; i < 2; i++)
		if (c->opt[selects[i].opt] != NULL) {
			text_addf(&t, "&%s=", selects[i].name);
			text_add_escaped(&t, c->opt[selects[i].opt]);
		}
	if (t.failed)
		text_clear(&t);
	return t.p;
}

struct reader {
	const struct cli *c;
	struct cli_kmf *k;
	char cursor[64];
	bool more;
};

static int
page(struct reader *w, bool wait)
{
	const struct cli_how how = { .wait_s =
					 wait ? cli_kmf_wait_s(w->k) : 0 };
	char *path = events_path(w->c, w->cursor, how.wait_s);
	struct cli_answer a = { 0 };
	const char *cursor;
	const json_t *e;
	size_t i;
	int r;

	if (path == NULL)
		return CLI_FAILED;
	r = cli_kmf_call_so(w->k, &a, "GET", path, NULL, &how);
	if (r == CLI_OK) {
		json_array_foreach(json_object_get(a.body, "items"), i, e)
		{
			if (cli_json(w->c))
				print_line(e);
			else
				print_event(e);
		}
		w->more = json_object_get(a.body, "next") != NULL;
		if ((cursor = perc_json_str(a.body, "cursor")) != NULL)
			text_put(w->cursor, sizeof(w->cursor), "%s", cursor);
	}
	cli_answer_clear(&a);
	text_free(path);
	return r;
}

/* Until the reader at the other end of our output has gone. */
static int
follow(struct reader *w)
{
	unsigned away_s = AWAY_S;
	int r;

	while (!ferror(stdout)) {
		r = page(w, true);
		if (r != CLI_OK && r != CLI_UNREACHABLE)
			return r;
		if (r == CLI_OK) {
			away_s = AWAY_S;
			continue;
		}
		cli_complain(
		    "trying again in %u s, from where we were", away_s);
		sleep(away_s);
		away_s = away_s * 2 < AWAY_MAX_S ? away_s * 2 : AWAY_MAX_S;
	}
	return CLI_OK;
}

int
cli_events(const struct cli *c)
{
	bool ever = c->opt[CLI_FOLLOW] != NULL;
	const char *after = c->opt[CLI_AFTER];
	struct reader w = { .c = c };
	int r;

	if (after == NULL)
		after = ever ? "latest" : "0";
	text_put(w.cursor, sizeof(w.cursor), "%s", after);
	if ((r = cli_kmf_open(&w.k, c)) != CLI_OK)
		return r;
	do
		r = page(&w, false);
	while (r == CLI_OK && w.more);
	if (r == CLI_OK && ever)
		r = follow(&w);
	cli_kmf_close(w.k);
	return r;
}

/* ---- webhooks ------------------------------------------------------------ */
static void
show_hooks(const json_t *j)
{
	static const char *const head[] = { "WEBHOOK", "STATE", "DELIVERED",
		"DEAD", "WAITS SINCE", "URL", "TROUBLE" };
	struct cli_table t = { .columns = 7, .flex = 3 << 5 };
	const json_t *h;
	size_t i;

	if (json_array_size(json_object_get(j, "items")) == 0) {
		cli_say("There is none; see [webhook NAME] in "
			"perch-kmf.conf(5).");
		return;
	}
	cli_table_row(&t, head);
	json_array_foreach(json_object_get(j, "items"), i, h)
	{
		char done[24], dead[24];
		const char *cells[] = { cli_get(h, "name"), cli_get(h, "state"),
			done, dead, cli_table_time(h, "waiting_since"),
			cli_get(h, "url"), cli_get(h, "last_error") };

		text_put(
		    done, sizeof(done), "%lld", cli_number(h, "delivered"));
		text_put(dead, sizeof(dead), "%lld", cli_number(h, "dead"));
		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
}

int
cli_webhooks(const struct cli *c)
{
	return cli_run(c, "GET", "/v1/webhooks", NULL, show_hooks);
}

static void
show_dead(const json_t *j)
{
	static const char *const head[] = { "HAPPENED", "TYPE", "CONFERENCE",
		"WHY", "EVENT" };
	struct cli_table t = { .columns = 5, .flex = 8 };
	const json_t *d;
	size_t i;

	cli_table_row(&t, head);
	json_array_foreach(json_object_get(j, "items"), i, d)
	{
		const json_t *e = json_object_get(d, "event");
		const char *cells[] = { cli_table_time(e, "at"),
			cli_get(e, "type"), cli_get(e, "conference"),
			cli_get(d, "why"), cli_get(e, "id") };

		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
}

int
cli_webhooks_dead(const struct cli *c)
{
	struct text path = { 0 };
	int r = CLI_FAILED;

	text_add(&path, "/v1/webhooks/");
	text_add_escaped(&path, c->arg[0]);
	text_add(&path, "/dead?limit=200");
	if (!path.failed)
		r = cli_run_pages(c, path.p, "after", show_dead);
	text_clear(&path);
	return r;
}

static void
show_redelivered(const json_t *j)
{
	cli_say("%lld events are tried once more; perch webhooks shows how "
		"it goes.",
	    cli_number(j, "events"));
}

int
cli_webhooks_redeliver(const struct cli *c)
{
	json_t *body = json_pack("{s:s*}", "event", c->arg[1]);
	struct text path = { 0 };
	int r = CLI_FAILED;

	text_add(&path, "/v1/webhooks/");
	text_add_escaped(&path, c->arg[0]);
	text_add(&path, "/redeliver");
	if (!path.failed && body != NULL)
		r = cli_run(c, "POST", path.p, body, show_redelivered);
	text_clear(&path);
	json_decref(body);
	return r;
}
