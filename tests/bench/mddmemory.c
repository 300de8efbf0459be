/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a leg and a conference take of a real worker's memory: its resident
 * pages before anybody joined, with members that have all heard each other,
 * and with the same number of them in many conferences. Beside it stands the
 * bound that "perch-mdd check-config" tells for the same limits.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/mddrig.h"

#define MANY	 100
#define SETTLE_S 3 /* handshakes linger, and give back */

static unsigned
rss_kib(pid_t pid)
{
	char path[64], line[128];
	unsigned kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	need((f = fopen(path, "r")) != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %u", &kib) == 1)
			break;
	(void)fclose(f);
	return kib;
}

/* Members, each of which says something to all. */
static unsigned
resident(struct rig *r, unsigned members, unsigned conferences)
{
	struct rig_load l = { .burst = 1, .seconds = 1 };
	struct rig_result out;
	unsigned kib;

	rig_open(r, &sut_perch, members, members, 160);
	r->conferences = conferences;
	need(rig_start(r));
	(void)sleep(SETTLE_S);
	if (members > 2) {
		/* 20 packets of each member */
		l.rate = 20 * members * (members - 1);
		rig_run(r, &l, &out);
		(void)sleep(1);
	}
	kib = rss_kib(r->pid);
	rig_close(r);
	return kib;
}

static void
bound_print(const char *mdd, const char *dir)
{
	char cmd[256];

	(void)snprintf(
	    cmd, sizeof(cmd), "'%s' check-config -c '%s/mdd.conf'", mdd, dir);
	(void)fflush(stdout);
	need(system(cmd) == 0);
}

void
memory_bench(struct rig *r)
{
	unsigned two, twenty, one, fifty;

	two = resident(r, 2, 1);
	twenty = resident(r, 20, 1);
	one = resident(r, MANY, 1);
	fifty = resident(r, MANY, MANY / 2);
	printf("Resident memory of a worker, KiB:\n\n"
	       "| legs | conferences | resident | for each further leg |\n"
	       "|---:|---:|---:|---:|\n"
	       "| 2 | 1 | %u | |\n| 20 | 1 | %u | %.0f |\n"
	       "| %d | 1 | %u | %.0f |\n| %d | %d | %u | %.0f |\n\n",
	    two, twenty, ((double)twenty - two) / 18, MANY, one,
	    ((double)one - two) / (MANY - 2), MANY, MANY / 2, fifty,
	    ((double)fifty - two) / (MANY - 2));
	bound_print(r->mdd, r->dir);
}
