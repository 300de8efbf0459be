/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam by which perc_secmem_init() moves the libraries' heaps: each is
 * spoken to in the one file that may name it, and handed these functions.
 * Private to perc/.
 */
#pragma once

#include <stddef.h>

#include "perc/err.h"

struct perc_secmem_fns {
	void *(*alloc)(size_t n);
	void *(*realloc)(void *p, size_t n);
	void (*free)(void *p);
};

/* PERC_ERR_STATE: OpenSSL has allocated already. fns must live for ever. */
PERC_MUST int perc_crypto_heap_set(const struct perc_secmem_fns *fns);
void perc_json_heap_set(const struct perc_secmem_fns *fns);
void perc_jose_heap_set(const struct perc_secmem_fns *fns);
