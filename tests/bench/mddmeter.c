/* SPDX-License-Identifier: Apache-2.0 */
/* What the system knows: datagrams that sockets had no room for, and a
 * process's time on the processor. */
#include <dirent.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <sys/socket.h>

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

uint64_t
rig_cpu_ns(pid_t pid)
{
	unsigned long long ns, sum = 0;
	char path[300];
	struct dirent *e;
	DIR *d;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	need((d = opendir(path)) != NULL);
	while ((e = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat",
		    (int)pid, e->d_name);
		if (e->d_name[0] == '.' || (f = fopen(path, "r")) == NULL)
			continue;
		if (fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		(void)fclose(f);
	}
	(void)closedir(d);
	return sum;
}
