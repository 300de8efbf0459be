/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes through the real perch-mdd comes out at the other end octet for
 * octet, and what the MDD holds of it opens the outer layer and no more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perc/double.h"
#include "perc/loop.h"
#include "perc/tail.h"
#include "tests/mdd/inner.h"
#include "tests/mdd/stage.h"

static const char speech[] = "this is what was said in the conference";

static size_t
plain_rtp(uint8_t out[static 128], uint16_t seq)
{
	const uint8_t head[12] = { 0x80, 111, (uint8_t)(seq >> 8), (uint8_t)seq,
		0, 0, 3, 192, 10, 10, 10, 10 };

	memcpy(out, head, sizeof(head));
	memcpy(out + 12, speech, sizeof(speech));
	return 12 + sizeof(speech);
}

/* Seal end to end, protect for the hop, send; the octets that left. */
static size_t
send_speech(struct member *a, struct perc_double_tx *tx, uint16_t seq,
    uint8_t *out, size_t *taillen)
{
	uint8_t plain[128], sealed[256];
	size_t n = plain_rtp(plain, seq), sn, body;
	struct perc_rtp h;
	uint8_t *tail;

	assert_int_equal(perc_double_tx_seal(tx, perc_now_ms(), plain, n,
			     sealed, sizeof(sealed), &sn),
	    0);
	body = n + 16 + 1;
	*taillen = sn - body;
	assert_int_equal(perc_rtp_parse(&h, sealed, body), 0);
	tail = sealed + body;
	assert_int_equal(
	    perc_srtp_protect(a->p.tx, &h, sealed, body, out, &n), 0);
	memcpy(out + n, tail, *taillen);
	peer_send(&a->p, out, n + *taillen);
	return n + *taillen;
}

static void
put_hex(FILE *f, const void *p, size_t n)
{
	const uint8_t *d = p;

	while (n-- > 0)
		(void)fprintf(f, "%02x", *d++);
}

/* A file for tests/tools/perc-hop: all that the MDD holds of this hop. */
static FILE *
hop_file(const char *name, const struct perc_dtls_keys *k)
{
	char path[128];
	FILE *f;

	path_of(path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fprintf(f, "hop %d ", (int)k->profile);
	put_hex(f, k->tx_key, k->keylen);
	put_hex(f, k->rx_key, k->keylen);
	put_hex(f, k->tx_salt, sizeof(k->tx_salt));
	put_hex(f, k->rx_salt, sizeof(k->rx_salt));
	(void)fprintf(f, "\n");
	return f;
}

static void
hop_result(const char *name, unsigned *outer, unsigned *inner, unsigned *ekt_n)
{
	const char *build = getenv("top_builddir");
	char cmd[700], path[128];
	unsigned n;
	FILE *f;

	path_of(path, name);
	(void)snprintf(cmd, sizeof(cmd), "%s/tests/tools/perc-hop <%s",
	    build == NULL ? "." : build, path);
	f = popen(cmd, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f,
			     "{\"packets\": %u, \"outer\": %u, "
			     "\"inner\": %u, \"ekt\": %u}",
			     &n, outer, inner, ekt_n),
	    4);
	assert_int_equal(pclose(f), 0);
}

/*
 * REQ-F-6.3b, REQ-F-3.1a: with every key that the MDD has of a hop, the outer
 * layer opens and nothing else. With the conference's EKT key and then the
 * sender's, which it lacks, the same program opens all: so it can.
 */
