/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How well the vault of this user's agent keeps its keys, a line for each
 * means. Whoever requires them all (vault.conf) has no agent without them, so
 * what is lacking here somebody has allowed: that is to be known, and no
 * mistake.
 */
#include "agent/clidoctor.h"

#include <string.h>

#define VAULT "vault"

static void
memory(struct doctor *d, const json_t *p)
{
	const char *level = cli_get(p, "secret_memory");

	if (strcmp(level, "secret") == 0)
		doctor_good(d, VAULT, "memory",
		    "keys stand in pages that not even the kernel reads "
		    "(memfd_secret), and are never swapped");
	else if (strcmp(level, "locked") == 0)
		doctor_note(d, VAULT, "memory",
		    "a kernel with memfd_secret (5.14, secretmem.enable=1) "
		    "would keep them from root's tools too",
		    "keys stand in locked pages, and are never swapped");
	else
		doctor_note(d, VAULT, "memory",
		    "raise LimitMEMLOCK of its service (ulimit -l) and start "
		    "perch-agent again",
		    "no memory can be locked: keys may come into swap");
}

void
doctor_vault(struct doctor *d)
{
	static const struct {
		const char *member, *good, *lack, *advice;
	} all[] = {
		{ "seccomp", "it can only make the system calls it needs",
		    "it can make any system call",
		    "use a kernel with seccomp" },
		{ "landlock", "no file can be opened",
		    "the file system is not closed to it",
		    "use a kernel with Landlock (5.13, lsm=landlock)" },
		{ "undumpable", "no core dump, no debugger of this user",
		    "it can be dumped and debugged",
		    "report this with the kernel's version" },
		{ "local_owner", "only this user's programs hear media",
		    "other users of this machine can hear media",
		    "load the kernel's module udp_diag, and set "
		    "local_any_user = no in vault.conf" },
	};
	json_t *j = doctor_ask(d, "status");
	const json_t *p = json_object_get(j, "protection");

	if (p != NULL)
		memory(d, p);
	for (size_t i = 0; p != NULL && i < sizeof(all) / sizeof(all[0]); i++)
		if (json_is_true(json_object_get(p, all[i].member)))
			doctor_good(d, VAULT, all[i].member, "%s", all[i].good);
		else
			doctor_note(d, VAULT, all[i].member, all[i].advice,
			    "%s", all[i].lack);
	json_decref(j);
}
