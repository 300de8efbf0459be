/* SPDX-License-Identifier: Apache-2.0 */
/* The event stream's parser, whole and cut at every octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/frontsse.h"

struct seen {
	char log[512];
	unsigned events;
	int stop_at;
};

static int
on_event(const char *event, const char *data, size_t len, void *arg)
{
	struct seen *s = arg;

	assert_int_equal(strlen(data), len);
	strncat(s->log, event, sizeof(s->log) - strlen(s->log) - 1);
	strncat(s->log, "=", sizeof(s->log) - strlen(s->log) - 1);
	strncat(s->log, data, sizeof(s->log) - strlen(s->log) - 1);
	strncat(s->log, ";", sizeof(s->log) - strlen(s->log) - 1);
	s->events++;
	return s->stop_at == (int)s->events ? PERC_ERR_STATE : 0;
}

static const char stream[] = ": hb\n\n"
			     "id: 41\nevent: epoch\ndata: {\"epoch\":13}\n\n"
			     "event:roster\r\ndata:a\r\ndata: b\r\n\r\n"
			     "id: 43\rdata\r\r"
			     "id: 44\nevent: x\n\n"
			     "unknown: y\nretry: 3\ndata: last\n\n";
static const char wanted[] = "epoch={\"epoch\":13};roster=a\nb;message=;"
			     "message=last;";

static void
test_whole_and_cut(void **state)
{
	for (size_t step = 1; step <= sizeof(stream); step++) {
		struct front_sse s;
		struct seen seen = { .events = 0 };
		size_t n = sizeof(stream) - 1;

		front_sse_init(&s);
		for (size_t i = 0; i < n; i += step)
			assert_int_equal(
			    front_sse_feed(&s, stream + i,
				i + step < n ? step : n - i, on_event, &seen),
			    0);
		assert_string_equal(seen.log, wanted);
		assert_string_equal(s.last_id, "44");
		front_sse_clear(&s);
	}
}

/* What was cut off is asked for again: its id must not count. */
static void
test_half_event_keeps_the_last_id(void **state)
{
	static const char half[] = "id: 7\ndata: a\n\nid: 8\ndata: b\n";
	struct front_sse s;
	struct seen seen = { .events = 0 };

	front_sse_init(&s);
	assert_int_equal(
	    front_sse_feed(&s, half, sizeof(half) - 1, on_event, &seen), 0);
	assert_string_equal(s.last_id, "7");
	front_sse_restart(&s);
	assert_int_equal(
	    front_sse_feed(&s, "\ndata: c\n\n", 10, on_event, &seen), 0);
	assert_string_equal(seen.log, "message=a;message=c;");
	assert_string_equal(s.last_id, "7");
	front_sse_clear(&s);
}

static void
test_callback_stops(void **state)
{
	struct front_sse s;
	struct seen seen = { .stop_at = 1 };

	front_sse_init(&s);
	assert_int_equal(
	    front_sse_feed(&s, "data: a\n\ndata: b\n\n", 18, on_event, &seen),
	    PERC_ERR_STATE);
	assert_int_equal(seen.events, 1);
	front_sse_clear(&s);
}

static void
test_bounds(void **state)
{
	struct seen seen = { .events = 0 };
	struct front_sse s;
	char block[65536];
	int r = 0;

	memset(block, 'x', sizeof(block));
	front_sse_init(&s); /* a line without end */
	for (int i = 0; i < 20 && r == 0; i++)
		r = front_sse_feed(&s, block, sizeof(block), on_event, &seen);
	assert_int_equal(r, PERC_ERR_LIMIT);
	front_sse_clear(&s);

	front_sse_init(&s); /* many lines of one event */
	memcpy(block, "data:", 5);
	block[sizeof(block) - 1] = '\n';
	r = 0;
	for (int i = 0; i < 20 && r == 0; i++)
		r = front_sse_feed(&s, block, sizeof(block), on_event, &seen);
	assert_int_equal(r, PERC_ERR_LIMIT);
	assert_int_equal(seen.events, 0);
	front_sse_clear(&s);
}

static void
test_odd_fields(void **state)
{
	/* a NUL octet; an id and a name that are too long */
	static const char nul[] = "data: a\0b\n\n";
	static const char longs[] =
	    "id: 0123456789012345678901234567890123456789\n"
	    "event: 0123456789012345678901234567890123456789\ndata: z\n\n";
	struct seen seen = { .events = 0 };
	struct front_sse s;

	front_sse_init(&s);
	assert_int_equal(
	    front_sse_feed(&s, nul, sizeof(nul) - 1, on_event, &seen),
	    PERC_ERR_FORMAT);
	front_sse_clear(&s);
	front_sse_init(&s);
	assert_int_equal(
	    front_sse_feed(&s, longs, sizeof(longs) - 1, on_event, &seen), 0);
	assert_string_equal(seen.log, "message=z;");
	assert_string_equal(s.last_id, "");
	front_sse_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_and_cut),
		cmocka_unit_test(test_half_event_keeps_the_last_id),
		cmocka_unit_test(test_callback_stops),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_odd_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
