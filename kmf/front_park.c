/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Requests that wait for the fetcher: for an issuer's new keys, or for its
 * word about an opaque token. They are few, they have a deadline, and nobody
 * else waits with them.
 */
#include "config.h"

#include "kmf/front.h"
#include "perc/log.h"

#define PARKED_MAX 256

bool
front_park(struct front_req *q, uint32_t wait_id)
{
	struct front *f = q->f;
	const struct front_req *p;
	unsigned waiting = 0;

	for (p = f->parked; p != NULL; p = p->park_next)
		waiting++;
	if (waiting >= PARKED_MAX)
		return false;
	q->parked = true;
	q->wait_id = wait_id;
	q->until_ms = perc_now_ms() + FRONT_PARK_MS;
	q->park_next = f->parked;
	f->parked = q;
	return true;
}

struct front_req *
front_unpark(struct front *f, uint32_t wait_id)
{
	struct front_req **pp, *q;

	for (pp = &f->parked; (q = *pp) != NULL; pp = &q->park_next)
		if (q->wait_id == wait_id) {
			*pp = q->park_next;
			return q;
		}
	return NULL;
}

/* Those who wait for this issuer's keys; issuer NULL: who waited too long. */
static struct front_req *
take(struct front *f, const struct kmf_issuer *issuer, int64_t now_ms)
{
	struct front_req **pp, *q, *out = NULL;

	for (pp = &f->parked; (q = *pp) != NULL;) {
		if (issuer != NULL ? q->issuer != issuer || q->wait_id != 0
				   : now_ms < q->until_ms) {
			pp = &q->park_next;
			continue;
		}
		*pp = q->park_next;
		q->park_next = out;
		out = q;
	}
	return out;
}

void
front_park_keys(struct front *f, size_t issuer)
{
	struct front_req *q, *list = take(f, &f->conf->issuers[issuer], 0);

	while ((q = list) != NULL) {
		list = q->park_next;
		q->method->run(q);
	}
}

static void
give_up(struct front_req *list)
{
	struct front_req *q;

	while ((q = list) != NULL) {
		list = q->park_next;
		log_warnx("front.park id=%s issuer=%s err=timeout", q->id,
		    q->issuer->label);
		kmf_method_end(q, PERC_ERR_CLOSED, "the provider is slow");
	}
}

void
front_park_tick(struct front *f, int64_t now_ms)
{
	give_up(take(f, NULL, now_ms));
}

/* They are answered, not tried again: nobody would take their calls. */
void
front_park_end(struct front *f)
{
	give_up(take(f, NULL, INT64_MAX));
}
