/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for many strings of octets at once in all that can be read of a
 * process:
 *
 *	memscan PID FILE
 *
 * FILE has lines "NAME HEX", 8 to 4096 octets each. Prints "hit NAME at
 * ADDRESS in MAPPING" for each place, then "octets=N unreadable=N found=N";
 * exit 0 when nothing was found, 1 when something was, 2 when the memory
 * could not be read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/memread.h"

#define HEADS	  (1u << 16)
#define LINE_LEN  (2 * MEM_OVERLAP_MAX + 128)
#define SHOWN_MAX 50 /* hits that are printed */

struct needle {
	char name[64];
	uint8_t *p;
	size_t n;
	struct needle *next;
};

static struct needle *heads[HEADS]; /* by the first four octets */
static uint64_t found;

static unsigned
hash(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (v * 2654435761u) >> 16;
}

static void
needle_add(const char *name, const char *hex)
{
	struct needle *d = calloc(1, sizeof(*d));

	if (d == NULL || (d->p = malloc(MEM_OVERLAP_MAX)) == NULL)
		exit(2);
	snprintf(d->name, sizeof(d->name), "%s", name);
	if ((d->n = mem_unhex(d->p, MEM_OVERLAP_MAX, hex)) < 8)
		exit(2);
	d->p = realloc(d->p, d->n);
	d->next = heads[hash(d->p)];
	heads[hash(d->p)] = d;
}

static void
needles_read(const char *path)
{
	static char line[LINE_LEN], name[64], hex[LINE_LEN];
	FILE *f = fopen(path, "r");

	if (f == NULL)
		exit(2);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%63s %8319s", name, hex) == 2)
			needle_add(name, hex);
	fclose(f);
}

/* What lies in an overlap counts twice: who looks wants none at all. */
static void
look(void *arg, const uint8_t *p, size_t n, uint64_t at, const char *mapping)
{
	for (size_t i = 0; i + 8 <= n; i++)
		for (struct needle *d = heads[hash(p + i)]; d; d = d->next) {
			if (d->n > n - i || memcmp(p + i, d->p, d->n) != 0)
				continue;
			if (found++ < SHOWN_MAX)
				printf("hit %s at %" PRIx64 " in %s\n", d->name,
				    at + i, mapping);
		}
}

int
main(int argc, char **argv)
{
	struct mem m = {
		.overlap = MEM_OVERLAP_MAX - 1, .all = 1, .look = look
	};

	if (argc != 3) {
		fputs("usage: memscan PID FILE\n", stderr);
		return 2;
	}
	needles_read(argv[2]);
	if (mem_read(&m, argv[1]) != 0)
		return 2;
	printf("octets=%" PRIu64 " unreadable=%" PRIu64 " found=%" PRIu64 "\n",
	    m.octets, m.unreadable, found);
	return found != 0;
}
