/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Most commands are one request and one way to show its answer. Lists come in
 * pages; people and scripts get them whole, as one document.
 */
#include "agent/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/json.h"
#include "perc/loop.h"

#define PROGRESS_MS 1000 /* from then on it is told that we are at it */

bool
cli_conference_path(char *out, size_t cap, const char *text, const char *tail)
{
	const char *slash = strrchr(text, '/');
	const char *id = slash != NULL ? slash + 1 : text;

	if (!text_is_id(id, "c_") && !text_is_id(id, "s_")) {
		cli_complain("%s is no conference (c_..., s_..., or its URI); "
			     "perch conference list shows them",
		    cli_clean(text));
		return false;
	}
	text_put(out, cap, "/v1/%s/%s%s",
	    id[0] == 's' ? "series" : "conferences", id, tail);
	return true;
}

long long
cli_number(const json_t *j, const char *name)
{
	return (long long)json_integer_value(json_object_get(j, name));
}

static void
show_or_print(const struct cli *c, const json_t *body, cli_show_fn show)
{
	if (!cli_json(c))
		show(body);
	else if (body != NULL)
		cli_print_json(body);
	else
		cli_say("{}");
}

int
cli_run(const struct cli *c, const char *method, const char *path,
    const json_t *body, cli_show_fn show)
{
	struct cli_answer a = { 0 };
	struct cli_kmf *k = NULL;
	int r;

	if ((r = cli_kmf_open(&k, c)) != CLI_OK)
		return r;
	if ((r = cli_kmf_call(k, &a, method, path, body)) == CLI_OK)
		show_or_print(c, a.body, show);
	cli_answer_clear(&a);
	cli_kmf_close(k);
	return r;
}

int
cli_run_on(const struct cli *c, const char *method, const char *tail,
    const json_t *body, cli_show_fn show)
{
	char path[CLI_PATH_MAX];

	if (!cli_conference_path(path, sizeof(path), c->arg[0], tail))
		return CLI_USAGE;
	return cli_run(c, method, path, body, show);
}

static int
delete_seen(
    const struct cli *c, struct cli_kmf *k, const char *path, cli_show_fn show)
{
	struct cli_answer was = { 0 }, a = { 0 };
	struct cli_how how = { 0 };
	int r;

	if ((r = cli_kmf_call(k, &was, "GET", path, NULL)) == CLI_OK) {
		how.if_match = was.etag;
		r = cli_kmf_call_so(k, &a, "DELETE", path, NULL, &how);
	}
	if (r == CLI_OK)
		show_or_print(c, a.body, show);
	cli_answer_clear(&a);
	cli_answer_clear(&was);
	return r;
}

int
cli_run_delete(const struct cli *c, const char *tail, cli_show_fn show)
{
	char path[CLI_PATH_MAX];
	struct cli_kmf *k = NULL;
	int r;

	if (!cli_conference_path(path, sizeof(path), c->arg[0], tail))
		return CLI_USAGE;
	if ((r = cli_kmf_open(&k, c)) == CLI_OK)
		r = delete_seen(c, k, path, show);
	cli_kmf_close(k);
	return r;
}

static char *
page_path(const char *path, const char *by, const char *next)
{
	struct text t = { 0 };

	text_add(&t, path);
	if (next[0] != '\0') {
		text_addf(&t, "%c%s=", strchr(path, '?') ? '&' : '?', by);
		text_add_escaped(&t, next);
	}
	if (t.failed)
		text_clear(&t);
	return t.p;
}

static void
progress(size_t n, int64_t *since_ms)
{
	int64_t now = perc_now_ms();

	if (*since_ms == 0)
		*since_ms = now;
	if (now - *since_ms >= PROGRESS_MS && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%zu ...\r", n);
}

/* The first page stays, and gets the items of the others. */
static int
page_join(json_t **all, json_t *page)
{
	json_t *items;

	if (*all == NULL) {
		*all = json_incref(page);
		return json_is_array(json_object_get(page, "items"))
		    ? CLI_OK
		    : CLI_FAILED;
	}
	items = json_object_get(*all, "items");
	return json_array_extend(items, json_object_get(page, "items")) == 0
	    ? CLI_OK
	    : CLI_FAILED;
}

static int
pages_get(json_t **all, struct cli_kmf *k, const char *first, const char *by)
{
	char next[CLI_PATH_MAX] = "", *path;
	struct cli_answer a = { 0 };
	int64_t since_ms = 0;
	const char *s;
	int r;

	do {
		if ((path = page_path(first, by, next)) == NULL)
			return CLI_FAILED;
		if ((r = cli_kmf_call(k, &a, "GET", path, NULL)) == CLI_OK &&
		    (r = page_join(all, a.body)) != CLI_OK)
			cli_complain("the answer is no list");
		s = perc_json_str(a.body, "next");
		text_put(next, sizeof(next), "%s", s != NULL ? s : "");
		cli_answer_clear(&a);
		text_free(path);
		if (r == CLI_OK)
			progress(
			    json_array_size(json_object_get(*all, "items")),
			    &since_ms);
	} while (r == CLI_OK && next[0] != '\0');
	return r;
}

int
cli_run_pages(
    const struct cli *c, const char *path, const char *by, cli_show_fn show)
{
	struct cli_kmf *k = NULL;
	json_t *all = NULL;
	int r;

	if ((r = cli_kmf_open(&k, c)) != CLI_OK)
		return r;
	if ((r = pages_get(&all, k, path, by)) == CLI_OK) {
		json_object_del(all, "next");
		show_or_print(c, all, show);
	}
	json_decref(all);
	cli_kmf_close(k);
	return r;
}
