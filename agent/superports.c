/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports of plain RTP: opened by the supervisor, who reads nothing, and
 * handed to the vault, who opens nothing.
 */
#include "agent/super.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/log.h"

#define FREE_TRIES 200 /* for an even port with a free one above */
/* What comes while the vault does not run must wait: 20 ms of 50,000 packets a
 * second, each of which the kernel counts as 2,304 octets. */
#define ROOM (2 << 20)

static int
udp_bound(unsigned port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int room = ROOM; /* net.core.rmem_max bounds it */

	if (fd >= 0)
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (fd >= 0 && bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static unsigned
port_of(int fd)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);

	return getsockname(fd, (struct sockaddr *)&sin, &len) == 0
	    ? ntohs(sin.sin_port)
	    : 0;
}

/* RTP on an even port, RTCP above it (RFC 3550 section 11). */
static bool
pair_bound(int pair[2], unsigned port)
{
	unsigned rtp;

	for (int i = 0; i < (port != 0 ? 1 : FREE_TRIES); i++) {
		if ((pair[0] = udp_bound(port)) < 0)
			continue;
		rtp = port_of(pair[0]);
		if (rtp % 2 == 0 && (pair[1] = udp_bound(rtp + 1)) >= 0)
			return true;
		close(pair[0]);
	}
	pair[0] = pair[1] = -1;
	return false;
}

/* Over it the vault asks whose a local socket is. A kernel without it: any
 * socket will do, for then the question has no answer either. */
static int
diag_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    NETLINK_SOCK_DIAG);

	return fd >= 0 ? fd : udp_bound(0);
}

void
super_sockets_close(int fds[static SUPER_LOCAL_FDS])
{
	for (int i = 0; i < SUPER_LOCAL_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

int
super_sockets_open(
    int fds[static SUPER_LOCAL_FDS], unsigned base, char *why, size_t whycap)
{
	int out = SUPER_LOCAL_FDS - 2, diag = SUPER_LOCAL_FDS - 1;

	for (int i = 0; i < SUPER_LOCAL_FDS; i++)
		fds[i] = -1;
	for (int i = 0; i < out; i += 2) {
		/* Layers come on top: a configured range stays as it was. */
		if (i >= VAULT_SLOTS * VAULT_BASE_STREAMS * 2)
			base = 0;
		if (!pair_bound(fds + i, base != 0 ? base + (unsigned)i : 0)) {
			text_put(why, whycap,
			    "cannot take UDP ports %u and %u on loopback: %s",
			    base + (unsigned)i, base + (unsigned)i + 1,
			    strerror(errno));
			super_sockets_close(fds);
			return PERC_ERR_SYS;
		}
	}
	/* Bound too: the kernel then lets nothing of it leave the machine. */
	if ((fds[out] = udp_bound(0)) >= 0 && (fds[diag] = diag_socket()) >= 0)
		return 0;
	text_put(why, whycap, "cannot take a UDP port on loopback: %s",
	    strerror(errno));
	super_sockets_close(fds);
	return PERC_ERR_SYS;
}

/*
 * Remote streams go to fixed ports, and whoever binds one hears what comes:
 * two agents of one machine must not share a range. A name in the abstract
 * namespace, held as long as we live, says that a range is taken; it binds
 * agents of all users and leaves nothing behind.
 */
static bool
range_claim(unsigned base)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n;

	if (fd < 0)
		return false;
	n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1,
	    "perch-agent/out/%u", base);
	if (bind(fd, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
		    (size_t)n)) == 0)
		return true; /* fd stays open: it is the claim */
	close(fd);
	return false;
}

int
super_range_find(unsigned *base)
{
	for (unsigned i = 0; i < VAULT_OUT_RANGES; i++) {
		*base = VAULT_OUT_BASE + i * VAULT_OUT_PORTS;
		if (range_claim(*base))
			return 0;
	}
	log_warnx(
	    "no range of ports left for remote streams, %d agents run "
	    "here: name one as local_out_base in the vault's configuration",
	    VAULT_OUT_RANGES);
	return PERC_ERR_LIMIT;
}
