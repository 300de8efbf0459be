/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch audit list and export. The KMF answers in pages; a checkpoint goes
 * behind the record that it signs, so that an export is the same text however
 * it was paged.
 */
#include "agent/cliaudit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/text.h"
#include "config.h"
#include "perc/cef.h"
#include "perc/chain.h"
#include "perc/json.h"

/* --- pages ---------------------------------------------------------------- */
static char *
page_path(const struct cli *c, int64_t after)
{
	static const struct {
		enum cli_opt opt;
		const char *name;
	} selects[] = { { CLI_TYPE, "type" }, { CLI_CONFERENCE, "conference" },
		{ CLI_ACTOR, "actor" }, { CLI_FROM, "from" },
		{ CLI_TO, "to" } };
	struct text t = { 0 };
	size_t i;

	text_addf(&t, "/v1/audit?limit=1000&after=%" PRId64, after);
	for (i = 0; i < sizeof(selects) / sizeof(selects[0]); i++)
		if (c->opt[selects[i].opt] != NULL) {
			text_addf(&t, "&%s=", selects[i].name);
			text_add_escaped(&t, c->opt[selects[i].opt]);
		}
	if (t.failed)
		text_clear(&t);
	return t.p;
}

static int
mark_walk(const json_t *mark, cli_audit_fn fn, void *arg)
{
	json_t *line =
	    json_pack("{s:O}", "checkpoint", json_object_get(mark, "jws"));
	int r = line == NULL ? CLI_FAILED : fn(line, arg);

	json_decref(line);
	return r;
}

static int
page_walk(const json_t *page, cli_audit_fn fn, void *arg)
{
	const json_t *marks = json_object_get(page, "checkpoints"), *item;
	int64_t seq, at;
	size_t i, m = 0;
	int r = CLI_OK;

	json_array_foreach(json_object_get(page, "items"), i, item)
	{
		if (perc_json_int(&seq, item, "seq", 1, INT64_MAX) != 0)
			return CLI_FAILED;
		r = fn(item, arg);
		for (; r == CLI_OK && m < json_array_size(marks); m++) {
			if (perc_json_int(&at, json_array_get(marks, m), "seq",
				1, INT64_MAX) != 0)
				return CLI_FAILED;
			if (at > seq)
				break;
			r = mark_walk(json_array_get(marks, m), fn, arg);
		}
		if (r != CLI_OK)
			return r;
	}
	return r;
}

int
cli_audit_walk(struct cli_kmf *k, const struct cli *c, int64_t after,
    cli_audit_fn fn, void *arg)
{
	struct cli_answer a = { 0 };
	int64_t next = after;
	char *path;
	int r;

	do {
		after = next;
		if ((path = page_path(c, after)) == NULL)
			return CLI_FAILED;
		r = cli_kmf_call(k, &a, "GET", path, NULL);
		text_free(path);
		if (r == CLI_OK)
			r = page_walk(a.body, fn, arg);
		if (perc_json_int(&next, a.body, "next", 1, INT64_MAX) != 0)
			next = 0;
		cli_answer_clear(&a);
	} while (r == CLI_OK && next > after);
	return r;
}

int
cli_audit_after(int64_t *after, const struct cli *c)
{
	char *end;

	*after = 0;
	if (c->opt[CLI_AFTER] == NULL)
		return CLI_OK;
	errno = 0;
	*after = strtoll(c->opt[CLI_AFTER], &end, 10);
	if (errno == 0 && *after >= 0 && *end == '\0' &&
	    end != c->opt[CLI_AFTER])
		return CLI_OK;
	cli_complain("--after takes the number of a record");
	return CLI_USAGE;
}

/* --- list ----------------------------------------------------------------- */
struct listing {
	struct cli_table t;
	json_t *all; /* for --json; else NULL */
};

static int
on_listed(const json_t *line, void *arg)
{
	struct listing *l = arg;
	const json_t *detail = json_object_get(line, "detail");
	char *text = NULL, seq[24];
	int64_t n;

	if (perc_json_int(&n, line, "seq", 1, INT64_MAX) != 0)
		return CLI_OK; /* a checkpoint */
	if (l->all != NULL)
		return json_array_append(l->all, (json_t *)line) == 0
		    ? CLI_OK
		    : CLI_FAILED;
	if (detail != NULL && (text = perc_chain_text(detail)) == NULL)
		return CLI_FAILED;
	text_put(seq, sizeof(seq), "%" PRId64, n);
	cli_table_row(&l->t,
	    (const char *[]){ seq, cli_get(line, "at"), cli_get(line, "kind"),
		cli_get(line, "actor"), cli_get(line, "conference"),
		cli_get(line, "subject"),
		text == NULL ? "" : cli_clean(text) });
	free(text);
	return CLI_OK;
}

