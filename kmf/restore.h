/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One restore under way: restore.c handles the files, restore_keys.c what
 * needs a keeper's knowledge of signing keys and of the audit log.
 */
#pragma once

#include "kmf/keeper_int.h"
#include "kmf/root.h"

struct restore {
	const struct kmf_conf *c;
	const char *file;
	bool accept_loss;
	int64_t now_ms;
	struct perc_secret *now, *next;
	const struct perc_secret *seal; /* one of these */
	struct db *db;	     /* the copy */
	struct db_meta meta; /* of the backup */
	struct db_audit backup_last;
	int64_t known;	     /* newest revocation that the backup has */
	bool gen_good, journal_good, loss, new_keys;
	struct kmf_gen gen;
	int64_t journal_last;
	struct db_revocation *list; /* since the backup */
	size_t n;
	int64_t lost; /* audit records */
	unsigned problems;
};

/* Signing keys that open, or new ones; in the transaction. */
PERC_MUST int kmf_restore_keys(struct restore *o);
/* kmf-keys.json as the restored database has it. */
void kmf_restore_keys_file(struct restore *o);
/* The audit record, behind the last one that is known. */
PERC_MUST int kmf_restore_note(struct restore *o);
