/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The happy road and what the network does to it: vaults speak to each other
 * through their fronts' channels, with the outer layer left out, so that a
 * MEDIA_OUT of one is the MEDIA_IN of the others. The applications are UDP
 * sockets on loopback, as in life.
 */
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "perc/b64.h"
#include "vaultroom.h"

#define CONF "c_media"

static int
world_open(void **state)
{
	struct vaultroom *w = vaultroom_open(CONF, 3);

	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
	*state = w;
	return 0;
}

/* Alice speaks n packets, 20 ms apart in her time; all others get them. */
static void
speak(struct vaultroom *w, unsigned n)
{
	while (n-- > 0) {
		kit_app_send(w->m[0], VAULT_AUDIO, 111);
		kit_settle(w->m[0], 2);
		kit_carry(w->m[0], w->m, 3);
		kit_settle(w->m[0], 2);
	}
}

static unsigned
heard(struct kit *k, unsigned from, uint32_t ssrc)
{
	uint8_t p[2048];
	char want[64];
	unsigned count = 0;
	size_t n;

	while ((n = kit_recv(k, p, sizeof(p))) > 0) {
		snprintf(want, sizeof(want), "alice %u", from + count);
		assert_int_equal(n, 12 + strlen(want));
		assert_memory_equal(p + 12, want, strlen(want));
		assert_int_equal(p[1] & 0x7f, 111);
		assert_int_equal(p[0], 0x80);
		assert_int_equal((p[2] << 8 | p[3]), from + count);
		assert_int_equal(
		    (uint32_t)p[8] << 24 | p[9] << 16 | p[10] << 8 | p[11],
		    ssrc);
		count++;
	}
	return count;
}

/* REQ-F-4.2a: the keys came in Full fields alone, one per SSRC. */
static void
test_REQ_F_4_2a_two_hear_one(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];

	kit_listen(b, kit_port(b, a->ssrc[0]));
	speak(w, 20);
	assert_int_equal(heard(b, 0, a->ssrc[0]), 20);
	assert_int_equal(kit_counter(a, CONF, "sent"), 20);
	assert_int_equal(kit_counter(b, CONF, "opened"), 20);
	assert_int_equal(kit_counter(b, CONF, "keys_installed"), 1);
}

/* REQ-F-4.5d, e, f; REQ-J-4.3; REQ-F-4.3a: not one packet is lost at those
 * who stay, though each takes the new epoch at another moment. */
static void
test_REQ_F_4_5d_rekey_loses_nothing(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];

	json_t *st;

	kit_listen(b, kit_port(b, a->ssrc[0]));
	speak(w, 10);
	kit_conf_rekey(&w->conf);
	kit_push(b, &w->kmf, &w->conf); /* b first: understands both */
	speak(w, 10);
	kit_push(a, &w->kmf, &w->conf);
	st = kit_status(b, CONF);
	assert_int_equal(json_array_size(json_object_get(st, "spis")), 2);
	json_decref(st);
	speak(w, 100); /* 400 ms: announced, 250 ms of the old, the new */
	assert_int_equal(heard(b, 0, a->ssrc[0]), 120);
	kit_settle(b, 1100); /* overlap_ms of the test's policy: 1000 */
	st = kit_status(b, CONF);
	assert_int_equal(json_array_size(json_object_get(st, "spis")), 1);
	json_decref(st);
	speak(w, 10);
	assert_int_equal(heard(b, 120, a->ssrc[0]), 10);
	assert_int_equal(kit_counter(b, CONF, "inner_auth_failed"), 0);
	assert_int_equal(kit_counter(b, CONF, "keys_installed"), 2);
}

/* A late one asks for the SPI it lacks, once, and hears on meanwhile. */
static void
test_unknown_spi_is_asked_for_once(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	struct kit_msg m;

	kit_listen(b, kit_port(b, a->ssrc[0]));
	speak(w, 5);
	kit_conf_rekey(&w->conf);
	kit_push(a, &w->kmf, &w->conf);
	speak(w, 20);
	assert_true(kit_take(b, VAULT_KEY_WANTED, &m));
	assert_int_equal(m.len, 4 + sizeof(CONF) + 2);
	assert_int_equal(
	    m.data[m.len - 2] << 8 | m.data[m.len - 1], w->conf.spi);
	kit_msg_clear(&m);
	assert_false(kit_take(b, VAULT_KEY_WANTED, &m));
	kit_push(b, &w->kmf, &w->conf);
	speak(w, 80);
	assert_int_equal(heard(b, 0, a->ssrc[0]), 105);
}

