/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a payload says of the frame that it is of, read before it is sealed or
 * after it was opened, so nobody on the way can lie about it. VP8 (RFC 7741)
 * and H.264 (RFC 6184); of other codecs nothing is known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vault_frame {
	bool known; /* such payloads can be read */
	bool key;   /* a picture that needs no other begins here */
	bool ahead; /* only what comes before a picture, of whatever kind */
};

/* codec as in a=rtpmap. Any octets may come. */
void vault_frame_look(
    struct vault_frame *f, const char *codec, const uint8_t *p, size_t n);
