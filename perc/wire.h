/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded cursor over bytes, reading or writing. The first error sticks:
 * later reads give zeros, later writes do nothing, and perc_wire_end() tells
 * once what happened, so that a parser reads like the diagram in the RFC.
 * All numbers are big endian. The cursor owns nothing; the buffer must
 * outlive it, and pointers it hands out point into that buffer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

struct perc_wire {
	const uint8_t *in;  /* reading: the bytes; NULL when writing */
	uint8_t *out;	    /* writing: the buffer; NULL when reading */
	size_t len;	    /* bytes there, or room */
	size_t pos;	    /* next octet */
	int err;	    /* 0, or the first error */
};

void perc_wire_reader(struct perc_wire *w, const void *in, size_t len);
void perc_wire_writer(struct perc_wire *w, void *out, size_t cap);

uint8_t perc_wire_get_u8(struct perc_wire *w);
uint16_t perc_wire_get_u16(struct perc_wire *w);
uint32_t perc_wire_get_u24(struct perc_wire *w);
uint32_t perc_wire_get_u32(struct perc_wire *w);
uint64_t perc_wire_get_u64(struct perc_wire *w);
/* n octets, or NULL after an error. */
const uint8_t *perc_wire_get_bytes(struct perc_wire *w, size_t n);
/* Octets behind a 16- or 32-bit length; *lenp is 0 after an error. */
const uint8_t *perc_wire_get_blob16(struct perc_wire *w, size_t *lenp);
const uint8_t *perc_wire_get_blob32(struct perc_wire *w, size_t *lenp);
/*
 * A string sent as blob32 whose last octet is NUL (the sender's put_str does
 * it) and that holds no other; "" after an error; "" also for the sender's
 * NULL. Points into the buffer.
 */
const char *perc_wire_get_str(struct perc_wire *w);

void perc_wire_put_u8(struct perc_wire *w, uint8_t v);
void perc_wire_put_u16(struct perc_wire *w, uint16_t v);
void perc_wire_put_u24(struct perc_wire *w, uint32_t v);
void perc_wire_put_u32(struct perc_wire *w, uint32_t v);
void perc_wire_put_u64(struct perc_wire *w, uint64_t v);
void perc_wire_put_bytes(struct perc_wire *w, const void *p, size_t n);
void perc_wire_put_blob16(struct perc_wire *w, const void *p, size_t n);
void perc_wire_put_blob32(struct perc_wire *w, const void *p, size_t n);
void perc_wire_put_str(struct perc_wire *w, const char *s);

size_t perc_wire_left(const struct perc_wire *w);
/* Raise an error from the outside (a value that is out of range). */
void perc_wire_fail(struct perc_wire *w, int err);
/* Reading: 0 when all went well and nothing is left over, else
 * PERC_ERR_SHORT or PERC_ERR_FORMAT. Writing: 0 or PERC_ERR_SHORT. */
PERC_MUST int perc_wire_end(const struct perc_wire *w);
