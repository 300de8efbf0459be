/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files that is differs from machine to machine, and Landlock refuses a
 * rule for a path that is not there: those are left out.
 */
#include "agent/agentcage.h"

#include <unistd.h>

#include "perc/log.h"

int
agent_cage(
    const struct agent_conf *conf, enum perc_cage cage, const char *const rw[])
{
	static const char *const system[] = { "/etc", "/usr", "/lib", "/lib64",
		"/run/systemd/resolve", "/run/resolvconf", "/dev/null" };
	const char *ro[sizeof(system) / sizeof(system[0]) + 2] = { 0 };
	struct perc_cage_report report;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (access(system[i], R_OK) == 0)
			ro[n++] = system[i];
	if (conf->ca_file != NULL)
		ro[n++] = conf->ca_file;
	r = perc_sandbox(cage, rw, ro, &report);
	if (r == PERC_ERR_UNSUPPORTED) {
		log_warnx("cage err=\"the kernel has none\"");
		return 0;
	}
	if (r == 0)
		log_info("caged seccomp=%d landlock=%d", report.seccomp,
		    report.landlock_abi);
	return r;
}
