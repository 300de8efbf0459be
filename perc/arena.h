/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small allocator over one given stretch of pages: sizes up to half a page
 * by class, larger ones as runs of pages. What it knows about the pages lies
 * outside of them. free wipes. Private to perc/secret.c and its test; not
 * safe for threads by itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_ARENA_PAGE 4096
#define PERC_ARENA_ALIGN 16

struct perc_arena;

/* base is page-aligned, zero and of size octets (a multiple of the page); it
 * stays the caller's and must outlive the arena. */
PERC_MUST int perc_arena_new(struct perc_arena **ap, void *base, size_t size);
void perc_arena_free(struct perc_arena *a);
bool perc_arena_owns(const struct perc_arena *a, const void *p);
/* Zeroed octets, or NULL when nothing fits. */
void *perc_arena_get(struct perc_arena *a, size_t n);
/* Aborts on a pointer that is not the start of a live block. */
void perc_arena_put(struct perc_arena *a, void *p);
/* Octets usable at p. */
size_t perc_arena_size(const struct perc_arena *a, const void *p);
/* Octets of pages not wholly free. */
size_t perc_arena_used(const struct perc_arena *a);
