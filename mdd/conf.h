/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-mdd's configuration file, as a struct. Filled once at start by
 * whichever process needs it; mdd_conf_clear frees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/conf.h"
#include "perc/err.h"

#define MDD_KMF_MAX	16
#define MDD_WORKERS_MAX 56
#define MDD_JWKS_MAX	(256u << 10) /* octets of one key file */
#define MDD_CONF_MAX	(1u << 20)   /* octets of the configuration */
#define MDD_LABEL_MAX	32	     /* of a section */

struct mdd_kmf_conf { /* one "[kmf NAME]" */
	char *name;   /* the section's label */
	char *url;    /* its base URL: the tokens' issuer */
	char *keys;   /* path of its JWK set */
};

#define MDD_PEER_MAX 16
enum mdd_peer_conferences { MDD_PEER_ALL, MDD_PEER_TOKEN };

struct mdd_peer_conf { /* one "[peer NAME]": another MDD */
	char *name, *url;
	char *key; /* RFC 7638 thumbprint of its link key */
	char *ca;  /* whom its certificate is of; NULL: the system's */
	int conferences;
	bool transit;
};

struct mdd_conf {
	char *listen, *base_url, *tls_cert, *tls_key;
	char *media_listen; /* literal address to bind; media_host if not set */
	char *media_host;   /* literal address that endpoints are told */
	char *media_host6;  /* and one of IPv6 beside it; or NULL */
	char *user, *run_dir;
	int64_t media_port, workers, max_legs, max_conferences,
	    max_conference_legs;
	int64_t max_leg_pps, max_leg_kbps, max_conns, max_conns_per_ip,
	    rate_address;
	int64_t rtx_packets, rtx_memory;
	int64_t idle_s, grace_s, last_n, drain_s, metrics_legs;
	int log_level; /* enum perc_log_level */
	bool syslog, metrics_open, segments, whip;
	struct mdd_kmf_conf kmf[MDD_KMF_MAX];
	unsigned kmfs;
	struct mdd_peer_conf peer[MDD_PEER_MAX];
	unsigned peers;
	char *link_key;
	int64_t legs_per_worker, max_links, max_link_sources, max_link_pps;
};

/* Read and check the file, and that what it names is there and usable. On
 * error *e says what and what to do. The caller clears in any case. */
PERC_MUST int
mdd_conf_load(struct mdd_conf *c, const char *file, struct perc_conf_error *e);
/* The same, without a look at the files that it names: they may be out of
 * reach for a process that has dropped its rights. */
PERC_MUST int
mdd_conf_read(struct mdd_conf *c, const char *file, struct perc_conf_error *e);
/* The same for a running daemon: with a look at those that are live. */
PERC_MUST int
mdd_conf_reread(struct mdd_conf *c, const char *file, struct perc_conf_error *e);
/* Settings that differ though they cannot change while we run: how many, and
 * their names for people. */
unsigned mdd_conf_frozen(const struct mdd_conf *now,
    const struct mdd_conf *next, char *names, size_t cap);
void mdd_conf_clear(struct mdd_conf *c);
void mdd_conf_print_help(void);
/* A section's label, copied. */
PERC_MUST int mdd_conf_label(char **namep, const char *label);

/* ---- conf_check.c ----------------------------------------------------- */

/* Settings beside each other; fills media_listen and workers when they are not
 * set. */
PERC_MUST int
mdd_conf_check(struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e);
PERC_MUST int
mdd_conf_check_files(const struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e);

/* ---- conf_peer.c: the sections of that name --------------------------- */

extern const struct perc_conf_item mdd_peer_items[];
int mdd_peer_open(void *conf, const char *label, void **targetp);
PERC_MUST int
mdd_peers_check(const struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e);
PERC_MUST int
mdd_peers_check_ca(const struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e);
/* Are links to the one links to the other too? */
bool
mdd_peer_same(const struct mdd_peer_conf *a, const struct mdd_peer_conf *b);
/* Links that a worker must have room for: none if there can be none. */
uint32_t mdd_conf_links(const struct mdd_conf *c);
