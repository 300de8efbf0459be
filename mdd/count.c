/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the counters: one metric per thing, its reasons as labels. */
#include "mdd/count.h"

#include <stddef.h>

#define IN(k)                                                                  \
	{                                                                      \
		"perch_mdd_accepted_total", "kind=\"" k "\"", NULL             \
	}
#define DROP(k)                                                                \
	{                                                                      \
		"perch_mdd_dropped_total", "reason=\"" k "\"", NULL            \
	}

const struct mdd_metric mdd_metrics[MDD_COUNTS] = {
	[MDD_RX_DATAGRAMS] = { "perch_mdd_received_total", NULL,
	    "Datagrams received." },
	[MDD_RX_OCTETS] = { "perch_mdd_received_octets_total", NULL,
	    "Octets received." },
	[MDD_RX_LOBBY] = { "perch_mdd_received_lobby_total", NULL,
	    "Datagrams received from addresses where no leg lives, or that "
	    "flood us." },
	[MDD_LOST_ROAD] = { "perch_mdd_receive_lost_total", "queue=\"legs\"",
	    "Datagrams that the system dropped because a queue was full." },
	[MDD_LOST_LOBBY] = { "perch_mdd_receive_lost_total",
	    "queue=\"strangers\"", NULL },
	[MDD_TX_DATAGRAMS] = { "perch_mdd_sent_total", NULL,
	    "Datagrams sent." },
	[MDD_TX_OCTETS] = { "perch_mdd_sent_octets_total", NULL,
	    "Octets sent." },
	[MDD_TX_SEGMENTS] = { "perch_mdd_sent_segments_total", NULL,
	    "Datagrams sent that shared a message with others (GSO)." },
	[MDD_TX_FAILED] = { "perch_mdd_send_failed_total", NULL,
	    "Datagrams that the system did not take." },
	[MDD_TX_HELD] = { "perch_mdd_send_held_total", NULL,
	    "Handshake datagrams held back from an address that has not "
	    "answered and sent too little." },
	[MDD_IN_STUN] = { "perch_mdd_accepted_total", "kind=\"stun\"",
	    "Datagrams that were authenticated, or belong to a handshake." },
	[MDD_IN_DTLS] = IN("dtls"),
	[MDD_IN_RTP] = IN("rtp"),
	[MDD_IN_RTCP] = IN("rtcp"),
	[MDD_DROP_TOO_LONG] = { "perch_mdd_dropped_total",
	    "reason=\"too_long\"", "Datagrams dropped, by reason." },
	[MDD_DROP_KIND] = DROP("kind"),
	[MDD_DROP_STRANGER] = DROP("stranger"),
	[MDD_DROP_STUN_FORM] = DROP("stun_form"),
	[MDD_DROP_STUN_USER] = DROP("stun_user"),
	[MDD_DROP_STUN_AUTH] = DROP("stun_auth"),
	[MDD_DROP_RATE] = DROP("rate"),
	[MDD_DROP_DTLS] = DROP("dtls"),
	[MDD_DROP_NO_KEYS] = DROP("no_keys"),
	[MDD_DROP_FORM] = DROP("form"),
	[MDD_DROP_TAIL] = DROP("tail"),
	[MDD_DROP_SSRC] = DROP("ssrc"),
	[MDD_DROP_REPLAY] = DROP("replay"),
	[MDD_DROP_AUTH] = DROP("auth"),
	[MDD_DROP_RTCP] = DROP("rtcp"),
	[MDD_FORWARDED] = { "perch_mdd_forwarded_total", NULL,
	    "RTP packets put on their way to a leg." },
	[MDD_FORWARD_FAILED] = { "perch_mdd_forward_failed_total", NULL,
	    "RTP packets that could not be protected for a leg." },
	[MDD_FORWARD_NO_SEAT] = { "perch_mdd_no_seat_total", NULL,
	    "RTP packets of WHIP legs whose codec was not agreed, or for which "
	    "a receiver had no m-line left." },
	[MDD_WITHHELD] = { "perch_mdd_withheld_total", NULL,
	    "RTP packets that a leg did not want, or had no room for." },
	[MDD_REWRITTEN] = { "perch_mdd_rewritten_total", NULL,
	    "RTP packets whose outer SEQ continues an earlier leg's." },
	[MDD_RTX_SENT] = { "perch_mdd_rtx_total", "result=\"sent\"",
	    "Packets that legs asked for again (NACK), by what became of "
	    "it: sent, damped (too often, too many), missing here." },
	[MDD_RTX_DAMPED] = { "perch_mdd_rtx_total", "result=\"damped\"", NULL },
	[MDD_RTX_MISSED] = { "perch_mdd_rtx_total", "result=\"missing\"",
	    NULL },
	[MDD_NACK_ASKED] = { "perch_mdd_nack_asked_total", NULL,
	    "Packets that did not come and were asked of their sender." },
	[MDD_RTCP_RELAYED] = { "perch_mdd_rtcp_relayed_total", NULL,
	    "RTCP packets put on their way to a leg." },
	[MDD_RTCP_DAMPED] = { "perch_mdd_rtcp_damped_total", NULL,
	    "Feedback held back because the same was asked just before." },
	[MDD_RTCP_IGNORED] = { "perch_mdd_rtcp_ignored_total", NULL,
	    "RTCP packets that end here: RR, unknown types, strangers." },
	[MDD_DTLS_UP] = { "perch_mdd_dtls_up_total", NULL,
	    "Handshakes completed." },
	[MDD_DTLS_REFUSED] = { "perch_mdd_dtls_refused_total", NULL,
	    "Handshakes with a certificate that is not the token's, or "
	    "without a common SRTP profile." },
	[MDD_DTLS_FAILED] = { "perch_mdd_dtls_failed_total", NULL,
	    "Handshakes that failed otherwise." },
	[MDD_LEGS_JOINED] = { "perch_mdd_legs_joined_total", NULL,
	    "Legs made." },
	[MDD_LEGS_LEFT] = { "perch_mdd_legs_ended_total", "reason=\"left\"",
	    "Legs gone, by reason." },
	[MDD_LEGS_REPLACED] = { "perch_mdd_legs_ended_total",
	    "reason=\"replaced\"", NULL },
	[MDD_LEGS_SILENT] = { "perch_mdd_legs_ended_total", "reason=\"silent\"",
	    NULL },
	[MDD_LEGS_EXPIRED] = { "perch_mdd_legs_ended_total",
	    "reason=\"expired\"", NULL },
	[MDD_LEGS_BROKEN] = { "perch_mdd_legs_ended_total", "reason=\"broken\"",
	    NULL },
	[MDD_GAUGE_LEGS] = { "perch_mdd_legs", NULL, "Legs now." },
	[MDD_GAUGE_LEGS_UP] = { "perch_mdd_legs_up", NULL,
	    "Legs with hop keys now." },
	[MDD_GAUGE_LEGS_FLOODED] = { "perch_mdd_legs_flooded", NULL,
	    "Legs whose address sends far more than a leg may." },
	[MDD_GAUGE_CONFERENCES] = { "perch_mdd_conferences", NULL,
	    "Conferences now." },
};
