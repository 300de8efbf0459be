/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch audit verify: is this log the one that the KMF wrote, on public keys
 * alone (perc/chain.h). A log that ends at a checkpoint is whole in itself,
 * so a cut there shows only to who knows of a newer one: the checkpoint file
 * remembers it from one verification to the next, --live asks.
 */
#include "agent/cliaudit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/chain.h"
#include "perc/conf.h"
#include "perc/json.h"
#include "perc/secret.h"

#define KEYS_MAX (256u << 10)

struct verify {
	const struct cli *c;
	struct perc_jwks *keys;
	char *issuer;
	struct perc_chain chain;
	struct perc_checkpoint kept;	      /* n 0: none */
	char newest[PERC_CHAIN_LINE_MAX + 1]; /* line of the last one */
	uint64_t line;
	char why[320];
	/* of the log at the KMF, behind the end of the file */
	const char *client;
	int64_t more, more_seq;
	char more_at[32];
};

/* --- what is trusted ------------------------------------------------------ */
/* Keys that are published, and those of the past, which signed the log of
 * their time and may sign nothing else. */
static int
keys_take(struct perc_jwks **sp, const json_t *file)
{
	json_t *all = json_array(), *set;
	char *text = NULL;
	int r = PERC_ERR_FORMAT;

	if (json_array_extend(all, json_object_get(file, "keys")) != 0)
		goto out;
	if (json_object_get(file, "past") != NULL &&
	    json_array_extend(all, json_object_get(file, "past")) != 0)
		goto out;
	set = json_pack("{s:O}", "keys", all);
	text = set != NULL ? perc_json_text(set) : NULL;
	json_decref(set);
	r = text != NULL ? perc_jwks_from_json(sp, text, strlen(text))
			 : PERC_ERR_NOMEM;
out:
	json_decref(all);
	perc_json_free(text);
	return r;
}

static int
keys_read(struct verify *v)
{
	const char *path = v->c->opt[CLI_KEYS];
	struct perc_conf_error e = { "" };
	char *text = NULL;
	json_t *o = NULL;
	size_t len;
	int r = CLI_USAGE;

	if (path == NULL) {
		cli_complain("verify needs --keys, the kmf-keys.json of the "
			     "key server");
		return r;
	}
	if (perc_conf_read_file(&text, &len, path, KEYS_MAX, &e) != 0)
		cli_complain("%s", e.text);
	else if (perc_json_parse(&o, text, len, KEYS_MAX, NULL, 0) != 0 ||
	    keys_take(&v->keys, o) != 0 || perc_json_str(o, "issuer") == NULL)
		cli_complain("%s holds no keys of a key server", path);
	else if ((v->issuer = text_dup(perc_json_str(o, "issuer"))) != NULL)
		r = CLI_OK;
	json_decref(o);
	perc_secmem_free(text);
	return r;
}

static int
kept_read(struct verify *v)
{
	const char *path = v->c->opt[CLI_CHECKPOINT], *jws;
	struct perc_conf_error e = { "" };
	char *text = NULL, why[80] = "holds no checkpoint";
	json_t *o = NULL;
	size_t len;
	int r = CLI_USAGE;

	if (path == NULL || (access(path, F_OK) != 0 && errno == ENOENT))
		return CLI_OK;
	if (perc_conf_read_file(&text, &len, path, PERC_CHAIN_LINE_MAX, &e) !=
	    0)
		cli_complain("%s", e.text);
	else if (perc_json_parse(&o, text, len, PERC_CHAIN_LINE_MAX, NULL, 0) !=
		0 ||
	    (jws = perc_json_str(o, "checkpoint")) == NULL ||
	    perc_checkpoint_get(&v->kept, jws, strlen(jws), v->keys, v->issuer,
		why, sizeof(why)) != 0)
		cli_complain("%s: the checkpoint %s", path, why);
	else
		r = CLI_OK;
	json_decref(o);
	perc_secmem_free(text);
	return r;
}

