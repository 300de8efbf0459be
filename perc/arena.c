/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of one size class keep a bit per slot here, outside the arena, so a
 * double or foreign free is noticed and a page that became empty goes back
 * to the pool: a burst of JSON does not eat the room of keys for ever. The
 * arena holds only zeros where nothing lives, hence get needs no clearing.
 */
#include "perc/arena.h"

#include "perc/secret.h"

#include <stdlib.h>

#define CLASSES 13
#define NONE	UINT32_MAX

static const uint16_t class_size[CLASSES] = { 32, 48, 64, 96, 128, 192, 256,
	336, 512, 672, 1024, 1360, 2048 };

enum page_kind { PAGE_FREE, PAGE_SMALL, PAGE_RUN, PAGE_TAIL };

struct page {
	uint8_t kind, class;
	uint16_t used;	     /* live slots of a PAGE_SMALL */
	uint32_t run;	     /* pages of a PAGE_RUN */
	uint32_t next, prev; /* list of pages with free slots */
	uint64_t taken[2];   /* a bit per slot; 4096 / 32 = 128 of them */
};

struct perc_arena {
	uint8_t *base;
	uint32_t npages, used;
	uint32_t low;		   /* no page below is free */
	uint32_t partial[CLASSES]; /* first page with a free slot */
	struct page page[];
};

int
perc_arena_new(struct perc_arena **ap, void *base, size_t size)
{
	struct perc_arena *a;
	size_t n = size / PERC_ARENA_PAGE;

	if (n == 0 || n >= NONE || size % PERC_ARENA_PAGE != 0)
		return PERC_ERR_INVAL;
	if ((a = calloc(1, sizeof(*a) + n * sizeof(a->page[0]))) == NULL)
		return PERC_ERR_NOMEM;
	a->base = base;
	a->npages = (uint32_t)n;
	for (int i = 0; i < CLASSES; i++)
		a->partial[i] = NONE;
	*ap = a;
	return 0;
}

void
perc_arena_free(struct perc_arena *a)
{
	free(a);
}

bool
perc_arena_owns(const struct perc_arena *a, const void *p)
{
	uintptr_t at = (uintptr_t)p, base = (uintptr_t)a->base;

	return at >= base && at - base < (uintptr_t)a->npages * PERC_ARENA_PAGE;
}

size_t
perc_arena_used(const struct perc_arena *a)
{
	return (size_t)a->used * PERC_ARENA_PAGE;
}

/* First fit of n free pages in a row; NONE when there are none. */
static uint32_t
run_find(const struct perc_arena *a, size_t n)
{
	uint32_t have = 0;

	for (uint32_t i = a->low; i < a->npages; i++) {
		if (a->page[i].kind != PAGE_FREE) {
			i += a->page[i].kind == PAGE_RUN ? a->page[i].run - 1
							 : 0;
			have = 0;
		} else if (++have == n)
			return i + 1 - have;
	}
	return NONE;
}

static uint32_t
run_take(struct perc_arena *a, size_t n)
{
	uint32_t at = n <= a->npages - a->used ? run_find(a, n) : NONE;

	if (at == NONE)
		return NONE;
	a->page[at].kind = PAGE_RUN;
	a->page[at].run = (uint32_t)n;
	for (uint32_t i = 1; i < n; i++)
		a->page[at + i].kind = PAGE_TAIL;
	a->used += (uint32_t)n;
	if (at == a->low)
		a->low += (uint32_t)n;
	return at;
}

static void
list_push(struct perc_arena *a, uint32_t at)
{
	struct page *pg = &a->page[at];

	pg->prev = NONE;
	pg->next = a->partial[pg->class];
	if (pg->next != NONE)
		a->page[pg->next].prev = at;
	a->partial[pg->class] = at;
}

