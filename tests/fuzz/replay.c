/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzz target when no fuzzer is linked: every file of its
 * corpus once, as TAP, each also cut short at every length up to 64 octets
 * from its end, so that `make check` has what past campaigns found.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define REPLAY_MAX (1u << 20)

/* An exact heap copy, so that a sanitizer sees one octet too far. */
static void
replay_input(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	if (n > 0)
		memcpy(copy, p, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static int
replay_file(const char *path)
{
	uint8_t *buf = malloc(REPLAY_MAX);
	FILE *f = fopen(path, "rb");
	size_t n, cut;

	if (f == NULL || buf == NULL) {
		free(buf);
		if (f != NULL)
			(void)fclose(f);
		return -1;
	}
	n = fread(buf, 1, REPLAY_MAX, f);
	(void)fclose(f);
	replay_input(buf, n);
	for (cut = 1; cut <= 64 && cut <= n; cut++)
		replay_input(buf, n - cut);
	free(buf);
	return 0;
}

int
main(int argc, char *argv[])
{
	const char *src = getenv("top_srcdir"), *base;
	char path[4096];
	struct dirent *e;
	unsigned n = 0, bad = 0;
	DIR *d;

	base =
	    strrchr(argv[0], '/') == NULL ? argv[0] : strrchr(argv[0], '/') + 1;
	base = strstr(base, "fuzz_");
	if (argc > 1)
		(void)snprintf(path, sizeof(path), "%s", argv[1]);
	else
		(void)snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s",
		    src == NULL ? "." : src, base == NULL ? "" : base + 5);
	if ((d = opendir(path)) == NULL) {
		printf("Bail out! no corpus at %s\n", path);
		return 1;
	}
	while ((e = readdir(d)) != NULL) {
		char file[sizeof(path) + sizeof(e->d_name) + 2];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		if (replay_file(file) != 0)
			bad++;
		printf(
		    "%s %u - %s\n", bad > 0 ? "not ok" : "ok", ++n, e->d_name);
		(void)fflush(stdout);
	}
	(void)closedir(d);
	printf("1..%u\n", n);
	return n == 0 || bad > 0;
}
