/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perc/secret.c. The arena is made once per process, before OpenSSL wakes up,
 * so every test of it runs in a child; what a test finds wrong there is its
 * exit status.
 */
#include "tests/perc/unit.h"

#include <stdbool.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "config.h"
#include "perc/jose_cjose.h"
#include "perc/log.h"
#include "perc/secret.h"
#include "tests/tools/skip.h"

#define NEED(what)                                                             \
	do {                                                                   \
		if (!(what))                                                   \
			_exit(__LINE__ & 0xff ? __LINE__ & 0xff : 1);          \
	} while (0)

/* Can the kernel read p on behalf of a debugger? */
static bool
peekable(void *p)
{
	uint8_t c;
	struct iovec to = { &c, 1 }, from = { p, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

static void
arena_hides(void)
{
	struct perc_secret *s = NULL;
	void *p;

	NEED(perc_secmem_level() == PERC_SECMEM_NONE);
	NEED(perc_secmem_init(1 << 20) == 0);
	NEED(perc_secmem_level() != PERC_SECMEM_NONE);
	NEED(strcmp(perc_secmem_level_name(), "none") != 0);
	NEED(perc_secret_random(&s, 32) == 0);
	NEED((p = perc_secmem_alloc(100)) != NULL);
	memset(p, 1, 100);
	if (perc_secmem_level() == PERC_SECMEM_SECRET) {
		NEED(peekable(&p)); /* the check itself works */
		NEED(!peekable(s->data));
		NEED(!peekable(p));
	}
	perc_secmem_free(p);
	perc_secret_free(s);
	NEED(perc_secmem_init(1 << 20) == PERC_ERR_STATE);
}

static void
test_REQ_W_3_1_arena_hides_from_the_kernel(void **state)
{
	assert_int_equal(in_child(arena_hides), 0);
}

static void
libraries_move(void)
{
	void *p;
	json_t *j;

	NEED(perc_secmem_init(4 << 20) == 0);
	NEED((p = OPENSSL_malloc(64)) != NULL);
	NEED((j = json_string("hush")) != NULL);
	if (perc_secmem_level() == PERC_SECMEM_SECRET) {
		NEED(!peekable(p));
		NEED(!peekable((void *)(uintptr_t)json_string_value(j)));
	}
	p = OPENSSL_realloc(p, 4000);
	NEED(p != NULL);
	OPENSSL_free(p);
	json_decref(j);
	/* All of OpenSSL comes up in it. */
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	NEED(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL,
		 (const uint8_t *)"0123456789abcdef0123456789abcdef",
		 (const uint8_t *)"0123456789ab") == 1);
	EVP_CIPHER_CTX_free(ctx);
}

static void
test_library_heaps_move(void **state)
{
#ifdef PERCH_SANITIZED
	skip_because("a sanitizer has a heap of its own");
#endif
	assert_int_equal(in_child(libraries_move), 0);
}

/* What cjose loses is given back after each key, and nothing else is. */
static void
others_keep_theirs(void)
{
	void *p, *q;
	json_t *j, *k;

	NEED(perc_secmem_init(1 << 20) == 0);
	perc_cjose_watch();
	NEED((p = OPENSSL_malloc(64)) != NULL);
	NEED((j = json_string("hush")) != NULL);
	perc_cjose_watch_end();
	memset(p, 1, 64);
	NEED((q = OPENSSL_malloc(64)) != NULL && q != p);
	NEED((k = json_string("hush")) != NULL && k != j);
	json_decref(j);
	json_decref(k);
	OPENSSL_free(p);
	OPENSSL_free(q);
}

static void
test_only_cjose_is_watched(void **state)
{
	assert_int_equal(in_child(others_keep_theirs), 0);
}

static void
json_stays(void)
{
	char *text;
	json_t *j;

	perc_secmem_keep_json();
	NEED(perc_secmem_init(1 << 20) == 0);
	NEED((j = json_pack("{s:i}", "a", 1)) != NULL);
	NEED((text = json_dumps(j, 0)) != NULL);
	NEED(peekable(text));
	free(text); /* as liboauth2 and libjwt do */
	json_decref(j);
}

static void
test_json_may_stay_with_malloc(void **state)
{
	assert_int_equal(in_child(json_stays), 0);
}

static void
too_late(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	NEED(ctx != NULL);
	NEED(perc_secmem_init(1 << 20) == PERC_ERR_STATE);
	NEED(perc_secmem_level() == PERC_SECMEM_NONE);
	EVP_MD_CTX_free(ctx);
}

static void
test_after_OpenSSL_is_too_late(void **state)
{
	assert_int_equal(in_child(too_late), 0);
}

static void
arena_full(void)
{
	unsigned n = 0;
	void *p, *mine;
	int log[2];
	char line[512] = { 0 };

	NEED(pipe(log) == 0 && dup2(log[1], 2) == 2);
	mine = malloc(10);
	NEED(perc_secmem_init(64 << 10) == 0);
	while ((p = perc_secmem_alloc(4096)) != NULL && n < 1000)
		n++;
	NEED(n == 16);
	NEED(errno == ENOMEM);
	NEED(perc_secmem_alloc(4096) == NULL);
	NEED(perc_secmem_realloc(mine, 100) == NULL);
	close(log[1]);
	close(2);
	NEED(read(log[0], line, sizeof(line) - 1) > 0);
	NEED(strstr(line, "secmem.full") != NULL);
	NEED(strchr(line, '\n') == strrchr(line, '\n')); /* told once */
	perc_secmem_free(mine);
}

static void
test_full_arena_fails_and_says_so_once(void **state)
{
	assert_int_equal(in_child(arena_full), 0);
}

static void
realloc_keeps(void)
{
	char *old = malloc(8), *p;

	strcpy(old, "before");
	NEED(perc_secmem_init(1 << 20) == 0);
	NEED((p = perc_secmem_realloc(old, 64)) != NULL);
	NEED(strcmp(p, "before") == 0);
	for (size_t n = 64; n <= 20000; n += 777) {
		NEED((p = perc_secmem_realloc(p, n)) != NULL);
		NEED(strcmp(p, "before") == 0);
	}
	NEED((p = perc_secmem_realloc(p, 7)) != NULL);
	NEED(strcmp(p, "before") == 0);
	perc_secmem_free(p);
	perc_secmem_free(NULL);
}

static void
test_realloc_moves_and_keeps(void **state)
{
	assert_int_equal(in_child(realloc_keeps), 0);
}

static struct perc_secret *shared;

static void
look_at_shared(void)
{
	volatile uint8_t c = shared->data[0];

	_exit(c == 0x5a ? 1 : 0);
}

static void
arena_and_fork(void)
{
	NEED(perc_secmem_init(1 << 20) == 0);
	NEED(perc_secret_new(&shared, 32) == 0);
	memset(shared->data, 0x5a, 32);
	/* Not mapped (killed) or wiped (0), but never the octets (1). */
	NEED(in_child(look_at_shared) != 1);
	NEED(shared->data[31] == 0x5a);
}

static void
test_REQ_W_3_1_a_forked_child_sees_no_secret(void **state)
{
	assert_int_equal(in_child(arena_and_fork), 0);
	assert_int_equal(perc_secret_new(&shared, 32), 0);
	memset(shared->data, 0x5a, 32);
	assert_int_not_equal(in_child(look_at_shared), 1);
	perc_secret_free(shared);
}

static void
test_secrets_without_an_arena(void **state)
{
	struct perc_secret *s = NULL, *t = NULL;

	assert_int_equal(perc_secret_new(&s, 0), PERC_ERR_INVAL);
	assert_int_equal(
	    perc_secret_new(&s, PERC_SECRET_MAX + 1), PERC_ERR_INVAL);
	assert_int_equal(perc_secret_new(&s, PERC_SECRET_MAX), 0);
	for (size_t i = 0; i < s->len; i++)
		assert_int_equal(s->data[i], 0);
	perc_secret_free(s);
	assert_int_equal(perc_secret_from(&s, "key", 3), 0);
	assert_int_equal(s->len, 3);
	assert_memory_equal(s->data, "key", 3);
	assert_int_equal(perc_secret_random(&t, 32), 0);
	assert_false(perc_equal(t->data, (uint8_t[32]){ 0 }, 32));
	perc_secret_free(s);
	perc_secret_free(t);
	perc_secret_free(NULL);
}

static void
test_wipe_and_equal(void **state)
{
	uint8_t a[4] = "abc", b[4] = "abd";

	assert_false(perc_equal(a, b, 3));
	assert_true(perc_equal(a, b, 2));
	assert_true(perc_equal(a, b, 0));
	perc_wipe(a, 3);
	assert_memory_equal(a, "\0\0\0", 4);
	perc_wipe(NULL, 0);
}

static void
hardened(void)
{
	struct rlimit lim;

	NEED(perc_process_harden() == 0);
	NEED(getrlimit(RLIMIT_CORE, &lim) == 0 && lim.rlim_max == 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
#ifndef PERCH_SANITIZED
	NEED(prctl(PR_GET_DUMPABLE) == 0);
#endif
}

static void
test_REQ_W_3_1_harden(void **state)
{
	assert_int_equal(in_child(hardened), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_REQ_W_3_1_arena_hides_from_the_kernel),
		cmocka_unit_test(test_library_heaps_move),
		cmocka_unit_test(test_only_cjose_is_watched),
		cmocka_unit_test(test_json_may_stay_with_malloc),
		cmocka_unit_test(test_after_OpenSSL_is_too_late),
		cmocka_unit_test(test_full_arena_fails_and_says_so_once),
		cmocka_unit_test(test_realloc_moves_and_keeps),
		cmocka_unit_test(test_REQ_W_3_1_a_forked_child_sees_no_secret),
		cmocka_unit_test(test_REQ_W_3_1_harden),
		/* Last: they wake OpenSSL in this process. */
		cmocka_unit_test(test_secrets_without_an_arena),
		cmocka_unit_test(test_wipe_and_equal),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
