/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the system knows: datagrams that sockets had no room for, and a
 * process's time on the processor; and which processor that is. Threads have
 * an affinity each, those of before keep theirs: rtpengine's worker would stay
 * with the generator, where it began.
 */
#include <dirent.h>
#include <linux/sock_diag.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/mddrig.h"

uint64_t
rig_drops(struct rig *r)
{
	uint32_t info[SK_MEMINFO_VARS];
	uint64_t sum = 0;
	socklen_t len;
	unsigned i;

	for (i = 0; i < r->n; i++) {
		len = sizeof(info);
		need(getsockopt(
			 r->m[i].fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0);
		sum += info[SK_MEMINFO_DROPS] - r->m[i].drops;
		r->m[i].drops = info[SK_MEMINFO_DROPS];
	}
	return sum;
}

/* Each thread of pid. */
static void
each_thread(pid_t pid, void (*fn)(pid_t tid, void *arg), void *arg)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	need((d = opendir(path)) != NULL);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			fn((pid_t)atoi(e->d_name), arg);
	(void)closedir(d);
}

struct sums {
	uint64_t ran, waited;
};

static void
thread_cpu(pid_t tid, void *arg)
{
	unsigned long long ran, waited;
	struct sums *s = arg;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)tid);
	if ((f = fopen(path, "r")) == NULL)
		return; /* it ended */
	if (fscanf(f, "%llu %llu", &ran, &waited) == 2) {
		s->ran += ran;
		s->waited += waited;
	}
	(void)fclose(f);
}

uint64_t
rig_cpu_ns(pid_t pid, uint64_t *waited)
{
	struct sums s = { 0, 0 };

	each_thread(pid, thread_cpu, &s);
	if (waited != NULL)
		*waited = s.waited;
	return s.ran;
}

static void
thread_first(pid_t tid, void *arg)
{
	const struct sched_param p = {
		.sched_priority = *(bool *)arg ? 1 : 0,
	};

	(void)sched_setscheduler(
	    tid, *(bool *)arg ? SCHED_FIFO : SCHED_OTHER, &p);
}

void
rig_first(pid_t pid, bool on)
{
	each_thread(pid != 0 ? pid : getpid(), thread_first, &on);
}

static void
thread_pin(pid_t tid, void *arg)
{
	(void)sched_setaffinity(tid, sizeof(cpu_set_t), arg);
}

void
rig_pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	each_thread(pid != 0 ? pid : getpid(), thread_pin, &set);
}
