/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * perch-kmf on a disk that fails when a test says so: the same program, linked
 * with the file layer of tests/db/faultvfs.c. At SIGUSR2 a process of it reads
 * the file that PERCH_TEST_FAULT names, "op code n stay"; when it is not there
 * the disk is well again. The name lies in the state directory, where the
 * keeper may read in its cage.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/db/faultvfs.h"

static void
on_fault(int signo)
{
	char text[64];
	struct faultvfs f = { 0 };
	unsigned op, stay;
	int fd = open(getenv("PERCH_TEST_FAULT"), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%u %d %u %u", &op, &f.code, &f.n, &stay) == 4 &&
	    op < FAULTVFS_OPS) {
		f.op = (enum faultvfs_op)op;
		f.stay = stay != 0;
		faultvfs_set(&f);
	} else
		faultvfs_set(NULL);
	if (fd >= 0)
		close(fd);
}

__attribute__((constructor)) static void
disk_make(void)
{
	struct sigaction act = { .sa_handler = on_fault,
		.sa_flags = SA_RESTART };

	if (getenv("PERCH_TEST_FAULT") == NULL)
		return;
	if (faultvfs_register() != 0 || sigaction(SIGUSR2, &act, NULL) != 0)
		abort();
}
