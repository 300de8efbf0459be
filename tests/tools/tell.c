/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test build of a process that holds keys: the same objects, linked with
 * --wrap so that every key which passes the functions below is written down
 * beside the program, for tests/e2e/test_memory.py to look for in everybody's
 * memory. The file is opened before main, because a cage comes later; without
 * a file "told" nothing is told. With a file "open" there is no memfd_secret,
 * so that the arena too can be searched. What is left of the hex is wiped:
 * the search would find it.
 */
#include "tests/tools/tell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/secret.h"

#define TELL_MAX 512 /* octets of one key */
#define TELL_FD	 400 /* above whatever the program hands down by number */
#define SMALL	 80  /* a sealed text of this length is a key */

static int told = -1;
static bool is_open;

static int
beside(const char *name, int flags)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 8);
	char *slash;

	if (n < 0)
		return -1;
	path[n] = '\0';
	if ((slash = strrchr(path, '/')) == NULL)
		return -1;
	strcpy(slash + 1, name);
	return open(path, flags | O_CLOEXEC);
}

__attribute__((constructor)) static void
tell_open(void)
{
	int fd = beside("told", O_WRONLY | O_APPEND);

	if (fd >= 0) {
		told = fcntl(fd, F_DUPFD_CLOEXEC, TELL_FD);
		close(fd);
	}
	if ((fd = beside("open", O_RDONLY)) >= 0) {
		is_open = true;
		close(fd);
	}
}

void
tell(const char *name, const void *p, size_t n)
{
	char line[2 * TELL_MAX + 64];
	const uint8_t *in = p;
	int at;

	if (told < 0 || n == 0 || n > TELL_MAX)
		return;
	at = snprintf(line, sizeof(line), "%d %s ", getpid(), name);
	for (size_t i = 0; i < n; i++) {
		line[at++] = "0123456789abcdef"[in[i] >> 4];
		line[at++] = "0123456789abcdef"[in[i] & 15];
	}
	line[at++] = '\n';
	if (write(told, line, (size_t)at) != at)
		_exit(125);
	explicit_bzero(line, sizeof(line));
}

void
tell_jwk(const struct perc_jwk *k)
{
	uint8_t raw[64];
	size_t n = sizeof(raw);
	char *text = NULL, *d;

	if (told < 0 || !perc_jwk_is_private(k) ||
	    perc_jwk_private_json(&text, k) != 0)
		return;
	if ((d = strstr(text, "\"d\":\"")) != NULL &&
	    perc_b64_get(raw, &n, d + 5, strcspn(d + 5, "\"")) == 0)
		tell("private", raw, n);
	explicit_bzero(raw, sizeof(raw));
	perc_json_free(text);
}

long __real_syscall(long nr, ...);
long __wrap_syscall(long nr, ...);

long
__wrap_syscall(long nr, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (is_open && nr == SYS_memfd_secret) {
		errno = ENOSYS;
		return -1;
	}
	return __real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#define WRAP(ret, name, ...)                                                   \
	ret __real_##name(__VA_ARGS__);                                        \
	ret __wrap_##name(__VA_ARGS__);                                        \
	ret __wrap_##name(__VA_ARGS__)

WRAP(int, perc_seal, uint8_t *out, const uint8_t *key, const void *aad,
    size_t aadlen, const void *in, size_t n)
{
	tell("seal", key, 32);
	if (n <= SMALL)
		tell("sealed", in, n);
	return __real_perc_seal(out, key, aad, aadlen, in, n);
}

WRAP(int, perc_unseal, uint8_t *out, const uint8_t *key, const void *aad,
    size_t aadlen, const uint8_t *in, size_t n)
{
	int r = __real_perc_unseal(out, key, aad, aadlen, in, n);

	tell("seal", key, 32);
	if (r == 0 && n <= SMALL + PERC_SEAL_OVERHEAD)
		tell("sealed", out, n - PERC_SEAL_OVERHEAD);
	return r;
}

WRAP(int, perc_secret_from, struct perc_secret **sp, const void *p, size_t n)
{
	tell("secret", p, n);
	return __real_perc_secret_from(sp, p, n);
}

WRAP(int, perc_secret_random, struct perc_secret **sp, size_t n)
{
	int r = __real_perc_secret_random(sp, n);

	if (r == 0)
		tell("secret", (*sp)->data, n);
	return r;
}

WRAP(int, perc_jwk_generate, struct perc_jwk **kp)
{
	int r = __real_perc_jwk_generate(kp);

	if (r == 0)
		tell_jwk(*kp);
	return r;
}

WRAP(int, perc_jwk_from_json, struct perc_jwk **kp, const char *text,
    size_t len, bool public_only)
{
	int r = __real_perc_jwk_from_json(kp, text, len, public_only);

	if (r == 0)
		tell_jwk(*kp);
	return r;
}
