/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a datagram is, and where its leg is: the first octet decides (RFC
 * 7983), then the address. Only STUN is heard from addresses that no check
 * has proven.
 */
#include "mdd/worker.h"

#include <string.h>

#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/rtp.h"

static void
worker_gone(struct mdd_leg *leg, enum mdd_count why, void *arg)
{
	struct mdd_worker *w = arg;
	struct mdd_leave m = { .why = why };
	uint8_t buf[MDD_MSG_MAX];
	int n;

	w->count[why]++;
	if (why == MDD_LEGS_DRAINED || why == MDD_LEGS_EXPIRED)
		mdd_leg_farewell(w, leg);
	if (leg->state == MDD_LEG_UP && why != MDD_LEGS_REPLACED)
		mdd_rtcp_bye(w, leg);
	log_info("leg ended id=%s conference=%s %s", leg->id, leg->room->key,
	    mdd_metrics[why].label);
	memcpy(m.leg, leg->id, sizeof(m.leg));
	if (w->chan == NULL || (n = mdd_leave_put(buf, &m)) < 0)
		return;
	if (perc_chan_send(w->chan, MDD_MSG_LEFT, 0, buf, (size_t)n) != 0)
		log_warnx("control does not hear us");
}

int
mdd_worker_init(struct mdd_worker *w, struct perc_loop *loop, int udp,
    const struct mdd_setup *limits)
{
	int r;

	w->loop = loop;
	if (w->dtls_max == 0)
		w->dtls_max = MDD_HANDSHAKES_MAX;
	w->udp = udp;
	perc_random(&w->node, sizeof(w->node));
	if ((w->id == NULL &&
		(r = perc_dtls_id_generate(
		     &w->id, "perch-mdd", MDD_CERT_DAYS)) != 0) ||
	    (r = mdd_batch_new(&w->out, udp, w->count, w->segments)) != 0 ||
	    (r = mdd_rtx_new(&w->rtx, (size_t)limits->rtx_kib * 1024)) != 0 ||
	    (r = mdd_legs_init(&w->legs, limits, loop, worker_gone, w)) != 0)
		return r;
	w->ready = true;
	return 0;
}

void
mdd_worker_clear(struct mdd_worker *w)
{
	perc_timer_stop(w->loop, &w->tick);
	perc_timer_stop(w->loop, &w->beat);
	mdd_legs_clear(&w->legs);
	mdd_rtx_free(w->rtx);
	mdd_batch_free(w->out);
	perc_dtls_id_free(w->id);
	perc_chan_free(w->chan);
	memset(w, 0, sizeof(*w));
}

void
mdd_worker_tick(struct mdd_worker *w, int64_t now_ms)
{
	w->answers = 0;
	mdd_legs_sweep(&w->legs, now_ms);
	mdd_ice_consent(w, now_ms);
	mdd_link_tick(w, now_ms);
	mdd_report_tick(w, now_ms);
	w->count[MDD_GAUGE_LEGS] = w->legs.n;
	w->count[MDD_GAUGE_LEGS_UP] = w->legs.up;
	w->count[MDD_GAUGE_LEGS_FLOODED] = w->legs.flooded;
	w->count[MDD_GAUGE_CONFERENCES] = w->legs.nrooms;
	w->count[MDD_GAUGE_LINKS] = w->legs.nlinks;
	mdd_batch_flush(w->out);
}

static bool
is_channel(const uint8_t *p, size_t n)
{
	return n > MDD_CHANNEL_HEAD && p[0] >> 4 == MDD_CHANNEL_MIN >> 12;
}

bool
mdd_worker_is_rtp(const uint8_t *p, size_t n)
{
	size_t head = is_channel(p, n) ? MDD_CHANNEL_HEAD : 0;

	return perc_pkt_kind(p + head, n - head) == PERC_PKT_RTP;
}

/* What is in ChannelData, of the address with that channel. Whatever lies
 * about its length stays what it is, and is dropped as such. */
static size_t
channel_open(const uint8_t *p, size_t n, struct mdd_addr *from)
{
	if (!is_channel(p, n) ||
	    (size_t)(p[2] << 8 | p[3]) != n - MDD_CHANNEL_HEAD)
		return 0;
	from->channel = (uint16_t)(p[0] << 8 | p[1]);
	return MDD_CHANNEL_HEAD;
}

static void datagram(struct mdd_worker *w, const struct mdd_addr *from,
    uint8_t *p, size_t n, int64_t now_ms);

void
mdd_worker_input(struct mdd_worker *w, const struct mdd_addr *from, uint8_t *p,
    size_t n, int64_t now_ms)
{
	struct mdd_addr at = { .u = from->u, .len = from->len };
	size_t head = 0;

	w->now_ms = now_ms;
	w->count[MDD_RX_DATAGRAMS]++;
	w->count[MDD_RX_OCTETS] += n;
	if (w->legs.nlinks > 0)
		head = channel_open(p, n, &at);
	datagram(w, &at, p + head, n - head, now_ms);
}

static void
datagram(struct mdd_worker *w, const struct mdd_addr *from, uint8_t *p,
    size_t n, int64_t now_ms)
{
	enum perc_pkt_kind kind = perc_pkt_kind(p, n);
	struct mdd_leg *leg;

	if ((leg = mdd_leg_by_addr(&w->legs, from)) != NULL)
		mdd_leg_seen(&w->legs, leg, n);
	if (n > PERC_MTU_MAX) {
		w->count[MDD_DROP_TOO_LONG]++;
		return;
	}
	if (kind != PERC_PKT_RTP) /* it may end legs, and comes after those */
		mdd_media_flush(w);
	if (kind == PERC_PKT_STUN) {
		mdd_ice_input(w, from, p, n, now_ms);
		return;
	}
	if (kind == PERC_PKT_OTHER || leg == NULL) {
		w->count[kind == PERC_PKT_OTHER ? MDD_DROP_KIND
						: MDD_DROP_STRANGER]++;
		return;
	}
	if (kind == PERC_PKT_DTLS)
		mdd_hop_input(w, leg, p, n, now_ms);
	else if (kind == PERC_PKT_RTP)
		mdd_media_input(w, leg, p, n, now_ms);
	else
		mdd_rtcp_input(w, leg, p, n, now_ms);
}

void
mdd_worker_flush(struct mdd_worker *w)
{
	mdd_media_flush(w);
	mdd_batch_flush(w->out);
}
