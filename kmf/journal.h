/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * revoked.log: what was revoked, outside the database, so that a database of
 * yesterday can be brought back without bringing back whom it still let in.
 * A line for each, sealed under a key of the root key and bound to its place;
 * only ever appended to, and on the disk before the commit that it is about.
 *
 * A commit may fail behind its lines: then something was noted that did not
 * happen, and who asked for it heard so. That errs on the safe side.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "db/db.h"

#define KMF_JOURNAL_FILE "revoked.log"
#define KMF_JOURNAL_USE	 "perch journal" /* kmf_root_derive */

struct kmf_journal {
	int fd; /* -1: closed */
	char path[4096];
	char id[40];
	uint8_t key[32];
	uint64_t lines; /* the first of them says from and upto */
	int64_t from;	/* it knows all from this number on */
	int64_t last;	/* newest number it has */
	off_t len;	/* octets that are whole */
};

typedef int (*kmf_journal_fn)(const struct db_revocation *r, void *arg);

/*
 * Open and read through; fn (may be NULL) gets each. A line torn by a crash
 * is cut off. PERC_ERR_NOTFOUND: no such file; PERC_ERR_AUTH: not of this
 * key, or lines are missing within.
 */
PERC_MUST int kmf_journal_open(struct kmf_journal *j, const char *path,
    const char *id, const uint8_t key[static 32], kmf_journal_fn fn,
    void *arg);
/* Make it anew of all that the database remembers, under another name first:
 * the old stays until the new is whole. */
PERC_MUST int kmf_journal_make(struct kmf_journal *j, const char *path,
    const char *id, const uint8_t key[static 32], struct db *db);
/* On the disk when it returns 0; else nothing was appended. */
PERC_MUST int kmf_journal_add(struct kmf_journal *j,
    const struct db_revocation *list, size_t n);
void kmf_journal_close(struct kmf_journal *j); /* wipes the key */
