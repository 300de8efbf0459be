/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of each address one number is kept: when it will have paid for all that it
 * asked for so far. That is a token bucket, and stays right when the rate
 * changes. Places are found by a secret hash, four for each value of it, and
 * in the worst case the one that owes least is given to somebody else: whoever
 * has very many addresses can so buy others a request, but take none.
 */
#include "mdd/rate.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/control.h"
#include "perc/crypto.h"
#include "perc/log.h"

#define SETS 4096
#define WAYS 4

struct place {
	uint8_t ip[MDD_RATE_IP];
	int64_t paid_us;
};

struct mdd_rate {
	uint8_t key[32];
	struct place set[SETS][WAYS];
};

int
mdd_rate_new(struct mdd_rate **rp)
{
	if ((*rp = calloc(1, sizeof(**rp))) == NULL)
		return PERC_ERR_NOMEM;
	perc_random((*rp)->key, sizeof((*rp)->key));
	return 0;
}

void
mdd_rate_free(struct mdd_rate *r)
{
	free(r);
}

static struct place *
place_of(struct mdd_rate *r, const uint8_t ip[static MDD_RATE_IP])
{
	uint8_t mac[PERC_SHA256_LEN] = { 0 };
	struct place *p, *least, *set;

	if (perc_hmac_sha256(mac, r->key, sizeof(r->key), ip, MDD_RATE_IP) != 0)
		return NULL;
	set = least = r->set[(mac[0] * 256u + mac[1]) % SETS];
	for (p = set; p < set + WAYS; p++) {
		if (memcmp(p->ip, ip, MDD_RATE_IP) == 0)
			return p;
		if (p->paid_us < least->paid_us)
			least = p;
	}
	memcpy(least->ip, ip, MDD_RATE_IP);
	least->paid_us = 0;
	return least;
}

unsigned
mdd_rate_take(struct mdd_rate *r, const uint8_t ip[static MDD_RATE_IP],
    int64_t per_s, int64_t now_ms)
{
	int64_t now = now_ms * 1000, cost, over;
	struct place *p;

	if (per_s <= 0 || (p = place_of(r, ip)) == NULL)
		return 0;
	cost = 1000000 / per_s;
	if (p->paid_us < now)
		p->paid_us = now;
	over = p->paid_us + cost - now - MDD_RATE_BURST_S * 1000000;
	if (over > 0)
		return (unsigned)((over + 999999) / 1000000);
	p->paid_us += cost;
	return 0;
}

void
mdd_rate_ip(uint8_t ip[static MDD_RATE_IP], const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	memset(ip, 0, MDD_RATE_IP);
	if (sa == NULL)
		return;
	if (sa->sa_family == AF_INET) {
		ip[10] = ip[11] = 0xff;
		memcpy(ip + 12, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6)
		memcpy(ip, &in6->sin6_addr,
		    IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? MDD_RATE_IP
							  : MDD_RATE_IP / 2);
}

/* Before anything is looked at. What watches over us asks on. */
bool
join_over(struct ctl *c, struct perc_httpd_req *r)
{
	static struct perc_log_limit limit = { .burst = 10, .per_ms = 10000 };
	const char *path = perc_httpd_path(r);
	struct perc_httpd_header later = { "Retry-After", NULL };
	uint8_t ip[MDD_RATE_IP];
	char seconds[16];
	unsigned wait_s;

	if (strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0)
		return false;
	mdd_rate_ip(ip, perc_httpd_peer(r));
	wait_s =
	    mdd_rate_take(c->rate, ip, c->conf->rate_address, perc_now_ms());
	if (wait_s == 0)
		return false;
	c->limited++;
	if (perc_log_allow(&limit))
		log_info("too many requests of one address path=%s", path);
	(void)snprintf(seconds, sizeof(seconds), "%u", wait_s);
	later.value = seconds;
	join_problem_with(r, 429, "rate_limited",
	    "Too many requests; wait as Retry-After says", &later);
	return true;
}
