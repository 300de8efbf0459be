/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The closed list of messages between the agent's front and its vault, on
 * perc/chan.h. No message returns a key, a derived key or an oracle for one.
 * Strings are perc_wire_put_str, numbers big endian; `conf` is the
 * conference id. A frame's id is repeated in its answer; what the vault says
 * unasked has id 0. docs/wire/vault.md is the same at length.
 *
 * front -> vault
 *   HELLO        - (the first message, once)
 *   PROOF        u8 flags (1: with seal_jkt, 2: for a login) | str htm |
 *                str htu | str token ("" none) | str nonce ("" none)
 *   OPEN         str conf | str kmf (BASE URL, must be pinned in the vault's
 *                own configuration) : makes room for one conference
 *   KEY          str conf | str jwe
 *   EPOCH        str conf | str statement | str sealed
 *   ROSTER       str conf | str jws
 *   NOTICE       str conf | str jws          (ended, evicted)
 *   LEAVE        str conf                    (erase now)
 *   MEDIA_IN     u8 slot | packet, outer-opened, with its EKTField
 *   RTCP_IN      u8 slot | RTCP compound, opened
 *   STATUS       str conf ("" all)
 * vault -> front
 *   READY        str sign_jwk | str seal_jwk | str seal_jkt | str report
 *                (JSON: secret memory, seccomp, landlock, ports)
 *   PROOF_IS     str proof ("" refused)
 *   DONE         i32 perc_err | str what happened, in words | answer to OPEN,
 *                KEY, EPOCH, ROSTER: str json (see below); NOTICE, LEAVE: ""
 *   ERASED       str conf | str reason | str receipt jws  (asked or not; id
 *                0; when asked for it comes before the DONE; the receipt is
 *                "" when no key ever came)
 *   MEDIA_OUT    u8 slot | packet: header | inner ciphertext | tag | OHB |
 *                EKTField; the front cuts the field, protects, puts it back
 *   RTCP_OUT     u8 slot | RTCP compound, plain
 *   KEY_WANTED   str conf | u16 spi          (unknown SPI seen; once each)
 *   STREAMS      str conf | str json: local ports in and out, see below
 *   STATUS_IS    str json
 *   SPEAKING     str conf | str json: {"speaking": [{"ssrc", "member",
 *                "name"}]}, sent when it changes, five times a second at most
 *
 * OPEN's json: {"slot": n}. KEY's and EPOCH's: {"epoch", "spi", "member",
 * "name", "ssrcs": [...], "expires_in"}. ROSTER's: {"seq", "epoch", "fresh":
 * bool, "gap": bool, "forked": bool, "listed": bool (are we on it),
 * "members": n}. STREAMS' json, sent when anything changes:
 * {"in": [{"media": "audio", "port": 5004, "rtcp_port": 5005, "ssrc", "pt":
 *   111, "codec": "opus/48000/2"}],
 *  "out": [{"member", "name", "media", "ssrc", "port", "rtcp_port", "pt",
 *   "codec"}]};
 * the front writes the SDP files from it. STATUS' json: {"conferences":
 * [{"conference", "slot", "state": "open" | "live" | "erased", "epoch",
 * "spi", "spis": [...], "keys_held", "expires_in", "member", "roster":
 * {"state": "none" | "fresh" | "stale" | "forked", "seq", "epoch",
 * "members", "code", "warnings": [...]}, "speaking": as above, "counters":
 * {...}}]}.
 *
 * What a conference's state permits; "ends" = the front broke the protocol,
 * the channel ends and every key is wiped; "error" = answered with
 * PERC_ERR_STATE, media dropped (the vault may have erased by itself).
 * So KEY's DONE is to be awaited before anything is built on it.
 *              none    open    live    erased
 *   OPEN       ok      error   error   ok
 *   KEY        ends    ok      ok      error
 *   EPOCH      ends    ends    ok      error
 *   ROSTER     ends    ends    ok      error
 *   NOTICE     ends    ok      ok      error
 *   LEAVE      ends    ok      ok      ok
 *   MEDIA_IN   ends    ends    ok      dropped
 *   RTCP_IN    ends    ends    ok      dropped
 */
