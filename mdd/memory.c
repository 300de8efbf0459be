/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of what mdd/leg.c, mdd/room.c, mdd/intake.c and perc/srtp.c allocate;
 * only what libraries take is a measured figure, rounded up. tests/bench/mdd
 * --memory shows what a real one took beside it.
 */
#include "mdd/memory.h"

#include "mdd/batch.h"
#include "mdd/leg.h"
#include "mdd/link.h"
#include "mdd/role.h"
#include "mdd/worker.h"
#include "perc/srtp.h"

#define MEM_PROGRAM   (24u << 20) /* with libraries, as resident */
#define MEM_INTAKE    (MDD_BATCH * (size_t)66880)
#define MEM_SRTCP     (40u << 10) /* libsrtp with NSS, both directions */
#define MEM_HANDSHAKE (92u << 10) /* OpenSSL's association */
#define MEM_KEPT_8THS 9		  /* kept packets, and where they are */
#define MEM_SLOT      16	  /* of a table, at most */

/* mdd_links_init, and the hop contexts of links, which are legs beside. */
static size_t
links_memory(const struct mdd_conf *c)
{
	size_t n = mdd_conf_links(c), slots = 16,
	       sources = (size_t)c->max_link_sources;

	if (n == 0)
		return 0;
	while (slots < 2 * sources)
		slots *= 2;
	return n *
	    (sizeof(struct mdd_link) + slots * sizeof(struct mdd_link_source)) +
	    (n * MDD_LINK_SHARE + sources) *
	    (sizeof(struct mdd_inbound) + sizeof(void *)) +
	    n *
	    (perc_srtp_memory((unsigned)sources, MDD_HOP_WINDOW) +
		mdd_cc_memory(true) - mdd_cc_memory(false));
}

void
mdd_memory_of(struct mdd_memory *m, const struct mdd_conf *c)
{
	size_t lines = 1, legs = (size_t)c->max_legs,
	       rooms = (size_t)c->max_conferences;
	size_t sources = (size_t)c->max_conference_legs * MDD_SOURCES_PER_LEG;

	if (mdd_conf_links(c) > 0)
		sources += (size_t)c->max_link_sources;
	if (sources > PERC_SRTP_STREAMS_MAX)
		sources = PERC_SRTP_STREAMS_MAX;
	while (lines < (size_t)c->rtx_packets)
		lines *= 2;
	m->fixed = MEM_PROGRAM + MEM_INTAKE +
	    ((size_t)c->rtx_memory << 20) * MEM_KEPT_8THS / 8 + links_memory(c);
	m->leg = sizeof(struct mdd_leg) + sizeof(struct mdd_plan) +
	    mdd_cc_memory(false) + 3 * MEM_SLOT +
	    lines * sizeof(struct mdd_sent) +
	    sources * (sizeof(struct mdd_flow) + sizeof(struct mdd_tally)) +
	    perc_srtp_memory(MDD_TOKEN_SSRCS, MDD_HOP_WINDOW) +
	    perc_srtp_memory((unsigned)sources, MDD_HOP_WINDOW) + MEM_SRTCP;
	if (c->whip) /* repair streams, both ways */
		m->leg += perc_srtp_memory(
		    MDD_PLAN_REPAIRS + MDD_PLAN_LINES, MDD_HOP_WINDOW);
	m->conference = sizeof(struct mdd_room) + MEM_SLOT +
	    sources * sizeof(struct mdd_source);
	m->handshakes = (size_t)MDD_HANDSHAKES_MAX * MEM_HANDSHAKE;
	m->sockets = 2 * ((size_t)MDD_UDP_ROAD * 2 + MDD_UDP_LOBBY * 2);
	m->worker = m->fixed + legs * m->leg + rooms * m->conference +
	    m->handshakes + m->sockets;
}
