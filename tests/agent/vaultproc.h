/* SPDX-License-Identifier: Apache-2.0 */
/* The real perch-vault as a child, and the front's end of its channel. */
#pragma once

#include <sys/types.h>

#include "vaultkit.h"

struct proc {
	char dir[64], conf[96], keys[96];
	struct kit_kmf kmf;
	struct perc_loop *loop;
	struct perc_chan *chan;
	struct kit k; /* its queue and front only */
	pid_t pid;
	int err;  /* its standard error */
	int word; /* the supervisor's end of its socket */
	bool no_diag; /* the kernel does not tell whose a socket is */
	const char *program;
	uint16_t in; /* where it takes audio, since READY */
};

/* cmocka's: a directory with configuration and pinned keys of a new KMF. */
int proc_setup(void **state);
int proc_teardown(void **state);
void proc_file_write(const char *path, const char *text);
const char *proc_binary(void);
/* Another program of the build's directory than perch-vault. */
void proc_program(struct proc *p, const char *name);
void proc_start(struct proc *p, const char *option);
/* HELLO; the report of READY. The caller frees it and p->k.seal. */
json_t *proc_ready(struct proc *p);
/* HELLO, OPEN, KEY and one pushed EPOCH. */
void proc_join(struct proc *p, struct kit_conf *c);
/* The same, with an EKT key of keylen; the caller frees p->k.seal. */
void proc_enter(struct proc *p, struct kit_conf *c, size_t keylen);
/* Wait for its end; what it logged; its exit status. */
int proc_end(struct proc *p, char *text, size_t cap);
