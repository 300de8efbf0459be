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
#include "tests/tools/port.h"

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
	    "mdds = %s\nmax_conns_per_ip = 0\nrate_address = 0\n",
	    l->base, port, l->dir,
	    l->nmedia > 0 ? l->mdd_base : "https://localhost:1");
	return fclose(f) == 0 ? 0 : PERC_ERR_SYS;
}

int
load_kmf_init(struct load *l)
{
	char state[512];
	const char *const argv[] = { l->kmf, "init", state, "--url", l->base,
		NULL };
	unsigned port = port_take();
	int status = 0, r;

	if (l->dir[0] == '\0' && (r = load_dir_make(l)) != 0)
		return r;
	text_put(l->base, sizeof(l->base), "https://localhost:%u", port);
	text_put(state, sizeof(state), "%s/state", l->dir);
	text_put(l->ca, sizeof(l->ca), "%s/state/tls.crt", l->dir);
	text_put(
	    l->client, sizeof(l->client), "%s/state/admin-client.jwk", l->dir);
	if (waitpid(load_run(l, "kmf", argv), &status, 0) < 0 || status != 0)
		return PERC_ERR_SYS;
	return conf_write(l, port);
}

int
load_kmf_start(struct load *l)
{
	char conf[512];
	const char *const argv[] = { l->kmf, "serve", "-c", conf, NULL };

	text_put(conf, sizeof(conf), "%s/load.conf", l->dir);
	l->pid = load_run(l, "kmf", argv);
	return l->pid > 0 ? 0 : PERC_ERR_SYS;
}

int
load_kmf_serve(struct load *l)
{
	int r = load_kmf_start(l);

	return r == 0 ? load_listens(l->base, l->pid) : r;
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
	while (load_answers(l->base)) /* its children's sockets die after it */
		usleep(1000);
	l->pid = 0;
}

static double
rollup(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p != NULL ? atof(p + strlen(name)) * 1024 : 0;
}

/* What it adds to the memory in use: pages that several processes share are
 * each one's in part. Those of files apart: what is a process' part of a
 * library changes with each other program that comes or goes. */
static double
pss(pid_t pid, double *files)
{
	char path[64], text[4096];

	text_put(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	slurp(path, text, sizeof(text));
	*files += rollup(text, "\nPss_File:");
	return rollup(text, "\nPss:") - rollup(text, "\nPss_File:");
}

double
load_cpu_us(pid_t pid)
{
	char path[64], text[256];

	text_put(path, sizeof(path), "/proc/%d/schedstat", pid);
	return slurp(path, text, sizeof(text)) > 0 ? atof(text) / 1e3 : 0;
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
		us = load_cpu_us(pids[i]);
		u->all_us += us;
		rss = pss(pids[i], &u->files);
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
	load_kmf_kill(l);
	load_dir_remove(l);
}