/* What comes late under a wiped epoch is lost; nobody fetches for it. */
static void
test_wiped_epoch_is_not_asked_for(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	struct kit_msg late, m;

	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 10);
	assert_true(kit_take(a, VAULT_MEDIA_OUT, &late));
	kit_conf_rekey(&w->conf);
	kit_push(b, &w->kmf, &w->conf);
	kit_settle(b, 1100);
	kit_send_raw(b, VAULT_MEDIA_IN, late.data, late.len);
	kit_settle(b, 10);
	kit_msg_clear(&late);
	assert_int_equal(kit_counter(b, CONF, "unknown_spi"), 1);
	assert_int_equal(kit_counter(b, CONF, "opened"), 0);
	assert_false(kit_take(b, VAULT_KEY_WANTED, &m));
}

/* More rekeys within the overlap than there is room for: the newest counts. */
static void
test_burst_of_rekeys(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	json_t *st;
	unsigned i;

	kit_listen(b, kit_port(b, a->ssrc[0]));
	for (i = 0; i < PERC_EKT_SETS_MAX + 4; i++) {
		kit_conf_rekey(&w->conf);
		kit_push(a, &w->kmf, &w->conf);
		kit_push(b, &w->kmf, &w->conf);
	}
	speak(w, 10);
	assert_int_equal(heard(b, 0, a->ssrc[0]), 10);
	st = kit_status(b, CONF);
	assert_int_equal(
	    json_integer_value(json_object_get(st, "epoch")), w->conf.epoch);
	json_decref(st);
}

/* REQ-F-4.5c: the salt in use is the one that came with the EKT key; with
 * the same key and another salt nobody understands. */
static void
test_REQ_F_4_5c_salt_is_the_delivered(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	struct kit_conf other;

	kit_conf_rekey(&w->conf);
	other = w->conf;
	other.salt[0] ^= 1;
	kit_push(a, &w->kmf, &w->conf);
	kit_push(b, &w->kmf, &other);
	speak(w, 100);
	assert_int_equal(kit_counter(b, CONF, "opened"), 0);
	assert_int_equal(kit_counter(w->m[2], CONF, "opened"), 0);
	kit_push(w->m[2], &w->kmf, &w->conf);
	speak(w, 40); /* a Full field each 100 ms */
	assert_true(kit_counter(w->m[2], CONF, "opened") > 0);
	assert_int_equal(kit_counter(b, CONF, "opened"), 0);
}

/* REQ-W-1.1: what was spoken passes neither front, only the loopback port
 * of who listens. */
static void
test_REQ_W_1_1_no_plaintext_on_the_channel(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	unsigned i, k, sealed = 0;
	struct kit *end;

	kit_listen(b, kit_port(b, a->ssrc[0]));
	a->seq = 7654;
	for (i = 0; i < 10; i++) {
		kit_app_send(a, VAULT_AUDIO, 111);
		kit_settle(a, 5);
		for (k = 0; k < a->nq; k++)
			if (a->q[k].type == VAULT_MEDIA_OUT)
				kit_send_raw(b, VAULT_MEDIA_IN, a->q[k].data,
				    a->q[k].len);
	}
	kit_settle(b, 20);
	assert_int_equal(heard(b, 7654, a->ssrc[0]), 10);
	for (i = 0; i < 2; i++) {
		end = w->m[i];
		for (k = 0; k < end->nq; k++) {
			sealed += end->q[k].type == VAULT_MEDIA_OUT;
			assert_null(memmem(
			    end->q[k].data, end->q[k].len, "alice 76", 8));
		}
	}
	assert_int_equal(sealed, 10);
}

