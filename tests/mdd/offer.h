/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that join by SDP (docs/wire/whip.md).
 */
#pragma once

#include "tests/mdd/stage.h"

/* One m-line to send and to hear, of what m_line is ("audio 9
 * UDP/TLS/RTP/SAVPF 111") and with these lines more; connected. m's name,
 * conference and ssrc are given. sdp: the answer. */
void whip_join(
    struct member *m, const char *m_line, const char *lines, struct answer *sdp);
