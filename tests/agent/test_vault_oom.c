/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Nth allocation of ours fails, N counting up through everything that
 * takes keys: error paths are where secrets leak. After each failure the
 * vault holds what it held before or what it took, never half of it, and the
 * same thing succeeds when memory is there again.
 */
#include <stdlib.h>
#include <string.h>

#include "vaultkit.h"

#define CONF "c_oom"

static long left = -1;	  /* allocations until one fails; -1: none does */
static bool failed, none; /* none: every one fails */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
char *__wrap_strdup(const char *s);

static bool
fails(void)
{
	if (!none && (left < 0 || left-- > 0))
		return false;
	failed = true;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t m)
{
	return fails() ? NULL : __real_calloc(n, m);
}

char *
__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

struct world {
	struct perc_loop *loop;
	struct kit_kmf kmf;
	struct kit_conf conf;
	struct kit k; /* its vault is spoken to directly */
};

static void
world_make(struct world *w)
{
	struct vault_setup s = { .config = &w->kmf.config,
		.chan_fd = -1,
		.out_fd = -1,
		.out_base = 20000,
		.report = "{}" };

	memset(w, 0, sizeof(*w));
	assert_int_equal(perc_loop_new(&w->loop), 0);
	kit_kmf_open(&w->kmf);
	kit_conf_init(&w->conf, CONF);
	memset(s.local_fd, 0xff, sizeof(s.local_fd));
	assert_int_equal(vault_new(&w->k.vault, w->loop, &s), 0);
	w->k.seal = w->k.vault->seal;
	strcpy(w->k.member, "m_a");
	strcpy(w->k.name, "A");
	w->k.ssrc[0] = 1;
	w->k.ssrc[1] = 2;
	perc_random(w->k.delivery, sizeof(w->k.delivery));
}

static void
world_free(struct world *w)
{
	vault_free(w->k.vault);
	kit_kmf_close(&w->kmf);
	perc_loop_free(w->loop);
}

/* True when no allocation failed in it. */
static bool
input(struct world *w, uint16_t type, const char *a, const char *b, long nth)
{
	static uint8_t buf[65536];
	struct perc_chan_msg m = { .type = type, .data = buf };
	struct perc_wire out;

	perc_wire_writer(&out, buf, sizeof(buf));
	perc_wire_put_str(&out, CONF);
	perc_wire_put_str(&out, a);
	if (b != NULL)
		perc_wire_put_str(&out, b);
	assert_int_equal(perc_wire_end(&out), 0);
	m.len = out.pos;
	failed = false;
	left = nth;
	assert_int_equal(vault_input(w->k.vault, &m), 0);
	left = -1;
	return !failed;
}

static void
test_first_key(void **state)
{
	struct vault_slot *s;
	struct world w;
	char *jwe;
	bool done = false;
	long n;

	world_make(&w);
	s = &w.k.vault->slots[0];
	assert_true(input(&w, VAULT_OPEN, KIT_KMF, NULL, -1));
	for (n = 0; !done; n++) {
		jwe = kit_answer(&w.kmf, &w.conf, &w.k, NULL);
		done = input(&w, VAULT_KEY, jwe, NULL, n);
		free(jwe);
		if (s->state == VAULT_SLOT_LIVE)
			break; /* the rest is only about telling it */
		assert_int_equal(s->state, VAULT_SLOT_OPEN);
		assert_int_equal(vault_keys_held(s), 0);
	}
	assert_true(n > 5); /* something was tried */
	assert_int_equal(s->state, VAULT_SLOT_LIVE);
	assert_int_equal(s->epoch, w.conf.epoch);
	world_free(&w);
}

static void
test_pushed_epoch_and_roster(void **state)
{
	struct kit other = { .member = "m_b", .name = "B", .ssrc = { 8, 9 } };
	struct kit *all[1] = { &other };
	struct vault_slot *s;
	struct world w;
	char *a, *b;
	bool done;
	long n;

	world_make(&w);
	s = &w.k.vault->slots[0];
	a = kit_answer(&w.kmf, &w.conf, &w.k, NULL);
	assert_true(input(&w, VAULT_OPEN, KIT_KMF, NULL, -1));
	assert_true(input(&w, VAULT_KEY, a, NULL, -1));
	free(a);
	kit_conf_rekey(&w.conf);
	a = kit_statement(w.kmf.key, &w.conf, NULL);
	b = kit_sealed(&w.conf, &w.k);
	for (n = 0; s->epoch != w.conf.epoch; n++) {
		assert_int_equal(s->epoch, w.conf.epoch - 1);
		assert_int_equal(perc_ekt_count(s->ekt), 1);
		(void)input(&w, VAULT_EPOCH, a, b, n);
	}
	assert_true(n > 3);
	assert_int_equal(perc_ekt_count(s->ekt), 2);
	free(a);
	free(b);
	a = kit_roster(w.kmf.key, &w.conf, all, 1, NULL);
	for (n = 0, done = false; !done && !s->roster.have; n++)
		done = input(&w, VAULT_ROSTER, a, NULL, n);
	assert_true(n > 3);
	assert_true(s->roster.have);
	assert_int_equal(s->roster.nstreams, 2);
	free(a);
	/* leaving works without any memory at all */
	none = true;
	vault_slot_erase(s, "left");
	none = false;
	assert_int_equal(s->state, VAULT_SLOT_ERASED);
	assert_int_equal(vault_keys_held(s), 0);
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_key),
		cmocka_unit_test(test_pushed_epoch_and_roster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
