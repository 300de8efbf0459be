/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's own way in: a Unix socket named after the API's address, in
 * run_dir where there is such a directory, which nobody else can write to;
 * else in the abstract name space, where any local user can have the name
 * before us. One line asks ("metrics", "drain"), the answer is text, then it is closed.
 * Each end looks at the other's uid (SO_PEERCRED) first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "mdd/control.h"
#include "perc/err.h"

#define MDD_ADMIN_CLIENTS 4
#define MDD_ADMIN_LINE	  64

enum mdd_admin_word {
	MDD_ADMIN_MORE, /* the line is not whole yet */
	MDD_ADMIN_NONE, /* no line of ours, or too long */
	MDD_ADMIN_METRICS,
	MDD_ADMIN_DRAIN,
};
/* What the got octets that came so far ask for. */
enum mdd_admin_word mdd_admin_parse(const char *line, size_t got);

#define MDD_ADMIN_PATH 108

struct mdd_admin_socket {
	int fd;
	char path[MDD_ADMIN_PATH]; /* "": it has none */
};
/* A listening socket of the daemon. Where somebody else has the name already
 * it says so and takes one that nobody asks at. */
PERC_MUST int
mdd_admin_listen(struct mdd_admin_socket *s, const struct mdd_conf *conf);
/* The file goes; the descriptor is the caller's. */
void mdd_admin_remove(const struct mdd_admin_socket *s);
/* Connect to the daemon of this configuration; PERC_ERR_NOTFOUND. Whoever
 * answers is still to be looked at. */
PERC_MUST int mdd_admin_dial(int *fdp, const struct mdd_conf *conf);
/* Whom the daemon may run as, beside root. */
uid_t mdd_admin_uid(const struct mdd_conf *conf);
/* Ask the running daemon; the caller frees *textp. *why: a static phrase. */
PERC_MUST int mdd_admin_ask(char **textp, size_t *lenp,
    const struct mdd_conf *conf, const char *line, const char **why);

/* Serve fd (taken over) in control's loop, for root and uid alone. */
PERC_MUST int mdd_admin_open(struct ctl *c, int fd, uid_t uid);
void mdd_admin_close(struct ctl *c);
