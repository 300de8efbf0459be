/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The queue of mail without a mail server: what leaves the keeper, when, and
 * what becomes of a message that nobody takes or that cannot be composed.
 */
#include "tests/kmf/kit.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "kmf/mail.h"
#include "perc/b64.h"
#include "perc/loop.h"

#define MANY 1000

static struct kit t;
static struct perc_chan *fetcher;
static struct {
	unsigned n;
	uint64_t job;
	char to[DB_EMAIL_MAX], *text;
} got;

/* --- the fetcher's end ---------------------------------------------------- */
static int
on_errand(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kmf_errand e;
	json_t *o = NULL;

	assert_int_equal(kmf_errand_decode(&e, m->data, m->len), 0);
	assert_int_equal(e.kind, KMF_ERRAND_MAIL);
	assert_int_equal(
	    perc_json_parse(&o, e.body, e.body_len, 1 << 20, NULL, 0), 0);
	got.n++;
	got.job = e.job;
	snprintf(got.to, sizeof(got.to), "%s", perc_json_str(o, "to"));
	free(got.text);
	got.text = strdup(perc_json_str(o, "text"));
	json_decref(o);
	return 0;
}

static const struct perc_chan_rule rules[] = {
	{ KMF_MSG_ERRAND, ~0u, KMF_ERRAND_BODY_MAX + 4096, on_errand },
};

static void
on_gone(struct perc_chan *c, int why, void *arg)
{
}

static void
end_job(uint64_t job, enum kmf_errand_how how)
{
	const struct kmf_errand_end e = { KMF_ERRAND_MAIL, job, how,
		how == KMF_ERRAND_DONE ? "" : "no" };
	uint8_t *buf = NULL;
	size_t n;

	assert_int_equal(kmf_errand_end_encode(&buf, &n, &e), 0);
	assert_int_equal(
	    perc_chan_send(fetcher, KMF_MSG_ERRAND_END, 0, buf, n), 0);
	perc_secmem_free(buf);
	kit_turn(&t);
	kit_pass(&t, 1);
}

static int
setup(void **state)
{
	int fd[2];

	kit_open(&t);
	snprintf(t.k->mail_from, sizeof(t.k->mail_from), "perch@kmf.example");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(
	    kmf_keeper_outlet_add(t.k, KMF_OUTLET_MAILER, fd[0]), 0);
	assert_int_equal(
	    perc_chan_new(&fetcher, t.loop, fd[1], rules, 1, on_gone, NULL), 0);
	memset(&got, 0, sizeof(got));
	return 0;
}

static int
teardown(void **state)
{
	perc_chan_free(fetcher);
	free(got.text);
	kit_close(&t);
	return 0;
}

static void
create(const char *more)
{
	char *body = NULL;

	assert_true(asprintf(&body,
			"{\"title\": \"Plan\", \"starts_at\": "
			"\"2027-01-15T09:00:00Z\", \"ends_at\": "
			"\"2027-01-15T10:00:00Z\"%s}",
			more) > 0);
	kit_admin(&t, KMF_OP_CONF_CREATE, "", "", body);
	if (t.r.status != 201)
		fail_msg("%u %s", t.r.status, t.r.detail);
	free(body);
}

static char *
invitees(unsigned n)
{
	char *text = NULL;
	size_t len = 0;
	unsigned i;
	FILE *f = open_memstream(&text, &len);

	fprintf(f, ", \"invitees\": [");
	for (i = 0; i < n; i++)
		fprintf(
		    f, "%s{\"email\": \"p%u@x.example\"}", i ? ", " : "", i);
	fprintf(f, "]");
	fclose(f);
	return text;
}

static double
now_ms(void)
{
	struct timespec s;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &s);
	return (double)s.tv_sec * 1e3 + (double)s.tv_nsec / 1e6;
}

