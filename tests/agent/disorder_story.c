/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conference as a front can know it: what the vault said it took, and until
 * when that may count. Written from agent/vaultmsg.h and docs/wire/vault.md,
 * not from the vault's code.
 */
#include "disorder_int.h"

#include <stdlib.h>
#include <string.h>

void
story_close(struct story *s)
{
	perc_double_rx_free(s->rx);
	s->rx = NULL;
}

/* A new membership: of the one before nothing counts. */
void
story_open(struct story *s, unsigned slot)
{
	memset(s->known, 0, sizeof(s->known));
	s->top = 0;
	s->roster = -1;
	s->lists = false;
	s->slot = slot;
	s->state = STORY_OPEN;
}

static void
story_live(struct story *s, unsigned conf)
{
	story_close(s);
	must(perc_double_rx_new(&s->rx, world.ekt[conf], 8, 512) == 0 &&
	    perc_double_rx_list(s->rx, world.me.ssrc, 2) == 0);
	perc_double_rx_again(s->rx, true); /* no bound on its labour */
	s->state = STORY_LIVE;
}

bool
story_usable(const struct story *s, unsigned epoch)
{
	return s->state == STORY_LIVE && epoch < EPOCHS && s->known[epoch] &&
	    world_now() < s->until[epoch];
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* An epoch that the newest overtook: for as long as if it had come in time. */
static bool
late_welcome(const struct story *s, unsigned epoch)
{
	unsigned i;

	if (s->known[epoch] || world_now() >= s->top_ms + OVERLAP_MS)
		return false;
	for (i = 0; i < epoch; i++)
		if (s->known[i])
			return true;
	return false;
}

static void
epoch_newest(struct story *s, unsigned epoch)
{
	int64_t now = world_now();
	unsigned i;

	for (i = 0; i < EPOCHS; i++)
		if (s->known[i])
			s->until[i] = least(s->until[i], now + OVERLAP_MS);
	s->known[epoch] = true;
	s->until[epoch] = now + TTL_MS;
	s->top = epoch + 1;
	s->top_ms = now;
}

static bool
weaker(const struct story *s, const struct offer *f)
{
	const struct kit_conf *all = world.conf[f->conf];

	return s->state == STORY_LIVE &&
	    all[f->epoch].keylen < all[s->top - 1].keylen;
}

const char *
story_key(struct story *s, const struct offer *f)
{
	if (f->seen)
		return "an answer counts twice";
	if (!f->genuine)
		return "a key is taken that is not of the KMF for this "
		       "conference, vault and use";
	if (f->epoch + 1 < s->top)
		return "an older epoch is taken from an answer";
	if (weaker(s, f))
		return "a weaker cipher is taken";
	if (s->state != STORY_LIVE)
		story_live(s, f->conf);
	if (f->epoch + 1 > s->top)
		epoch_newest(s, f->epoch);
	else
		s->until[f->epoch] = world_now() + TTL_MS;
	return NULL;
}

const char *
story_epoch(struct story *s, const struct offer *f)
{
	if (!f->genuine)
		return "an epoch is taken that is not of the KMF for this "
		       "conference and member";
	if (weaker(s, f))
		return "a weaker cipher is taken";
	if (f->epoch + 1 > s->top) {
		epoch_newest(s, f->epoch);
		return NULL;
	}
	if (!late_welcome(s, f->epoch))
		return "an older epoch is taken from the stream";
	s->known[f->epoch] = true;
	s->until[f->epoch] =
	    least(world_now() + TTL_MS, s->top_ms + OVERLAP_MS);
	return NULL;
}

const char *
story_roster(struct story *s, const struct offer *f)
{
	int which = (int)f->which, was = s->roster;

	s->roster = which;
	s->lists = which != ROSTER_ALONE;
	if (!f->genuine)
		return "a roster is taken that is not of the KMF for this "
		       "conference";
	if (was > ROSTER_FIRST && which != was)
		return "a roster is taken that does not follow";
	return NULL;
}

const char *
story_notice(const struct story *s, const struct offer *f)
{
	if (!f->genuine)
		return "a notice is taken that is not of the KMF for us";
	if (s->state != STORY_ERASED)
		return "after the end nothing was erased";
	return NULL;
}

/* The table of agent/vaultmsg.h. */
enum right
story_right(const struct offer *f)
{
	static const uint8_t table[][4] = {
		[VAULT_OPEN] = { MAY, ERROR, ERROR, MAY },
		[VAULT_KEY] = { ENDS, MAY, MAY, ERROR },
		[VAULT_EPOCH] = { ENDS, ENDS, MAY, ERROR },
		[VAULT_ROSTER] = { ENDS, ENDS, MAY, ERROR },
		[VAULT_NOTICE] = { ENDS, MAY, MAY, ERROR },
		[VAULT_LEAVE] = { ENDS, MAY, MAY, MAY },
		[VAULT_MEDIA_IN] = { ENDS, ENDS, MAY, MAY },
		[VAULT_RTCP_IN] = { ENDS, ENDS, MAY, MAY },
	};

	if (f->type == 0)
		return MAY; /* nothing was sent */
	if (!f->greeted)
		return f->type == VAULT_HELLO ? MAY : ENDS;
	if (f->type == VAULT_PROOF || f->type == VAULT_STATUS)
		return MAY;
	if (f->type < VAULT_OPEN || f->type > VAULT_STATUS)
		return ENDS;
	return (enum right)table[f->type][f->state];
}
