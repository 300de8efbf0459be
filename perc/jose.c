/* SPDX-License-Identifier: Apache-2.0 */
#include "perc/jose.h"
#include "perc/secmem.h"
#include <cjose/cjose.h>

void
perc_jose_heap_set(const struct perc_secmem_fns *fns)
{
	/* Hands the same functions to jansson, whose blocks cjose frees. */
	cjose_set_alloc_funcs(fns->alloc, fns->realloc, fns->free);
}