#pragma once

#include <stdint.h>

#include "perc/proc.h"

enum vault_msg {
	VAULT_HELLO = 1,
	VAULT_PROOF,
	VAULT_OPEN,
	VAULT_KEY,
	VAULT_EPOCH,
	VAULT_ROSTER,
	VAULT_NOTICE,
	VAULT_LEAVE,
	VAULT_MEDIA_IN,
	VAULT_RTCP_IN,
	VAULT_STATUS,
	VAULT_READY = 32,
	VAULT_PROOF_IS,
	VAULT_DONE,
	VAULT_ERASED,
	VAULT_MEDIA_OUT,
	VAULT_RTCP_OUT,
	VAULT_KEY_WANTED,
	VAULT_STREAMS,
	VAULT_STATUS_IS,
	VAULT_SPEAKING,
};

enum vault_proof_flag {
	VAULT_PROOF_SEAL_JKT = 1,
	VAULT_PROOF_LOGIN = 2, /* at an identity provider's token endpoint */
};

#define VAULT_SLOTS	    4 /* conferences at once */
#define VAULT_LAYERS_MAX    3 /* of one picture (docs/wire/join.md) */
#define VAULT_LOCAL_STREAMS (1 + VAULT_LAYERS_MAX) /* audio, a picture's layers */
#define VAULT_BASE_STREAMS  2 /* audio and video: in every conference */
#define VAULT_MSG_MAX	    (1u << 20)
#define VAULT_PACKET_MAX    2048

/*
 * How the supervisor starts it:
 *
 *	perch-vault [-c FILE] [-o PORT] [--user-config]
 *
 * -c its configuration (default $sysconfdir/perch/vault.conf), -o first of the
 * VAULT_OUT_PORTS loopback ports to which remote streams go (local_out_base
 * of the configuration counts for more), --user-config: accept configuration
 * and pinned keys owned by the calling user instead of root.
 *
 * Descriptors: PERC_PROC_FD the channel to the front, then per slot RTP and
 * RTCP socket of audio and of video, then per slot those of the further layers
 * of a picture (all bound to loopback; stream 0 is audio, 1 video and its worst
 * layer, 2 and 3 the better ones), then one UDP socket, bound to loopback, for sending to receivers, then
 * a netlink socket (NETLINK_SOCK_DIAG), or any other where there is none, then
 * a stream socket of the supervisor's, to whom one octet says that a SIGUSR1
 * was obeyed: every key is wiped.
 */
#define VAULT_OUT_STREAMS 256 /* remote streams with ports, per conference */
#define VAULT_OUT_PORTS	  (VAULT_SLOTS * VAULT_OUT_STREAMS * 2)
#define VAULT_OUT_BASE	  20000 /* of the first range, */
#define VAULT_OUT_RANGES  6	/* all below Linux' ephemeral ports */
#define VAULT_FD_LOCAL(slot, stream, rtcp)                                     \
	(PERC_PROC_FD + 1 +                                                    \
	    ((stream) < VAULT_BASE_STREAMS                                     \
		    ? (slot)*VAULT_BASE_STREAMS + (stream)                     \
		    : (VAULT_SLOTS - 1) * VAULT_BASE_STREAMS +                 \
			(slot) * (VAULT_LOCAL_STREAMS - VAULT_BASE_STREAMS) +  \
			(stream)) *                                            \
		2 +                                                            \
	    (rtcp))
#define VAULT_FD_OUT                                                           \
	(PERC_PROC_FD + 1 + VAULT_SLOTS * VAULT_LOCAL_STREAMS * 2)
#define VAULT_FD_DIAG (VAULT_FD_OUT + 1)
#define VAULT_FD_WORD (VAULT_FD_DIAG + 1)
#define VAULT_FDS    (VAULT_FD_WORD - PERC_PROC_FD + 1) /* for perc_proc_spawn */