/* After an eviction nothing sent under the new epoch opens at the evicted,
 * who still runs and still gets every packet. */
static void
test_evicted_opens_nothing(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1], *c = w->m[2];
	int64_t before;

	kit_listen(b, kit_port(b, a->ssrc[0]));
	speak(w, 10);
	kit_conf_rekey(&w->conf);
	kit_push(a, &w->kmf, &w->conf);
	kit_push(b, &w->kmf, &w->conf);
	kit_roster_all(&w->kmf, &w->conf, w->m, 2);
	speak(w, 80);
	before = kit_counter(c, CONF, "opened");
	assert_true(before >= 10);
	speak(w, 50); /* all of it under the new key */
	assert_int_equal(heard(b, 0, a->ssrc[0]), 140);
	assert_int_equal(kit_counter(c, CONF, "opened"), before);
}

/* REQ-W-6, REQ-F-8.2.1b: who is not on the roster is not heard. */
static void
test_unlisted_is_dropped(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	struct kit *stay[2] = { w->m[1], w->m[2] };

	speak(w, 5);
	assert_int_equal(kit_counter(b, CONF, "opened"), 5);
	kit_roster_all(&w->kmf, &w->conf, stay, 2);
	speak(w, 5);
	assert_int_equal(kit_counter(b, CONF, "opened"), 5);
	assert_int_equal(kit_counter(b, CONF, "not_listed"), 5);
	assert_int_equal(kit_port(b, a->ssrc[0]), 0);
}

/* REQ-J-6.2.1: a payload type that is not this medium's feeds no decoder. */
static void
test_REQ_J_6_2_1_foreign_payload_type(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	uint8_t p[VAULT_PACKET_MAX];
	struct kit_msg m;
	size_t ohb;

	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 10);
	assert_true(kit_take(a, VAULT_MEDIA_OUT, &m));
	/* As a distributor may: PT 96 outside, the original in the OHB. */
	ohb = m.len - 47 - 1;
	memcpy(p, m.data, ohb);
	assert_int_equal(m.data[ohb], 0); /* nothing changed so far */
	p[2] = (uint8_t)((p[2] & 0x80) | 96);
	p[ohb] = 111;
	p[ohb + 1] = 0x02; /* P */
	memcpy(p + ohb + 2, m.data + ohb + 1, 47);
	kit_msg_clear(&m);
	kit_send_raw(b, VAULT_MEDIA_IN, p, ohb + 2 + 47);
	kit_settle(b, 10);
	assert_int_equal(kit_counter(b, CONF, "opened"), 1);
	assert_int_equal(kit_counter(b, CONF, "pt_refused"), 1);
	assert_int_equal(kit_counter(b, CONF, "delivered"), 0);
}

/* A changed octet anywhere under the inner tag is noticed. */
static void
test_REQ_F_8_2_1a_changed_packet(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	struct kit_msg m;

	speak(w, 3);
	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 10);
	assert_true(kit_take(a, VAULT_MEDIA_OUT, &m));
	m.data[14] ^= 1;
	kit_send_raw(b, VAULT_MEDIA_IN, m.data, m.len);
	kit_settle(b, 10);
	assert_int_equal(kit_counter(b, CONF, "opened"), 3);
	m.data[14] ^= 1;
	kit_send_raw(b, VAULT_MEDIA_IN, m.data, m.len);
	kit_settle(b, 10);
	assert_int_equal(kit_counter(b, CONF, "opened"), 4);
	kit_send_raw(b, VAULT_MEDIA_IN, m.data, m.len); /* replay */
	kit_settle(b, 10);
	assert_int_equal(kit_counter(b, CONF, "opened"), 4);
	assert_int_equal(kit_counter(b, CONF, "replayed"), 1);
	kit_msg_clear(&m);
}

