/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's agent must run without any file at all, so everything but the
 * vault's list of trusted KMFs has a default below the runtime directory.
 */
#include "agent/agentconf.h"

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/log.h"

#define AT(member) offsetof(struct agent_conf, member)

static const struct perc_conf_item items[] = {
	{ .name = "socket",
	    .type = PERC_CONF_PATH,
	    .offset = AT(socket),
	    .help = "local socket of the perch command "
		    "(default $XDG_RUNTIME_DIR/perch/agent.sock)" },
	{ .name = "ca_file",
	    .type = PERC_CONF_PATH,
	    .offset = AT(ca_file),
	    .help = "PEM trust anchors for KMF, MDD and identity provider "
		    "(default: the system's)" },
	{ .name = "sdp_dir",
	    .type = PERC_CONF_PATH,
	    .offset = AT(sdp_dir),
	    .help = "where SDP files of remote streams appear "
		    "(default $XDG_RUNTIME_DIR/perch)" },
	{ .name = "vault_conf",
	    .type = PERC_CONF_PATH,
	    .offset = AT(vault_conf),
	    .def = PERCH_SYSCONFDIR "/vault.conf",
	    .help = "the vault's configuration: which KMFs are trusted" },
	{ .name = "vault_user_owned",
	    .type = PERC_CONF_BOOL,
	    .offset = AT(vault_user_owned),
	    .def = "no",
	    .help = "that configuration may belong to this user, not to root" },
	{ .name = "vault_program",
	    .type = PERC_CONF_PATH,
	    .offset = AT(vault_program),
	    .help = "perch-vault (default: beside perch-agent, then libexec)" },
	{ .name = "media_base",
	    .type = PERC_CONF_INT,
	    .offset = AT(media_base),
	    .def = "0",
	    .min = 0,
	    .max = 65500,
	    .help = "first loopback port that takes your RTP, even; 0: any" },
	{ .name = "media_out_base",
	    .type = PERC_CONF_INT,
	    .offset = AT(media_out_base),
	    .def = "0",
	    .min = 0,
	    .max = 65500,
	    .help = "first loopback port that remote streams go to, even; "
		    "0: a range that no other agent here has" },
	{ .name = "login_port",
	    .type = PERC_CONF_INT,
	    .offset = AT(login_port),
	    .def = "0",
	    .min = 0,
	    .max = 65535,
	    .help = "loopback port of the browser's redirect; 0: any free" },
	{ .name = "erase_on_suspend",
	    .type = PERC_CONF_BOOL,
	    .offset = AT(erase_on_suspend),
	    .def = "yes",
	    .help = "erase all keys before the machine sleeps (logind); the "
		    "conferences come back when it wakes" },
	{ .name = "erase_on_lock",
	    .type = PERC_CONF_BOOL,
	    .offset = AT(erase_on_lock),
	    .def = "no",
	    .help = "erase all keys and leave when the screen is locked" },
	{ .name = "idle_exit_s",
	    .type = PERC_CONF_INT,
	    .offset = AT(idle_exit_s),
	    .def = "0",
	    .min = 0,
	    .max = 86400,
	    .help = "end after so long without conference, login and client, "
		    "where a service manager's socket starts the agent again; "
		    "0: never" },
	{ .name = "turn",
	    .type = PERC_CONF_ENUM,
	    .offset = AT(turn),
	    .def = "auto",
	    .choices = "auto|always|never",
	    .help = "use the relays of [turn] sections: when UDP does not get "
		    "through to the distributor, always, or never" },
	{ .name = "loopback_http",
	    .type = PERC_CONF_BOOL,
	    .offset = AT(loopback_http),
	    .def = "no",
	    .help = "allow plain http to 127.0.0.1 and ::1 (tests)" },
	{ .name = "log_level",
	    .type = PERC_CONF_ENUM,
	    .offset = AT(log_level),
	    .def = "info",
	    .choices = "error|warn|info|debug",
	    .help = "least important line that is logged" },
	{ 0 },
};

static const struct perc_conf_item items_turn[] = {
	{ .name = "url",
	    .type = PERC_CONF_STR,
	    .offset = offsetof(struct agent_turn_server, url),
	    .required = true,
	    .help = "turn:HOST[:PORT][?transport=udp|tcp] or "
		    "turns:HOST[:PORT] (RFC 7065)" },
	{ .name = "username",
	    .type = PERC_CONF_STR,
	    .offset = offsetof(struct agent_turn_server, username),
	    .required = true,
	    .help = "of the long-term credential" },
	{ .name = "password_file",
	    .type = PERC_CONF_PATH,
	    .offset = offsetof(struct agent_turn_server, password_file),
	    .required = true,
	    .help = "its password, one line; mode 0600" },
	{ 0 },
};

