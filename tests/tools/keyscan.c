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
 * blocks then say whether it fits, so byte alignment is affordable. Prints
 * "octets=N unreadable=N tried=N found=N"; exit 0 when nothing was found, 1
 * when something was, 2 when the memory could not be read at all.
 *
 * Memory from memfd_secret cannot be read by anybody: it counts as unreadable.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/aes.h>

#define KEY   16
#define CHUNK (1u << 20)

struct scan {
	uint8_t salt[12], session_salt[12], iv[12], want[KEY];
	uint8_t find[KEY];
	size_t find_len;
	uint64_t octets, unreadable, tried, found;
};

static size_t
unhex(uint8_t *out, size_t cap, const char *s)
{
	size_t n = strlen(s) / 2;

	if (n > cap || strlen(s) % 2)
		exit(2);
	for (size_t i = 0; i < n; i++) {
		unsigned v;

		if (sscanf(s + 2 * i, "%2x", &v) != 1)
			exit(2);
		out[i] = (uint8_t)v;
	}
	return n;
}

/* Is this the session key: does it turn the counter block into `want`? */
static int
fits_session(const struct scan *s, const uint8_t *key, const uint8_t *salt)
{
	AES_KEY k;
	uint8_t block[KEY] = { 0 };

	for (int i = 0; i < 12; i++)
		block[i] = s->iv[i] ^ salt[i];
	block[15] = 2; /* GCM's first counter after the tag's */
	AES_set_encrypt_key(key, 128, &k);
	AES_encrypt(block, block, &k);
	return memcmp(block, s->want, KEY) == 0;
}

/* RFC 3711 section 4.3.1: label 0 gives the key, label 2 the salt. */
static int
fits_master(const struct scan *s, const uint8_t *master)
{
	AES_KEY k;
	uint8_t key[KEY] = { 0 }, salt[KEY] = { 0 };

	memcpy(key, s->salt, 12);
	memcpy(salt, s->salt, 12);
	salt[7] ^= 2;
	AES_set_encrypt_key(master, 128, &k);
	AES_encrypt(key, key, &k);
	AES_encrypt(salt, salt, &k);
	return fits_session(s, key, salt);
}

static void
try_window(struct scan *s, const uint8_t *p)
{
	static const uint8_t zero[KEY];

	if (memcmp(p, zero, KEY) == 0)
		return;
	s->tried++;
	if (fits_session(s, p, s->session_salt) || fits_master(s, p))
		s->found++;
}

static void
look(struct scan *s, const uint8_t *p, size_t n)
{
	size_t width = s->find_len ? s->find_len : KEY;

	for (size_t i = 0; i + width <= n; i++) {
		if (!s->find_len)
			try_window(s, p + i);
		else if (memcmp(p + i, s->find, width) == 0)
			s->found++;
	}
}

/* One mapping, in chunks that overlap by one window. */
static void
read_map(struct scan *s, int fd, uint64_t from, uint64_t to)
{
	static uint8_t buf[CHUNK + 64];
	size_t keep = 0;

	while (from < to) {
		size_t want = to - from < CHUNK ? to - from : CHUNK;
		ssize_t n = pread(fd, buf + keep, want, (off_t)from);

		if (n <= 0) {
			s->unreadable += to - from;
			return;
		}
		s->octets += (uint64_t)n;
		look(s, buf, keep + (size_t)n);
		from += (uint64_t)n;
		n += (ssize_t)keep;
		keep = n < KEY - 1 ? (size_t)n : KEY - 1;
		memmove(buf, buf + n - keep, keep);
	}
}

static int
scan(struct scan *s, const char *pid)
{
	char path[64], line[512];
	FILE *maps;
	int fd;

	snprintf(path, sizeof path, "/proc/%s/mem", pid);
	fd = open(path, O_RDONLY);
	snprintf(path, sizeof path, "/proc/%s/maps", pid);
	maps = fopen(path, "r");
	if (fd < 0 || maps == NULL)
		return 2;
	while (fgets(line, sizeof line, maps)) {
		uint64_t from, to;
		char perm[5];

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to,
			perm) == 3 &&
		    perm[1] == 'w')
			read_map(s, fd, from, to);
	}
	fclose(maps);
	close(fd);
	return s->octets == 0 ? 2 : s->found != 0;
}

int
main(int argc, char **argv)
{
	struct scan s = { 0 };
	uint8_t pt[KEY];
	int r;

	if (argc == 4 && strcmp(argv[2], "find") == 0) {
		s.find_len = unhex(s.find, sizeof s.find, argv[3]);
	} else if (argc == 9) {
		uint32_t ssrc = (uint32_t)strtoul(argv[4], NULL, 10);
		uint32_t roc = (uint32_t)strtoul(argv[5], NULL, 10);
		unsigned seq = (unsigned)strtoul(argv[6], NULL, 10);

		unhex(s.salt, sizeof s.salt, argv[2]);
		unhex(s.session_salt, sizeof s.session_salt, argv[3]);
		for (int i = 0; i < 4; i++) {
			s.iv[2 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
			s.iv[6 + i] = (uint8_t)(roc >> (24 - 8 * i));
		}
		s.iv[10] = (uint8_t)(seq >> 8);
		s.iv[11] = (uint8_t)seq;
		unhex(s.want, sizeof s.want, argv[7]);
		unhex(pt, sizeof pt, argv[8]);
		for (int i = 0; i < KEY; i++)
			s.want[i] ^= pt[i];
	} else {
		fputs("usage: see the head of keyscan.c\n", stderr);
		return 2;
	}
	r = scan(&s, argv[1]);
	printf("octets=%" PRIu64 " unreadable=%" PRIu64 " tried=%" PRIu64
	       " found=%" PRIu64 "\n",
	    s.octets, s.unreadable, s.tried, s.found);
	return r;
}