/* REQ-F-4.3c: no header extension, no CSRC leaves; SSRC and PT are ours. */
static void
test_REQ_F_4_3c_header_is_made_anew(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];
	const uint8_t p[] = { 0x91, 0x80 | 13, 0x12, 0x34, 0, 0, 0, 9, 1, 2, 3,
		4, 0x11, 0x22, 0x33, 0x44, 0xbe, 0xde, 0, 1, 0x10, 0x8f, 0, 0,
		'h', 'i' };
	struct kit_msg m;

	kit_app_send_to(a, a->port[0][0], p, sizeof(p));
	kit_settle(a, 10);
	assert_true(kit_take(a, VAULT_MEDIA_OUT, &m));
	/* slot | 12 of header | 2 of payload | tag | OHB | Full field */
	assert_int_equal(m.len, 1 + 12 + 2 + 16 + 1 + 47);
	assert_int_equal(m.data[1], 0x80);
	assert_int_equal(m.data[2], 0x80 | 111);
	assert_int_equal(m.data[3] << 8 | m.data[4], 0x1234);
	assert_int_equal((uint32_t)m.data[9] << 24 | m.data[10] << 16 |
		m.data[11] << 8 | m.data[12],
	    a->ssrc[0]);
	assert_memory_not_equal(m.data + 13, "hi", 2);
	kit_msg_clear(&m);
}

/* The audio level leaves with sound, as root's configuration has it, under the
 * id of the hop; what else is there does not, nor does it with pictures. */
static void
test_audio_level_leaves(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	const uint8_t p[] = { 0x90, 111, 0x12, 0x34, 0, 0, 0, 9, 1, 2, 3, 4,
		0xbe, 0xde, 0, 2, 0x20, 0x77, 0x50, 0x9e, 0x31, 1, 2, 0, 'h',
		'i' };
	const uint8_t out[] = { 0xbe, 0xde, 0, 1, 0x10, 0x9e, 0, 0 };
	uint8_t d[2048];
	struct kit_msg m;

	w->kmf.config.ext.level = 5;
	kit_listen(b, kit_port(b, a->ssrc[0]));
	kit_app_send_to(a, a->port[VAULT_AUDIO][0], p, sizeof(p));
	kit_settle(a, 10);
	assert_true(kit_take(a, VAULT_MEDIA_OUT, &m));
	assert_int_equal(m.data[1], 0x90);
	assert_memory_equal(m.data + 1 + 12, out, sizeof(out));
	assert_int_equal(m.len, 1 + 12 + 8 + 2 + 16 + 1 + 47);
	kit_send_raw(b, VAULT_MEDIA_IN, m.data, m.len);
	kit_settle(b, 10);
	assert_int_equal(kit_recv(b, d, sizeof(d)), 14); /* without it */
	assert_int_equal(d[0], 0x80);
	assert_memory_equal(d + 12, "hi", 2);
	kit_msg_clear(&m);
	kit_app_send_to(a, a->port[VAULT_VIDEO][0], p, sizeof(p));
	kit_settle(a, 10);
	assert_true(kit_take(a, VAULT_MEDIA_OUT, &m));
	assert_int_equal(m.data[1], 0x80);
	kit_msg_clear(&m);
}

/* With ext_deliver the application gets it back under its own id. */
static void
test_extensions_are_delivered(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	const uint8_t p[] = { 0x90, 111, 0x12, 0x34, 0, 0, 0, 9, 1, 2, 3, 4,
		0xbe, 0xde, 0, 1, 0x50, 0x9e, 0, 0, 'h', 'i' };
	uint8_t d[2048];
	struct kit_msg m;

	w->kmf.config.ext.level = 5;
	w->kmf.config.ext.deliver = true;
	kit_listen(b, kit_port(b, a->ssrc[0]));
	kit_app_send_to(a, a->port[VAULT_AUDIO][0], p, sizeof(p));
	kit_settle(a, 10);
	assert_true(kit_take(a, VAULT_MEDIA_OUT, &m));
	kit_send_raw(b, VAULT_MEDIA_IN, m.data, m.len);
	kit_settle(b, 10);
	assert_int_equal(kit_recv(b, d, sizeof(d)), sizeof(p));
	assert_memory_equal(d + 12, p + 12, 10);
	kit_msg_clear(&m);
}

