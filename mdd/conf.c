/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of settings, and which of them a daemon can change while it runs.
 */
#include "mdd/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/log.h"

#define O(m) offsetof(struct mdd_conf, m)
#define K(m) offsetof(struct mdd_kmf_conf, m)

static const struct perc_conf_item items[] = {
	{ .name = "listen",
	    .type = PERC_CONF_HOSTPORT,
	    .offset = O(listen),
	    .def = "127.0.0.1:8444",
	    .help = "address and port of the HTTPS join API" },
	{ .name = "base_url",
	    .type = PERC_CONF_URL,
	    .offset = O(base_url),
	    .required = true,
	    .help = "our base URL as endpoints see it; the tokens' audience" },
	{ .name = "tls_cert",
	    .type = PERC_CONF_PATH,
	    .offset = O(tls_cert),
	    .required = true,
	    .help = "certificate chain of the API, PEM" },
	{ .name = "tls_key",
	    .type = PERC_CONF_PATH,
	    .offset = O(tls_key),
	    .required = true,
	    .help = "its private key, PEM, mode 0600" },
	{ .name = "media_host",
	    .type = PERC_CONF_STR,
	    .offset = O(media_host),
	    .def = "127.0.0.1",
	    .help = "address that endpoints are told to send media to" },
	{ .name = "media_host6",
	    .type = PERC_CONF_STR,
	    .offset = O(media_host6),
	    .help = "IPv6 address that endpoints are told beside media_host" },
	{ .name = "media_listen",
	    .type = PERC_CONF_STR,
	    .offset = O(media_listen),
	    .help = "UDP address to bind; default: media_host, or all when "
		    "media_host6 is set" },
	{ .name = "media_port",
	    .type = PERC_CONF_INT,
	    .offset = O(media_port),
	    .def = "40000",
	    .min = 0,
	    .max = 65535,
	    .help = "worker n uses this port + n; 0: any free ports" },
	{ .name = "workers",
	    .type = PERC_CONF_INT,
	    .offset = O(workers),
	    .def = "0",
	    .min = 0,
	    .max = MDD_WORKERS_MAX,
	    .help = "media processes; 0: one for each processor" },
	{ .name = "user",
	    .type = PERC_CONF_STR,
	    .offset = O(user),
	    .help = "user to become when started as root" },
	{ .name = "run_dir",
	    .type = PERC_CONF_PATH,
	    .offset = O(run_dir),
	    .def = "/run/perch-mdd",
	    .help = "where the operator's socket is, if it is there" },
	{ .name = "max_legs",
	    .type = PERC_CONF_INT,
	    .offset = O(max_legs),
	    .def = "1000",
	    .min = 2,
	    .max = 20000,
	    .help = "legs (endpoints) of one worker" },
	{ .name = "max_conferences",
	    .type = PERC_CONF_INT,
	    .offset = O(max_conferences),
	    .def = "200",
	    .min = 1,
	    .max = 10000,
	    .help = "conferences of one worker" },
	{ .name = "max_conference_legs",
	    .type = PERC_CONF_INT,
	    .offset = O(max_conference_legs),
	    .def = "250",
	    .min = 2,
	    .max = 2048,
	    .help = "legs of one conference" },
	{ .name = "max_leg_pps",
	    .type = PERC_CONF_INT,
	    .offset = O(max_leg_pps),
	    .def = "4000",
	    .min = 50,
	    .max = 1000000,
	    .help = "datagrams a second taken from one leg" },
	{ .name = "max_leg_kbps",
	    .type = PERC_CONF_INT,
	    .offset = O(max_leg_kbps),
	    .def = "20000",
	    .min = 64,
	    .max = 10000000,
	    .help = "kilobits a second taken from one leg" },
	{ .name = "rtx_packets",
	    .type = PERC_CONF_INT,
	    .offset = O(rtx_packets),
	    .def = "1024",
	    .min = 0,
	    .max = 16384,
	    .help = "packets that a leg may ask for again (NACK); 0: none" },
	{ .name = "rtx_memory",
	    .type = PERC_CONF_INT,
	    .offset = O(rtx_memory),
	    .def = "32",
	    .min = 1,
	    .max = 4096,
	    .help = "MiB in which a worker keeps packets for that" },
	{ .name = "max_conns",
	    .type = PERC_CONF_INT,
	    .offset = O(max_conns),
	    .def = "512",
	    .min = 1,
	    .max = 20000,
	    .help = "connections to the join API" },
	{ .name = "max_conns_per_ip",
	    .type = PERC_CONF_INT,
	    .offset = O(max_conns_per_ip),
	    .def = "64",
	    .min = 0,
	    .max = 20000,
	    .help = "the same from one address; 0: no bound" },
	{ .name = "rate_address",
	    .type = PERC_CONF_INT,
	    .offset = O(rate_address),
	    .def = "400",
	    .min = 0,
	    .max = 1000000,
	    .help = "requests a second of one address; 0: no bound" },
	{ .name = "idle_s",
	    .type = PERC_CONF_INT,
	    .offset = O(idle_s),
	    .def = "30",
	    .min = 2,
	    .max = 3600,
	    .help = "silence (STUN and media) after which a leg is gone" },
	{ .name = "grace_s",
	    .type = PERC_CONF_INT,
	    .offset = O(grace_s),
	    .def = "60",
	    .min = 0,
	    .max = 86400,
	    .help = "how long a leg outlives its token" },
	{ .name = "last_n",
	    .type = PERC_CONF_INT,
	    .offset = O(last_n),
	    .def = "0",
	    .min = 0,
	    .max = 255,
	    .help = "members that are forwarded: who spoke last; 0: all" },
	{ .name = "drain_s",
	    .type = PERC_CONF_INT,
	    .offset = O(drain_s),
	    .def = "300",
	    .min = 0,
	    .max = 86400,
	    .help = "how long legs may go on when we drain" },
	{ .name = "metrics_legs",
	    .type = PERC_CONF_INT,
	    .offset = O(metrics_legs),
	    .def = "0",
	    .min = 0,
	    .max = 5000,
	    .help = "most legs that /metrics tells of one by one" },
	{ .name = "segments",
	    .type = PERC_CONF_BOOL,
	    .offset = O(segments),
	    .def = "yes",
	    .help = "send and receive a burst as one (UDP GSO and GRO)" },
	{ .name = "whip",
	    .type = PERC_CONF_BOOL,
	    .offset = O(whip),
	    .def = "no",
	    .help = "let browsers join by SDP; only hops protect their media" },
	{ .name = "metrics_open",
	    .type = PERC_CONF_BOOL,
	    .offset = O(metrics_open),
	    .def = "no",
	    .help = "answer /metrics to others than loopback" },
	{ .name = "link_key",
	    .type = PERC_CONF_PATH,
	    .offset = O(link_key),
	    .help = "our key towards peers: perch-mdd link-key FILE" },
	{ .name = "legs_per_worker",
	    .type = PERC_CONF_INT,
	    .offset = O(legs_per_worker),
	    .def = "0",
	    .min = 0,
	    .max = 2048,
	    .help = "more legs of a conference: another worker; 0: never" },
	{ .name = "max_links",
	    .type = PERC_CONF_INT,
	    .offset = O(max_links),
	    .def = "64",
	    .min = 1,
	    .max = 2000,
	    .help = "links of one worker to others and to peers" },
	{ .name = "max_link_sources",
	    .type = PERC_CONF_INT,
	    .offset = O(max_link_sources),
	    .def = "500",
	    .min = 2,
	    .max = 3000,
	    .help = "SSRCs that links may bring into one conference" },
	{ .name = "max_link_pps",
	    .type = PERC_CONF_INT,
	    .offset = O(max_link_pps),
	    .def = "100000",
	    .min = 100,
	    .max = 10000000,
	    .help = "datagrams a second taken from one link" },
	{ .name = "syslog",
	    .type = PERC_CONF_BOOL,
	    .offset = O(syslog),
	    .def = "no",
	    .help = "log to syslog instead of standard error" },
	{ .name = "log_level",
	    .type = PERC_CONF_ENUM,
	    .offset = O(log_level),
	    .def = "info",
	    .choices = "error|warn|info|debug",
	    .help = "least important lines to log" },
	{ 0 },
};

