/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memfd_secret pages belong to no other address space, the kernel's own map
 * included: neither ptrace, /proc/PID/mem nor a core file shows them, root's
 * or not. They are MAP_SHARED, so MADV_DONTFORK keeps them out of a child
 * between fork and exec. When the arena is full an allocation fails; it never
 * falls back to the ordinary heap, where a key would silently become
 * readable. Blocks older than the arena stay known by their address.
 */
#include "perc/secret.h"

#include "config.h"
#include "perc/arena.h"
#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/secmem.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	struct perc_arena *arena;
	enum perc_secmem_level level;
	bool full_told, tolerated;
	pthread_mutex_t lock; /* a library may bring a thread */
} mem = { .lock = PTHREAD_MUTEX_INITIALIZER };

void
perc_wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}

/* --- ordinary heap, wiped ---------------------------------------------- */

static void
heap_free(void *p)
{
	if (p == NULL)
		return;
	perc_wipe(p, malloc_usable_size(p));
	free(p);
}

/* --- the arena ---------------------------------------------------------- */

static bool
in_arena(const void *p)
{
	return mem.arena != NULL && perc_arena_owns(mem.arena, p);
}

void *
perc_secmem_alloc(size_t n)
{
	void *p;
	bool tell;

	if (mem.arena == NULL)
		return malloc(n);
	pthread_mutex_lock(&mem.lock);
	p = perc_arena_get(mem.arena, n);
	tell = p == NULL && !mem.full_told;
	mem.full_told = mem.full_told || tell;
	pthread_mutex_unlock(&mem.lock);
	if (tell)
		log_warnx("secmem.full asked=%zu", n);
	if (p == NULL)
		errno = ENOMEM;
	return p;
}

void
perc_secmem_free(void *p)
{
	if (!in_arena(p)) {
		heap_free(p);
		return;
	}
	pthread_mutex_lock(&mem.lock);
	perc_arena_put(mem.arena, p);
	pthread_mutex_unlock(&mem.lock);
}

static size_t
block_size(void *p)
{
	size_t n;

	if (!in_arena(p))
		return malloc_usable_size(p);
	pthread_mutex_lock(&mem.lock);
	n = perc_arena_size(mem.arena, p);
	pthread_mutex_unlock(&mem.lock);
	return n;
}

void *
perc_secmem_realloc(void *p, size_t n)
{
	size_t old;
	void *q;

	if (p == NULL)
		return perc_secmem_alloc(n);
	old = block_size(p);
	if (in_arena(p) && n <= old && n >= old / 2)
		return p;
	if ((q = perc_secmem_alloc(n)) == NULL)
		return NULL;
	memcpy(q, p, old < n ? old : n);
	perc_secmem_free(p);
	return q;
}

/* --- making it ---------------------------------------------------------- */

static void
memlock_raise(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim) == 0 &&
	    lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_MEMLOCK, &lim);
	}
}

static void *
map_secret(size_t size)
{
	void *p = MAP_FAILED;
	int fd = (int)syscall(SYS_memfd_secret, 0);

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)size) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, size, MADV_DONTFORK);
	return p;
}

static void *
map_locked(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if ((mlock(p, size) != 0 && !mem.tolerated) ||
	    madvise(p, size, MADV_DONTDUMP) != 0 ||
	    madvise(p, size, MADV_WIPEONFORK) != 0) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

#ifdef PERCH_SANITIZED
static void *
heap_realloc(void *p, size_t n)
{
	size_t old = p != NULL ? malloc_usable_size(p) : 0;
	void *q = malloc(n);

	if (q != NULL && p != NULL) {
		memcpy(q, p, old < n ? old : n);
		heap_free(p);
	}
	return q;
}

static const struct perc_secmem_fns library_heap = { malloc, heap_realloc,
	heap_free };
#else
static const struct perc_secmem_fns library_heap = { perc_secmem_alloc,
	perc_secmem_realloc, perc_secmem_free };
#endif

static bool keep_json;

void
perc_secmem_keep_json(void)
{
	keep_json = true;
}

void
perc_secmem_tolerate(void)
{
	mem.tolerated = true;
}

int
perc_secmem_init(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *base;
	int r;

	if (mem.arena != NULL || size == 0)
		return PERC_ERR_STATE;
	size = (size + page - 1) / page * page;
	memlock_raise();
	mem.level = PERC_SECMEM_SECRET;
	if ((base = map_secret(size)) == NULL) {
		mem.level = PERC_SECMEM_LOCKED;
		base = map_locked(size);
	}
	if (base == NULL) {
		mem.level = PERC_SECMEM_NONE;
		return PERC_ERR_SYS;
	}
	if ((r = perc_arena_new(&mem.arena, base, size)) != 0 ||
	    (r = perc_crypto_heap_set(&library_heap)) != 0) {
		perc_arena_free(mem.arena);
		mem.arena = NULL;
		mem.level = PERC_SECMEM_NONE;
		munmap(base, size);
		return r;
	}
	if (keep_json)
		return 0;
	/* cjose sets those of jansson and of OpenSSL too, to its own, which
	 * give back what is not theirs to give. */
	perc_jose_heap_set(&library_heap);
	perc_json_heap_set(&library_heap);
	return perc_crypto_heap_set(&library_heap);
}

enum perc_secmem_level
perc_secmem_level(void)
{
	return mem.level;
}

const char *
perc_secmem_level_name(void)
{
	static const char *const names[] = { [PERC_SECMEM_NONE] = "none",
		[PERC_SECMEM_LOCKED] = "locked",
		[PERC_SECMEM_SECRET] = "memfd_secret" };

	return names[mem.level];
}

/* --- one secret --------------------------------------------------------- */

int
perc_secret_new(struct perc_secret **sp, size_t len)
{
	struct perc_secret *s;

	if (len == 0 || len > PERC_SECRET_MAX)
		return PERC_ERR_INVAL;
	s = mem.arena != NULL ? perc_secmem_alloc(sizeof(*s) + len)
			      : map_locked(sizeof(*s) + len);
	if (s == NULL)
		return PERC_ERR_NOMEM;
	s->len = len;
	*sp = s;
	return 0;
}

int
perc_secret_from(struct perc_secret **sp, const void *p, size_t len)
{
	int r = perc_secret_new(sp, len);

	if (r == 0)
		memcpy((*sp)->data, p, len);
	return r;
}

int
perc_secret_random(struct perc_secret **sp, size_t len)
{
	int r = perc_secret_new(sp, len);

	if (r == 0)
		perc_random((*sp)->data, len);
	return r;
}

void
perc_secret_free(struct perc_secret *s)
{
	size_t n;

	if (s == NULL)
		return;
	if (in_arena(s)) {
		perc_secmem_free(s);
		return;
	}
	n = sizeof(*s) + s->len;
	perc_wipe(s, n);
	munmap(s, n); /* of its own pages, rounded up by the kernel */
}

int
perc_process_harden(void)
{
	struct rlimit none = { 0, 0 };

#ifndef PERCH_SANITIZED /* its leak check attaches like a debugger */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return PERC_ERR_SYS;
#endif
	if (setrlimit(RLIMIT_CORE, &none) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return PERC_ERR_SYS;
	return 0;
}
