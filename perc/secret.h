/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets have one home. perc_secmem_init() makes an arena of pages that no
 * other process and no core file can show (memfd_secret; where the kernel has
 * none: locked, undumpable anonymous pages) and, as the very first act of a
 * process, moves OpenSSL's, cjose's and jansson's whole heap into it. A
 * struct perc_secret is a length and octets in that arena, wiped when freed.
 * Without the arena perc_secret uses pages of its own, locked and undumpable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_SECRET_MAX 4096 /* octets of one secret */

enum perc_secmem_level {
	PERC_SECMEM_NONE,   /* no arena */
	PERC_SECMEM_LOCKED, /* mlock, MADV_DONTDUMP, MADV_WIPEONFORK */
	PERC_SECMEM_SECRET, /* memfd_secret: unreadable by the kernel too */
};

/*
 * Make the arena of `size` octets (rounded up to pages; 4 MiB is ample).
 * Must be called before any OpenSSL call of the process, else
 * PERC_ERR_STATE. PERC_ERR_SYS: no pages could be locked (RLIMIT_MEMLOCK).
 * Under a sanitizer the library heaps stay where the sanitizer sees them.
 */
PERC_MUST int perc_secmem_init(size_t size);
/*
 * Before init, in a process that links liboauth2 or libjwt: both free() what
 * jansson allocated, so there jansson and cjose (which share one heap) stay
 * with malloc.
 */
void perc_secmem_keep_json(void);
/* From now on a secret may stand in pages that can be swapped, where none can
 * be locked. For whoever was told to do without protection. */
void perc_secmem_tolerate(void);
enum perc_secmem_level perc_secmem_level(void);
const char *perc_secmem_level_name(void);
/* Allocate from the arena (malloc when there is none); free wipes and takes
 * blocks of malloc too. NULL when the arena is full: never the plain heap. */
void *perc_secmem_alloc(size_t n);
void *perc_secmem_realloc(void *p, size_t n);
void perc_secmem_free(void *p);

/* Overwrite; never optimised away. NULL with 0 is fine. */
void perc_wipe(void *p, size_t n);
/* Equal? Constant time in the contents. */
bool perc_equal(const void *a, const void *b, size_t n);

struct perc_secret {
	size_t len;
	uint8_t data[]; /* len octets */
};

/* A zeroed secret of len (1..PERC_SECRET_MAX) octets. The caller frees. */
PERC_MUST int perc_secret_new(struct perc_secret **sp, size_t len);
PERC_MUST int perc_secret_from(struct perc_secret **sp, const void *p,
    size_t len);
PERC_MUST int perc_secret_random(struct perc_secret **sp, size_t len);
/* Wipes, then frees; NULL is fine. */
void perc_secret_free(struct perc_secret *s);

/*
 * Process hardening for whoever holds a secret or faces strangers: no core
 * files, undumpable (no ptrace or /proc by the same uid), no new privileges.
 */
PERC_MUST int perc_process_harden(void);
