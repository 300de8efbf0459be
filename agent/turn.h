/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-turn: relays at TURN servers (RFC 8656) for the legs of perch-agent,
 * in a process that holds no key and no token, because the library that
 * speaks to the servers reads what strangers write. That library is libre,
 * which brings its own loop, so this program lives in it. Files:
 *
 *	turnmain.c   the ritual
 *	turnrelay.c  one relay of the front: servers in turn, datagrams
 *	turnlink.c   one allocation at one server, by UDP, TCP or TLS
 *	turntls.c    whom to believe
 *	turnlookup.c a server's name
 *	turnframe.c  messages on a stream
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As Debian's libre was built; its headers ask, and struct sa depends on it. */
#define HAVE_INET6 1
#define USE_OPENSSL 1
#include <re/re.h>

#include "agent/turnmsg.h"
#include "agent/turnurl.h"

struct turn_server {
	const char *url, *username;
	const char *password; /* in a struct perc_secret, NUL-terminated */
	struct turn_url at;
};

struct turn {
	struct turn_server server[TURN_SERVERS_MAX];
	size_t nservers;
	const char *ca_file; /* NULL: the system's trust anchors */
	int chan;
	struct list relays;
};
