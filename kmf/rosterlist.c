/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The list behind a roster. It is read once from the grants and from then on
 * told who changes; a list read anew is believed to be what the last roster
 * said only if it hashes to that roster's head. Somebody who left stays on
 * it, and is looked at again, until an epoch has shut him out.
 */
#include "kmf/rosterlist.h"

#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

static int
listed_cmp(const void *a, const void *b)
{
	const struct kmf_listed *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static void
list_clear(struct kmf_list *l)
{
	size_t i;

	for (i = 0; i < KMF_DELTAS; i++)
		perc_json_free(l->deltas[i]);
	free(l->v);
	free(l->changed);
	memset(l, 0, sizeof(*l));
}

void
kmf_lists_forget(struct kmf_keeper *k, const char *conf)
{
	struct kmf_list **lp = &k->lists, *l;

	while ((l = *lp) != NULL) {
		if (conf != NULL && strcmp(l->conf, conf) != 0) {
			lp = &l->next;
			continue;
		}
		*lp = l->next;
		list_clear(l);
		free(l);
	}
}

/* Where it stands, or would. */
static size_t
place(const struct kmf_list *l, const char *id, bool *there)
{
	size_t lo = 0, hi = l->n, mid;
	int c;

	*there = false;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if ((c = strcmp(l->v[mid].id, id)) == 0) {
			*there = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool
kmf_list_has(const struct kmf_list *l, const char *id, const json_t *entry)
{
	uint8_t leaf[PERC_ROSTER_HASH];
	bool there;
	size_t at = place(l, id, &there);

	return there && perc_roster_leaf(leaf, entry) == 0 &&
	    memcmp(leaf, l->v[at].leaf, sizeof(leaf)) == 0;
}

static int
change_note(struct kmf_list *l, const char *id)
{
	void *p;
	size_t i;

	for (i = 0; i < l->nchanged; i++)
		if (strcmp(l->changed[i], id) == 0)
			return 0;
	/* Grows by doubling, at each power of two. */
	if ((l->nchanged & (l->nchanged - 1)) == 0) {
		p = realloc(l->changed,
		    (l->nchanged == 0 ? 1 : 2 * l->nchanged) *
			sizeof(*l->changed));
		if (p == NULL)
			return PERC_ERR_NOMEM;
		l->changed = p;
	}
	return kmf_copy(l->changed[l->nchanged++], sizeof(*l->changed), id);
}

static int
list_head(struct kmf_list *l, const struct perc_roster_step *step)
{
	uint8_t *leaves = malloc(l->n * PERC_ROSTER_HASH + 1);
	size_t i;
	int r;

	if (leaves == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < l->n; i++)
		memcpy(leaves + i * PERC_ROSTER_HASH, l->v[i].leaf,
		    PERC_ROSTER_HASH);
	r = perc_roster_head(l->head, step, leaves, l->n);
	free(leaves);
	return r;
}

static void
hash_get(uint8_t out[static PERC_ROSTER_HASH], const char *text)
{
	if (perc_b64_get_exact(out, PERC_ROSTER_HASH, text) != 0)
		memset(out, 0, PERC_ROSTER_HASH);
}

static int
rows_take(struct kmf_list *l, const struct db_member *rows, size_t n)
{
	json_t *entry;
	size_t i;
	int r = 0;

	if ((l->v = calloc(n + 1, sizeof(*l->v))) == NULL)
		return PERC_ERR_NOMEM;
	l->cap = n + 1;
	for (i = 0; r == 0 && i < n; i++) {
		memcpy(l->v[i].id, rows[i].id, sizeof(l->v[i].id));
		if ((entry = kmf_roster_entry(&rows[i])) == NULL)
			return PERC_ERR_NOMEM;
		r = perc_roster_leaf(l->v[i].leaf, entry);
		json_decref(entry);
		if (r == 0 && rows[i].state != DB_MEMBER_LIVE)
			r = change_note(l, rows[i].id);
	}
	l->n = n;
	qsort(l->v, n, sizeof(*l->v), listed_cmp);
	return r;
}

/* As the database has it, and whether that is what the last roster said. */
static int
list_read(struct kmf_list *l, struct kmf_room *o)
{
	struct db_roster row = { .seq = 0 };
	struct perc_roster_step step = { .seq = (uint64_t)o->c->roster_seq,
		.epoch = (uint64_t)o->c->epoch };
	struct db_member *rows = NULL;
	uint8_t head[PERC_ROSTER_HASH];
	size_t n = 0;
	int r;

	r = db_roster_find(o->k->db, &row, o->c->id);
	if ((r != 0 && r != PERC_ERR_NOTFOUND) ||
	    (r = db_member_granted(
		 o->k->db, &rows, &n, o->c->id, o->c->epoch)) != 0)
		return r;
	hash_get(head, row.head);
	hash_get(step.before, row.before);
	if ((r = rows_take(l, rows, n)) == 0 &&
	    (r = list_head(l, &step)) == 0) {
		l->told = row.seq == o->c->roster_seq &&
		    memcmp(head, l->head, sizeof(head)) == 0;
		memcpy(l->head, head, sizeof(head));
	}
	free(rows);
	return r;
}

/* New and first in the list, so that the one longest unused is the last. */
static struct kmf_list *
list_new(struct kmf_keeper *k, const char *conf)
{
	struct kmf_list **lp, *l;
	unsigned n = 0;

	for (lp = &k->lists; *lp != NULL; lp = &(*lp)->next)
		if (++n == KMF_LISTS_MAX) {
			list_clear(*lp);
			free(*lp);
			*lp = NULL;
			break;
		}
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	memcpy(l->conf, conf, strlen(conf) + 1);
	l->next = k->lists;
	return k->lists = l;
}

struct kmf_list *
kmf_list_get(struct kmf_room *o)
{
	struct kmf_keeper *k = o->k;
	struct kmf_list **lp, *l;

	for (lp = &k->lists; (l = *lp) != NULL; lp = &l->next)
		if (strcmp(l->conf, o->c->id) == 0)
			break;
	if (l != NULL && l->seq == o->c->roster_seq) {
		*lp = l->next;
		l->next = k->lists;
		return k->lists = l;
	}
	if (l != NULL)
		kmf_lists_forget(k, o->c->id);
	if ((l = list_new(k, o->c->id)) == NULL)
		return NULL;
	l->seq = o->c->roster_seq;
	if (list_read(l, o) == 0)
		return l;
	kmf_lists_forget(k, o->c->id);
	return NULL;
}

void
kmf_list_touch(struct kmf_room *o, const char *member)
{
	struct kmf_list *l = kmf_list_get(o);

	if (l != NULL && change_note(l, member) != 0)
		kmf_lists_forget(o->k, o->c->id);
}

/* --- a step ---------------------------------------------------------------
 */
static int
entry_put(struct kmf_list *l, const struct db_member *m, json_t **added)
{
	struct kmf_listed new = { .id = "" };
	json_t *entry = kmf_roster_entry(m);
	bool there;
	size_t at;
	void *p;
	int r;

	if (entry == NULL)
		return PERC_ERR_NOMEM;
	memcpy(new.id, m->id, sizeof(new.id));
	if ((r = perc_roster_leaf(new.leaf, entry)) != 0)
		goto out;
	at = place(l, m->id, &there);
	if (there && memcmp(l->v[at].leaf, new.leaf, sizeof(new.leaf)) == 0)
		goto out;
	if (!there) {
		if (l->n == l->cap) {
			p = realloc(l->v, 2 * l->cap * sizeof(*l->v));
			r = PERC_ERR_NOMEM;
			if (p == NULL)
				goto out;
			l->v = p;
			l->cap *= 2;
		}
		memmove(l->v + at + 1, l->v + at, (l->n - at) * sizeof(*l->v));
		l->n++;
	}
	l->v[at] = new;
	kmf_json_add(added, entry);
	return 0;
out:
	json_decref(entry);
	return r;
}

static void
entry_drop(struct kmf_list *l, const char *id, json_t **removed)
{
	bool there;
	size_t at = place(l, id, &there);

	if (!there)
		return;
	l->n--;
	memmove(l->v + at, l->v + at + 1, (l->n - at) * sizeof(*l->v));
	kmf_json_add(removed, json_string(id));
}

/* Look at one; *stay: and again the next time. */
static int
change_apply(struct kmf_list *l, struct kmf_room *o, const char *id,
    json_t **added, json_t **removed, bool *stay)
{
	struct db_member m;
	int r = db_member_find(o->k->db, &m, id);

	*stay = false;
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	if (r == 0 && m.state == DB_MEMBER_LIVE)
		return entry_put(l, &m, added);
	if (r == 0 && m.granted == (int64_t)o->r.epoch) {
		*stay = true;
		return entry_put(l, &m, added);
	}
	entry_drop(l, id, removed);
	return 0;
}

int
kmf_list_step(
    struct kmf_list *l, struct kmf_room *o, json_t **added, json_t **removed)
{
	struct perc_roster_step step = { .seq = (uint64_t)l->seq + 1,
		.epoch = o->r.epoch };
	json_t *in = json_array(), *out = json_array();
	size_t i, kept = 0, names;
	bool stay;
	int r = 0;

	memcpy(step.before, l->head, sizeof(step.before));
	for (i = 0; r == 0 && i < l->nchanged; i++) {
		r = change_apply(l, o, l->changed[i], &in, &out, &stay);
		if (stay && kept++ != i)
			memcpy(l->changed[kept - 1], l->changed[i],
			    sizeof(*l->changed));
	}
	if (r == 0 && (in == NULL || out == NULL))
		r = PERC_ERR_NOMEM;
	if (r != 0 || (r = list_head(l, &step)) != 0) {
		json_decref(in);
		json_decref(out);
		return r;
	}
	l->nchanged = kept;
	l->seq++;
	names = json_array_size(in) + json_array_size(out);
	if (!l->told || names > KMF_DELTA_MAX) {
		json_decref(in);
		json_decref(out);
		in = out = NULL;
	}
	l->told = true;
	*added = in;
	*removed = out;
	return 0;
}

void
kmf_list_told(struct kmf_list *l, char *delta)
{
	perc_json_free(l->deltas[l->seq % KMF_DELTAS]);
	l->deltas[l->seq % KMF_DELTAS] = delta;
}