static int
turn_open(void *conf, const char *label, void **targetp)
{
	struct agent_conf *c = conf;
	struct agent_turn_server *s;

	if (c->nservers == TURN_SERVERS_MAX)
		return PERC_ERR_LIMIT;
	s = &c->server[c->nservers++];
	text_put(s->label, sizeof(s->label), "%s", label);
	*targetp = s;
	return 0;
}

static const struct perc_conf_section sections[] = {
	{ .name = NULL, .items = items },
	{ .name = "turn", .items = items_turn, .open = turn_open },
	{ 0 },
};

char *
agent_conf_runtime_path(const char *name)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (dir != NULL && dir[0] == '/')
		return text_new("%s/perch%s%s", dir, *name ? "/" : "", name);
	return text_new("/run/user/%u/perch%s%s", (unsigned)getuid(),
	    *name ? "/" : "", name);
}

static int
defaults(struct agent_conf *c)
{
	if (c->socket == NULL)
		c->socket = agent_conf_runtime_path("agent.sock");
	if (c->sdp_dir == NULL)
		c->sdp_dir = agent_conf_runtime_path("");
	return c->socket == NULL || c->sdp_dir == NULL ? PERC_ERR_NOMEM : 0;
}

static int
servers_check(struct agent_conf *c, const char *file, struct perc_conf_error *e)
{
	int r;

	for (size_t i = 0; i < c->nservers; i++) {
		struct agent_turn_server *s = &c->server[i];

		if ((r = turn_url_parse(&s->parsed, s->url)) == 0)
			continue;
		text_put(e->text, sizeof(e->text),
		    r == PERC_ERR_UNSUPPORTED
			? "%s: [turn %s]: %s: the transport of turn: is udp or "
			  "tcp, that of turns: is tcp"
			: "%s: [turn %s]: %s: write turn:HOST:PORT, "
			  "turn:HOST:PORT?transport=tcp or turns:HOST:PORT",
		    file, s->label, s->url);
		return r;
	}
	return 0;
}

bool
agent_conf_relays(const struct agent_conf *c)
{
	return c->nservers > 0 && c->turn != AGENT_TURN_NEVER;
}

int
agent_conf_load(
    struct agent_conf *c, const char *file, struct perc_conf_error *e)
{
	char none[32];
	int r, fd = -1;

	memset(c, 0, sizeof(*c));
	if (file == NULL) { /* an empty file of our own */
		if ((fd = memfd_create("perch-agent.conf", MFD_CLOEXEC)) < 0)
			return PERC_ERR_SYS;
		text_put(none, sizeof(none), "/proc/self/fd/%d", fd);
		file = none;
	}
	r = perc_conf_load(c, file, sections, e);
	if (fd >= 0)
		close(fd);
	if (r != 0)
		return r;
	if (c->media_base % 2 != 0 || c->media_out_base % 2 != 0) {
		text_put(e->text, sizeof(e->text),
		    "%s: media_base and media_out_base must be even (RTP)",
		    file);
		return PERC_ERR_INVAL;
	}
	if (c->turn == AGENT_TURN_ALWAYS && c->nservers == 0) {
		text_put(e->text, sizeof(e->text),
		    "%s: turn = always needs a [turn NAME] section", file);
		return PERC_ERR_INVAL;
	}
	if ((r = servers_check(c, file, e)) != 0)
		return r;
	return defaults(c);
}

void
agent_conf_clear(struct agent_conf *c)
{
	for (size_t i = 0; i < c->nservers; i++)
		perc_conf_clear(&c->server[i], items_turn);
	c->nservers = 0;
	perc_conf_clear(c, items);
}

void
agent_conf_print_version(void)
{
	puts(PACKAGE_STRING);
}

void
agent_conf_print_help(void)
{
	perc_conf_print_help(sections);
}

/* Beside us, as in a build directory, or where it is installed. */
static char *
program_path(const char *name)
{
	char self[4096], *slash, *path;
	ssize_t n;

	if ((n = readlink("/proc/self/exe", self, sizeof(self) - 1)) > 0) {
		self[n] = '\0';
		if ((slash = strrchr(self, '/')) != NULL) {
			*slash = '\0';
			path = text_new("%s/%s", self, name);
			if (path != NULL && access(path, X_OK) == 0)
				return path;
			free(path);
		}
	}
	path = text_new("%s/%s", PERCH_LIBEXECDIR, name);
	if (path != NULL && access(path, X_OK) == 0)
		return path;
	free(path);
	return NULL;
}

char *
agent_conf_vault_path(const struct agent_conf *c)
{
	return c->vault_program != NULL ? text_dup(c->vault_program)
					: program_path("perch-vault");
}

char *
agent_conf_turn_path(void)
{
	return program_path("perch-turn");
}
