/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that fails when a test says so: SQLite's own file layer for this
 * system, under a default one that lets the n-th call of one kind fail. One
 * thread; state is the process's, as SQLite's list of file layers is.
 */
#pragma once

#include <stdbool.h>

enum faultvfs_op {
	FAULTVFS_READ,
	FAULTVFS_WRITE,
	FAULTVFS_SYNC,
	FAULTVFS_TRUNCATE,
	FAULTVFS_SIZE,
	FAULTVFS_LOCK,
	FAULTVFS_SHM_MAP,
	FAULTVFS_SHM_LOCK,
	FAULTVFS_OPEN,
	FAULTVFS_OPS
};

struct faultvfs {
	enum faultvfs_op op;
	int code;   /* what SQLite hears: SQLITE_IOERR_..., SQLITE_FULL */
	unsigned n; /* the first call that fails, from 1; 0: none does */
	bool stay;  /* all later ones do too */
};

/* The default of all databases opened from now on; 0 or SQLite's error. */
int faultvfs_register(void);
/* From the next call on; NULL: the disk is well again. */
void faultvfs_set(const struct faultvfs *f);
/* How many failed since. A write that fails has written half, and a read
 * that comes short (SQLITE_IOERR_SHORT_READ) has read half, zeros behind. */
unsigned faultvfs_hits(void);