static void
test_REQ_F_6_3b_hop_keys_end_at_the_outer_layer(void **state)
{
	struct perc_double_tx *tx = NULL;
	struct perc_ekt_plain sender = { .keylen = 0 };
	struct perc_ekt *e = inner_ekt();
	struct perc_tail t;
	struct member a, b;
	uint8_t d[PEER_PACKET], ekt_key[16], salt[12];
	size_t n, tn, full = 0;
	unsigned outer, inner, opened;
	uint16_t seq;
	FILE *f, *g;

	memset(ekt_key, 0x42, sizeof(ekt_key));
	memset(salt, 0x17, sizeof(salt));
	two(&a, &b, "c_hop");
	assert_int_equal(
	    perc_double_tx_new(&tx, e, SSRC_A, PERC_FULL_AUDIO), 0);
	assert_int_equal(perc_double_tx_switch(tx, 4660, perc_now_ms()), 0);
	f = hop_file("hop", &b.p.keys);
	g = hop_file("hop-and-ekt", &b.p.keys);
	for (seq = 1; seq <= 20; seq++) {
		(void)send_speech(&a, tx, seq, d, &tn);
		n = peer_recv(&b.p, d, 128, 191, 2000);
		assert_true(n > 0 && perc_tail_find(&t, d, n) == 0);
		if (t.type == PERC_TAIL_FULL && full++ == 0)
			assert_int_equal(perc_ekt_open(e, 4660, t.ciphertext,
					     t.ciphertext_len, &sender),
			    0);
		put_hex(f, d, n);
		(void)fprintf(f, "\n");
		if (seq == 1) {
			(void)fprintf(g, "key ");
			put_hex(g, ekt_key, sizeof(ekt_key));
			(void)fprintf(g, " ");
			put_hex(g, salt, sizeof(salt));
			(void)fprintf(g, "\nkey ");
			put_hex(g, sender.key, sender.keylen);
			(void)fprintf(g, " ");
			put_hex(g, salt, sizeof(salt));
			(void)fprintf(g, " %u\n", sender.roc);
		}
		put_hex(g, d, n);
		(void)fprintf(g, "\n");
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(fclose(g), 0);
	assert_true(full >= 1);
	hop_result("hop", &outer, &inner, &opened);
	assert_int_equal(outer, 20);
	assert_int_equal(inner, 0);
	assert_int_equal(opened, 0);
	hop_result("hop-and-ekt", &outer, &inner, &opened);
	assert_int_equal(outer, 20);
	assert_int_equal(inner, 20);
	assert_int_equal(opened, full);
	perc_double_tx_free(tx);
	perc_ekt_free(e);
	member_end(&a);
	member_end(&b);
}

static void
test_end_to_end_through_the_mdd(void **state)
{
	uint8_t d[PEER_PACKET], e[PEER_PACKET], plain[128], back[PEER_PACKET];
	struct perc_double_tx *tx = NULL;
	struct perc_double_rx *rx = NULL;
	struct perc_ekt *ea = inner_ekt(), *eb = inner_ekt();
	struct perc_double_in info;
	struct member a, b;
	const uint32_t listed[] = { SSRC_A };
	size_t n, m, tn, tl, full = 0, pn;
	const uint8_t *tail;
	uint16_t seq, spi;
	int len;

	two(&a, &b, "c_road");
	assert_int_equal(
	    perc_double_tx_new(&tx, ea, SSRC_A, PERC_FULL_AUDIO), 0);
	assert_int_equal(perc_double_tx_switch(tx, 4660, perc_now_ms()), 0);
	assert_int_equal(perc_double_rx_new(&rx, eb, 16, 64), 0);
	assert_int_equal(perc_double_rx_list(rx, listed, 1), 0);
	for (seq = 65530; seq != 20; seq++) {
		n = send_speech(&a, tx, seq, d, &tn);
		full += tn > 1;
		m = peer_recv(&b.p, e, 128, 191, 2000);
		assert_int_equal(m, n);
		assert_memory_equal(e, d, 12);
		assert_memory_equal(e + m - tn, d + n - tn, tn); /* EKTField */
		len = peer_open_rtp(&b.p, e, m, &tail, &tl);
		assert_true(len > 0);
		assert_int_equal(tl, tn);
		assert_int_equal(e[len - 1], 0); /* OHB: as it was */
		/* REQ-F-6.3b: this is all that the hop's keys open. */
		assert_null(memmem(e, (size_t)len, speech, 8));
		memmove(e + len, tail, tl);
		assert_int_equal(perc_double_rx_open(rx, perc_now_ms(), e,
				     (size_t)len + tl, back, &info, &spi),
		    0);
		pn = plain_rtp(plain, seq);
		assert_int_equal(info.len, pn);
		assert_memory_equal(back, plain, pn);
	}
	assert_true(full >= 1 && full < 26);
	metric_reaches("perch_mdd_forwarded_total", NULL, 26);
	perc_double_tx_free(tx);
	perc_double_rx_free(rx);
	perc_ekt_free(ea);
	perc_ekt_free(eb);
	member_end(&a);
	member_end(&b);
}

/* REQ-F-6.3b: no symbol of the end-to-end layer is in the program. */
static void
test_REQ_F_6_3b_no_end_to_end_symbol(void **state)
{
	const char *build = getenv("top_builddir");
	char cmd[600], line[256];
	unsigned lines = 0;
	FILE *f;

	(void)snprintf(
	    cmd, sizeof(cmd), "nm %s/perch-mdd", build == NULL ? "." : build);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		lines++;
		assert_null(strstr(line, "perc_ekt"));
		assert_null(strstr(line, "perc_double"));
		assert_null(strstr(line, "perc_kwp"));
		assert_null(strstr(line, "perc_inner"));
	}
	assert_int_equal(pclose(f), 0);
	assert_true(lines > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_to_end_through_the_mdd),
		cmocka_unit_test(
		    test_REQ_F_6_3b_hop_keys_end_at_the_outer_layer),
		cmocka_unit_test(test_REQ_F_6_3b_no_end_to_end_symbol),
	};

	return cmocka_run_group_tests_name(
	    "layers", tests, stage_open, stage_close);
}
