/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cjose's allocator, and a way to get back what it loses: cjose_jwe_import()
 * (0.6.2) forgets the copy of ECDH-ES's empty encrypted key, 32 octets of the
 * arena with every key that comes. What it asked for while it was watched and
 * did not give back until the watch ends is nobody's.
 */
#include <string.h>

#include "perc/jose_cjose.h"
#include "perc/secmem.h"

#define WATCH_MAX 512 /* blocks at once; what is more may be lost */

static const struct perc_secmem_fns *heap;
static struct {
	bool on;
	unsigned n;
	void *block[WATCH_MAX];
} watch;

static void
block_add(void *p)
{
	if (watch.on && p != NULL && watch.n < WATCH_MAX)
		watch.block[watch.n++] = p;
}

static void
block_remove(const void *p)
{
	for (unsigned i = watch.n; i > 0; i--)
		if (watch.block[i - 1] == p) {
			watch.block[i - 1] = watch.block[--watch.n];
			return;
		}
}

static void *
jose_alloc(size_t n)
{
	void *p = heap->alloc(n);

	block_add(p);
	return p;
}

static void *
jose_realloc(void *p, size_t n)
{
	void *q = heap->realloc(p, n);

	if (q != NULL) {
		block_remove(p);
		block_add(q);
	}
	return q;
}

static void
jose_free(void *p)
{
	block_remove(p);
	heap->free(p);
}

void
perc_jose_heap_set(const struct perc_secmem_fns *fns)
{
	heap = fns;
	/* Hands the same functions to jansson, whose blocks cjose frees. */
	cjose_set_alloc_funcs(jose_alloc, jose_realloc, jose_free);
}

void
perc_cjose_watch(void)
{
	watch.n = 0;
	watch.on = heap != NULL;
}

void
perc_cjose_watch_end(void)
{
	watch.on = false;
	while (watch.n > 0)
		heap->free(watch.block[--watch.n]);
}
