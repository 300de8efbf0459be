/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recurrence rule of a stranger: "SECONDS ZONE RULE". What comes out is in
 * order, bounded, and begins where it was told; and no rule may hold the
 * keeper up.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kmf/cal.h"

#define HOUR_MS 3600000
#define SLOW_S	0.25

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static double
cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char text[512], zone[64], why[200];
	unsigned long long at;
	int64_t *list = NULL, starts_ms;
	size_t count = 0, i;
	double began;
	int used = 0;

	if (n >= sizeof(text))
		return 0;
	memcpy(text, p, n);
	text[n] = '\0';
	if (sscanf(text, "%10llu %63s %n", &at, zone, &used) != 2 || used == 0)
		return 0;
	starts_ms = (int64_t)(at % (1u << 31)) * 1000;
	began = cpu_s();
	if (kmf_rrule_expand(&list, &count, text + used, zone, starts_ms,
		HOUR_MS, why, sizeof(why)) != 0) {
		if (memchr(why, '\0', sizeof(why)) == NULL)
			abort();
	} else {
		if (count == 0 || count > KMF_OCCURRENCES_MAX ||
		    list[0] != starts_ms)
			abort();
		for (i = 1; i < count; i++)
			if (list[i] < list[i - 1] + HOUR_MS)
				abort();
		free(list);
	}
	if (cpu_s() - began > SLOW_S) {
		fprintf(stderr, "slow: %s\n", text);
		abort();
	}
	return 0;
}
