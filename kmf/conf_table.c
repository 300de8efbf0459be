/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * perch-kmf.conf as a table, and what check-config looks at. A minimal file
 * has two lines, base_url and mdds; all else has its place in state_dir.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/conf_hook.h"
#include "kmf/conf_table.h"
#include "kmf/kmf.h"
#include "perc/conf.h"
#include "perc/secret.h"

#define AT(m) offsetof(struct kmf_conf, m)

const struct perc_conf_item kmf_main_items[] = {
	{ .name = "base_url",
	    .type = PERC_CONF_URL,
	    .offset = AT(base_url),
	    .required = true,
	    .fixed = true,
	    .help = "public base URL of this KMF, as users reach it" },
	{ .name = "listen",
	    .type = PERC_CONF_HOSTPORT,
	    .offset = AT(listen),
	    .def = "0.0.0.0:8443",
	    .fixed = true,
	    .help = "where to serve HTTPS" },
	{ .name = "metrics_listen",
	    .type = PERC_CONF_HOSTPORT,
	    .offset = AT(metrics_listen),
	    .fixed = true,
	    .help = "serve /metrics there (HTTPS) instead of publicly" },
	{ .name = "tls_cert",
	    .type = PERC_CONF_PATH,
	    .offset = AT(tls_cert),
	    .help = "PEM certificate chain; default tls.crt in state_dir" },
	{ .name = "tls_key",
	    .type = PERC_CONF_PATH,
	    .offset = AT(tls_key),
	    .help = "PEM key, mode 0600; default tls.key in state_dir" },
	{ .name = "client_ca",
	    .type = PERC_CONF_PATH,
	    .offset = AT(client_ca),
	    .help = "PEM CAs; clients are asked for a certificate of theirs" },
	{ .name = "state_dir",
	    .type = PERC_CONF_PATH,
	    .offset = AT(state_dir),
	    .def = ".",
	    .fixed = true,
	    .help = "database and keys; relative to this file" },
	{ .name = "root_key",
	    .type = PERC_CONF_PATH,
	    .offset = AT(root_key),
	    .fixed = true,
	    .help = "file, mode 0600, or credential:NAME; default root.key" },
	{ .name = "guard_dir",
	    .type = PERC_CONF_PATH,
	    .offset = AT(guard_dir),
	    .fixed = true,
	    .help = "root.gen and revoked.log; default state_dir" },
	{ .name = "user",
	    .type = PERC_CONF_STR,
	    .offset = AT(user),
	    .fixed = true,
	    .help = "run as this user when started by root" },
	{ .name = "mdds",
	    .type = PERC_CONF_LIST,
	    .offset = AT(mdds),
	    .required = true,
	    .help = "base URLs of the media distributors, first is default" },
	{ .name = "cascade",
	    .type = PERC_CONF_BOOL,
	    .offset = AT(cascade),
	    .def = "no",
	    .help = "spread a conference's members over all of mdds" },
	{ .name = "fronts",
	    .type = PERC_CONF_INT,
	    .offset = AT(fronts),
	    .def = "0",
	    .min = 0,
	    .max = KMF_FRONTS_MAX,
	    .fixed = true,
	    .help = "front processes; 0 is one per processor" },
	{ .name = "max_conns",
	    .type = PERC_CONF_INT,
	    .offset = AT(max_conns),
	    .def = "4096",
	    .min = 8,
	    .max = 60000,
	    .help = "open connections per front" },
	{ .name = "max_conns_per_ip",
	    .type = PERC_CONF_INT,
	    .offset = AT(max_conns_per_ip),
	    .def = "1024",
	    .min = 0,
	    .max = 60000,
	    .help = "of one address per front; 0 is no bound" },
	{ .name = "rate_address",
	    .type = PERC_CONF_INT,
	    .offset = AT(rate_address),
	    .def = "2000",
	    .min = 0,
	    .max = 1000000,
	    .help = "requests a second of one address; 0 is no bound" },
	{ .name = "rate_person",
	    .type = PERC_CONF_INT,
	    .offset = AT(rate_person),
	    .def = "200",
	    .min = 0,
	    .max = 1000000,
	    .help = "of one client or member; 0 is no bound" },
	{ .name = "rate_watch",
	    .type = PERC_CONF_INT,
	    .offset = AT(rate_watch),
	    .def = "20",
	    .min = 0,
	    .max = 1000000,
	    .help = "for /readyz and /metrics; 0 is no bound" },
	{ .name = "limit_conferences",
	    .type = PERC_CONF_INT,
	    .offset = AT(limit_conferences),
	    .def = "10000",
	    .min = 1,
	    .max = 1000000,
	    .help = "of one scheduler that are not over" },
	{ .name = "limit_invitees",
	    .type = PERC_CONF_INT,
	    .offset = AT(limit_invitees),
	    .def = "1000",
	    .min = 1,
	    .max = 1000,
	    .help = "of one conference" },
	{ .name = "limit_invitations",
	    .type = PERC_CONF_INT,
	    .offset = AT(limit_invitations),
	    .def = "1000",
	    .min = 1,
	    .max = 1000,
	    .help = "guests' codes of one conference" },
	{ .name = "keep_ended_days",
	    .type = PERC_CONF_INT,
	    .offset = AT(keep_ended_days),
	    .def = "30",
	    .min = 1,
	    .max = 36500,
	    .help = "forget a conference so long after its end" },
	{ .name = "keep_gone_days",
	    .type = PERC_CONF_INT,
	    .offset = AT(keep_gone_days),
	    .def = "7",
	    .min = 1,
	    .max = 36500,
	    .help = "forget members so long after they left" },
	{ .name = "keep_revoked_days",
	    .type = PERC_CONF_INT,
	    .offset = AT(keep_revoked_days),
	    .def = "400",
	    .min = 1,
	    .max = 36500,
	    .help = "remember revocations; older backups are refused" },
	{ .name = "key_overlap_s",
	    .type = PERC_CONF_INT,
	    .offset = AT(key_overlap_s),
	    .def = "86400",
	    .min = 0,
	    .max = 30 * 86400,
	    .help = "rotate-keys: new keys are published so long before use" },
	{ .name = "events_keep_s",
	    .type = PERC_CONF_INT,
	    .offset = AT(events_keep_s),
	    .def = "2592000",
	    .min = 60,
	    .max = 315360000,
	    .help = "seconds that events stay in the feed; audit has no end" },
	{ .name = "syslog",
	    .type = PERC_CONF_BOOL,
	    .offset = AT(syslog),
	    .def = "no",
	    .fixed = true,
	    .help = "log to syslog instead of stderr" },
	{ .name = "log_level",
	    .type = PERC_CONF_ENUM,
	    .offset = AT(log_level),
	    .def = "info",
	    .choices = "error|warn|info|debug",
	    .help = "how much to log" },
	{ .name = "log_format",
	    .type = PERC_CONF_ENUM,
	    .offset = AT(log_format),
	    .def = "text",
	    .choices = "text|json",
	    .help = "event key=value, or one JSON object a line" },
	{ 0 }
};

