/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-agent.conf: what the supervisor and the front want to know. What the
 * vault believes stands in a file of its own, which root owns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/turnmsg.h"
#include "agent/turnurl.h"
#include "perc/conf.h"

/* When media goes by a relay. */
enum agent_turn { AGENT_TURN_AUTO, AGENT_TURN_ALWAYS, AGENT_TURN_NEVER };

struct agent_turn_server { /* [turn LABEL] */
	char label[64];
	char *url, *username, *password_file;
	struct turn_url parsed;
};

struct agent_conf {
	char *socket;		/* of the perch command */
	char *ca_file;		/* trust anchors for KMF, MDD and IdP */
	char *sdp_dir;		/* one directory per conference appears here */
	char *vault_conf;	/* the vault's own configuration */
	char *vault_program;	/* NULL: beside us, else libexecdir */
	bool vault_user_owned;	/* that file may be ours instead of root's */
	int64_t media_base;	/* first local port; 0: any free ones */
	int64_t media_out_base; /* where remote streams go; 0: any free range */
	int64_t login_port;	/* of the browser's loopback redirect; 0: any */
	bool erase_on_suspend, erase_on_lock;
	int64_t idle_exit_s;	/* with a given socket; 0: never */
	int turn;		/* enum agent_turn */
	struct agent_turn_server server[TURN_SERVERS_MAX];
	size_t nservers;
	bool loopback_http;	/* plain http to an IdP on loopback (tests) */
	int log_level;		/* enum perc_log_level */
};

/* Fill c; file NULL: defaults alone. On error *e tells; clear either way. */
PERC_MUST int agent_conf_load(
    struct agent_conf *c, const char *file, struct perc_conf_error *e);
void agent_conf_clear(struct agent_conf *c);
void agent_conf_print_help(void);
void agent_conf_print_version(void); /* for whoever includes <re.h> too */
/* $XDG_RUNTIME_DIR/perch/NAME, or /run/user/<uid>/perch/NAME. */
char *agent_conf_runtime_path(const char *name);
/* Where the vault's program is; the caller frees. NULL: nowhere. */
char *agent_conf_vault_path(const struct agent_conf *c);
/* And perch-turn. */
char *agent_conf_turn_path(void);
/* Are there relays, and are they wanted? */
bool agent_conf_relays(const struct agent_conf *c);
