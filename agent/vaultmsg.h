/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The closed list of messages between the agent's front and its vault, on
 * perc/chan.h. No message returns a key, a derived key or an oracle for one.
 * Strings are perc_wire_put_str, numbers big endian; `conf` is the
 * conference id. A frame's id is repeated in its answer.
 *
 * front -> vault
 *   HELLO        -
 *   PROOF        u8 flags (1: with seal_jkt) | str htm | str htu |
 *                str token ("" none) | str nonce ("" none)
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
 *                KEY, EPOCH, ROSTER: str json (see below)
 *   ERASED       str conf | str reason | str receipt jws  (asked or not)
 *   MEDIA_OUT    u8 slot | packet: header | inner ciphertext | tag | OHB |
 *                EKTField; the front cuts the field, protects, puts it back
 *   RTCP_OUT     u8 slot | RTCP compound, plain
 *   KEY_WANTED   str conf | u16 spi          (unknown SPI seen; once each)
 *   STREAMS      str conf | str json: local ports in and out, see below
 *   STATUS_IS    str json
 *
 * OPEN's json: {"slot": n}. KEY's and EPOCH's: {"epoch", "spi", "member",
 * "ssrcs": [...], "expires_in"}. ROSTER's: {"seq", "epoch", "fresh": bool,
 * "forked": bool, "members": n}. STREAMS' json, sent when anything changes:
 * {"in": [{"media": "audio", "port": 5004, "pt": 111, "codec": ...}],
 *  "out": [{"member", "name", "media", "ssrc", "port", "pt", "codec"}]};
 * the front writes the SDP files from it. STATUS' json: per conference epoch,
 * SPIs held, members, counters of perc/double.h, state.
 */
#pragma once

#include <stdint.h>

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
};

#define VAULT_SLOTS 4	      /* conferences at once */
#define VAULT_LOCAL_STREAMS 2 /* audio, video of one conference */
#define VAULT_MSG_MAX (1u << 20)
#define VAULT_PACKET_MAX 2048

/*
 * Descriptors at the vault's start: PERC_PROC_FD the channel to the front,
 * then per slot: RTP and RTCP socket of each local stream (bound to
 * loopback), then one unbound UDP socket for sending to local receivers.
 */
