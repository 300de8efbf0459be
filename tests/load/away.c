/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where seats with bad lines are: a network namespace of their own, joined to
 * ours by a veth pair, with the relay at our end; they reach nothing else.
 * A namespace belongs to a socket from its making, so this one thread goes
 * over for just as long as it makes one. It needs root; without, those seats
 * use loopback and the relay all the same, and the report says so.
 */
#include "tests/load/load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/text.h"

static struct {
	int home, there; /* namespaces; -1: none */
	char here_if[16], there_if[16], here_ip[16], there_ip[16];
} away = { -1, -1, "", "", "127.0.0.1", "" };

const char *
load_away_address(void)
{
	return away.here_ip;
}

bool
load_away_is(void)
{
	return away.there >= 0;
}

/* "ip" with these words, there or here. */
static bool
ip(bool there, const char *a, const char *b, const char *c, const char *d,
    const char *e, const char *f, const char *g, const char *h, const char *i)
{
	const char *const argv[] = { "ip", a, b, c, d, e, f, g, h, i, NULL };
	int status = 1, null;
	pid_t pid = fork();

	if (pid == 0) {
		if (there && setns(away.there, CLONE_NEWNET) != 0)
			_exit(126);
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		(void)dup2(null, STDERR_FILENO);
		execvp("ip", (char *const *)argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool
link_make(void)
{
	char path[64], here[24], there[24];

	text_put(
	    path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), away.there);
	text_put(here, sizeof(here), "%s/30", away.here_ip);
	text_put(there, sizeof(there), "%s/30", away.there_ip);
	return ip(false, "link", "add", away.here_if, "type", "veth", "peer",
		   "name", away.there_if, NULL) &&
	    ip(false, "link", "set", away.there_if, "netns", path, NULL, NULL,
		NULL, NULL) &&
	    ip(false, "addr", "add", here, "dev", away.here_if, NULL, NULL,
		NULL, NULL) &&
	    ip(false, "link", "set", away.here_if, "up", NULL, NULL, NULL, NULL,
		NULL) &&
	    ip(true, "addr", "add", there, "dev", away.there_if, NULL, NULL,
		NULL, NULL) &&
	    ip(true, "link", "set", away.there_if, "up", NULL, NULL, NULL, NULL,
		NULL);
}

static int
away_fails(void)
{
	load_away_close();
	text_put(away.here_ip, sizeof(away.here_ip), "127.0.0.1");
	fprintf(stderr,
	    "perch-load: bad lines stay on loopback: a network namespace of "
	    "their own needs root and ip(8)\n");
	return 0;
}

int
load_away_open(void)
{
	unsigned n = (unsigned)getpid();

	away.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (away.home < 0 || unshare(CLONE_NEWNET) != 0)
		return away_fails();
	away.there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (setns(away.home, CLONE_NEWNET) != 0)
		return PERC_ERR_SYS;
	/* a range of its own for each process, of one /16 */
	text_put(away.here_if, sizeof(away.here_if), "pl%ua", n);
	text_put(away.there_if, sizeof(away.there_if), "pl%ub", n);
	text_put(away.here_ip, sizeof(away.here_ip), "10.213.%u.%u",
	    n >> 6 & 255, (n & 63) * 4 + 1);
	text_put(away.there_ip, sizeof(away.there_ip), "10.213.%u.%u",
	    n >> 6 & 255, (n & 63) * 4 + 2);
	return away.there >= 0 && link_make() ? 0 : away_fails();
}

void
load_away_close(void)
{
	if (away.there >= 0)
		(void)ip(false, "link", "del", away.here_if, NULL, NULL, NULL,
		    NULL, NULL, NULL);
	close(away.home);
	close(away.there);
	away.home = away.there = -1;
}

void
load_away_go(void)
{
	if (away.there >= 0 && setns(away.there, CLONE_NEWNET) != 0)
		exit(1); /* it would measure something else */
}

void
load_away_return(void)
{
	if (away.there >= 0 && setns(away.home, CLONE_NEWNET) != 0)
		exit(1);
}

int
load_away_socket(struct sockaddr *to, int type, void *arg)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	int fd;

	if (to->sa_family != AF_INET)
		return -1;
	in->sin_port = htons(load_relay_port(arg, ntohs(in->sin_port)));
	(void)inet_pton(AF_INET, away.here_ip, &in->sin_addr);
	load_away_go();
	fd = socket(AF_INET, type, 0);
	load_away_return();
	return fd;
}
