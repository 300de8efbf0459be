/* SPDX-License-Identifier: Apache-2.0 */
/* URIs of TURN servers (RFC 7065). */
#pragma once

#include <stdint.h>

#include "perc/err.h"

#define TURN_HOST_MAX 254

enum turn_transport { TURN_UDP, TURN_TCP, TURN_TLS };

struct turn_url {
	enum turn_transport transport;
	char host[TURN_HOST_MAX]; /* name or literal address, no brackets */
	uint16_t port;
};

/* "turn:HOST[:PORT][?transport=udp|tcp]" or "turns:HOST[:PORT]
 * [?transport=tcp]". PERC_ERR_FORMAT; _UNSUPPORTED: turns over udp (DTLS) or
 * a transport that nobody knows. */
PERC_MUST int turn_url_parse(struct turn_url *u, const char *text);
