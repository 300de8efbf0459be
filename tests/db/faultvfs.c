/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every file of ours stands before one of the system's, in the same piece of
 * memory. Locks that are given back never fail: SQLite does not look, and a
 * lock that stayed would be the test's fault, not the disk's.
 */
#include "tests/db/faultvfs.h"

#include <sqlite3.h>
#include <stddef.h>
#include <string.h>

struct file {
	sqlite3_file base;
	sqlite3_file *under;
};

static struct faultvfs fault;
static unsigned calls, hits;
static sqlite3_vfs *under;

void
faultvfs_set(const struct faultvfs *f)
{
	static const struct faultvfs none;

	fault = f != NULL ? *f : none;
	calls = hits = 0;
}

unsigned
faultvfs_hits(void)
{
	return hits;
}

static bool
fails(enum faultvfs_op op)
{
	if (fault.n == 0 || fault.op != op)
		return false;
	calls++;
	if (calls != fault.n && !(fault.stay && calls > fault.n))
		return false;
	hits++;
	return true;
}

static sqlite3_file *
file(sqlite3_file *f)
{
	return ((struct file *)f)->under;
}

#define CALL(f, m, ...) file(f)->pMethods->m(file(f), __VA_ARGS__)

static int
file_close(sqlite3_file *f)
{
	return file(f)->pMethods->xClose(file(f));
}

static int
file_read(sqlite3_file *f, void *buf, int n, sqlite3_int64 at)
{
	int rc;

	if (!fails(FAULTVFS_READ))
		return CALL(f, xRead, buf, n, at);
	if (fault.code != SQLITE_IOERR_SHORT_READ)
		return fault.code;
	if ((rc = CALL(f, xRead, buf, n, at)) == SQLITE_OK) {
		memset((char *)buf + n / 2, 0, (size_t)(n - n / 2));
		rc = SQLITE_IOERR_SHORT_READ;
	}
	return rc;
}

static int
file_write(sqlite3_file *f, const void *buf, int n, sqlite3_int64 at)
{
	if (!fails(FAULTVFS_WRITE))
		return CALL(f, xWrite, buf, n, at);
	(void)CALL(f, xWrite, buf, n / 2, at);
	return fault.code;
}

static int
file_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return fails(FAULTVFS_TRUNCATE) ? fault.code : CALL(f, xTruncate, n);
}

/* No flush of ours is for power cuts: the files' readers are on this machine,
 * and thousands of real ones would take minutes. */
static int
file_sync(sqlite3_file *f, int flags)
{
	return fails(FAULTVFS_SYNC) ? fault.code : SQLITE_OK;
}

static int
file_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return fails(FAULTVFS_SIZE) ? fault.code : CALL(f, xFileSize, n);
}

static int
file_lock(sqlite3_file *f, int level)
{
	return fails(FAULTVFS_LOCK) ? fault.code : CALL(f, xLock, level);
}

static int
file_unlock(sqlite3_file *f, int level)
{
	return CALL(f, xUnlock, level);
}

static int
file_reserved(sqlite3_file *f, int *out)
{
	return CALL(f, xCheckReservedLock, out);
}

static int
file_control(sqlite3_file *f, int op, void *arg)
{
	return CALL(f, xFileControl, op, arg);
}

static int
file_sector(sqlite3_file *f)
{
	return file(f)->pMethods->xSectorSize(file(f));
}

static int
file_device(sqlite3_file *f)
{
	return file(f)->pMethods->xDeviceCharacteristics(file(f));
}

static int
shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
	if (fails(FAULTVFS_SHM_MAP))
		return fault.code;
	return CALL(f, xShmMap, page, size, extend, p);
}

static int
shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	if ((flags & SQLITE_SHM_LOCK) != 0 && fails(FAULTVFS_SHM_LOCK))
		return fault.code;
	return CALL(f, xShmLock, at, n, flags);
}

static void
shm_barrier(sqlite3_file *f)
{
	file(f)->pMethods->xShmBarrier(file(f));
}

static int
shm_unmap(sqlite3_file *f, int del)
{
	return CALL(f, xShmUnmap, del);
}

/* Version 2: no memory-mapped pages, so that every read is seen. */
static const sqlite3_io_methods methods = { .iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_device,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap };

static int
vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct file *mine = (struct file *)f;
	int rc;

	mine->base.pMethods = NULL; /* then nobody closes it */
	mine->under = (sqlite3_file *)(mine + 1);
	if (fails(FAULTVFS_OPEN))
		return fault.code;
	if ((rc = under->xOpen(under, name, mine->under, flags, out)) == 0)
		mine->base.pMethods = &methods;
	else if (mine->under->pMethods != NULL)
		(void)mine->under->pMethods->xClose(mine->under);
	return rc;
}

int
faultvfs_register(void)
{
	static sqlite3_vfs mine;

	if ((under = sqlite3_vfs_find(NULL)) == NULL)
		return SQLITE_ERROR;
	mine = *under; /* what knows no file is the system's own */
	mine.zName = "perch-fault";
	mine.szOsFile += (int)sizeof(struct file);
	mine.pNext = NULL;
	mine.xOpen = vfs_open;
	return sqlite3_vfs_register(&mine, 1);
}