static const struct perc_conf_item kmf_items[] = {
	{ .name = "url",
	    .type = PERC_CONF_URL,
	    .offset = K(url),
	    .required = true,
	    .help = "base URL of a KMF whose tokens count" },
	{ .name = "keys",
	    .type = PERC_CONF_PATH,
	    .offset = K(keys),
	    .required = true,
	    .help = "its public keys (kmf-keys.json); read again on SIGHUP" },
	{ 0 },
};

int
mdd_conf_label(char **namep, const char *label)
{
	if (strlen(label) > MDD_LABEL_MAX)
		return PERC_ERR_FORMAT;
	return (*namep = strdup(label)) == NULL ? PERC_ERR_NOMEM : 0;
}

static int
kmf_open(void *conf, const char *label, void **targetp)
{
	struct mdd_conf *c = conf;
	struct mdd_kmf_conf *k = &c->kmf[c->kmfs];
	int r;

	if (c->kmfs == MDD_KMF_MAX)
		return PERC_ERR_LIMIT;
	if ((r = mdd_conf_label(&k->name, label)) != 0)
		return r;
	c->kmfs++;
	*targetp = k;
	return 0;
}

static const struct perc_conf_section sections[] = {
	{ .name = NULL, .items = items },
	{ .name = "kmf", .items = kmf_items, .open = kmf_open },
	{ .name = "peer", .items = mdd_peer_items, .open = mdd_peer_open },
	{ 0 },
};

