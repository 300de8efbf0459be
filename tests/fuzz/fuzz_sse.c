/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event stream from a server gone mad. However the network cuts it, the
 * same events must come out: whole, octet by octet, and in two halves.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/frontsse.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct sum {
	uint64_t hash;
	unsigned events;
};

static void
mix(struct sum *s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->hash = (s->hash ^ (uint8_t)p[i]) * 1099511628211u;
}

static int
on_event(const char *event, const char *data, size_t len, void *arg)
{
	struct sum *s = arg;

	if (strlen(data) != len)
		abort();
	mix(s, event, strlen(event) + 1);
	mix(s, data, len + 1);
	s->events++;
	return 0;
}

static int
run(struct sum *sum, const char *p, size_t n, size_t step)
{
	struct front_sse s;
	int r = 0;

	memset(sum, 0, sizeof(*sum));
	front_sse_init(&s);
	for (size_t i = 0; i < n && r == 0; i += step)
		r = front_sse_feed(
		    &s, p + i, i + step < n ? step : n - i, on_event, sum);
	mix(sum, s.last_id, strlen(s.last_id));
	front_sse_clear(&s);
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct sum whole, cut;
	size_t steps[2] = { 1, n / 2 + 1 };
	int r;

	if (n == 0 || n > 65536)
		return 0;
	r = run(&whole, (const char *)p, n, n);
	for (size_t i = 0; i < 2; i++)
		if (run(&cut, (const char *)p, n, steps[i]) != r ||
		    cut.events != whole.events || cut.hash != whole.hash)
			abort();
	return 0;
}
