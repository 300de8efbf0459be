/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header extensions between the local application and the hop. They are not
 * protected end to end: whoever forwards the packets reads them. So there is a
 * closed list of five, root's configuration says which of them leave, under
 * which id the application has them, and whether those that come in are given
 * to it; on the wire they have the ids of perc/hdrext.h. Where the KMF's policy
 * wants pictures in layers, those say which they are and where key frames
 * begin, for else nobody could choose among them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/vaultclaims.h"
#include "perc/hdrext.h"

struct vault_ext { /* the application's ids, 1..14; 0: stays here */
	int64_t level, descriptor, marking, mid, rid;
	bool deliver;
};

/* What of application packet p leaves with media: octets of a whole block in
 * out, 0 for none. */
size_t vault_ext_leave(const struct vault_ext *e, enum vault_media media,
    const struct perc_rtp *h, const uint8_t *p,
    uint8_t out[static PERC_HDREXT_MAX]);
/* The same for a layer of a picture: with its names (MID, RID), and with mark,
 * if the application tells nothing of frames that may leave. */
size_t vault_ext_layer(const struct vault_ext *e, unsigned layer, uint8_t mark,
    const struct perc_rtp *h, const uint8_t *p,
    uint8_t out[static PERC_HDREXT_MAX]);
/* And what of packet p (n octets) of the hop the application gets. */
size_t vault_ext_come(const struct vault_ext *e, enum vault_media media,
    const uint8_t *p, size_t n, uint8_t out[static PERC_HDREXT_MAX]);
/* Does the application tell, by an extension that may leave, that a key frame
 * begins here? */
bool vault_ext_key_frame(
    const struct vault_ext *e, const struct perc_rtp *h, const uint8_t *p);
