/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A backup from before a rewrap has signing keys that no key opens any more:
 * new ones take their place. And the audit log goes on behind the last record
 * there ever was, with a record that says which ones were lost between.
 */
#include "kmf/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under the key that seals; false: nothing opens it. */
static bool
reseal(struct restore *o, struct db_sealed_row *row)
{
	const struct perc_secret *const keys[] = { o->now, o->next };
	size_t n = row->sealed.len, aad = strlen(row->aad), i;
	uint8_t *plain;
	int r = PERC_ERR_AUTH;

	if (n <= PERC_SEAL_OVERHEAD ||
	    (plain = perc_secmem_alloc(n - PERC_SEAL_OVERHEAD)) == NULL)
		return false;
	for (i = 0; i < 2 && r != 0; i++)
		if (keys[i] != NULL)
			r = perc_unseal(plain, keys[i]->data, row->aad, aad,
			    row->sealed.data, n);
	if (r == 0)
		r = perc_seal(row->sealed.data, o->seal->data, row->aad, aad,
		    plain, n - PERC_SEAL_OVERHEAD);
	perc_secmem_free(plain);
	return r == 0 && db_sealed_put(o->db, 0, row) == 0;
}

static int
keys_reseal(struct restore *o)
{
	struct db_sealed_row *list = NULL;
	size_t i, n = 0;
	int r;

	if ((r = db_sealed_page(o->db, 0, &list, &n, "", "", 1000)) != 0)
		return r;
	for (i = 0; i < n; i++) {
		if (r == 0 && list[i].sealed.len != 0 && !reseal(o, &list[i]))
			r = db_signing_key_retire(
			    o->db, list[i].key, o->now_ms);
		free(list[i].sealed.data);
	}
	free(list);
	return r;
}

int
kmf_restore_keys(struct restore *o)
{
	static const char *const uses[] = { "token", "statement" };
	struct db_signing_key *list = NULL;
	size_t i, n;
	int r;

	if ((r = keys_reseal(o)) != 0)
		return r;
	for (i = 0; r == 0 && i < 2; i++) {
		if ((r = db_signing_key_list(o->db, &list, &n)) != 0)
			return r;
		if (kmf_signer_of(list, n, uses[i], o->now_ms) == NULL) {
			o->new_keys = true;
			r = kmf_signing_key_make(o->db, o->seal->data, uses[i],
			    o->now_ms, o->now_ms);
		}
		free(list);
		list = NULL;
	}
	return r;
}

static int64_t
now(void *arg)
{
	return ((const struct restore *)arg)->now_ms;
}

void
kmf_restore_keys_file(struct restore *o)
{
	struct kmf_keeper k = { 0 };
	char path[4200], why[256];

	snprintf(path, sizeof(path), "%s/%s", o->c->state_dir, KMF_DB_FILE);
	if (db_open_reader(&k.db, path, why, sizeof(why)) != 0) {
		fprintf(stderr, "perch-kmf: restore: %s\n", why);
		return;
	}
	k.now_ms = o->now_ms;
	k.clock = now;
	k.clock_arg = o;
	snprintf(k.base, sizeof(k.base), "%s", o->c->base_url);
	snprintf(k.dir, sizeof(k.dir), "%s", o->c->state_dir);
	kmf_keys_file_put(&k);
	db_close(k.db);
}

int
kmf_restore_note(struct restore *o)
{
	struct kmf_keeper k = { .db = o->db, .now_ms = o->now_ms };
	struct db_audit last = { 0 };
	char at[PERC_TIME_LEN];
	int r;

	r = db_audit_last(o->db, &last);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	if (o->gen_good && o->gen.audit_seq > last.seq) {
		o->lost = o->gen.audit_seq - last.seq;
		last.seq = o->gen.audit_seq;
		memcpy(last.hash, o->gen.audit_hash, sizeof(last.hash));
		if ((r = db_restore_floor(o->db, last.seq)) != 0)
			return r;
	}
	perc_time_put(at, o->meta.backup_ms);
	r = kmf_audit_behind(&k, &last, KMF_AUDIT_RESTORED, "", "", "",
	    json_pack("{s:s, s:I, s:s, s:I}", "backup_at", at, "backup_seq",
		(json_int_t)o->backup_last.seq, "backup_hash",
		o->backup_last.hash, "lost", (json_int_t)o->lost));
	if (r != 0)
		return r;
	if ((r = db_audit_last(o->db, &last)) != 0)
		return r;
	o->gen.audit_seq = last.seq;
	memcpy(o->gen.audit_hash, last.hash, sizeof(last.hash));
	return 0;
}
