/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A perch-kmf of our own in a temporary directory, and what its processes
 * cost: time on a processor from schedstat, whose unit is the nanosecond,
 * because ten rekeys are less than one tick of utime.
 */
#include "tests/load/load.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/text.h"

#define START_MS 20000

/* argv[0] is run; its words go to DIR/kmf.log. */
static pid_t
run(struct load *l, const char *const argv[])
{
	char log[512];
	pid_t pid = fork();
	int fd;

	if (pid != 0)
		return pid;
	text_put(log, sizeof(log), "%s/kmf.log", l->dir);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd >= 0) {
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
	}
	execv(argv[0], (char *const *)argv);
	_exit(127);
}

static unsigned
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned port = 0;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 &&
	    getsockname(fd, (struct sockaddr *)&a, &n) == 0)
		port = ntohs(a.sin_port);
	if (fd >= 0)
		close(fd);
	return port;
}

static int
conf_write(struct load *l, unsigned port)
{
	char path[512];
	FILE *f;

	text_put(path, sizeof(path), "%s/load.conf", l->dir);
	if ((f = fopen(path, "we")) == NULL)
		return PERC_ERR_SYS;
	fprintf(f,
	    "base_url = %s\nlisten = 127.0.0.1:%u\nstate_dir = %s/state\n"
	    "mdds = https://localhost:1\nmax_conns_per_ip = 0\n"
	    "rate_address = 0\n",
	    l->base, port, l->dir);
	return fclose(f) == 0 ? 0 : PERC_ERR_SYS;
}

int
load_kmf_init(struct load *l)
{
	char state[512];
	const char *const argv[] = { l->kmf, "init", state, "--url", l->base,
		NULL };
	unsigned port = free_port();
	int status = 0;

	text_put(l->dir, sizeof(l->dir), "%s/perch-load.XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(l->dir) == NULL)
		return PERC_ERR_SYS;
	text_put(l->base, sizeof(l->base), "https://localhost:%u", port);
	text_put(state, sizeof(state), "%s/state", l->dir);
	text_put(l->ca, sizeof(l->ca), "%s/state/tls.crt", l->dir);
	text_put(
	    l->client, sizeof(l->client), "%s/state/admin-client.jwk", l->dir);
	if (waitpid(run(l, argv), &status, 0) < 0 || status != 0)
		return PERC_ERR_SYS;
	return conf_write(l, port);
}

static bool
listens(const char *base)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)atoi(strrchr(base, ':') + 1));
	yes = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (fd >= 0)
		close(fd);
	return yes;
}

int
load_kmf_serve(struct load *l)
{
	char conf[512];
	const char *const argv[] = { l->kmf, "serve", "-c", conf, NULL };
	int64_t until = perc_now_ms() + START_MS;

	text_put(conf, sizeof(conf), "%s/load.conf", l->dir);
	if ((l->pid = run(l, argv)) < 0)
		return PERC_ERR_SYS;
	while (!listens(l->base)) {
		if (perc_now_ms() > until ||
		    waitpid(l->pid, NULL, WNOHANG) != 0)
			return PERC_ERR_TIMEOUT;
		usleep(20000);
	}
	return 0;
}

static size_t
slurp(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* The supervisor and its children. */
static unsigned
pids_get(const struct load *l, pid_t pids[static LOAD_PIDS_MAX])
{
	char path[64], stat[512], *p;
	struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir("/proc");
	int parent;

	while (d != NULL && (e = readdir(d)) != NULL && n < LOAD_PIDS_MAX) {
		if (atoi(e->d_name) <= 0)
			continue;
		text_put(path, sizeof(path), "/proc/%d/stat", atoi(e->d_name));
		if (slurp(path, stat, sizeof(stat)) == 0 ||
		    (p = strrchr(stat, ')')) == NULL ||
		    sscanf(p + 1, " %*c %d", &parent) != 1)
			continue;
		if (parent == l->pid || atoi(e->d_name) == l->pid)
			pids[n++] = atoi(e->d_name);
	}
	if (d != NULL)
		closedir(d);
	return n;
}

void
load_kmf_kill(struct load *l)
{
	pid_t pids[LOAD_PIDS_MAX];
	unsigned i, n;

	if (l->pid <= 0)
		return;
	n = pids_get(l, pids);
	for (i = 0; i < n; i++)
		(void)kill(pids[i], SIGKILL);
	(void)waitpid(l->pid, NULL, 0);
	while (listens(l->base)) /* its children's sockets die after it */
		usleep(1000);
	l->pid = 0;
}

/* What it adds to the memory in use: pages that several processes share are
 * each one's in part. */
static double
pss(pid_t pid)
{
	char path[64], text[4096], *p;
	long kib;

	text_put(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if (slurp(path, text, sizeof(text)) == 0 ||
	    (p = strstr(text, "\nPss:")) == NULL ||
	    sscanf(p, "\nPss: %ld", &kib) != 1)
		return 0;
	return (double)kib * 1024;
}

void
load_kmf_usage(struct load *l, struct load_usage *u)
{
	char path[64], text[4096];
	pid_t pids[LOAD_PIDS_MAX];
	unsigned i, n;
	size_t len;
	double us, rss;

	memset(u, 0, sizeof(*u));
	u->at_us = load_us();
	n = l->pid > 0 ? pids_get(l, pids) : 0;
	for (i = 0; i < n; i++) {
		text_put(path, sizeof(path), "/proc/%d/schedstat", pids[i]);
		us = slurp(path, text, sizeof(text)) > 0 ? atof(text) / 1e3 : 0;
		u->all_us += us;
		rss = pss(pids[i]);
		u->rss += rss;
		text_put(path, sizeof(path), "/proc/%d/cmdline", pids[i]);
		len = slurp(path, text, sizeof(text));
		if (memmem(text, len, "role\0keeper", 11) != NULL) {
			u->keeper_us += us;
			u->keeper_rss += rss;
		} else if (memmem(text, len, "role\0front", 10) != NULL) {
			u->front_us += us;
			u->front_rss += rss;
		}
	}
}

void
load_kmf_remove(struct load *l)
{
	const char *const argv[] = { "/bin/rm", "-rf", l->dir, NULL };

	load_kmf_kill(l);
	if (l->own && l->dir[0] != '\0')
		(void)waitpid(run(l, argv), NULL, 0);
}
