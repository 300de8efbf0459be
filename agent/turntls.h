/* SPDX-License-Identifier: Apache-2.0 */
/* TLS below libre's TURN client, with a server that is who it should be. */
#pragma once

#include "agent/turn.h"

struct turn_tls; /* libre's memory: mem_deref */

/* On a connection that is being made; host is the URI's. ca_file NULL: the
 * system's trust anchors. NULL: it cannot start. */
struct turn_tls *turn_tls_start(
    struct tcp_conn *tcp, const char *host, const char *ca_file);
/* Why the certificate was refused; NULL: it was not. */
const char *turn_tls_why(const struct turn_tls *t);
