/* SPDX-License-Identifier: Apache-2.0 */
/* The first octets say what to read next; nothing may be read beyond. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
take(struct perc_wire *w, uint8_t what)
{
	size_t len = 0;
	const uint8_t *b = NULL;

	switch (what % 7) {
	case 0:
		(void)perc_wire_get_u8(w);
		break;
	case 1:
		(void)perc_wire_get_u24(w);
		break;
	case 2:
		(void)perc_wire_get_u64(w);
		break;
	case 3:
		b = perc_wire_get_bytes(w, len = what);
		break;
	case 4:
		b = perc_wire_get_blob16(w, &len);
		break;
	case 5:
		b = perc_wire_get_blob32(w, &len);
		break;
	default:
		if (strlen(perc_wire_get_str(w)) > w->len)
			abort();
	}
	for (size_t i = 0; b != NULL && i < len; i++)
		(void)*(const volatile uint8_t *)(b + i);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct perc_wire w;
	size_t plan = n < 16 ? n / 2 : 8;

	perc_wire_reader(&w, p + plan, n - plan);
	for (size_t i = 0; i < plan; i++)
		take(&w, p[i]);
	if (perc_wire_end(&w) == 0 && w.pos != n - plan)
		abort();
	return 0;
}
