/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One line of fixed length, overwritten in place: it fits into a sector, so
 * there is no moment at which it is neither the old nor the new one. It is
 * not flushed to the disk each time: after a power cut it may be behind by
 * some commits, which only makes the check weaker by these.
 */
#include "kmf/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/secret.h"

#define MAC_LEN PERC_B64_LEN(PERC_SHA256_LEN)

static int
mac(char out[static MAC_LEN + 1], const uint8_t *key, const char *text,
    size_t n)
{
	uint8_t raw[PERC_SHA256_LEN];
	int r;

	if ((r = perc_hmac_sha256(raw, key, 32, text, n)) == 0)
		perc_b64_put(out, raw, sizeof(raw));
	return r;
}

int
kmf_gen_write(int fd, const struct kmf_gen *g, const uint8_t key[static 32])
{
	char line[KMF_GEN_LEN + 1], sum[MAC_LEN + 1];
	int n, r;

	memset(line, ' ', KMF_GEN_LEN);
	n = snprintf(line, sizeof(line) - MAC_LEN,
	    "perch-gen 1 %s %" PRId64 " %" PRId64 " %" PRId64 " %s ", g->id,
	    g->generation, g->journal, g->audit_seq,
	    g->audit_hash[0] != '\0' ? g->audit_hash : "-");
	if (n < 0 || n >= (int)(KMF_GEN_LEN - MAC_LEN))
		return PERC_ERR_LIMIT;
	if ((r = mac(sum, key, line, (size_t)n)) != 0)
		return r;
	memcpy(line + n, sum, MAC_LEN);
	line[(size_t)n + MAC_LEN] = ' '; /* snprintf's NUL at line[n] is gone */
	line[KMF_GEN_LEN - 1] = '\n';
	if (pwrite(fd, line, KMF_GEN_LEN, 0) != KMF_GEN_LEN)
		return PERC_ERR_SYS;
	return 0;
}

static int
parse(struct kmf_gen *g, char *line, const uint8_t *key)
{
	char id[40], hash[DB_HASH_MAX], sum[MAC_LEN + 1], want[MAC_LEN + 1];
	int at = 0, r;

	if (sscanf(line,
		"perch-gen 1 %39s %" SCNd64 " %" SCNd64 " %" SCNd64
		" %43s %n%43s",
		id, &g->generation, &g->journal, &g->audit_seq, hash, &at,
		sum) != 6 ||
	    at == 0)
		return PERC_ERR_FORMAT;
	if ((r = mac(want, key, line, (size_t)at)) != 0)
		return r;
	if (!perc_equal(want, sum, sizeof(want)))
		return PERC_ERR_AUTH;
	memcpy(g->id, id, sizeof(id));
	snprintf(g->audit_hash, sizeof(g->audit_hash), "%s",
	    strcmp(hash, "-") == 0 ? "" : hash);
	return 0;
}

int
kmf_gen_read(struct kmf_gen *g, const char *path, const uint8_t key[static 32])
{
	char line[KMF_GEN_LEN + 1] = "";
	ssize_t n;
	int fd, r;

	memset(g, 0, sizeof(*g));
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return errno == ENOENT ? PERC_ERR_NOTFOUND : PERC_ERR_SYS;
	n = read(fd, line, KMF_GEN_LEN);
	r = n == KMF_GEN_LEN ? parse(g, line, key) : PERC_ERR_FORMAT;
	close(fd);
	return r;
}

int
kmf_gen_open(int *fdp, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return PERC_ERR_SYS;
	*fdp = fd;
	return 0;
}
