/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's own way in: an abstract Unix socket named after the API's
 * address, so that nothing lies in the file system and no setting is needed.
 * One line asks ("metrics", "drain"), the answer is text, then it is closed.
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

/* A listening socket for the daemon whose API listens there. Where somebody
 * else has the name already it says so and takes one that nobody asks at. */
PERC_MUST int mdd_admin_listen(int *fdp, const char *listen);
/* Ask the running daemon; the caller frees *textp. user: whom it may run as
 * beside root and ourselves, or NULL. *why: a static phrase. */
PERC_MUST int mdd_admin_ask(char **textp, size_t *lenp, const char *listen,
    const char *user, const char *line, const char **why);

/* Serve fd (taken over) in control's loop, for root and uid alone. */
PERC_MUST int mdd_admin_open(struct ctl *c, int fd, uid_t uid);
void mdd_admin_close(struct ctl *c);
