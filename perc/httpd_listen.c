/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the listening socket. With SO_REUSEPORT a second server of the same
 * user would silently share our port and take every other client, so whoever
 * opens several opens one without it first: that fails while anybody else
 * listens there.
 */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/httpd.h"

/* "host:port" or "[v6]:port" into two strings. */
static int
listen_split(char *host, size_t cap, const char **portp, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t n;

	if (colon == NULL || colon == text || colon[1] == '\0')
		return PERC_ERR_FORMAT;
	n = (size_t)(colon - text);
	if (text[0] == '[') {
		if (text[n - 1] != ']')
			return PERC_ERR_FORMAT;
		text++;
		n -= 2;
	}
	if (n == 0 || n >= cap)
		return PERC_ERR_FORMAT;
	memcpy(host, text, n);
	host[n] = '\0';
	*portp = colon + 1;
	return 0;
}

static int
listen_open(int *fdp, const struct addrinfo *ai, bool reuseport)
{
	int one = 1, e, fd;

	fd = socket(
	    ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return PERC_ERR_SYS;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    (reuseport &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) !=
		    0) ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 ||
	    listen(fd, SOMAXCONN) != 0) {
		e = errno;
		close(fd);
		errno = e;
		return PERC_ERR_SYS;
	}
	*fdp = fd;
	return 0;
}

int
perc_httpd_listen(
    int *fdp, const char *text, bool reuseport, char *why, size_t whycap)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *ai = NULL;
	const char *port;
	char host[256];
	int r, g;

	if ((r = listen_split(host, sizeof(host), &port, text)) != 0) {
		snprintf(why, whycap, "%s: not host:port", text);
		return r;
	}
	if ((g = getaddrinfo(host, port, &hints, &ai)) != 0) {
		snprintf(why, whycap, "cannot listen on %s: %s", text,
		    gai_strerror(g));
		return PERC_ERR_NOTFOUND;
	}
	if ((r = listen_open(fdp, ai, reuseport)) != 0)
		snprintf(why, whycap, "cannot listen on %s: %s%s", text,
		    strerror(errno),
		    errno == EADDRINUSE ? " (is another server running there?)"
					: "");
	freeaddrinfo(ai);
	return r;
}