int
cli_audit_list(const struct cli *c)
{
	static const char *const head[] = { "SEQ", "AT", "TYPE", "ACTOR",
		"CONFERENCE", "SUBJECT", "DETAIL" };
	struct listing l = { .t = { .columns = 7 } };
	struct cli_kmf *k = NULL;
	int64_t after;
	int r;

	if ((r = cli_audit_after(&after, c)) != CLI_OK ||
	    (r = cli_kmf_open(&k, c)) != CLI_OK)
		return r;
	if (cli_json(c))
		l.all = json_array();
	else
		cli_table_row(&l.t, head);
	r = cli_audit_walk(k, c, after, on_listed, &l);
	if (r == CLI_OK && l.all != NULL)
		cli_print_json(l.all);
	else if (l.all == NULL)
		cli_table_print(&l.t);
	json_decref(l.all);
	cli_kmf_close(k);
	return r;
}

/* --- export --------------------------------------------------------------- */
struct export
{
	FILE *f;
	bool cef;
	uint64_t lines;
};

static int
on_exported(const json_t *line, void *arg)
{
	struct export *e = arg;
	char *text;

	if (e->cef && json_object_get(line, "checkpoint") != NULL)
		return CLI_OK;
	text = e->cef ? perc_cef_text(line, PACKAGE_VERSION)
		      : perc_chain_text(line);
	if (text == NULL || fprintf(e->f, "%s\n", text) < 0) {
		cli_complain("cannot write: %s", strerror(errno));
		free(text);
		return CLI_FAILED;
	}
	free(text);
	e->lines++;
	return CLI_OK;
}

static int
export_run(struct export *e, const struct cli *c, int64_t after)
{
	struct cli_kmf *k = NULL;
	int r;

	if ((r = cli_kmf_open(&k, c)) == CLI_OK)
		r = cli_audit_walk(k, c, after, on_exported, e);
	cli_kmf_close(k);
	if (fflush(e->f) != 0 && r == CLI_OK) {
		cli_complain("cannot write: %s", strerror(errno));
		r = CLI_FAILED;
	}
	return r;
}

/* Whole or not there: a file that is half a log looks like a cut one. */
static int
export_file(struct export *e, const struct cli *c, int64_t after)
{
	const char *out = c->opt[CLI_OUT];
	char *part = text_new("%s.part", out);
	int r = CLI_FAILED;

	if (part == NULL || (e->f = fopen(part, "we")) == NULL) {
		cli_complain("%s: %s", out, strerror(errno));
		goto out;
	}
	r = export_run(e, c, after);
	if ((fsync(fileno(e->f)) != 0 || rename(part, out) != 0) &&
	    r == CLI_OK) {
		cli_complain("%s: %s", out, strerror(errno));
		r = CLI_FAILED;
	}
	if (r != CLI_OK)
		(void)unlink(part);
	fclose(e->f);
out:
	text_free(part);
	return r;
}

int
cli_audit_export(const struct cli *c)
{
	const char *format = c->opt[CLI_FORMAT];
	struct export e = { .f = stdout };
	int64_t after;
	int r;

	if (format != NULL && strcmp(format, "cef") == 0)
		e.cef = true;
	else if (format != NULL && strcmp(format, "jsonl") != 0) {
		cli_complain("--format is jsonl or cef");
		return CLI_USAGE;
	}
	if ((r = cli_audit_after(&after, c)) != CLI_OK)
		return r;
	if (c->opt[CLI_OUT] == NULL)
		return export_run(&e, c, after);
	if ((r = export_file(&e, c, after)) == CLI_OK && !cli_json(c))
		cli_say("%s: %" PRIu64 " lines", c->opt[CLI_OUT], e.lines);
	else if (r == CLI_OK)
		cli_say("{\"lines\": %" PRIu64 "}", e.lines);
	return r;
}