static void
app_packet(struct kit *a, uint32_t ssrc, uint16_t seq, uint32_t ts)
{
	uint8_t p[20] = { 0x80, 111 };

	p[2] = (uint8_t)(seq >> 8);
	p[3] = (uint8_t)seq;
	p[4] = (uint8_t)(ts >> 24);
	p[5] = (uint8_t)(ts >> 16);
	p[6] = (uint8_t)(ts >> 8);
	p[7] = (uint8_t)ts;
	p[8] = (uint8_t)(ssrc >> 24);
	p[11] = (uint8_t)ssrc;
	kit_app_send_to(a, a->port[0][0], p, sizeof(p));
	kit_settle(a, 5);
}

static void
expect_numbers(struct kit *a, uint16_t seq, uint32_t ts_low, uint32_t ts_high)
{
	struct kit_msg m;
	uint32_t ts;

	assert_true(kit_take(a, VAULT_MEDIA_OUT, &m));
	assert_int_equal(m.data[3] << 8 | m.data[4], seq);
	ts = (uint32_t)m.data[5] << 24 | m.data[6] << 16 | m.data[7] << 8 |
	    m.data[8];
	assert_in_range(ts, ts_low, ts_high);
	kit_msg_clear(&m);
}

/* The application starts again with other numbers; the stream goes on. */
static void
test_restart_of_the_application(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];
	struct kit_msg m;

	app_packet(a, 1, 65534, 1000);
	expect_numbers(a, 65534, 1000, 1000);
	app_packet(a, 1, 65535, 1960);
	expect_numbers(a, 65535, 1960, 1960);
	app_packet(a, 2, 65534, 77); /* another SSRC, an old number */
	expect_numbers(a, 0, 1961, 1960 + 48000);
	app_packet(a, 2, 65535, 1037);
	expect_numbers(a, 1, 1961 + 960, 1960 + 48960);
	app_packet(a, 2, 30000, 1997); /* the same SSRC, far away */
	expect_numbers(a, 2, 1961 + 960, 1960 + 2 * 48960);
	app_packet(a, 2, 30000, 1997); /* sent twice: no nonce comes twice */
	assert_false(kit_take(a, VAULT_MEDIA_OUT, &m));
	app_packet(a, 2, 30002, 3917); /* one lost */
	expect_numbers(a, 4, 1961, 1960 + 3 * 48960);
	app_packet(a, 2, 30001, 2957); /* and found again */
	expect_numbers(a, 3, 1961, 1960 + 3 * 48960);
}

/* REQ-W-2, REQ-WC-4.4: before a key and after it nothing leaves. */
static void
test_REQ_W_2_fail_closed(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];
	struct kit_msg m;

	kit_drop(a, VAULT_MEDIA_OUT);
	assert_int_equal(kit_err(kit_call(a, VAULT_LEAVE, 1, CONF)), 0);
	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 20);
	assert_false(kit_take(a, VAULT_MEDIA_OUT, &m));
	assert_int_equal(kit_err(kit_call(a, VAULT_OPEN, 2, CONF, KIT_KMF)), 0);
	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 20);
	assert_false(kit_take(a, VAULT_MEDIA_OUT, &m));
	assert_int_equal(kit_counter(a, CONF, "local_dropped"), 1);
}

/* ---- RTCP ------------------------------------------------------------------
 */

/* SR | SDES with a name | APP, as an application would send. */
static void
test_REQ_F_4_1a_rtcp_says_nothing_confidential(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	uint8_t p[] = { 0x82, 200, 0, 18, 1, 2, 3, 4, /* SR, two reports */
		9, 9, 9, 9, 8, 8, 8, 8, 0, 0, 1, 0, 0, 0, 0, 5, 0, 0, 1, 0,
		/* about bob */ 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3,
		0, 0, 0, 4, 0, 0, 0, 5,
		/* about a stranger */ 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1, 0, 0,
		0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5,
		/* SDES CNAME */ 0x81, 202, 0, 4, 1, 2, 3, 4, 1, 9, 'a', 'l',
		'i', 'c', 'e', '@', 'p', 'c', 0, 0,
		/* APP */ 0x80, 204, 0, 2, 1, 2, 3, 4, 'S', 'P', 'Y', '!' };
	struct kit_msg m;

	p[28] = (uint8_t)(b->ssrc[0] >> 24);
	p[31] = (uint8_t)b->ssrc[0];
	kit_app_send_to(a, a->port[0][1], p, sizeof(p));
	kit_settle(a, 10);
	assert_true(kit_take(a, VAULT_RTCP_OUT, &m));
	assert_int_equal(m.len, 1 + 28 + 24); /* the SR with one report */
	assert_int_equal(m.data[1], 0x81);
	assert_int_equal(m.data[2], 200);
	assert_int_equal(m.data[4], 12);
	assert_int_equal(m.data[5], a->ssrc[0] >> 24);
	assert_memory_equal(m.data + 29, p + 28, 24);
	kit_msg_clear(&m);
}