void
mdd_conf_print_help(void)
{
	perc_conf_print_help(sections);
}

void
mdd_conf_clear(struct mdd_conf *c)
{
	unsigned i;

	for (i = 0; i < c->kmfs; i++) {
		perc_conf_clear(&c->kmf[i], kmf_items);
		free(c->kmf[i].name);
		c->kmf[i].name = NULL;
	}
	c->kmfs = 0;
	for (i = 0; i < c->peers; i++) {
		perc_conf_clear(&c->peer[i], mdd_peer_items);
		free(c->peer[i].name);
		c->peer[i].name = NULL;
	}
	c->peers = 0;
	perc_conf_clear(c, items);
}

enum look { LOOK_NOWHERE, LOOK_LIVE, LOOK_ALL }; /* at files that it names */

static int
conf_read(struct mdd_conf *c, const char *file, enum look look,
    struct perc_conf_error *e)
{
	struct perc_conf_text t = { .file = file };
	char *text = NULL;
	int r;

	memset(c, 0, sizeof(*c));
	e->text[0] = '\0';
	if ((r = perc_conf_read_file(&text, &t.len, file, MDD_CONF_MAX, e)) !=
	    0)
		return r;
	t.text = text;
	if ((r = perc_conf_load_text(c, file, text, t.len, sections, e)) == 0)
		r = mdd_conf_check(c, &t, e);
	if (r == 0 && look == LOOK_ALL)
		r = mdd_conf_check_files(c, &t, e);
	if (r == 0 && look != LOOK_NOWHERE)
		r = mdd_peers_check_ca(c, &t, e);
	free(text);
	return r;
}

int
mdd_conf_read(struct mdd_conf *c, const char *file, struct perc_conf_error *e)
{
	return conf_read(c, file, LOOK_NOWHERE, e);
}

int
mdd_conf_reread(struct mdd_conf *c, const char *file, struct perc_conf_error *e)
{
	return conf_read(c, file, LOOK_LIVE, e);
}

int
mdd_conf_load(struct mdd_conf *c, const char *file, struct perc_conf_error *e)
{
	return conf_read(c, file, LOOK_ALL, e);
}

/* What SIGHUP can change, beside the sections; all else is in sockets, pools
 * and cages. */
static const char *const live[] = { "max_leg_pps", "max_leg_kbps",
	"rate_address", "idle_s", "grace_s", "drain_s", "metrics_legs",
	"metrics_open", "log_level" };

static bool
is_live(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(live) / sizeof(live[0]); i++)
		if (strcmp(live[i], name) == 0)
			return true;
	return false;
}

unsigned
mdd_conf_frozen(const struct mdd_conf *now, const struct mdd_conf *next,
    char *names, size_t cap)
{
	const struct perc_conf_item *i;
	unsigned n = 0;
	size_t at = 0;

	names[0] = '\0';
	for (i = items; i->name != NULL; i++) {
		if (is_live(i->name) || perc_conf_equal(now, next, i))
			continue;
		n++;
		if (at < cap)
			at += (size_t)snprintf(names + at, cap - at, "%s%s",
			    at > 0 ? ", " : "", i->name);
	}
	return n;
}