/* The part of the newest message that is the calendar, decoded. */
static void
calendar(char *out, size_t cap)
{
	const char *p = strstr(got.text, "Content-Type: text/calendar");
	uint8_t raw[64];
	char line[100];
	size_t n = 0, len, k;

	assert_non_null(p);
	for (p = strstr(p, "\r\n\r\n") + 4; strncmp(p, "--", 2) != 0;) {
		len = strcspn(p, "\r");
		assert_true(len < sizeof(line) && len <= 76);
		memcpy(line, p, len);
		line[len] = '\0';
		line[strcspn(line, "=")] = '\0';
		for (k = 0; line[k] != '\0'; k++)
			line[k] = line[k] == '+' ? '-'
			    : line[k] == '/'	 ? '_'
						 : line[k];
		assert_int_equal(perc_b64_get(raw, &k, line, strlen(line)), 0);
		assert_true(n + k < cap);
		memcpy(out + n, raw, k);
		n += k;
		p += len + 2;
	}
	out[n] = '\0';
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* As somebody with the file would. */
static int
sql(const char *text)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int n = 0;

	assert_int_equal(sqlite3_open(t.db_file, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 1000);
	if (sqlite3_prepare_v2(db, text, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static unsigned
events(const char *type, json_t **last)
{
	json_t *item;
	unsigned n = 0;
	size_t i;

	*last = NULL;
	assert_int_equal(kit_admin(&t, KMF_OP_FEED, "", "", NULL)->status, 200);
	json_array_foreach(json_object_get(t.r.json, "items"), i, item)
	{
		if (strcmp(perc_json_str(item, "type"), type) != 0)
			continue;
		*last = json_object_get(item, "data");
		n++;
	}
	return n;
}

/* --- tests ---------------------------------------------------------------- */
/* Who asks for a key meanwhile waits for the whole turn: however many are
 * told, what they are told is composed and kept once. */
static void
test_a_thousand_letters(void **state)
{
	char *more = invitees(MANY), *series = NULL;
	double begun = now_ms(), quiet, loud;
	unsigned i;

	snprintf(t.k->mail_from, sizeof(t.k->mail_from), "%s", "");
	create(more);
	quiet = now_ms() - begun;
	snprintf(t.k->mail_from, sizeof(t.k->mail_from), "perch@kmf.example");
	begun = now_ms();
	create(more);
	loud = now_ms() - begun;
	print_message("%u invitees: %.0f ms of processor, told by mail %.0f\n",
	    MANY, quiet, loud);
	assert_int_equal(sql("SELECT count(*) FROM mail"), MANY);
	assert_int_equal(sql("SELECT count(*) FROM mail_sheet"), 1);
	assert_int_equal(got.n, 4); /* at once, and no more */
	assert_true(asprintf(&series,
			"%s, \"tzid\": \"Europe/Berlin\", \"rrule\": "
			"\"FREQ=DAILY;COUNT=900\"",
			more) > 0);
	begun = now_ms();
	create(series);
	print_message("a series of 900: %.0f\n", now_ms() - begun);
	assert_int_equal(sql("SELECT count(*) FROM mail"), 2 * MANY);
	assert_int_equal(sql("SELECT count(*) FROM mail_sheet"), 2);
	for (i = 0; i < 20; i++)
		end_job(got.job, KMF_ERRAND_DONE);
	assert_int_equal(got.n, 24);
	free(series);
	free(more);
}

/* Everybody reads of himself alone. */
static void
test_each_has_his_own(void **state)
{
	char *more = invitees(6), text[8192], line[128], *p;
	unsigned i;

	create(more);
	for (i = 0; i < 4; i++) {
		calendar(text, sizeof(text));
		for (p = text; (p = strstr(p, "\r\n ")) != NULL;)
			memmove(p, p + 3, strlen(p + 3) + 1);
		snprintf(line, sizeof(line), "mailto:%s\r\n", got.to);
		assert_int_equal(count(text, "ATTENDEE"), 1);
		if (strstr(text, line) == NULL)
			fail_msg("%s: %s", got.to, text);
		assert_int_equal(count(text, "\r\nEND:VEVENT\r\n"), 1);
		assert_non_null(strstr(text, "\r\nMETHOD:REQUEST\r\n"));
		end_job(got.job, KMF_ERRAND_DONE);
	}
	free(more);
}

/* The sheets go with the last message that is of them. */
static void
test_nothing_is_left(void **state)
{
	char *more = invitees(3);
	unsigned i;

	create(more);
	for (i = 0; i < 3; i++) {
		assert_int_equal(sql("SELECT count(*) FROM mail_sheet"), 1);
		end_job(got.job - i, KMF_ERRAND_DONE);
	}
	assert_int_equal(sql("SELECT count(*) FROM mail WHERE state = 1"), 3);
	assert_int_equal(sql("SELECT count(*) FROM mail_sheet"), 0);
	free(more);
}

/* What cannot be composed is given up alone, and it is told. */
static void
test_one_is_spoilt(void **state)
{
	char *more = invitees(7);
	json_t *data;

	create(more);
	assert_int_equal(got.n, 4);
	sql("UPDATE mail SET address = 'e@x' || char(13, 10) || 'Bcc: a@x' "
	    "WHERE no = 5");
	sql("UPDATE mail SET sheet = NULL WHERE no = 6");
	end_job(1, KMF_ERRAND_DONE);
	end_job(2, KMF_ERRAND_DONE);
	kit_pass(&t, 100);
	assert_int_equal(got.n, 5); /* the seventh */
	assert_string_equal(got.to, "p6@x.example");
	assert_int_equal(sql("SELECT count(*) FROM mail WHERE state = 2 AND "
			     "due_ms = 0 AND why LIKE '%composed%'"),
	    2);
	assert_int_equal(events("mail.failed", &data), 2);
	assert_non_null(strstr(perc_json_str(data, "why"), "composed"));
	assert_int_equal(t.k->count.mail_failed, 2);
	free(more);
}

/* Longer each time, and for a day. */
static void
test_given_up_after_a_day(void **state)
{
	int64_t begun = t.now_ms, waited = 0, last = 0;
	char *more = invitees(1);
	unsigned tries = 0, n;
	json_t *data;

	create(more);
	while (got.n > tries && tries < 100) {
		n = tries = got.n;
		last = t.now_ms;
		end_job(got.job, KMF_ERRAND_FAILED);
		for (waited = 0; got.n == n && waited < 4000000;
		     waited += 30000) {
			t.now_ms += 30000;
			kmf_errand_wake(t.k, KMF_ERRAND_MAIL);
			kmf_errands_pump(t.k);
			kit_turn(&t);
		}
	}
	assert_int_equal(events("mail.failed", &data), 1);
	assert_string_equal(perc_json_str(data, "why"), "no");
	assert_int_equal(
	    json_integer_value(json_object_get(data, "tries")), tries);
	assert_true(last - begun > 22 * 3600 * 1000LL);
	assert_true(last - begun <= 24 * 3600 * 1000LL);
	assert_true(tries > 20 && tries < 40);
	assert_int_equal(sql("SELECT count(*) FROM mail WHERE state = 2"), 1);
	free(more);
}

/* A server that says no means it. */
static void
test_refused_is_final(void **state)
{
	char *more = invitees(1);
	json_t *data;

	create(more);
	end_job(got.job, KMF_ERRAND_REFUSED);
	assert_int_equal(events("mail.failed", &data), 1);
	kit_pass(&t, 60000);
	assert_int_equal(got.n, 1);
	free(more);
}

/* --- composing ------------------------------------------------------------ */
static char *
composed(const char *title, const char *address)
{
	struct db_mail m = { .id = "e_x", .at_ms = 1 };
	char sheet[1024], *text = NULL;
	int r;

	snprintf(m.address, sizeof(m.address), "%s", address);
	snprintf(sheet, sizeof(sheet),
	    "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:"
	    "%s\r\nURL:https://k/c/x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
	    title);
	r = kmf_mail_text(&text, t.k, &m, sheet, NULL);
	return r == 0 ? text : NULL;
}

/* The subject of any title comes in words that stand alone (RFC 2047, 2 and
 * 5): none is longer than 75, no line than 76, no letter is cut. */
static void
test_subjects(void **state)
{
	char title[201], *text, *p, *end, raw[64], line[128];
	size_t shift, n, k, words;

	for (shift = 0; shift < 4; shift++) {
		memset(title, 'x', shift);
		for (n = shift; n + 4 <= 200; n += 4)
			memcpy(title + n, "\xf0\x9f\x90\x9f", 4);
		title[n] = '\0';
		assert_non_null(text = composed(title, "a@x"));
		p = strstr(text, "\r\nSubject:") + 2;
		for (words = 0; words == 0 || *p == ' '; words++) {
			assert_non_null(end = strstr(p, "\r\n"));
			assert_true(end - p <= 76);
			p = strstr(p, "=?UTF-8?B?") + 10;
			snprintf(line, sizeof(line), "%.*s",
			    (int)strcspn(p, "=?"), p);
			for (k = 0; line[k] != '\0'; k++)
				line[k] = line[k] == '+' ? '-'
				    : line[k] == '/'	 ? '_'
							 : line[k];
			assert_int_equal(
			    perc_b64_get(raw, &n, line, strlen(line)), 0);
			raw[n] = '\0';
			assert_int_equal(kmf_text_check(raw, sizeof(raw)), 0);
			p = end + 2;
		}
		assert_true(words > 4);
		free(text);
	}
}

/* No text of people becomes a header or ends a part. */
static void
test_no_header_is_made_up(void **state)
{
	static const char *const bad[] = { "a@x\r\nBcc: b@x", "a@x\nb", "a b",
		"a@x>, <b@x", "a@x\x7f", "\ta@x" };
	char *text;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if ((text = composed("T", bad[i])) != NULL)
			fail_msg("%s: %s", bad[i], text);
	assert_non_null(
	    text = composed("a\\nBcc: x@y\\n\\n--e_x--\\n.", "a@x"));
	assert_null(strstr(text, "Bcc"));
	assert_int_equal(count(text, "--e_x--"), 1);
	assert_int_equal(count(text, "--e_x\r\n"), 2);
	free(text);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(test_##f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_thousand_letters),
		T(each_has_his_own),
		T(nothing_is_left),
		T(one_is_spoilt),
		T(given_up_after_a_day),
		T(refused_is_final),
		T(subjects),
		T(no_header_is_made_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
