/* SPDX-License-Identifier: Apache-2.0 */
/*
 * free() that wipes, for a whole program that links this file. GnuTLS copies
 * every record's plaintext into a heap buffer before it encrypts and frees it
 * as it is, so a key that went through HTTPS stood in the free lists until
 * somebody else needed that chunk (tests/perc/test_httpd.py looks for it).
 * glibc's own M_PERTURB does not reach its per-thread cache.
 */
#include "config.h"

#ifndef PERCH_SANITIZED /* a sanitizer has a malloc of its own */

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* What glibc exports for those who stand in front of it. */
void __libc_free(void *p);

void
free(void *p)
{
	if (p != NULL)
		explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
}

void *
realloc(void *p, size_t n)
{
	size_t had = p == NULL ? 0 : malloc_usable_size(p);
	void *q;

	if (n != 0 && n <= had && n > had / 2)
		return p;
	if ((q = malloc(n)) == NULL)
		return NULL;
	if (p != NULL)
		memcpy(q, p, n < had ? n : had);
	free(p);
	return q;
}

#endif
