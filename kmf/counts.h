/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a front counts. It tells the keeper once a second, who adds the fronts
 * up: whoever asks for /metrics meets one front of several, and it shall not
 * matter which.
 */
#pragma once

#include <stdint.h>

#define KMF_HIST_BUCKETS 11 /* and one for what is above them all */
#define KMF_HIST_LEN	 (KMF_HIST_BUCKETS + 2) /* and the sum in us */

enum kmf_count {
	/* only ever more */
	COUNT_REQUESTS,
	COUNT_2XX,
	COUNT_4XX,
	COUNT_5XX,
	COUNT_REFUSED, /* credentials */
	COUNT_EXCHANGED,
	COUNT_EXCHANGE_FAILED,
	COUNT_LIMITED,
	COUNT_RATE, /* 429 for too many requests */
	COUNT_CACHE_HITS,
	COUNT_EVENTS,
	COUNT_MALFORMED,
	COUNT_TIMEOUTS,
	COUNT_ANSWER, /* a histogram from here on */
	COUNT_GAUGES = COUNT_ANSWER + KMF_HIST_LEN,
	/* as it is now */
	COUNT_CONNECTIONS = COUNT_GAUGES,
	COUNT_STREAMS,
	COUNT_CALLS,
	COUNT_PARKED,
	COUNT_LAST
};

/* Upper bounds of the buckets, in microseconds. */
extern const uint64_t kmf_hist_us[KMF_HIST_BUCKETS];
/* h has KMF_HIST_LEN places. */
void kmf_hist_add(uint64_t *h, uint64_t us);
uint64_t kmf_now_us(void); /* for differences */