/* The same when RTCP shares the RTP port; and what is neither is dropped. */
static void
test_rtcp_on_the_rtp_port(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];
	const uint8_t p[] = { 0x80, 201, 0, 1, 1, 2, 3, 4, 0x81, 202, 0, 3, 1,
		2, 3, 4, 1, 5, 'a', 'l', 'i', 'c', 'e', 0 };
	const uint8_t stun[20] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 };
	struct kit_msg m;

	kit_app_send_to(a, a->port[0][0], p, sizeof(p));
	kit_app_send_to(a, a->port[0][0], stun, sizeof(stun));
	kit_settle(a, 10);
	assert_false(kit_take(a, VAULT_MEDIA_OUT, &m));
	assert_true(kit_take(a, VAULT_RTCP_OUT, &m));
	assert_int_equal(m.len, 1 + 8);
	kit_msg_clear(&m);
	assert_int_equal(kit_counter(a, CONF, "local_dropped"), 1);
}

static void
feedback(
    struct kit *k, uint8_t fmt, uint32_t media, const uint8_t *fci, size_t n)
{
	uint8_t p[64] = { 0, (uint8_t)(0x80 | fmt), 206, 0,
		(uint8_t)(2 + n / 4) };

	p[9] = (uint8_t)(media >> 24);
	p[12] = (uint8_t)media;
	if (n > 0)
		memcpy(p + 13, fci, n);
	kit_send_raw(k, VAULT_RTCP_IN, p, 13 + n);
	kit_settle(k, 5);
}

/* REQ-F-8.2.5a: a storm of forged requests costs the encoder two frames. */
static void
test_REQ_F_8_2_5a_key_frame_storm(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];
	uint8_t fir[8] = { 0 }, p[64];
	unsigned i;

	kit_listen(a, kit_port(a, w->m[1]->ssrc[0]));
	kit_app_send(a, VAULT_VIDEO, 96); /* tells where it listens */
	for (i = 0; i < 50; i++)
		feedback(a, 1, a->ssrc[1], NULL, 0);
	assert_int_equal(kit_counter(a, CONF, "key_frames"), 1);
	assert_int_equal(kit_counter(a, CONF, "key_frames_damped"), 49);
	kit_settle(a, VAULT_DAMP_MS + 50);
	fir[0] = (uint8_t)(a->ssrc[1] >> 24);
	fir[3] = (uint8_t)a->ssrc[1];
	feedback(a, 4, 0, fir, sizeof(fir));
	assert_int_equal(kit_counter(a, CONF, "key_frames"), 2);
	feedback(a, 1, 0x12345678, NULL, 0); /* nobody's */
	assert_int_equal(kit_counter(a, CONF, "key_frames"), 2);
	assert_int_equal(kit_recv(a, p, sizeof(p)), 0);
}

/* The request reaches the application, about the SSRC that it knows. */
static void
test_key_frame_request_arrives(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];
	uint8_t rr[8] = { 0x80, 201, 0, 1, 0xab, 0xcd, 0xef, 1 }, p[64];
	size_t n;

	kit_app_send(a, VAULT_VIDEO, 96);
	kit_app_send_to(a, a->port[1][1], rr, sizeof(rr));
	kit_settle(a, 10);
	feedback(a, 1, a->ssrc[1], NULL, 0);
	n = (size_t)recv(a->app, p, sizeof(p), MSG_DONTWAIT);
	assert_int_equal(n, 12);
	assert_int_equal(p[1], 206);
	assert_memory_equal(p + 8, "\xab\xcd\xef\x01", 4);
}

