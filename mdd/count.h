/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker counts, and the names that /metrics gives it. Every datagram
 * that came in ends in exactly one MDD_IN_ or MDD_DROP_ counter, so the sum
 * of them is MDD_RX_DATAGRAMS.
 */
#pragma once

#include <stdint.h>

enum mdd_count {
	MDD_RX_DATAGRAMS,
	MDD_RX_OCTETS,
	MDD_RX_LOBBY,
	MDD_LOST_ROAD,
	MDD_LOST_LOBBY,
	MDD_TX_DATAGRAMS,
	MDD_TX_OCTETS,
	MDD_TX_SEGMENTS,
	MDD_TX_FAILED,
	MDD_TX_HELD,
	MDD_IN_STUN,
	MDD_IN_DTLS,
	MDD_IN_RTP,
	MDD_IN_RTCP,
	MDD_DROP_TOO_LONG,
	MDD_DROP_KIND,
	MDD_DROP_STRANGER,
	MDD_DROP_STUN_FORM,
	MDD_DROP_STUN_USER,
	MDD_DROP_STUN_AUTH,
	MDD_DROP_RATE,
	MDD_DROP_DTLS,
	MDD_DROP_NO_KEYS,
	MDD_DROP_FORM,
	MDD_DROP_TAIL,
	MDD_DROP_SSRC,
	MDD_DROP_REPLAY,
	MDD_DROP_AUTH,
	MDD_DROP_RTCP,
	MDD_FORWARDED,
	MDD_FORWARD_FAILED,
	MDD_FORWARD_NO_SEAT,
	MDD_WITHHELD,
	MDD_REWRITTEN,
	MDD_RTX_SENT,
	MDD_RTX_DAMPED,
	MDD_RTX_MISSED,
	MDD_NACK_ASKED,
	MDD_RTCP_RELAYED,
	MDD_RTCP_DAMPED,
	MDD_RTCP_IGNORED,
	MDD_REFUSED_LOOP, /* announced SSRCs that were not taken */
	MDD_REFUSED_OWN,
	MDD_REFUSED_FULL,
	MDD_DTLS_UP,
	MDD_DTLS_REFUSED,
	MDD_DTLS_NO_PROFILE,
	MDD_DTLS_FAILED,
	MDD_LEGS_JOINED,
	MDD_LEGS_LEFT,
	MDD_LEGS_REPLACED,
	MDD_LEGS_SILENT,
	MDD_LEGS_EXPIRED,
	MDD_LEGS_BROKEN,
	MDD_LEGS_DRAINED,
	MDD_CPU_MS,
	MDD_GAUGE_LEGS, /* gauges from here on */
	MDD_GAUGE_LEGS_UP,
	MDD_GAUGE_LEGS_FLOODED,
	MDD_GAUGE_CONFERENCES,
	MDD_GAUGE_LINKS,
	MDD_COUNTS
};
#define MDD_GAUGES MDD_GAUGE_LEGS

struct mdd_metric {
	const char *name;  /* perch_mdd_... */
	const char *label; /* {reason="..."}, or NULL */
	const char *help;  /* only at the first of a name */
};

extern const struct mdd_metric mdd_metrics[MDD_COUNTS];
