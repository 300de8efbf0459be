/* SPDX-License-Identifier: Apache-2.0 */
/* One conversation of the command line with the agent. */
#pragma once

#include "agent/cli.h"
#include "agent/perchclient.h"

struct talk { /* one conversation with the agent */
	struct perch_client *client;
	bool quiet;	     /* no progress (--json) */
	bool qr;	     /* a QR code where the terminal shows it */
	bool keep;	     /* an error is kept, not complained about */
	json_t *error;	     /* that one; whoever set keep frees it */
	int64_t deadline_ms; /* 0: none */
};

/* An exit status; complains itself. Close in any case. */
int talk_open(struct talk *t, const struct cli *c);
void talk_close(struct talk *t);
/* Send ask (borrowed), show what comes, until the end. *result is new on
 * CLI_OK. */
int talk_ask(struct talk *t, json_t *ask, json_t **result);
/* cliroster.c: what is wrong with the roster of a conference of `status`. */
void cli_roster_warn(const json_t *conf, const char *indent);
/* All of it; ask is taken over. */
int talk_once(const struct cli *c, json_t *ask, json_t **result);