/* One feedback packet of Bob's application about Alice, and what became of
 * it: octets that left, 0 none. */
static size_t
asked(struct vaultroom *w, const char *hex, uint32_t media, uint8_t *got)
{
	struct kit *b = w->m[1];
	struct kit_msg m;
	uint8_t p[128];
	size_t n = sizeof(p);

	assert_int_equal(perc_hex_get(p, &n, hex, strlen(hex)), 0);
	p[8] = (uint8_t)(media >> 24);
	p[9] = (uint8_t)(media >> 16);
	p[10] = (uint8_t)(media >> 8);
	p[11] = (uint8_t)media;
	kit_app_send_to(b, b->port[0][1], p, n);
	kit_settle(b, 5);
	if (!kit_take(b, VAULT_RTCP_OUT, &m))
		return 0;
	memcpy(got, m.data + 1, m.len - 1);
	kit_msg_clear(&m);
	assert_memory_equal(got + 8, p + 8, n - 8); /* all but who asks */
	assert_int_equal(got[4], b->ssrc[0] >> 24);
	assert_int_equal(got[7], (uint8_t)b->ssrc[0]);
	return n;
}

static void
test_feedback_of_the_application(void **state)
{
	struct vaultroom *w = *state;
	uint32_t a = w->m[0]->ssrc[0];
	char fir[64];
	uint8_t got[128];

	/* PLI, NACK */
	assert_int_equal(asked(w, "81ce0002abcdef0100000000", a, got), 12);
	assert_int_equal(
	    asked(w, "81cd0003abcdef010000000012340000", a, got), 16);
	/* FIR: the SSRC stands in the entry */
	snprintf(fir, sizeof(fir), "84ce0004abcdef0100000000%08x05000000", a);
	assert_int_equal(asked(w, fir, 0, got), 20);
	assert_int_equal(
	    asked(w, "84ce0004abcdef01000000001234567805000000", 0, got), 0);
	/* about nobody we hear */
	assert_int_equal(asked(w, "81ce0002abcdef0100000000", 0x1234, got), 0);
	assert_int_equal(
	    asked(w, "81ce0002abcdef0100000000", w->m[1]->ssrc[0], got), 0);
	/* REMB, transport-wide feedback, PLI with something behind */
	assert_int_equal(
	    asked(w, "8fce0004abcdef01000000005245204201000000", a, got), 0);
	assert_int_equal(
	    asked(w, "8fcd0004abcdef01000000000001000100000000", a, got), 0);
	assert_int_equal(
	    asked(w, "81ce0003abcdef0100000000aaaaaaaa", a, got), 0);
	/* lengths that lie, padding, version */
	assert_int_equal(asked(w, "81ce0009abcdef0100000000", a, got), 0);
	assert_int_equal(asked(w, "81ce0001abcdef0100000000", a, got), 0);
	assert_int_equal(asked(w, "a1ce0002abcdef0100000000", a, got), 0);
	assert_int_equal(asked(w, "41ce0002abcdef0100000000", a, got), 0);
}

/* A receiver answers to where its stream came from. */
static void
test_feedback_of_a_receiver(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	uint8_t pli[12] = { 0x81, 206, 0, 2, 9, 9, 9, 9 }, p[256];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	struct kit_msg m;

	pli[8] = (uint8_t)(a->ssrc[0] >> 24);
	pli[11] = (uint8_t)a->ssrc[0];
	kit_listen(b, kit_port(b, a->ssrc[0]));
	speak(w, 1);
	assert_true(recvfrom(b->rx, p, sizeof(p), 0, (struct sockaddr *)&from,
			&len) > 12);
	assert_int_equal(
	    sendto(b->rx, pli, sizeof(pli), 0, (struct sockaddr *)&from, len),
	    sizeof(pli));
	kit_settle(b, 10);
	assert_true(kit_take(b, VAULT_RTCP_OUT, &m));
	assert_int_equal(m.len, 13);
	assert_int_equal(m.data[5], b->ssrc[0] >> 24);
	kit_msg_clear(&m);
	/* from a port of its own: clear while there is one conference */
	kit_app_send_to(b, ntohs(from.sin_port), pli, sizeof(pli));
	kit_settle(b, 10);
	assert_true(kit_take(b, VAULT_RTCP_OUT, &m));
	kit_msg_clear(&m);
	b->vault->slots[1].state = VAULT_SLOT_LIVE;
	kit_app_send_to(b, ntohs(from.sin_port), pli, sizeof(pli));
	kit_settle(b, 10);
	b->vault->slots[1].state = VAULT_SLOT_FREE;
	assert_false(kit_take(b, VAULT_RTCP_OUT, &m));
}

