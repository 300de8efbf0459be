/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By /proc/PID/mem, piece by piece; the pieces overlap so that nothing hides
 * on a border.
 */
#include "tests/tools/memread.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (1u << 20)

static void
read_map(struct mem *m, int fd, uint64_t from, uint64_t to, const char *name)
{
	static uint8_t buf[CHUNK + MEM_OVERLAP_MAX];
	size_t keep = 0;

	while (from < to) {
		size_t want = to - from < CHUNK ? to - from : CHUNK;
		ssize_t n = pread(fd, buf + keep, want, (off_t)from);

		if (n <= 0) {
			m->unreadable += to - from;
			return;
		}
		m->octets += (uint64_t)n;
		m->look(m->arg, buf, keep + (size_t)n, from - keep, name);
		from += (uint64_t)n;
		n += (ssize_t)keep;
		keep = (size_t)n < m->overlap ? (size_t)n : m->overlap;
		memmove(buf, buf + n - keep, keep);
	}
}

int
mem_read(struct mem *m, const char *pid)
{
	char path[64], line[512];
	FILE *maps;
	int fd;

	m->octets = m->unreadable = 0;
	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	fd = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	if ((maps = fopen(path, "r")) == NULL || fd < 0)
		return -1;
	while (fgets(line, sizeof(line), maps) != NULL) {
		uint64_t from, to;
		char perm[5], name[256] = "";

		if (sscanf(line,
			"%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %255[^\n]",
			&from, &to, perm, name) >= 3 &&
		    perm[m->all ? 0 : 1] == (m->all ? 'r' : 'w'))
			read_map(m, fd, from, to, name);
	}
	fclose(maps);
	close(fd);
	return m->octets == 0 ? -1 : 0;
}

size_t
mem_unhex(uint8_t *out, size_t cap, const char *s)
{
	size_t n = strlen(s) / 2;

	if (n > cap || strlen(s) % 2 != 0)
		exit(2);
	for (size_t i = 0; i < n; i++) {
		unsigned v;

		if (sscanf(s + 2 * i, "%2x", &v) != 1)
			exit(2);
		out[i] = (uint8_t)v;
	}
	return n;
}
