/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perc-packet: the protocol core behind a line protocol, so that any
 * independent implementation or vector file can be held against it. One JSON
 * object a line in, one out. It takes raw keys and is never installed.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PACKET_MAX  65535 /* octets of one packet */
#define PACKET_ROOM 256	  /* octets that it may grow by */
#define PACKET_LINE (32u << 20)

struct bytes {
	size_t n;
	uint8_t p[PACKET_MAX + PACKET_ROOM];
};

/* A request and its answer. The first wrong member sticks in bad; getters
 * give zeros from then on. */
struct req {
	const json_t *in;
	json_t *out; /* an object with ok: true */
	bool bad;
};

bool req_has(const struct req *q, const char *name);
/* A string of hex, min to max octets. */
void req_bytes(struct req *q, const char *name, struct bytes *b, size_t min,
    size_t max);
/* The same with one of two lengths: keys. */
void req_key(struct req *q, const char *name, struct bytes *b, size_t n1,
    size_t n2);
/* A number from min to max. */
int64_t req_int(struct req *q, const char *name, int64_t min, int64_t max);
int64_t req_int_or(struct req *q, const char *name, int64_t min, int64_t max,
    int64_t def);
/* true, false, 1 or 0. */
bool req_bool_or(struct req *q, const char *name, bool def);
/* An array of at most max elements; NULL (and bad) otherwise. */
const json_t *req_array(struct req *q, const char *name, size_t max);
/* Hex in an array or another object. */
bool hex_get(const json_t *text, struct bytes *b, size_t min, size_t max);

json_t *hex_json(const uint8_t *p, size_t n);
void ans_bytes(struct req *q, const char *name, const uint8_t *p, size_t n);
void ans_int(struct req *q, const char *name, int64_t v);
void ans_json(struct req *q, const char *name, json_t *v); /* steals v */
/* The short word for a perc_err. */
const char *err_word(int err);

typedef int (*op_fn)(struct req *q);

int op_kdf(struct req *q);
int op_srtp_protect(struct req *q);
int op_srtp_unprotect(struct req *q);
int op_srtcp_protect(struct req *q);
int op_srtcp_unprotect(struct req *q);
int op_double_protect(struct req *q);
int op_double_unprotect(struct req *q);
int op_md_rewrite(struct req *q);
int op_receive_sequence(struct req *q);
int op_ekt_full(struct req *q);
int op_ekt_process(struct req *q);
int op_ekt_key_parse(struct req *q);
int op_dtls_split(struct req *q);
int op_encryption_key_parse(struct req *q);

/* Answer one line (without its newline). The caller free()s; NULL only when
 * memory is out. */
char *packet_line(const char *line, size_t n);
