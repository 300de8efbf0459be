/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perc/chain.c: whatever is done to an exported log is found. The log is made
 * here with a key of the test; every octet of it is then flipped, every line
 * dropped, doubled and moved, the end cut off everywhere, two logs joined,
 * and the chain made anew without the key.
 */
#include "tests/perc/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "perc/chain.h"
#include "perc/json.h"

#define KMF	"https://kmf.example"
#define LINES	64
#define RECORDS 24
#define EVERY	8 /* a checkpoint behind so many */

static struct log {
	char *line[LINES];
	size_t n;
	char prev[PERC_JKT_LEN + 1];
	int64_t seq, marks;
} good;
static struct perc_jwk *key, *other;
static struct perc_jwks *keys;
static char why[256];

static void
line_add(struct log *l, json_t *v)
{
	assert_non_null(v);
	assert_true(l->n < LINES);
	l->line[l->n] = perc_chain_text(v);
	assert_non_null(l->line[l->n++]);
	json_decref(v);
}

static void
record_add(struct log *l, const char *kind)
{
	char hash[PERC_JKT_LEN + 1], *text;
	json_t *v;

	l->seq++;
	v = json_pack("{s:I, s:s, s:s, s:{s:i, s:s}}", "seq",
	    (json_int_t)l->seq, "kind", kind, "at", "2026-11-21T09:30:00Z",
	    "detail", "epoch", (int)l->seq, "note", "a \"b\" \xc3\xa9 \\");
	text = perc_chain_text(v);
	assert_int_equal(perc_chain_hash(hash, l->prev, text, strlen(text)), 0);
	free(text);
	json_object_set_new(v, "prev", json_string(l->prev));
	json_object_set_new(v, "hash", json_string(hash));
	memcpy(l->prev, hash, sizeof(hash));
	line_add(l, v);
}

static void
mark_add(struct log *l, const struct perc_jwk *k, const char *iss)
{
	char *jws;
	json_t *v = json_pack("{s:s, s:I, s:I, s:s, s:i}", "iss", iss, "n",
	    (json_int_t)(l->marks + 1), "seq", (json_int_t)l->seq, "hash",
	    l->prev, "iat", 1795253400);

	l->marks++;
	assert_int_equal(perc_jws_sign(&jws, k, PERC_CHAIN_TYP, v, false), 0);
	json_decref(v);
	line_add(l, json_pack("{s:s}", "checkpoint", jws));
	perc_json_free(jws);
}

static void
log_make(struct log *l, const char *kind, const struct perc_jwk *k)
{
	int i;

	for (i = 1; i <= RECORDS; i++) {
		record_add(l, kind);
		if (i % EVERY == 0)
			mark_add(l, k, KMF);
	}
}

static void
log_free(struct log *l)
{
	while (l->n > 0)
		free(l->line[--l->n]);
	memset(l, 0, sizeof(*l));
}

static int
setup(void **state)
{
	char *text, *set = NULL;

	assert_int_equal(perc_jwk_generate(&key), 0);
	assert_int_equal(perc_jwk_generate(&other), 0);
	assert_int_equal(perc_jwk_public_json(&text, key), 0);
	assert_true(asprintf(&set, "{\"keys\":[%s]}", text) > 0);
	assert_int_equal(perc_jwks_from_json(&keys, set, strlen(set)), 0);
	perc_json_free(text);
	free(set);
	log_make(&good, "epoch", key);
	return 0;
}

static int
teardown(void **state)
{
	log_free(&good);
	perc_jwks_free(keys);
	perc_jwk_free(key);
	perc_jwk_free(other);
	return 0;
}

/* Verify these lines; why tells. */
static int
verify(char *const line[], size_t n, int64_t after)
{
	struct perc_chain c;
	size_t i;
	int r = 0;

	perc_chain_start(&c, keys, KMF, after);
	for (i = 0; r == 0 && i < n; i++)
		r = perc_chain_line(&c, line[i], strlen(line[i]));
	if (r == 0)
		r = perc_chain_end(&c);
	memcpy(why, c.why, sizeof(why));
	assert_true(r == 0 || c.why[0] != '\0');
	return r;
}

