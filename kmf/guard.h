/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What stands beside the database and guards it: root.gen and revoked.log,
 * kept up to date around each commit of the keeper.
 */
#pragma once

#include "kmf/generation.h"
#include "kmf/journal.h"

struct kmf_keeper;

struct kmf_guard {
	bool on; /* no directory was given: tests of other things */
	char dir[4096 - 32];
	int gen_fd;
	uint8_t gen_key[32];
	struct kmf_gen gen;  /* as last written, or about to be */
	struct kmf_journal journal;
	int64_t revoked;     /* newest number that is committed */
	int64_t revoking;    /* and of this turn */
	bool counted;	     /* this turn changes something */
};

struct kmf_keeper_opts;
/* Is there a database at all? Opening would make an empty one. */
PERC_MUST int kmf_guard_present(const struct kmf_keeper_opts *o, char *why,
    size_t whycap);
/* Is the database the newest one? Opens the files, or makes them for a
 * database that never had them. why says what to do. */
PERC_MUST int kmf_guard_open(struct kmf_keeper *k, const char *dir, char *why,
    size_t whycap);
/* Before the commit: revocations onto the disk, the generation counted. */
PERC_MUST int kmf_guard_turn(struct kmf_keeper *k);
/* After it. */
void kmf_guard_committed(struct kmf_keeper *k);
/* Both files anew, under the root key that seals now. */
PERC_MUST int kmf_guard_rekey(struct kmf_keeper *k);
/* The end of a transaction: both of the above around db_commit. When it
 * fails the caller rolls back. */
/* Is the audit log one chain? last: the newest record that belongs to it. */
PERC_MUST int kmf_check_chain(struct db *db, struct db_audit *last);
PERC_MUST int kmf_turn_commit(struct kmf_keeper *k);
void kmf_guard_close(struct kmf_keeper *k);
/* Overwrite and unlink; a file that is not there is well. */
void kmf_file_wipe(const char *path);
/* Make a rename or a new name in that directory durable. */
PERC_MUST int kmf_dir_sync(const char *dir);
