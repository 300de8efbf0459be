/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unitcage PROGRAM ARG...: run a program as its systemd unit would, as far as
 * that can be had without systemd: the system calls named on standard input
 * (one a line) are allowed and no other, there is no new privilege, no
 * capability, no writable memory that becomes executable, no core.
 */
#include "config.h"

#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE		 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

static int
filter_read(scmp_filter_ctx ctx, FILE *f)
{
	char name[64];
	int n = 0, nr;

	while (fgets(name, sizeof(name), f) != NULL) {
		name[strcspn(name, "\n")] = '\0';
		nr = seccomp_syscall_resolve_name(name);
		if (nr == __NR_SCMP_ERROR)
			continue; /* of another architecture, or newer */
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0) != 0)
			return -1;
		n++;
	}
	return n;
}

int
main(int argc, char *argv[])
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(1));
	struct rlimit none = { 0, 0 };
	int cap, n;

	if (argc < 2 || ctx == NULL || (n = filter_read(ctx, stdin)) < 50)
		return 100;
	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (geteuid() == 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			return 101;
	if (setrlimit(RLIMIT_CORE, &none) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return 102;
	/* Since Linux 6.3; older ones have no such thing to test with. */
	(void)prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
	if (seccomp_load(ctx) != 0)
		return 103;
	execv(argv[1], argv + 1);
	return 104;
}
