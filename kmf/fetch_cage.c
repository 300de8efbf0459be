/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The cage of those who speak to the outside first: nothing to write, and of
 * the disk what the resolver, its libraries and TLS read while they run.
 */
#include "config.h"

#include <string.h>

#include "kmf/fetch_int.h"
#include "perc/log.h"
#include "perc/sandbox.h"

int
fetch_cage(const char *const files[])
{
	static const char *const none[] = { NULL };
	static const char *const base[] = { "/etc", "/usr", "/lib", "/run" };
	const char *ro[sizeof(base) / sizeof(base[0]) + FETCH_FILES_MAX + 1];
	struct perc_cage_report report;
	size_t n = sizeof(base) / sizeof(base[0]), i;
	int r;

	memcpy(ro, base, sizeof(base));
	for (i = 0; i < FETCH_FILES_MAX && files[i] != NULL; i++)
		ro[n++] = files[i];
	ro[n] = NULL;
	r = perc_sandbox(PERC_CAGE_NET, none, ro, &report);
	if (r == PERC_ERR_UNSUPPORTED) {
		log_warnx("fetch.cage err=\"the kernel has none\"");
		return 0;
	}
	return r;
}