static void
test_a_good_log(void **state)
{
	struct perc_chain c;
	size_t i;

	assert_int_equal(verify(good.line, good.n, 0), 0);
	/* from a checkpoint on, when that is asked for */
	assert_int_equal(
	    verify(good.line + EVERY + 1, good.n - EVERY - 1, EVERY), 0);
	assert_int_not_equal(
	    verify(good.line + EVERY + 1, good.n - EVERY - 1, 0), 0);
	assert_string_equal(why, "records 1 to 8 are missing");
	perc_chain_start(&c, keys, KMF, 0);
	for (i = 0; i < good.n; i++)
		assert_int_equal(
		    perc_chain_line(&c, good.line[i], strlen(good.line[i])), 0);
	assert_int_equal(c.records, RECORDS);
	assert_int_equal(c.checkpoints, RECORDS / EVERY);
	assert_int_equal(c.last.seq, RECORDS);
	assert_string_equal(c.last.hash, good.prev);
	assert_int_not_equal(verify(good.line, 0, 0), 0);
}

/* As verify, for what is good up to line i. */
static bool
found(const struct perc_chain *upto, const char *text, size_t len, size_t i)
{
	struct perc_chain c = *upto;
	int r = perc_chain_line(&c, text, len);

	for (i++; r == 0 && i < good.n; i++)
		r = perc_chain_line(&c, good.line[i], strlen(good.line[i]));
	return r != 0 || perc_chain_end(&c) != 0;
}

static void
test_every_flipped_bit(void **state)
{
	struct perc_chain c;
	char text[4096];
	size_t i, at, len;
	int bit;

	perc_chain_start(&c, keys, KMF, 0);
	for (i = 0; i < good.n; i++) {
		len = strlen(good.line[i]);
		assert_true(len < sizeof(text));
		memcpy(text, good.line[i], len + 1);
		for (at = 0; at < len; at++)
			for (bit = 0; bit < 8; bit++) {
				text[at] = (char)(text[at] ^ 1 << bit);
				if (!found(&c, text, len, i))
					fail_msg("line %zu octet %zu bit %d", i,
					    at, bit);
				text[at] = good.line[i][at];
			}
		assert_int_equal(perc_chain_line(&c, good.line[i], len), 0);
	}
}

static void
test_dropped_doubled_moved_cut(void **state)
{
	char *line[LINES + 1], *t;
	size_t i, j;

	for (i = 0; i < good.n; i++) {
		memcpy(line, good.line, sizeof(good.line));
		memmove(
		    line + i, line + i + 1, (good.n - i - 1) * sizeof(line[0]));
		assert_int_not_equal(verify(line, good.n - 1, 0), 0);
		memcpy(line, good.line, sizeof(good.line));
		memmove(line + i + 1, line + i, (good.n - i) * sizeof(line[0]));
		assert_int_not_equal(verify(line, good.n + 1, 0), 0);
		for (j = i + 1; j < good.n; j++) {
			memcpy(line, good.line, sizeof(good.line));
			t = line[i];
			line[i] = line[j];
			line[j] = t;
			assert_int_not_equal(verify(line, good.n, 0), 0);
		}
		/* cut behind line i: whole only at a checkpoint */
		if (verify(good.line, i, 0) == 0)
			assert_true(i > 0 &&
			    strstr(good.line[i - 1], "checkpoint") != NULL);
	}
}

