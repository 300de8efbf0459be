/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * root.gen: one line beside the root key that says how far the database had
 * come. A database that is behind it is an old copy, and whoever was put out
 * since would be in again: it is refused. The line is written after each
 * commit, so a crash leaves it behind the database and never before.
 */
#pragma once

#include "db/db.h"

#define KMF_GEN_FILE "root.gen"
#define KMF_GEN_LEN 256 /* octets, always */

struct kmf_gen {
	char id[40];	     /* of the data, as in db_meta */
	int64_t generation;
	int64_t journal;     /* newest revocation that the journal has */
	int64_t audit_seq;   /* newest record of the audit log */
	char audit_hash[DB_HASH_MAX];
};

/* key: kmf_root_derive(.., KMF_GEN_USE). NOTFOUND, FORMAT, AUTH. */
#define KMF_GEN_USE "perch generation"
PERC_MUST int kmf_gen_read(struct kmf_gen *g, const char *path,
    const uint8_t key[static 32]);
PERC_MUST int kmf_gen_write(int fd, const struct kmf_gen *g,
    const uint8_t key[static 32]);
/* Open to write, made (and durable) when it is not there. */
PERC_MUST int kmf_gen_open(int *fdp, const char *path);