static int
kept_write(const struct verify *v)
{
	const char *path = v->c->opt[CLI_CHECKPOINT];
	char *part;
	FILE *f = NULL;
	int r = CLI_FAILED;

	if (path == NULL || v->chain.last.n <= v->kept.n)
		return CLI_OK;
	if ((part = text_new("%s.part", path)) != NULL &&
	    (f = fopen(part, "we")) != NULL &&
	    fprintf(f, "%s\n", v->newest) > 0 && fflush(f) == 0 &&
	    fsync(fileno(f)) == 0 && rename(part, path) == 0)
		r = CLI_OK;
	else
		cli_complain("%s: %s", path, strerror(errno));
	if (f != NULL)
		fclose(f);
	text_free(part);
	return r;
}

/* --- the log -------------------------------------------------------------- */
static int
bad(struct verify *v, const char *why)
{
	text_put(v->why, sizeof(v->why), "%s", why);
	return CLI_FAILED;
}

static int
line_verify(struct verify *v, const char *line, size_t len)
{
	struct perc_chain *c = &v->chain;
	uint64_t had = c->checkpoints;

	v->line++;
	if (perc_chain_line(c, line, len) != 0)
		return bad(v, c->why);
	if (c->checkpoints != had)
		text_put(v->newest, sizeof(v->newest), "%s", line);
	if (v->kept.n != 0 && c->seq == v->kept.seq &&
	    strcmp(c->hash, v->kept.hash) != 0)
		return bad(v,
		    "it is not the log that the kept checkpoint is "
		    "of: all of it was made anew");
	return CLI_OK;
}

static int
end_verify(struct verify *v)
{
	char text[256];

	if (perc_chain_end(&v->chain) != 0)
		return bad(v, v->chain.why);
	if (v->chain.seq >= v->kept.seq)
		return CLI_OK;
	text_put(text, sizeof(text),
	    "it ends at record %" PRId64 ", but the kept checkpoint is of "
	    "record %" PRId64 ": the end was cut off",
	    v->chain.seq, v->kept.seq);
	return bad(v, text);
}

static int
file_verify(struct verify *v, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int r = CLI_OK;

	if (f == NULL) {
		cli_complain("%s: %s", path, strerror(errno));
		return CLI_USAGE;
	}
	while (r == CLI_OK && (n = getline(&line, &cap, f)) > 0) {
		if (line[n - 1] != '\n') {
			v->line++;
			r = bad(v,
			    "the last line is not whole: the end was "
			    "cut off");
			break;
		}
		line[n - 1] = '\0';
		r = line_verify(v, line, (size_t)n - 1);
	}
	if (ferror(f)) {
		cli_complain("%s: %s", path, strerror(errno));
		r = CLI_USAGE;
	}
	free(line);
	if (f != stdin)
		fclose(f);
	return r == CLI_OK ? end_verify(v) : r;
}

/* --- the KMF -------------------------------------------------------------- */
static int
on_live(const json_t *line, void *arg)
{
	struct verify *v = arg;
	char *text = perc_chain_text(line);
	int r = CLI_FAILED;

	if (text != NULL)
		r = line_verify(v, text, strlen(text));
	free(text);
	return r;
}

static int
live_verify(struct verify *v, struct cli_kmf *k, int64_t after)
{
	int r = cli_audit_walk(k, v->c, after, on_live, v);

	return r == CLI_OK ? end_verify(v) : r;
}

/* Behind the end of the file; our own login is no news. */
static int
on_more(const json_t *line, void *arg)
{
	struct verify *v = arg;
	int64_t seq = v->chain.seq;
	int r = on_live(line, arg);

	if (r != CLI_OK || v->chain.seq == seq ||
	    (strcmp(cli_get(line, "kind"), "token") == 0 &&
		strcmp(cli_get(line, "actor"), v->client) == 0))
		return r;
	if (v->more++ == 0) {
		v->more_seq = v->chain.seq;
		text_put(
		    v->more_at, sizeof(v->more_at), "%s", cli_get(line, "at"));
	}
	return r;
}

