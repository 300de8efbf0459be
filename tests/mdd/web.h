/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several workers in one process, each with its socket on loopback, and links
 * between them: what control would tell them is told by the test.
 */
#pragma once

#include "mdd/worker.h"
#include "tests/mdd/peer.h"

#define WEB_NODES   4
#define WEB_SOURCES 20 /* max_link_sources */

struct node {
	struct mdd_worker w;
	struct perc_loop *loop;
	struct sockaddr_in at;
	int udp;
	/* A bad road here: of so many of a thousand datagrams of links, or
	 * of so many bits a second; 0: a good one. */
	unsigned loses;
	int64_t bps, credit, credit_us;
};

struct web {
	struct node node[WEB_NODES];
	unsigned n;
};

int web_setup(void **state); /* no node yet */
int web_teardown(void **state);
struct node *web_node(struct web *x);
void node_end(struct node *k); /* as if its process died */
void web_pump(void *web);
void web_pump_one(struct node *k);
void web_run(struct web *x, int ms);
/* A leg for p, as control would ask for; peer_open()s it if need be. kind: of
 * a link that p is the far end of. */
struct mdd_leg *web_join(struct web *x, struct node *k, struct peer *p,
    const char *member, uint32_t ssrc, enum mdd_link_kind kind);
/* The same of a member, and p comes up. */
void web_member(struct web *x, struct node *k, struct peer *p, const char *name,
    uint32_t ssrc);
/* A compound for the MDD: empty RR of ssrc, then what; protected, sent. */
void
web_rtcp_send(struct peer *p, uint32_t ssrc, const uint8_t *what, size_t n);
/* p, of a link, announces one SSRC by this path. */
void
web_announce(struct peer *p, uint32_t ssrc, const struct mdd_link_path *path);
/* a dials b; waits until both are up. */
void web_link(struct web *x, struct node *a, struct node *b,
    enum mdd_link_kind at_a, enum mdd_link_kind at_b);
/* Until b's record of ssrc is fed by a link (or by nobody). */
bool web_learns(struct web *x, struct node *b, uint32_t ssrc, bool fed);
