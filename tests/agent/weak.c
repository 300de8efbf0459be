/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What perch-vault-weak does where a guard was taken out. The choice is a
 * file's, read before main: the vault's environment is cut, and later it has
 * no files.
 */
#include "tests/agent/weak.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "perc/b64.h"
#include "perc/rtp.h"
#include "perc/secret.h"
#include "perc/tail.h"

static char guards[256];
static char *line; /* our command line, argc words in a row */
static size_t line_max;

__attribute__((constructor)) static void
guards_read(int argc, char *argv[])
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 8);
	char *slash;
	int fd;

	line = argv[0];
	line_max = (size_t)(argv[argc - 1] - argv[0]) + strlen(argv[argc - 1]);
	if (n < 0)
		return;
	path[n] = '\0';
	if ((slash = strrchr(path, '/')) == NULL)
		return;
	strcpy(slash, "/weak");
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return;
	n = read(fd, guards, sizeof(guards) - 1);
	guards[n < 0 ? 0 : n] = '\0';
	close(fd);
}

void
weak_choose(const char *names)
{
	snprintf(guards, sizeof(guards), "%s", names);
}

bool
weak(const char *guard)
{
	const char *at = strstr(guards, guard);
	size_t n = strlen(guard);

	return at != NULL && (at[n] == ' ' || at[n] == '\0');
}

void
weak_say(const uint8_t *key, size_t n)
{
	if (weak("argv") && 2 * n < line_max)
		perc_hex_put(line, key, n);
}

int
weak_verify_set(struct perc_jws *j, const char *text, size_t len, size_t max,
    const struct perc_jwks *set, const char *typ)
{
	static uint8_t raw[65536];
	const char *body = strchr(text, '.'), *end;
	size_t n = sizeof(raw);

	if (!weak("signature"))
		return perc_jws_verify_set(j, text, len, max, set, typ);
	if (body == NULL || (end = strchr(body + 1, '.')) == NULL ||
	    perc_b64_get(raw, &n, body + 1, (size_t)(end - body - 1)) != 0)
		return PERC_ERR_FORMAT;
	j->payload = json_loadb((const char *)raw, n, 0, NULL);
	return j->payload == NULL ? PERC_ERR_FORMAT : 0;
}

int
weak_rx_open(struct perc_double_rx *rx, int64_t now_ms, const uint8_t *in,
    size_t n, uint8_t *out, struct perc_double_in *info, uint16_t *unknown_spi)
{
	struct perc_rtp h;

	if (!weak("plain") || perc_rtp_parse(&h, in, n) != 0)
		return perc_double_rx_open(
		    rx, now_ms, in, n, out, info, unknown_spi);
	memcpy(out, in, n);
	memset(info, 0, sizeof(*info));
	info->ssrc = h.ssrc;
	info->outer_pt = h.pt;
	info->outer_seq = h.seq;
	info->len = n;
	return 0;
}

int
weak_tx_seal(struct perc_double_tx *tx, int64_t now_ms, const uint8_t *in,
    size_t n, uint8_t *out, size_t cap, size_t *len)
{
	if (!weak("plain"))
		return perc_double_tx_seal(tx, now_ms, in, n, out, cap, len);
	memcpy(out, in, n);
	*len = n;
	return 0;
}
