/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the whole writable memory of a process, as its administrator can, and
 * tries every 16 octets in it as the key of one packet:
 *
 *	keyscan PID SALT SESSION-SALT SSRC ROC SEQ CIPHERTEXT PLAINTEXT
 *	keyscan PID find HEX
 *
 * CIPHERTEXT and PLAINTEXT are the first 16 octets of the packet's payload,
 * all octets in hex. A window is taken as SRTP master key under SALT (RFC 3711
 * section 4.3) and as session key under SESSION-SALT. Of counter mode two AES
 * blocks then say whether it fits, so byte alignment is affordable. Windows of
 * few different octets are most of any memory, and not tried: of keys, which
 * are drawn, one in 2^33 looks so. Prints
 * "octets=N unreadable=N tried=N found=N"; exit 0 when nothing was found, 1
 * when something was, 2 when the memory could not be read at all.
 *
 * Memory from memfd_secret cannot be read by anybody: it counts as unreadable.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/aes.h>

#include "tests/tools/memread.h"

#define KEY 16
#define FEW 8 /* different octets that no key has */

struct scan {
	uint8_t salt[12], session_salt[12], iv[12], want[KEY];
	uint8_t find[KEY];
	size_t find_len;
	uint64_t tried, found;
};

/* Is this the session key: does it turn the counter block into `want`? */
static int
fits_session(const struct scan *s, const AES_KEY *k, const uint8_t *salt)
{
	uint8_t block[KEY] = { 0 };

	for (int i = 0; i < 12; i++)
		block[i] = s->iv[i] ^ salt[i];
	block[15] = 2; /* GCM's first counter after the tag's */
	AES_encrypt(block, block, k);
	return memcmp(block, s->want, KEY) == 0;
}

/* RFC 3711 section 4.3.1: label 0 gives the key, label 2 the salt. */
static int
fits_master(const struct scan *s, const AES_KEY *master)
{
	AES_KEY k;
	uint8_t key[KEY] = { 0 }, salt[KEY] = { 0 };

	memcpy(key, s->salt, 12);
	memcpy(salt, s->salt, 12);
	salt[7] ^= 2;
	AES_encrypt(key, key, master);
	AES_encrypt(salt, salt, master);
	AES_set_encrypt_key(key, 128, &k);
	return fits_session(s, &k, salt);
}

static void
try_window(struct scan *s, const uint8_t *p)
{
	AES_KEY k;

	s->tried++;
	AES_set_encrypt_key(p, 128, &k);
	if (fits_session(s, &k, s->session_salt) || fits_master(s, &k))
		s->found++;
}

static void
try_all(struct scan *s, const uint8_t *p, size_t n)
{
	unsigned count[256] = { 0 }, different = 0;

	for (size_t i = 0; i < n; i++) {
		different += count[p[i]]++ == 0;
		if (i >= KEY)
			different -= --count[p[i - KEY]] == 0;
		if (i + 1 >= KEY && different > FEW)
			try_window(s, p + i + 1 - KEY);
	}
}

static void
look(void *arg, const uint8_t *p, size_t n, uint64_t at, const char *mapping)
{
	struct scan *s = arg;

	if (!s->find_len)
		try_all(s, p, n);
	else
		for (size_t i = 0; i + s->find_len <= n; i++)
			s->found += memcmp(p + i, s->find, s->find_len) == 0;
}

int
main(int argc, char **argv)
{
	struct scan s = { 0 };
	struct mem m = { .overlap = KEY - 1, .look = look, .arg = &s };
	uint8_t pt[KEY];

	if (argc == 4 && strcmp(argv[2], "find") == 0) {
		s.find_len = mem_unhex(s.find, sizeof s.find, argv[3]);
	} else if (argc == 9) {
		uint32_t ssrc = (uint32_t)strtoul(argv[4], NULL, 10);
		uint32_t roc = (uint32_t)strtoul(argv[5], NULL, 10);
		unsigned seq = (unsigned)strtoul(argv[6], NULL, 10);

		mem_unhex(s.salt, sizeof s.salt, argv[2]);
		mem_unhex(s.session_salt, sizeof s.session_salt, argv[3]);
		for (int i = 0; i < 4; i++) {
			s.iv[2 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
			s.iv[6 + i] = (uint8_t)(roc >> (24 - 8 * i));
		}
		s.iv[10] = (uint8_t)(seq >> 8);
		s.iv[11] = (uint8_t)seq;
		mem_unhex(s.want, sizeof s.want, argv[7]);
		mem_unhex(pt, sizeof pt, argv[8]);
		for (int i = 0; i < KEY; i++)
			s.want[i] ^= pt[i];
	} else {
		fputs("usage: see the head of keyscan.c\n", stderr);
		return 2;
	}
	if (mem_read(&m, argv[1]) != 0)
		return 2;
	printf("octets=%" PRIu64 " unreadable=%" PRIu64 " tried=%" PRIu64
	       " found=%" PRIu64 "\n",
	    m.octets, m.unreadable, s.tried, s.found);
	return s.found != 0;
}
