/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STUN Binding for ICE (RFC 8489, RFC 8445): what an ICE-lite distributor
 * answers and what a controlling agent asks. Bytes in, bytes out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "perc/err.h"

#define PERC_STUN_MAX 548  /* octets that we read or write */
#define PERC_ICE_UFRAG 8   /* characters we make (48 bits) */
#define PERC_ICE_PWD 24	   /* characters we make (144 bits) */

struct perc_stun { /* one parsed message; pointers into the datagram */
	uint16_t type; /* 0x0001 request, 0x0011 indication, 0x0101, 0x0111 */
	uint8_t txid[12];
	const char *username; /* not NUL-terminated */
	size_t username_len;
	bool has_integrity, has_fingerprint, use_candidate, controlling,
	    controlled;
	uint32_t priority;
	uint64_t tie_breaker;
	size_t integrity_at;	  /* offset of MESSAGE-INTEGRITY */
	size_t integrity256_at, integrity256_len; /* -SHA256; length 0: none */
	uint16_t error_code;	  /* of a 0x0111 */
	struct sockaddr_storage mapped; /* of a 0x0101; family 0: none */
	uint16_t unknown[8];	  /* comprehension-required, not known */
	unsigned unknown_n;
	const uint8_t *msg;
	size_t len;
};

/* Checks length, cookie, attribute bounds, FINGERPRINT. PERC_ERR_FORMAT. */
PERC_MUST int perc_stun_parse(struct perc_stun *m, const uint8_t *p, size_t n);
/* MESSAGE-INTEGRITY with pwd, or its SHA256 form where there is one;
 * PERC_ERR_AUTH. Answers have the form of their request. */
PERC_MUST int perc_stun_verify(const struct perc_stun *m, const char *pwd);
/* Writers: out has PERC_STUN_MAX room. */
PERC_MUST int perc_stun_request(uint8_t *out, size_t *n,
    const uint8_t txid[static 12], const char *username, const char *pwd,
    uint32_t priority, bool use_candidate, uint64_t tie_breaker);
/* The controlled agent's, which nominates nothing. */
PERC_MUST int perc_stun_check(uint8_t *out, size_t *n,
    const uint8_t txid[static 12], const char *username, const char *pwd,
    uint32_t priority, uint64_t tie_breaker);
PERC_MUST int perc_stun_success(uint8_t *out, size_t *n,
    const struct perc_stun *request, const char *pwd,
    const struct sockaddr *from);
/* pwd NULL: without integrity (400, 401). 420 lists request->unknown. */
PERC_MUST int perc_stun_error(uint8_t *out, size_t *n,
    const struct perc_stun *request, const char *pwd, unsigned code);
/* Fresh credentials, NUL-terminated. */
void perc_ice_credentials(char ufrag[static PERC_ICE_UFRAG + 1],
    char pwd[static PERC_ICE_PWD + 1]);
