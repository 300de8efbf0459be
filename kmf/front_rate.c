/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How many requests an address and a person may make: token buckets in a
 * fixed table by a secret hash, so that nobody chooses whom he shares one
 * with and nobody makes it grow. A bucket holds five seconds' worth. Who is
 * over hears when to come back, at the price of a hash.
 */
#include "config.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "perc/crypto.h"
#include "perc/log.h"

#define PLACES	16384
#define BURST_S 5

struct front_rate {
	uint8_t key[32];
	struct {
		int64_t seen_ms;
		int64_t left; /* thousandths of a request */
	} place[PLACES];
};

int
front_rate_new(struct front_rate **rp)
{
	if ((*rp = calloc(1, sizeof(**rp))) == NULL)
		return PERC_ERR_NOMEM;
	perc_random((*rp)->key, sizeof((*rp)->key));
	return 0;
}

void
front_rate_free(struct front_rate *r)
{
	free(r);
}

unsigned
front_rate_take(struct front_rate *r, const void *who, size_t len,
    int64_t per_s, int64_t now_ms)
{
	int64_t full = per_s * BURST_S * 1000, past;
	uint8_t mac[PERC_SHA256_LEN];
	size_t i;

	if (per_s == 0 ||
	    perc_hmac_sha256(mac, r->key, sizeof(r->key), who, len) != 0)
		return 0;
	i = (mac[0] * 256u + mac[1]) % PLACES;
	past = now_ms - r->place[i].seen_ms;
	if (r->place[i].seen_ms == 0 || past > BURST_S * 1000)
		r->place[i].left = full;
	else
		r->place[i].left += past * per_s;
	if (r->place[i].left > full)
		r->place[i].left = full;
	r->place[i].seen_ms = now_ms;
	if (r->place[i].left < 1000)
		return (unsigned)((1000 - r->place[i].left) / per_s / 1000) + 1;
	r->place[i].left -= 1000;
	return 0;
}

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

int
front_rate_address(struct front_req *q)
{
	const void *p = NULL;
	size_t n = front_address(&p, perc_httpd_peer(q->r));

	return over(q,
	    front_rate_take(
		q->f->rate, p, n, q->f->conf->rate_address, perc_now_ms()),
	    "address");
}

int
front_rate_watch(struct front_req *q)
{
	uint8_t who[1 + sizeof(struct in6_addr)] = { 'w' }; /* its own bucket */
	const void *p = NULL;
	size_t n = front_address(&p, perc_httpd_peer(q->r));

	memcpy(who + 1, p, n);
	return over(q,
	    front_rate_take(
		q->f->rate, who, 1 + n, q->f->conf->rate_watch, perc_now_ms()),
	    "watcher");
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
	    front_rate_take(q->f->rate, text,
		(size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1,
		q->f->conf->rate_person, perc_now_ms()),
	    "person");
}