static int
live_compare(struct verify *v, struct cli_kmf *k)
{
	int64_t end = v->chain.seq;
	char text[300];
	int r;

	v->client = cli_kmf_client(k);
	if ((r = cli_audit_walk(k, v->c, end, on_more, v)) != CLI_OK)
		return r;
	if (v->chain.seq == end)
		return bad(v,
		    "the key server's own log is shorter: records "
		    "were taken out there");
	if ((r = end_verify(v)) != CLI_OK || v->more == 0)
		return r;
	text_put(text, sizeof(text),
	    "it ends at record %" PRId64 ", the key server has %" PRId64
	    " more, the first (%" PRId64 ") of %s: export again, or the end "
	    "was cut off",
	    end, v->more, v->more_seq, v->more_at);
	return bad(v, text);
}

/* --- the command ---------------------------------------------------------- */
static void
verdict(const struct verify *v, int r, const char *what)
{
	const struct perc_chain *c = &v->chain;
	char at[PERC_TIME_LEN];
	json_t *o;

	perc_time_put(at, c->last.at_s * 1000);
	if (c->lost != 0)
		cli_complain("%" PRId64 " records were lost when a backup was "
			     "restored, says the log itself",
		    c->lost);
	if (cli_json(v->c)) {
		o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:s*}", "good",
		    r == CLI_OK, "records", (json_int_t)c->records, "last",
		    (json_int_t)c->seq, "checkpoints",
		    (json_int_t)c->checkpoints, "lost", (json_int_t)c->lost,
		    "line", (json_int_t)v->line, "why",
		    r == CLI_OK ? NULL : v->why);
		if (o != NULL)
			cli_print_json(o);
		json_decref(o);
	} else if (r == CLI_OK)
		cli_say("good: %s, %" PRIu64 " records up to %" PRId64
			", %" PRIu64 " checkpoints, the last of %s",
		    what, c->records, c->seq, c->checkpoints, at);
	else
		cli_complain(
		    "BAD: %s, line %" PRIu64 ": %s", what, v->line, v->why);
}

static int
verify_run(struct verify *v, int64_t after)
{
	const char *file = v->c->nargs > 0 ? v->c->arg[0] : NULL;
	const char *what = file != NULL ? file : "the key server's log";
	struct cli_kmf *k = NULL;
	int r;

	if (v->kept.n != 0 && after >= v->kept.seq) {
		cli_complain("the kept checkpoint is of record %" PRId64
			     ", which a log --after %" PRId64 " has not",
		    v->kept.seq, after);
		return CLI_USAGE;
	}
	if (v->c->opt[CLI_LIVE] != NULL &&
	    (r = cli_kmf_open(&k, v->c)) != CLI_OK)
		return r;
	perc_chain_start(&v->chain, v->keys, v->issuer, after);
	r = file != NULL ? file_verify(v, file) : live_verify(v, k, after);
	if (r == CLI_OK && file != NULL && k != NULL)
		r = live_compare(v, k);
	cli_kmf_close(k);
	if (r == CLI_OK)
		r = kept_write(v);
	if (r == CLI_OK || v->why[0] != '\0')
		verdict(v, r, what);
	return r;
}

int
cli_audit_verify(const struct cli *c)
{
	struct verify *v;
	int64_t after;
	int r;

	if (c->nargs == 0 && c->opt[CLI_LIVE] == NULL) {
		cli_complain("verify needs a file, or --live");
		return CLI_USAGE;
	}
	if ((r = cli_audit_after(&after, c)) != CLI_OK)
		return r;
	if ((v = calloc(1, sizeof(*v))) == NULL)
		return CLI_FAILED;
	v->c = c;
	if ((r = keys_read(v)) == CLI_OK && (r = kept_read(v)) == CLI_OK)
		r = verify_run(v, after);
	perc_jwks_free(v->keys);
	text_free(v->issuer);
	free(v);
	return r;
}
