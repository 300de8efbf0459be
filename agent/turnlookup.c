/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glibc's resolver in a thread of glibc's own (getaddrinfo_a), so that names
 * mean what they mean to every other program here; libre's DNS client would
 * know neither /etc/hosts nor nsswitch.conf. A query under way cannot always
 * be called back, so it owns its memory and outlives whoever asked.
 */
#include "agent/turnlookup.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 20

struct turn_lookup {
	turn_lookup_fn done; /* NULL: nobody waits */
	void *arg;
	char host[TURN_HOST_MAX], port[8];
	struct addrinfo hints;
	struct gaicb query;
	struct tmr timer;
};

static void
finish(struct turn_lookup *l, const struct sa *sa, const char *why)
{
	turn_lookup_fn done = l->done;
	void *arg = l->arg;

	tmr_cancel(&l->timer);
	if (l->query.ar_result != NULL)
		freeaddrinfo(l->query.ar_result);
	free(l);
	if (done != NULL)
		done(sa, why, arg);
}

static void
on_look(void *arg)
{
	struct turn_lookup *l = arg;
	struct sa sa;
	int e = gai_error(&l->query);

	if (e == EAI_INPROGRESS) {
		tmr_start(&l->timer, LOOK_MS, on_look, l);
		return;
	}
	if (e == 0 && l->query.ar_result != NULL &&
	    sa_set_sa(&sa, l->query.ar_result->ai_addr) == 0)
		finish(l, &sa, "");
	else
		finish(l, NULL, e != 0 ? gai_strerror(e) : "no address");
}

static void
on_literal(void *arg)
{
	struct turn_lookup *l = arg;
	struct sa sa;

	if (sa_set_str(&sa, l->host, (uint16_t)atoi(l->port)) == 0)
		finish(l, &sa, "");
	else
		finish(l, NULL, "no address");
}

struct turn_lookup *
turn_lookup_start(
    const char *host, uint16_t port, turn_lookup_fn done, void *arg)
{
	struct turn_lookup *l = calloc(1, sizeof(*l));
	struct gaicb *list[1];
	struct sa sa;

	if (l == NULL)
		return NULL;
	l->done = done;
	l->arg = arg;
	(void)re_snprintf(l->host, sizeof(l->host), "%s", host);
	(void)re_snprintf(l->port, sizeof(l->port), "%u", (unsigned)port);
	tmr_init(&l->timer);
	if (sa_set_str(&sa, host, port) == 0) {
		tmr_start(&l->timer, 0, on_literal, l);
		return l;
	}
	l->hints.ai_socktype = SOCK_STREAM;
	l->hints.ai_flags = AI_ADDRCONFIG;
	l->query.ar_name = l->host;
	l->query.ar_service = l->port;
	l->query.ar_request = &l->hints;
	list[0] = &l->query;
	if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0) {
		free(l);
		return NULL;
	}
	tmr_start(&l->timer, LOOK_MS, on_look, l);
	return l;
}

void
turn_lookup_cancel(struct turn_lookup *l)
{
	if (l != NULL)
		l->done = NULL;
}
