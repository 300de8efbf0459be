/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How many requests an address and a person may make (perc/rate.h), and how
 * often an address may ask how we are. Who is over hears when to come back,
 * at the price of a hash.
 */
#include "config.h"

#include <stdio.h>

#include "kmf/front.h"
#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/rate.h"

/* 0, or the request has been answered. */
static int
over(struct front_req *q, unsigned wait_s, const char *of)
{
	static struct perc_log_limit limit = { .burst = 10, .per_ms = 10000 };
	struct perc_httpd_header later = { "Retry-After", NULL };
	char seconds[16];

	if (wait_s == 0)
		return 0;
	q->f->count[COUNT_RATE]++;
	if (perc_log_allow(&limit))
		log_info("front.rate id=%s of=%s", q->id, of);
	if (q->route != NULL && q->route->handler == KMF_H_TOKEN) {
		front_token_error(q, 429, "slow_down", "too many requests");
		return PERC_ERR_LIMIT;
	}
	snprintf(seconds, sizeof(seconds), "%u", wait_s);
	later.value = seconds;
	front_problem_with(q, 429, "rate_limited",
	    "too many requests; wait as Retry-After says", &later, 1);
	return PERC_ERR_LIMIT;
}

static unsigned
take(struct front_req *q, const void *text, size_t n, int64_t per_s)
{
	uint8_t hash[PERC_SHA256_LEN];

	if (perc_sha256(hash, text, n) != 0)
		return 0;
	return perc_rate_take(q->f->rate, hash, per_s, perc_now_ms());
}

int
front_rate_address(struct front_req *q)
{
	uint8_t who[PERC_RATE_WHO];

	perc_rate_address(who, perc_httpd_peer(q->r));
	return over(q,
	    perc_rate_take(
		q->f->rate, who, q->f->conf->rate_address, perc_now_ms()),
	    "address");
}

int
front_rate_watch(struct front_req *q)
{
	uint8_t who[PERC_RATE_WHO]; /* hashed: a bucket of its own */

	perc_rate_address(who, perc_httpd_peer(q->r));
	return over(
	    q, take(q, who, sizeof(who), q->f->conf->rate_watch), "watcher");
}

int
front_rate_person(struct front_req *q)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "%d|%s|%s", (int)q->who.who,
	    q->who.iss, q->who.sub);

	if (n < 0)
		return 0;
	return over(q,
	    take(q, text,
		(size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1,
		q->f->conf->rate_person),
	    "person");
}
