/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service manager gives a service besides its environment: sockets
 * that are open already (sd_listen_fds(3)), secrets in a directory of their
 * own (systemd.exec(5), LoadCredential), a watchdog. Without libsystemd: it
 * is three variables. perc_proc_notify() speaks the other way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_SYSTEMD_SOCKETS_MAX 16

struct perc_systemd_socket {
	int fd; /* listening stream socket, non-blocking, close-on-exec */
	char name[64]; /* FileDescriptorName; "" none */
};

/* Were sockets given to this very process? */
bool perc_systemd_activated(void);
/* Take them; *np 0 when there are none. They are the caller's to close.
 * PERC_ERR_FORMAT: one is no listening stream socket, or there are too many;
 * why tells. */
PERC_MUST int perc_systemd_sockets(
    struct perc_systemd_socket out[PERC_SYSTEMD_SOCKETS_MAX], size_t *np,
    char *why, size_t cap);

/* Is path a file of the credentials' directory? */
bool perc_systemd_is_credential(const char *path);

/* Milliseconds within which the watchdog wants to hear of us; 0: none. */
int64_t perc_systemd_watchdog_ms(void);
