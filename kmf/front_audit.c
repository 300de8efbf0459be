/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Failed logins on their way to the audit log. Those that are alike are
 * counted, and told once a second; when there are more different ones than
 * places, the last place takes the rest without an address, so that a
 * flood costs the keeper no more than a drizzle.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/front.h"
#include "perc/log.h"
#include "perc/secret.h"

static bool
alike(const struct front_refused *a, const struct front_refused *b)
{
	return strcmp(a->reason, b->reason) == 0 &&
	    strcmp(a->what, b->what) == 0 && strcmp(a->peer, b->peer) == 0 &&
	    strcmp(a->client, b->client) == 0;
}

static struct front_refused *
place(struct front *f, struct front_refused *x)
{
	unsigned i;

	for (i = 0; i < f->nrefused; i++)
		if (alike(&f->refused[i], x))
			return &f->refused[i];
	if (f->nrefused == FRONT_REFUSED_MAX)
		return &f->refused[FRONT_REFUSED_MAX - 1];
	if (f->nrefused == FRONT_REFUSED_MAX - 1) {
		x->peer[0] = x->client[0] = x->what[0] = '\0';
		snprintf(x->reason, sizeof(x->reason), "many different");
	}
	f->refused[f->nrefused] = *x;
	return &f->refused[f->nrefused++];
}

void
front_audit_add(const struct front_req *q, const char *reason)
{
	struct front_refused x = { .count = 0 };

	snprintf(x.reason, sizeof(x.reason), "%s", reason);
	if (q->route != NULL)
		snprintf(x.what, sizeof(x.what), "%s %s", q->route->method,
		    q->route->path);
	front_peer_put(x.peer, sizeof(x.peer), perc_httpd_peer(q->r));
	if (q->who.who == KMF_WHO_NOBODY && q->who.sub != NULL)
		snprintf(x.client, sizeof(x.client), "%.64s", q->who.sub);
	place(q->f, &x)->count++;
}

static int
tell(struct front *f, const struct front_refused *x)
{
	struct kmf_refused m = { .reason = x->reason,
		.what = x->what,
		.peer = x->peer,
		.client = x->client,
		.count = x->count };
	uint8_t *buf = NULL;
	size_t len;
	int r;

	if ((r = kmf_refused_encode(&buf, &len, &m)) == 0)
		r = perc_chan_send(f->keeper, KMF_MSG_REFUSED, 0, buf, len);
	perc_secmem_free(buf);
	return r;
}

void
front_audit_tick(struct front *f)
{
	unsigned i;

	for (i = 0; i < f->nrefused && f->keeper != NULL; i++)
		if (tell(f, &f->refused[i]) != 0)
			log_warnx("front.audit_lost count=%llu",
			    (unsigned long long)f->refused[i].count);
	memset(f->refused, 0, sizeof(f->refused));
	f->nrefused = 0;
}
