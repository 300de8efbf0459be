/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the vault believes before anybody speaks to it: which KMFs exist and
 * with which keys they sign. Root owns it, so neither the front nor any other
 * program of the user can bring in a KMF of its own.
 *
 *	require_protection = yes
 *	local_out_base = 22000
 *	[kmf example]
 *	url = https://kmf.example
 *	keys = kmf-keys.json
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/vaultext.h"
#include "perc/conf.h"
#include "perc/jose.h"

#define VAULT_KMFS_MAX	    8
#define VAULT_KEYS_FILE_MAX 65536 /* octets of one kmf-keys.json */
#define VAULT_CONF_FILE_MAX 65536

struct vault_kmf {
	char label[64];
	char *url;  /* BASE, no trailing slash */
	char *keys; /* file */
	struct perc_jwks *set;
};

struct vault_config {
	bool require_protection; /* refuse to start half protected */
	bool local_any_user;	 /* whoever is on this machine */
	int64_t local_out_base;	 /* first port to local receivers; 0: -o */
	struct vault_ext ext;	 /* header extensions that leave */
	struct vault_kmf kmf[VAULT_KMFS_MAX];
	unsigned nkmf;
};

extern const struct perc_conf_section vault_conf_sections[];

/*
 * Read file and every keys file it names. All of them, and the directories
 * and links on the way, must belong to root or, with user_owned, to us, and
 * be writable by nobody else. On error e tells; clear either way.
 */
PERC_MUST int vault_config_load(struct vault_config *c, const char *file,
    bool user_owned, struct perc_conf_error *e);
void vault_config_clear(struct vault_config *c);
/* The KMF with this BASE URL; NULL: not pinned. */
const struct vault_kmf *
vault_config_find(const struct vault_config *c, const char *url);
