/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of TURN on a stream (RFC 8656 section 12.5, RFC 8489 section 6.2.2). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define TURN_FRAME_HEAD 4 /* octets that tell how long it is */

/*
 * p: at least TURN_FRAME_HEAD octets of a message. *len: the message, *all:
 * with the padding that follows it on a stream. PERC_ERR_FORMAT: neither STUN
 * nor ChannelData; the stream is of no use any more.
 */
PERC_MUST int turn_frame_len(size_t *len, size_t *all,
    const uint8_t p[static TURN_FRAME_HEAD]);
