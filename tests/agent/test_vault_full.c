/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a Full EKT field leaves (docs/ekt.md). Who joins hears nothing before
 * one, and with video they are a second apart: so a sender sends them oftener
 * for a while when the roster gains somebody. Virtual time.
 */
#include "vaultroom.h"

#define CONF "c_full"

enum { FULL = 2 }; /* the field's last octet (RFC 8870 section 4.1) */

static int64_t skew_ms;

int64_t __real_perc_boot_ms(void);
int64_t __wrap_perc_boot_ms(void);

static int64_t still_ms; /* time stands, however busy the machine is */

int64_t
__wrap_perc_boot_ms(void)
{
	if (still_ms == 0)
		still_ms = __real_perc_boot_ms();
	return still_ms + skew_ms;
}

static int
world_open(void **state)
{
	struct vaultroom *w = vaultroom_open(CONF, 3);

	kit_roster_all(&w->kmf, &w->conf, w->m, 2);
	*state = w;
	return 0;
}

/* After that long Alice sends a packet: does it carry the key? */
static bool
carries(struct vaultroom *w, enum vault_media media, int64_t after_ms)
{
	struct kit_msg m;
	bool full;

	skew_ms += after_ms;
	kit_app_send(w->m[0], media, media == VAULT_VIDEO ? 96 : 111);
	assert_true(kit_wait(w->m[0], VAULT_MEDIA_OUT, 0, &m));
	full = m.data[m.len - 1] == FULL;
	kit_msg_clear(&m);
	return full;
}

/* What everybody gets after a key, and after the first roster. */
static void
grow_old(struct vaultroom *w)
{
	unsigned i;

	for (i = 0; i < 40; i++)
		(void)carries(w, VAULT_VIDEO, 100);
	while (!carries(w, VAULT_VIDEO, 100))
		continue;
	for (i = 0; i < 9; i++)
		assert_false(carries(w, VAULT_VIDEO, 100));
}

static void
test_newcomer_gets_a_full_field(void **state)
{
	struct vaultroom *w = *state;
	unsigned i;

	grow_old(w);
	assert_true(carries(w, VAULT_VIDEO, 100)); /* once a second */
	assert_false(carries(w, VAULT_VIDEO, 100));
	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
	assert_true(carries(w, VAULT_VIDEO, 0)); /* the very next */
	for (i = 1; i < 30; i++) {		 /* his leg may come up late */
		assert_false(carries(w, VAULT_VIDEO, 50));
		assert_true(carries(w, VAULT_VIDEO, 50));
	}
	for (i = 0; i < 9; i++)
		assert_false(carries(w, VAULT_VIDEO, 100));
}

/* However many come and go: not every packet, and the last one is served. */
static void
test_burst_of_newcomers(void **state)
{
	struct vaultroom *w = *state;
	unsigned i, full = 0;

	grow_old(w);
	for (i = 0; i < 40; i++) {
		kit_roster_all(&w->kmf, &w->conf, w->m, 2 + i % 2);
		full += carries(w, VAULT_VIDEO, 10);
	}
	assert_in_range(full, 4, 5); /* 400 ms */
	kit_roster_all(&w->kmf, &w->conf, w->m, 2);
	kit_roster_all(&w->kmf, &w->conf, w->m, 3);
	assert_true(carries(w, VAULT_VIDEO, 100));
	assert_true(carries(w, VAULT_VIDEO, 2800));
	assert_false(carries(w, VAULT_VIDEO, 99));
}

/* A roster that is signed again, or that somebody left, needs none. */
static void
test_nobody_new(void **state)
{
	struct vaultroom *w = *state;

	grow_old(w);
	assert_true(carries(w, VAULT_VIDEO, 100));
	assert_false(carries(w, VAULT_VIDEO, 100));
	kit_roster_all(&w->kmf, &w->conf, w->m, 2);
	assert_false(carries(w, VAULT_VIDEO, 100));
	kit_roster_all(&w->kmf, &w->conf, w->m, 1);
	assert_false(carries(w, VAULT_VIDEO, 100));
}

/* A key frame that the application tells of carries the sender's key. */
static void
test_key_frame_carries_key(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];
	uint8_t p[] = { 0x90, 96, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 0xbe, 0xde, 0,
		1, 0x72, 0x80, 0, 0, 'h', 'i' };
	struct kit_msg m;
	unsigned i, full = 0;

	w->kmf.config.ext.marking = 7;
	for (i = 0; i < 8; i++) {
		p[3]++;
		p[17] = i == 6 ? 0xa0 : 0x80;
		kit_app_send_to(a, a->port[VAULT_VIDEO][0], p, sizeof(p));
		assert_true(kit_wait(a, VAULT_MEDIA_OUT, 0, &m));
		assert_int_equal(m.data[1 + 12 + 4], 0x92); /* id 9, 3 octets */
		full = full << 1 | (m.data[m.len - 1] == FULL);
		kit_msg_clear(&m);
	}
	assert_int_equal(full & 0x1f, 0x02); /* the last but one */
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, world_open, vaultroom_close)
	const struct CMUnitTest tests[] = {
		TEST(test_newcomer_gets_a_full_field),
		TEST(test_burst_of_newcomers),
		TEST(test_nobody_new),
		TEST(test_key_frame_carries_key),
	};

	return cmocka_run_group_tests_name("vault_full", tests, NULL, NULL);
}