/* A player that comes late sees something though it asks for nothing. */
static void
test_new_player_asks_for_a_key_frame(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	uint16_t port = kit_port(b, a->ssrc[1]);
	struct kit_msg m;
	unsigned i;

	vault_owner_init(b->vault,
	    socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
	assert_true(vault_owner_known(b->vault));
	for (i = 0; i < 4; i++) {
		if (i == 2)
			kit_listen(b, port);
		kit_app_send(a, VAULT_VIDEO, 96);
		kit_settle(a, 5);
		kit_carry(a, w->m, 3);
		kit_settle(b, 30);
		assert_int_equal(kit_take(b, VAULT_RTCP_OUT, &m), i == 2);
		if (i != 2)
			continue;
		assert_int_equal(m.len, 13);
		assert_int_equal(m.data[2], 206); /* PLI */
		assert_int_equal(m.data[9], a->ssrc[1] >> 24);
		assert_int_equal(m.data[12], a->ssrc[1] & 0xff);
		kit_msg_clear(&m);
	}
}

/* A remote SR goes to that stream's receiver, bare; SDES is not believed. */
static void
test_remote_report_is_delivered(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0], *b = w->m[1];
	uint8_t p[1 + 28 + 16] = { 0, 0x80, 200, 0, 6 }, got[64];

	p[5] = (uint8_t)(a->ssrc[0] >> 24);
	p[8] = (uint8_t)a->ssrc[0];
	memcpy(p + 29, "\x81\xca\x00\x03\x01\x02\x03\x04\x01\x04mary\0\0", 16);
	kit_listen(b, (uint16_t)(kit_port(b, a->ssrc[0]) + 1));
	kit_send_raw(b, VAULT_RTCP_IN, p, sizeof(p));
	kit_settle(b, 10);
	assert_int_equal(kit_recv(b, got, sizeof(got)), 28);
	assert_memory_equal(got, p + 1, 28);
	assert_int_equal(kit_recv(b, got, sizeof(got)), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, vaultroom_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_REQ_F_4_2a_two_hear_one),
		TEST(test_REQ_F_4_5d_rekey_loses_nothing),
		TEST(test_unknown_spi_is_asked_for_once),
		TEST(test_wiped_epoch_is_not_asked_for),
		TEST(test_burst_of_rekeys),
		TEST(test_REQ_F_4_5c_salt_is_the_delivered),
		TEST(test_REQ_W_1_1_no_plaintext_on_the_channel),
		TEST(test_evicted_opens_nothing),
		TEST(test_unlisted_is_dropped),
		TEST(test_REQ_J_6_2_1_foreign_payload_type),
		TEST(test_REQ_F_8_2_1a_changed_packet),
		TEST(test_REQ_F_4_3c_header_is_made_anew),
		TEST(test_restart_of_the_application),
		TEST(test_REQ_W_2_fail_closed),
		TEST(test_REQ_F_4_1a_rtcp_says_nothing_confidential),
		TEST(test_audio_level_leaves),
		TEST(test_extensions_are_delivered),
		TEST(test_rtcp_on_the_rtp_port),
		TEST(test_REQ_F_8_2_5a_key_frame_storm),
		TEST(test_key_frame_request_arrives),
		TEST(test_feedback_of_the_application),
		TEST(test_feedback_of_a_receiver),
		TEST(test_new_player_asks_for_a_key_frame),
		TEST(test_remote_report_is_delivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