#define MAIL(m) offsetof(struct kmf_conf, mail.m)

const struct perc_conf_item kmf_mail_items[] = {
	{ .name = "url",
	    .type = PERC_CONF_STR,
	    .offset = MAIL(url),
	    .help = "mail server, as smtp://mail.example:587" },
	{ .name = "from",
	    .type = PERC_CONF_STR,
	    .offset = MAIL(from),
	    .help = "address that invitations come from" },
	{ .name = "user",
	    .type = PERC_CONF_STR,
	    .offset = MAIL(user),
	    .help = "name to log in with; default none" },
	{ .name = "password_file",
	    .type = PERC_CONF_PATH,
	    .offset = MAIL(password_file),
	    .help = "its password, mode 0600" },
	{ .name = "ca_file",
	    .type = PERC_CONF_PATH,
	    .offset = MAIL(ca_file),
	    .help = "trust for its TLS; default the system's" },
	{ .name = "starttls",
	    .type = PERC_CONF_BOOL,
	    .offset = MAIL(starttls),
	    .def = "yes",
	    .help = "demand TLS of an smtp:// server" },
	{ 0 }
};

static const struct perc_conf_section sections[] = {
	{ .name = NULL, .items = kmf_main_items },
	{ .name = "issuer",
	    .items = kmf_issuer_items,
	    .open = kmf_issuer_open },
	{ .name = "mail", .items = kmf_mail_items },
	{ .name = "webhook", .items = kmf_hook_items, .open = kmf_hook_open },
	{ 0 }
};

int
kmf_conf_load_text(struct kmf_conf *c, const char *file, const char *text,
    size_t len, char *why, size_t whycap)
{
	const struct kmf_conf_text t = { { file, text, len }, why, whycap };
	struct perc_conf_error e;
	int r;

	memset(c, 0, sizeof(*c));
	c->file = file;
	if ((r = perc_conf_load_text(c, file, text, len, sections, &e)) != 0)
		snprintf(why, whycap, "%s", e.text);
	else {
		snprintf(why, whycap, "%s: out of memory", file);
		r = kmf_conf_complete(c, &t);
	}
	if (r != 0)
		kmf_conf_clear(c);
	return r;
}

int
kmf_conf_load_from(struct kmf_conf *c, const char *file, const char *from,
    char *why, size_t whycap)
{
	struct perc_conf_error e;
	char *text = NULL;
	size_t len;
	int r;

	memset(c, 0, sizeof(*c));
	if ((r = perc_conf_read_file(&text, &len, from, KMF_CONF_MAX, &e)) !=
	    0) {
		snprintf(why, whycap, "%s", e.text);
		return r;
	}
	r = kmf_conf_load_text(c, file, text, len, why, whycap);
	perc_secmem_free(text);
	return r;
}

int
kmf_conf_load(struct kmf_conf *c, const char *file, char *why, size_t whycap)
{
	return kmf_conf_load_from(c, file, file, why, whycap);
}

void
kmf_conf_clear(struct kmf_conf *c)
{
	size_t i;

	for (i = 0; i < c->nissuers; i++) {
		perc_conf_clear(&c->issuers[i], kmf_issuer_items);
		free(c->issuers[i].label);
	}
	for (i = 0; i < c->nhooks; i++) {
		perc_conf_clear(&c->hooks[i], kmf_hook_items);
		free(c->hooks[i].label);
	}
	perc_conf_clear(c, kmf_mail_items);
	perc_conf_clear(c, kmf_main_items);
	memset(c, 0, sizeof(*c));
}

void
kmf_conf_print_help(void)
{
	perc_conf_print_help(sections);
}
