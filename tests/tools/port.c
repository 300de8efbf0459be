/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port that the kernel named is anybody's again once we close it, and the
 * daemon that is to have it comes a second later. So we choose below those
 * that the kernel gives away, and hold a name that lasts as long as we do:
 * tests/e2e/world.py asks for the same one.
 */
#include "tests/tools/port.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "perc/crypto.h"

#define FIRST 4096
#define END   10240 /* above stand the ranges of agents */
#define TRIES 1000

static bool
is_free(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes;

	a.sin_port = htons((uint16_t)port);
	yes = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (fd >= 0)
		(void)close(fd);
	return yes;
}

unsigned
port_take(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	unsigned i, port;
	int fd, n;

	for (i = 0; i < TRIES; i++) {
		port = FIRST + perc_random_u32() % (END - FIRST);
		n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1,
		    "perch-test-port-%u", port);
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return 0;
		if (bind(fd, (struct sockaddr *)&un,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			    (size_t)n)) == 0 &&
		    is_free(port))
			return port; /* the name stays */
		(void)close(fd);
	}
	return 0;
}
