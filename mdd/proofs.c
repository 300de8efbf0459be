/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To forget a proof that is young enough would let it come again, so that who
 * sends more than there is room for is refused until the oldest is too old.
 * The memory goes by the key and not by the peer's place: a reload that takes
 * a peer out and brings it back forgets nothing.
 */
#include "mdd/proofs.h"

#include <string.h>

static bool
is_old(int64_t at_s, int64_t now_s)
{
	return at_s == 0 || now_s - at_s > MDD_PROOF_LIFE_S;
}

/* Its memory, or one of which nothing counts any more; or NULL. */
static struct mdd_proofs_of *
of_key(struct mdd_proofs *q, const char *jkt, int64_t now_s)
{
	struct mdd_proofs_of *o, *spare = NULL;

	for (o = q->of; o < q->of + MDD_PEER_MAX; o++) {
		if (strcmp(o->jkt, jkt) == 0)
			return o;
		if (is_old(o->last_s, now_s))
			spare = o;
	}
	if (spare == NULL || strlen(jkt) >= sizeof(spare->jkt))
		return NULL;
	memset(spare, 0, sizeof(*spare));
	memcpy(spare->jkt, jkt, strlen(jkt) + 1);
	return spare;
}

bool
mdd_proofs_fresh(
    struct mdd_proofs *q, const char *jkt, const char *jti_hash, int64_t now_s)
{
	struct mdd_proofs_of *o = of_key(q, jkt, now_s);
	struct mdd_proof *p;
	unsigned i;

	if (o == NULL || strlen(jti_hash) >= sizeof(p->hash))
		return false;
	for (i = 0; i < MDD_PROOFS_OF_KEY; i++)
		if (strcmp(o->proof[i].hash, jti_hash) == 0)
			return false;
	p = &o->proof[o->next];
	if (!is_old(p->at_s, now_s))
		return false;
	memcpy(p->hash, jti_hash, strlen(jti_hash) + 1);
	p->at_s = o->last_s = now_s;
	o->next = (o->next + 1) % MDD_PROOFS_OF_KEY;
	return true;
}