static void
list_remove(struct perc_arena *a, uint32_t at)
{
	struct page *pg = &a->page[at];

	if (pg->prev != NONE)
		a->page[pg->prev].next = pg->next;
	else
		a->partial[pg->class] = pg->next;
	if (pg->next != NONE)
		a->page[pg->next].prev = pg->prev;
}

static unsigned
slots(int class)
{
	return PERC_ARENA_PAGE / class_size[class];
}

/* The first free one of a page that has one. */
static unsigned
slot_free(const struct page *pg)
{
	unsigned i = ~pg->taken[0] != 0 ? 0 : 1;

	return 64 * i + (unsigned)__builtin_ctzll(~pg->taken[i]);
}

static void *
small_get(struct perc_arena *a, int class)
{
	uint32_t at = a->partial[class];
	struct page *pg;
	unsigned slot;

	if (at == NONE) {
		if ((at = run_take(a, 1)) == NONE)
			return NULL;
		a->page[at] = (struct page){ .kind = PAGE_SMALL,
			.class = (uint8_t) class };
		list_push(a, at);
	}
	pg = &a->page[at];
	slot = slot_free(pg);
	pg->taken[slot / 64] |= UINT64_C(1) << (slot % 64);
	if (++pg->used == slots(class))
		list_remove(a, at);
	return a->base + (size_t)at * PERC_ARENA_PAGE +
	    (size_t)slot * class_size[class];
}

void *
perc_arena_get(struct perc_arena *a, size_t n)
{
	uint32_t at;

	for (int class = 0; class < CLASSES; class ++)
		if (n <= class_size[class])
			return small_get(a, class);
	if (n > (size_t)a->npages * PERC_ARENA_PAGE)
		return NULL;
	at = run_take(a, (n + PERC_ARENA_PAGE - 1) / PERC_ARENA_PAGE);
	return at != NONE ? a->base + (size_t)at * PERC_ARENA_PAGE : NULL;
}

/* The page and slot of a live block; anything else is our own mistake, and
 * going on would hand one key's octets to another. */
static uint32_t
locate(const struct perc_arena *a, const void *p, unsigned *slotp)
{
	size_t off = (size_t)((const uint8_t *)p - a->base);
	uint32_t at = (uint32_t)(off / PERC_ARENA_PAGE);
	const struct page *pg = &a->page[at];

	off %= PERC_ARENA_PAGE;
	*slotp = 0;
	if (pg->kind == PAGE_RUN && off == 0)
		return at;
	if (pg->kind != PAGE_SMALL || off % class_size[pg->class] != 0)
		abort();
	*slotp = (unsigned)(off / class_size[pg->class]);
	if ((pg->taken[*slotp / 64] >> (*slotp % 64) & 1) == 0)
		abort();
	return at;
}

size_t
perc_arena_size(const struct perc_arena *a, const void *p)
{
	unsigned slot;
	const struct page *pg = &a->page[locate(a, p, &slot)];

	return pg->kind == PAGE_RUN ? (size_t)pg->run * PERC_ARENA_PAGE
				    : class_size[pg->class];
}

static void
small_put(struct perc_arena *a, uint32_t at, unsigned slot)
{
	struct page *pg = &a->page[at];

	if (pg->used-- == slots(pg->class))
		list_push(a, at);
	pg->taken[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	if (pg->used == 0) {
		list_remove(a, at);
		pg->kind = PAGE_FREE;
		a->used--;
		a->low = at < a->low ? at : a->low;
	}
}

void
perc_arena_put(struct perc_arena *a, void *p)
{
	unsigned slot;
	uint32_t at = locate(a, p, &slot), n;

	perc_wipe(p, perc_arena_size(a, p));
	if (a->page[at].kind == PAGE_SMALL) {
		small_put(a, at, slot);
		return;
	}
	n = a->page[at].run;
	for (uint32_t i = 0; i < n; i++)
		a->page[at + i].kind = PAGE_FREE;
	a->used -= n;
	a->low = at < a->low ? at : a->low;
}
