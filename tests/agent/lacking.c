/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-vault-lacking: perch-vault on a machine that lacks what PERCH_LACK
 * names, whatever this one has. Kernels lack a system call by ENOSYS; memory
 * cannot be locked by who has no limit left and no right to pass it.
 */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static int
memory_limit(void)
{
	struct rlimit none = { 0, 0 };

	if (prctl(PR_CAPBSET_READ, CAP_IPC_LOCK, 0, 0, 0) == 1 &&
	    geteuid() == 0 &&
	    prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) != 0)
		return -1;
	return setrlimit(RLIMIT_MEMLOCK, &none);
}

static int
lack_add(scmp_filter_ctx ctx, const char *lack)
{
	static const struct {
		const char *name;
		int nr;
	} calls[] = {
		{ "secret", SYS_memfd_secret },
		{ "landlock", SYS_landlock_create_ruleset },
		{ "seccomp", SYS_seccomp },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strstr(lack, calls[i].name) != NULL &&
		    seccomp_rule_add(
			ctx, SCMP_ACT_ERRNO(ENOSYS), calls[i].nr, 0) != 0)
			return -1;
	return strstr(lack, "lock limit") != NULL ? memory_limit() : 0;
}

int
main(int argc, char *argv[])
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	const char *lack = getenv("PERCH_LACK");
	char path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

	(void)argc;
	if (ctx == NULL || lack == NULL || n <= 0 || lack_add(ctx, lack) != 0 ||
	    seccomp_load(ctx) != 0)
		return 100;
	path[n] = '\0';
	strcpy(strrchr(path, '/'), "/../../perch-vault");
	execv(path, argv);
	return 101;
}
