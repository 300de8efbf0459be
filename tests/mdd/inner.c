/* SPDX-License-Identifier: Apache-2.0 */
/* One key for all tests: what matters is that both ends have the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "perc/loop.h"
#include "tests/mdd/inner.h"

struct perc_ekt *
inner_ekt(void)
{
	struct perc_enckey k = { .keyid = "c.1",
		.keylen = 16,
		.cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.spi = 4660,
		.ttl_s = 300 };
	struct perc_ekt *e = NULL;

	memset(k.key, 0x42, 16);
	memset(k.salt, 0x17, sizeof(k.salt));
	assert_int_equal(perc_ekt_new(&e), 0);
	assert_int_equal(perc_ekt_add(e, &k, perc_now_ms() + 300000), 0);
	return e;
}
