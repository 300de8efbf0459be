/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A roster that was found right becomes the one held: who may be heard, and
 * at which port of this machine the application hears whom. Streams that stay
 * keep their port.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/vaultfresh.h"

void
vault_members_free(struct vault_member *m, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		free(m[i].id);
		free(m[i].name);
	}
	free(m);
}

static uint16_t
port_base(const struct vault_slot *s)
{
	return (uint16_t)(s->v->out_base + s->index * VAULT_OUT_STREAMS * 2);
}

/* The next in turn, so that a port just left is the last to be used again.
 * Who comes back gets the port he had, as long as nobody else needed it: the
 * player that waits there need not be told. */
static uint16_t
port_take(struct vault_slot *s, uint32_t ssrc)
{
	unsigned i, at, found = VAULT_OUT_STREAMS;

	for (i = 0; i < VAULT_OUT_STREAMS; i++) {
		at = (s->port_next + i) % VAULT_OUT_STREAMS;
		if (s->port_used[at])
			continue;
		if (found == VAULT_OUT_STREAMS || s->port_ssrc[at] == ssrc)
			found = at;
		if (s->port_ssrc[at] == ssrc)
			break;
	}
	if (found == VAULT_OUT_STREAMS)
		return 0;
	s->port_used[found] = 1;
	if (s->port_ssrc[found] != ssrc)
		s->port_next = found + 1;
	s->port_ssrc[found] = ssrc;
	return (uint16_t)(port_base(s) + found * 2);
}

/* Streams that stay keep their port; returns true when anything is new: a
 * stream, or a port for one that had none. */
static bool
ports_assign(struct vault_slot *s, struct vault_fresh *f)
{
	const struct vault_stream *old;
	bool fresh = false;
	size_t i;

	memset(s->port_used, 0, sizeof(s->port_used));
	for (i = 0; i < f->nstreams; i++) {
		old = vault_stream_find(s, f->streams[i].ssrc);
		if (old == NULL) {
			fresh = true;
			continue;
		}
		f->streams[i].has_top = old->has_top;
		f->streams[i].top = old->top;
		f->streams[i].merge = old->merge;
		f->streams[i].rtp_ear = old->rtp_ear;
		f->streams[i].rtcp_ear = old->rtcp_ear;
		f->streams[i].begin_ms = old->begin_ms;
		if (old->port == 0)
			continue;
		f->streams[i].port = old->port;
		f->streams[i].heard_ms = old->heard_ms;
		f->streams[i].speaking = old->speaking;
		f->streams[i].pt = old->pt;
		f->streams[i].pt_ms = old->pt_ms;
		s->port_used[(old->port - port_base(s)) / 2] = 1;
	}
	for (i = 0; i < f->nstreams; i++)
		if (f->streams[i].port == 0 && f->streams[i].head == i) {
			f->streams[i].port = port_take(s, f->streams[i].ssrc);
			fresh = fresh || f->streams[i].port != 0;
		}
	return fresh;
}

/* ---- taking it over -------------------------------------------------------
 */

static int
ssrcs_list(struct vault_slot *s, const struct vault_fresh *f)
{
	uint32_t *ssrcs;
	size_t i;
	int r;

	if ((ssrcs = calloc(f->nstreams + 1, sizeof(*ssrcs))) == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < f->nstreams; i++)
		ssrcs[i] = f->streams[i].ssrc;
	r = perc_double_rx_list(s->rx, ssrcs, f->nstreams);
	free(ssrcs);
	return r;
}

int
vault_fresh_adopt(struct vault_slot *s, struct vault_fresh *f, bool gap)
{
	struct vault_roster *h = &s->roster;
	size_t was = h->nstreams;
	int64_t now = perc_boot_ms();
	bool first, joined;
	unsigned i;
	int r;

	if ((r = ssrcs_list(s, f)) != 0)
		return r;
	first = !h->have;
	joined = ports_assign(s, f);

	vault_members_free(h->members, h->nmembers);
	free(h->streams);
	h->members = f->members;
	h->nmembers = f->nmembers;
	f->members = NULL;
	f->nmembers = 0;
	h->streams = f->streams;
	h->nstreams = f->nstreams;
	f->streams = NULL;
	h->have = true;
	h->unsigned_seen = false;
	h->gap = gap;
	h->listed = f->listed;
	h->seq = f->seq;
	h->epoch = f->epoch;
	h->exp_s = f->exp_s;
	h->whole = f->whole;
	memcpy(h->text, f->text, sizeof(h->text));
	memcpy(h->hash, f->head, sizeof(h->hash));
	if (joined) /* newcomers wait for a Full field: RFC 8870 section 4.6 */
		for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
			if (s->local[i].tx != NULL)
				perc_double_tx_newcomer(s->local[i].tx, now);
	if (first || joined || was != h->nstreams)
		vault_send_streams(s);
	return 0;
}
