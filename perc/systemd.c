/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LISTEN_PID and WATCHDOG_PID say whom the variables are for: they are passed
 * on through exec, and a child must not take its parent's sockets for its
 * own. systemd leaves the sockets blocking, and several processes of ours
 * accept from one: whoever comes second would sleep there.
 */
#include "perc/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

static long long
number(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	long long v;

	if (text == NULL || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	v = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0' ? v : -1;
}

bool
perc_systemd_activated(void)
{
	return number("LISTEN_PID") == getpid() && number("LISTEN_FDS") > 0;
}

static bool
is_listening_stream(int fd)
{
	socklen_t n = sizeof(int);
	int type = 0, listens = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0)
		return false;
	n = sizeof(int);
	return type == SOCK_STREAM &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 &&
	    listens != 0;
}

static int
fd_prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
		fcntl(fd, F_SETFD, FD_CLOEXEC) != 0
	    ? PERC_ERR_SYS
	    : 0;
}

/* The next of LISTEN_FDNAMES, which are parted by colons. */
static const char *
name_next(char out[64], const char *names)
{
	size_t n = names == NULL ? 0 : strcspn(names, ":");

	snprintf(out, 64, "%.*s", (int)n, names == NULL ? "" : names);
	return names == NULL || names[n] == '\0' ? NULL : names + n + 1;
}

int
perc_systemd_sockets(struct perc_systemd_socket out[PERC_SYSTEMD_SOCKETS_MAX],
    size_t *np, char *why, size_t cap)
{
	const char *names = getenv("LISTEN_FDNAMES");
	long long i, n = number("LISTEN_FDS");
	int r;

	*np = 0;
	if (!perc_systemd_activated())
		return 0;
	if (n > PERC_SYSTEMD_SOCKETS_MAX) {
		snprintf(why, cap, "more than %d sockets were passed",
		    PERC_SYSTEMD_SOCKETS_MAX);
		return PERC_ERR_FORMAT;
	}
	for (i = 0; i < n; i++) {
		out[i].fd = FIRST_FD + (int)i;
		names = name_next(out[i].name, names);
		if (!is_listening_stream(out[i].fd)) {
			snprintf(why, cap,
			    "descriptor %d as passed is no listening stream "
			    "socket; use ListenStream= and Accept=no",
			    out[i].fd);
			return PERC_ERR_FORMAT;
		}
		if ((r = fd_prepare(out[i].fd)) != 0) {
			snprintf(why, cap, "descriptor %d as passed: %s",
			    out[i].fd, strerror(errno));
			return r;
		}
	}
	*np = (size_t)n;
	return 0;
}

bool
perc_systemd_is_credential(const char *path)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t n = dir == NULL ? 0 : strlen(dir);

	return n > 1 && strncmp(path, dir, n) == 0 && path[n] == '/' &&
	    strchr(path + n + 1, '/') == NULL;
}

int64_t
perc_systemd_watchdog_ms(void)
{
	long long usec = number("WATCHDOG_USEC"), pid = number("WATCHDOG_PID");

	if (usec < 1000 || (pid != -1 && pid != getpid()))
		return 0;
	return usec / 1000;
}
