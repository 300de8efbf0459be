/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet path allocates nothing: malloc itself is counted, OpenSSL's use
 * of it too, over every step of the road in its steady state. And when memory
 * is out while something is made, at the Nth allocation for every N, making
 * fails cleanly and the next attempt succeeds.
 *
 * The sanitizers bring a malloc of their own, so there is nothing to count.
 */
#include "config.h"

#include "tests/perc/bytes.h"

#include <stdio.h>

#include "perc/double.h"
#include "perc/forward.h"
#include "perc/secret.h"
#include "perc/srtp.h"
#include "perc/tail.h"

#ifdef PERCH_SANITIZED
int
main(void)
{
	puts("1..0 # SKIP a sanitizer owns the heap");
	return 0;
}
#else

#define SSRC	0xcafebabe
#define PACKETS 70000 /* over a wrap of SEQ */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static volatile unsigned long allocs;
static long fail_at = -1; /* the allocation to refuse, counted from now */

static int
refused(void)
{
	allocs++;
	return fail_at >= 0 && fail_at-- == 0;
}

void *
malloc(size_t n)
{
	return refused() ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return refused() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return refused() ? NULL : __libc_realloc(p, n);
}

struct road {
	struct perc_ekt *ekt;
	struct perc_double_tx *tx;
	struct perc_double_rx *rx;
	struct perc_srtp *up, *md_in, *md_out, *down;
};

static int
hop(struct perc_srtp **s, int key)
{
	uint8_t k[32];

	memset(k, key, sizeof(k));
	return perc_srtp_new(s, PERC_AEAD_AES_128_GCM, k, k, 64, 64);
}

static void
road_close(struct road *r)
{
	perc_double_tx_free(r->tx);
	perc_double_rx_free(r->rx);
	perc_ekt_free(r->ekt);
	perc_srtp_free(r->up);
	perc_srtp_free(r->md_in);
	perc_srtp_free(r->md_out);
	perc_srtp_free(r->down);
}

static int
road_open(struct road *r)
{
	static const uint32_t ssrcs[] = { 1, SSRC };
	struct perc_enckey k = { .keylen = 16,
		.cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.spi = 7 };
	int e;

	memset(r, 0, sizeof(*r));
	if ((e = perc_ekt_new(&r->ekt)) != 0 ||
	    (e = perc_ekt_add(r->ekt, &k, INT64_MAX)) != 0 ||
	    (e = perc_double_tx_new(&r->tx, r->ekt, SSRC, PERC_FULL_AUDIO)) !=
		0 ||
	    (e = perc_double_tx_switch(r->tx, 7, 0)) != 0 ||
	    (e = perc_double_rx_new(&r->rx, r->ekt, 16, 64)) != 0 ||
	    (e = perc_double_rx_list(r->rx, ssrcs, 2)) != 0 ||
	    (e = hop(&r->up, 1)) != 0 || (e = hop(&r->md_in, 1)) != 0 ||
	    (e = hop(&r->md_out, 2)) != 0 || (e = hop(&r->down, 2)) != 0) {
		road_close(r);
		memset(r, 0, sizeof(*r));
	}
	return e;
}

/* One packet over the whole road: endpoint, distributor, endpoint. */
static int
road_walk(struct road *r, unsigned i)
{
	uint8_t p[256], q[512], tail[PERC_EKT_FIELD_MAX];
	size_t n = rtp_make(p, SSRC, (uint16_t)(60000 + i), 160), len;
	struct perc_rewrite w = { .set_seq = true, .seq = (uint16_t)i };
	struct perc_double_in info;
	struct perc_tail t;
	struct perc_rtp h;
	uint16_t unknown;
	int e;

	if ((e = perc_double_tx_seal(
		 r->tx, 20 * i, p, n, q, sizeof(q), &len)) != 0 ||
	    (e = perc_tail_find(&t, q, len)) != 0)
		return e;
	len -= t.len;
	memcpy(tail, q + len, t.len);
	if ((e = perc_rtp_parse(&h, q, len)) != 0 ||
	    (e = perc_srtp_protect(r->up, &h, q, len, q, &len)) != 0 ||
	    (e = perc_srtp_unprotect(r->md_in, &h, q, len, p, &n)) != 0 ||
	    (e = perc_forward(r->md_out, &w, p, n, q, sizeof(q), &len)) != 0 ||
	    (e = perc_rtp_parse(&h, q, len)) != 0 ||
	    (e = perc_srtp_unprotect(r->down, &h, q, len, q, &len)) != 0)
		return e;
	memcpy(q + len, tail, t.len);
	return perc_double_rx_open(
	    r->rx, 20 * i, q, len + t.len, p, &info, &unknown);
}

static void
test_no_allocation_per_packet(void **state)
{
	unsigned long before;
	struct road r;
	unsigned i;

	CALL(road_open(&r));
	for (i = 0; i < 100; i++)
		CALL(road_walk(&r, i));
	before = allocs;
	for (; i < 100 + 5000; i++)
		CALL(road_walk(&r, i));
	assert_int_equal(allocs - before, 0);
	CALL(perc_double_tx_switch(r.tx, 7, 20 * i)); /* a key may allocate */
	assert_int_not_equal(allocs - before, 0);
	for (; i < 5200; i++)
		CALL(road_walk(&r, i));
	before = allocs;
	for (; i < PACKETS; i++)
		CALL(road_walk(&r, i));
	/* OpenSSL's key wrap takes a few when SEQ wraps: twice 200 octets at
	 * most, once in 65,536 packets */
	assert_in_range(allocs - before, 0, 40);
	assert_int_equal(perc_double_rx_stats(r.rx)->inner_auth_failed, 0);
	road_close(&r);
}

static void
test_memory_out(void **state)
{
	struct road r;
	long n, made = -1, walked;
	int e;

	CALL(road_open(&r)); /* whatever OpenSSL makes once is made */
	CALL(road_walk(&r, 0));
	road_close(&r);
	for (n = 0; made < 0; n++) {
		fail_at = n;
		e = road_open(&r);
		if (fail_at >= 0 && e == 0)
			made = n; /* it never came to the Nth */
		fail_at = -1;
		if (e != 0)
			continue;
		CALL(road_walk(&r, 0));
		road_close(&r);
	}
	assert_in_range(made, 20, 1000);
	for (n = 0, walked = -1; walked < 0; n++) { /* a key in a field */
		CALL(road_open(&r));
		fail_at = n;
		e = road_walk(&r, 0);
		if (fail_at >= 0 && e == 0)
			walked = n;
		fail_at = -1;
		CALL(road_walk(&r, 1)); /* the next field does */
		CALL(road_walk(&r, 2));
		road_close(&r);
	}
	assert_in_range(walked, 2, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_allocation_per_packet),
		cmocka_unit_test(test_memory_out),
	};

	return cmocka_run_group_tests_name("packet_alloc", tests, NULL, NULL);
}
#endif