static void
test_says_which(void **state)
{
	char *line[LINES], *p;

	memcpy(line, good.line, sizeof(line));
	memmove(line + 4, line + 5, (good.n - 5) * sizeof(line[0]));
	assert_int_not_equal(verify(line, good.n - 1, 0), 0);
	assert_string_equal(why, "record 5 is missing");
	memcpy(line, good.line, sizeof(line));
	line[2] = strdup(good.line[2]);
	p = strstr(line[2], "\"kind\":\"epoch\"");
	assert_non_null(p);
	p[8] = 'E';
	assert_int_not_equal(verify(line, good.n, 0), 0);
	assert_string_equal(why, "record 3 was changed");
	free(line[2]);
	line[2] = good.line[2];
	memmove(line + EVERY, line + EVERY + 1,
	    (good.n - EVERY - 1) * sizeof(line[0]));
	assert_int_not_equal(verify(line, good.n - 1, 0), 0);
	assert_string_equal(why, "checkpoint 1 is missing");
	assert_int_not_equal(verify(good.line, good.n - 1, 0), 0);
	assert_non_null(strstr(why, "the end was cut off"));
}

static void
test_spliced_and_forged(void **state)
{
	struct log l = { 0 };
	char *line[LINES];
	size_t at;

	/* another log of the same KMF, joined anywhere */
	log_make(&l, "token", key);
	assert_int_equal(verify(l.line, l.n, 0), 0);
	for (at = 1; at < good.n; at++) {
		memcpy(line, good.line, sizeof(line));
		memcpy(line + at, l.line + at, (good.n - at) * sizeof(line[0]));
		assert_int_not_equal(verify(line, good.n, 0), 0);
	}
	log_free(&l);
	/* made anew by who has no key of ours */
	log_make(&l, "token", other);
	assert_int_not_equal(verify(l.line, l.n, 0), 0);
	assert_non_null(strstr(why, "a key that is not among the given"));
	/* old checkpoints in a chain made anew */
	for (at = EVERY; at < good.n; at += EVERY + 1) {
		free(l.line[at]);
		l.line[at] = strdup(good.line[at]);
	}
	assert_int_not_equal(verify(l.line, l.n, 0), 0);
	assert_non_null(strstr(why, "not the one that was signed"));
	log_free(&l);
	/* a new end, signed by nobody */
	memcpy(&l, &good, sizeof(l));
	record_add(&l, "token");
	assert_int_not_equal(verify(l.line, l.n, 0), 0);
	mark_add(&l, other, KMF);
	assert_int_not_equal(verify(l.line, l.n, 0), 0);
	free(l.line[l.n - 1]);
	free(l.line[l.n - 2]);
	/* the right key, another KMF */
	memcpy(&l, &good, sizeof(l));
	record_add(&l, "token");
	mark_add(&l, key, "https://other.example");
	assert_int_not_equal(verify(l.line, l.n, 0), 0);
	assert_non_null(strstr(why, "of another KMF"));
	free(l.line[l.n - 1]);
	free(l.line[l.n - 2]);
}

static void
test_other_spellings(void **state)
{
	static const char *const bad[] = { "", "{}", "[]", "null", "{\"a\":1}",
		"{\"checkpoint\":1}", "{\"checkpoint\":\"\"}",
		"{\"checkpoint\":\"a.b.c\"}", "{\"seq\":1}",
		"{\"hash\":\"\",\"prev\":\"\",\"seq\":1}",
		"{\"hash\":\"x\",\"prev\":\"x\",\"seq\":1}" };
	char *line[LINES], text[4096];
	size_t i;

	memcpy(line, good.line, sizeof(line));
	line[0] = text;
	for (i = 0; i < COUNT(bad); i++) {
		snprintf(text, sizeof(text), "%s", bad[i]);
		assert_int_not_equal(verify(line, good.n, 0), 0);
	}
	snprintf(text, sizeof(text), " %s", good.line[0]);
	assert_int_not_equal(verify(line, good.n, 0), 0);
	snprintf(text, sizeof(text), "%s\r", good.line[0]);
	assert_int_not_equal(verify(line, good.n, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_good_log),
		cmocka_unit_test(test_every_flipped_bit),
		cmocka_unit_test(test_dropped_doubled_moved_cut),
		cmocka_unit_test(test_says_which),
		cmocka_unit_test(test_spliced_and_forged),
		cmocka_unit_test(test_other_spellings) };

	return cmocka_run_group_tests_name("chain", tests, setup, teardown);
}
