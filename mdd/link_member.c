/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sources of a link sorted by member, for a hello that passes them on.
 * Whoever looks through the table for each member's sources is quadratic in
 * what the other side chose to announce, and does that twice a second. So
 * each source is put on the list of its head, a slot of the same table, in one
 * walk; a second one takes the lists.
 *
 * What the other side says of members may be wrong: a head that is not there
 * (its members stand for themselves), heads of heads, many of one place.
 * Every source is on one list, so all are told once whatever it said.
 */
#include "mdd/link.h"

struct member { /* a list as it is taken off */
	const struct mdd_link_source *e[MDD_TOKEN_SSRCS];
	unsigned n;
};

/* Where e's list begins: at its head, or at itself where that is not fed. */
static struct mdd_link_source *
list_of(struct mdd_link *k, struct mdd_link_source *e)
{
	int at = mdd_link_index(k, e->word.head);

	return at < 0 ? e : &k->slot[at];
}

static unsigned
lists_make(struct mdd_link *k)
{
	struct mdd_link_source *head;
	unsigned i, looked = 0;

	for (i = 0; i <= k->mask; i++)
		k->slot[i].first = 0;
	for (i = 0; i <= k->mask; i++) {
		looked++;
		if (k->slot[i].src == NULL)
			continue;
		head = list_of(k, &k->slot[i]);
		k->slot[i].next = head->first;
		head->first = (uint16_t)(i + 1);
	}
	return looked;
}

/* By place; those of one place as they come. */
static void
member_put(struct member *m, const struct mdd_link_source *e)
{
	unsigned i = m->n++;

	for (; i > 0 && m->e[i - 1]->word.place > e->word.place; i--)
		m->e[i] = m->e[i - 1];
	m->e[i] = e;
}

static void
member_tell(struct member *m, mdd_link_member_fn fn, void *arg)
{
	uint32_t ssrcs[MDD_TOKEN_SSRCS];
	unsigned i;

	for (i = 0; i < m->n; i++)
		ssrcs[i] = m->e[i]->ssrc;
	if (m->n > 0)
		fn(&m->e[0]->word, ssrcs, m->n, arg);
	m->n = 0;
}

unsigned
mdd_link_members(struct mdd_link *k, mdd_link_member_fn fn, void *arg)
{
	unsigned i, at, looked = lists_make(k);
	struct member m = { .n = 0 };

	for (i = 0; i <= k->mask; i++) {
		looked++;
		for (at = k->slot[i].first; at != 0;
		     at = k->slot[at - 1].next) {
			looked++;
			member_put(&m, &k->slot[at - 1]);
			if (m.n == MDD_TOKEN_SSRCS) /* more than a member has */
				member_tell(&m, fn, arg);
		}
		member_tell(&m, fn, arg);
	}
	return looked;
}
