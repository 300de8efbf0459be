/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SRTP packet processing of RFC 3711 section 3.3 around perc/gcm.c. Both
 * directions are alike: guess the index from the highest one so far, look at
 * the window, run the cipher, and only then commit. Sending keeps a window
 * too: a forwarder sends what it gets in the order it gets it, and no index
 * may ever go out twice (RFC 7714 section 8.4).
 *
 * SSRCs stand in an open-addressed table several times as large as the
 * streams. Nothing is ever taken out of it: a forgotten stream gives its window
 * back but leaves its highest index behind, for a stream that began anew at ROC
 * 0 under the same key would repeat nonces.
 */
#include "perc/srtp.h"

#include <stdlib.h>
#include <string.h>

#include "perc/replay.h"
#include "perc/secret.h"

#define SLOTS_PER_STREAM (PERC_SRTP_FORGOTTEN_MAX + 2)

#define CIPHER_MEMORY 12288 /* perc/gcm.c's, whichever engine */

#define LINE 64 /* octets of the processor's cache */

enum slot_state { SLOT_FREE = 0, SLOT_LIVE, SLOT_FORGOTTEN };

struct slot {
	uint64_t top; /* not started: ROC << 16; forgotten: highest index */
	uint32_t ssrc;
	uint16_t window; /* LIVE: which of the windows */
	uint8_t state;
	bool started; /* it had a packet */
};

struct perc_srtp {
	struct perc_gcm *gcm;
	struct slot *slots;
	uint8_t *windows; /* each with its bits behind it, in one place */
	size_t stride;	  /* octets from one to the next */
	uint16_t *spare;  /* stack of windows nobody uses */
	uint32_t
	    *heard;    /* of each window: when, in packets; NULL: no evicting */
	uint32_t now;  /* packets opened */
	uint32_t mask; /* slots - 1 */
	unsigned max_streams, spares, forgotten;
};

static size_t
profile_keylen(enum perc_srtp_profile profile)
{
	switch (profile) {
	case PERC_AEAD_AES_128_GCM:
		return 16;
	case PERC_AEAD_AES_256_GCM:
		return 32;
	}
	return 0;
}

static size_t
slots_for(unsigned max_streams)
{
	size_t slots = 8;

	while (slots < (size_t)max_streams * SLOTS_PER_STREAM)
		slots *= 2;
	return slots;
}

static size_t
window_size(unsigned window)
{
	return sizeof(struct perc_replay) +
	    perc_replay_words(window) * sizeof(uint64_t);
}

size_t
perc_srtp_memory(unsigned max_streams, unsigned window)
{
	return sizeof(struct perc_srtp) + CIPHER_MEMORY +
	    slots_for(max_streams) * sizeof(struct slot) +
	    max_streams * (window_size(window) + sizeof(uint16_t)) + LINE;
}

static struct perc_replay *
window_at(const struct perc_srtp *s, unsigned i)
{
	return (struct perc_replay *)(void *)(s->windows + i * s->stride);
}

static int
tables_make(struct perc_srtp *s, unsigned max_streams, unsigned window)
{
	size_t slots = slots_for(max_streams);
	struct perc_replay *w;
	unsigned i;

	s->mask = (uint32_t)slots - 1;
	s->max_streams = max_streams;
	s->stride = window_size(window);
	s->slots = calloc(slots, sizeof(*s->slots));
	s->windows = calloc(max_streams, s->stride);
	s->spare = calloc(max_streams, sizeof(*s->spare));
	if (s->slots == NULL || s->windows == NULL || s->spare == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < max_streams; i++) {
		w = window_at(s, i);
		perc_replay_init(w, window, (uint64_t *)(void *)(w + 1));
		s->spare[i] = (uint16_t)(max_streams - 1 - i);
	}
	s->spares = max_streams;
	return 0;
}

int
perc_srtp_new(struct perc_srtp **sp, enum perc_srtp_profile profile,
    const uint8_t *key, const uint8_t salt[static PERC_SRTP_SALT_LEN],
    unsigned max_streams, unsigned window)
{
	struct perc_srtp *s = NULL;
	size_t keylen = profile_keylen(profile);
	int r = PERC_ERR_NOMEM;

	*sp = NULL;
	if (keylen == 0 || max_streams < 1 ||
	    max_streams > PERC_SRTP_STREAMS_MAX ||
	    perc_replay_words(window) == 0)
		return PERC_ERR_INVAL;
	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (r = tables_make(s, max_streams, window)) != 0 ||
	    (r = perc_gcm_new(&s->gcm, key, keylen, salt)) != 0)
		goto out;
	*sp = s;
	s = NULL;
out:
	perc_srtp_free(s);
	return r;
}

void
perc_srtp_free(struct perc_srtp *s)
{
	if (s == NULL)
		return;
	perc_gcm_free(s->gcm);
	free(s->slots);
	free(s->windows);
	free(s->spare);
	free(s->heard);
	free(s);
}

/* Where its search begins. */
static struct slot *
slot_first(const struct perc_srtp *s, uint32_t ssrc)
{
	uint32_t i = ssrc * 2654435761u; /* SSRCs may come in runs */

	return &s->slots[(i ^ i >> 16) & s->mask];
}

/* The slot of ssrc, or the free one where it belongs. There always is a free
 * one: live and forgotten together never fill the table. */
static struct slot *
slot_find(const struct perc_srtp *s, uint32_t ssrc)
{
	struct slot *t = slot_first(s, ssrc), *end = s->slots + s->mask;

	while (t->state != SLOT_FREE && t->ssrc != ssrc)
		t = t == end ? s->slots : t + 1;
	return t;
}

/* May this slot become a live one? */
static int
slot_room(const struct perc_srtp *s, const struct slot *t)
{
	if (s->spares == 0 && s->heard == NULL)
		return PERC_ERR_LIMIT;
	if ((t->state == SLOT_FREE || s->spares == 0) &&
	    s->forgotten >= s->max_streams * PERC_SRTP_FORGOTTEN_MAX)
		return PERC_ERR_LIMIT;
	return 0;
}

static void
slot_forget(struct perc_srtp *s, struct slot *t)
{
	if (t->started)
		t->top = window_at(s, t->window)->top;
	t->state = SLOT_FORGOTTEN;
	s->spare[s->spares++] = t->window;
	s->forgotten++;
}

/* The one that nobody heard for longest gives its window back. */
static void
slot_evict(struct perc_srtp *s)
{
	struct slot *idlest = NULL, *t;

	for (t = s->slots; t <= s->slots + s->mask; t++)
		if (t->state == SLOT_LIVE &&
		    (idlest == NULL ||
			s->now - s->heard[t->window] >
			    s->now - s->heard[idlest->window]))
			idlest = t;
	slot_forget(s, idlest);
}

static void
slot_open(struct perc_srtp *s, struct slot *t, uint32_t ssrc)
{
	struct perc_replay *w;

	if (s->spares == 0)
		slot_evict(s);
	t->window = s->spare[--s->spares];
	w = window_at(s, t->window);
	perc_replay_init(w, w->window, w->bits);
	if (t->started)
		perc_replay_close(w, t->top);
	if (t->state == SLOT_FORGOTTEN)
		s->forgotten--;
	t->ssrc = ssrc;
	t->state = SLOT_LIVE;
}

/*
 * The index of a packet, if its slot and window allow it. A stream's first
 * packet may have any SEQ; its ROC is 0, or what roc_set said, or for a
 * stream that was forgotten the one nearest to where it stopped.
 */
static int
index_find(const struct perc_srtp *s, const struct slot *t, uint16_t seq,
    uint64_t *index)
{
	const struct perc_replay *w;
	int r;

	if (t->state != SLOT_LIVE && (r = slot_room(s, t)) != 0)
		return r;
	if (!t->started) {
		*index = t->top | seq;
		return 0;
	}
	if (t->state == SLOT_FORGOTTEN) {
		if ((r = perc_index_guess(index, t->top, seq)) != 0)
			return r;
		return *index > t->top ? 0 : PERC_ERR_REPLAY;
	}
	w = window_at(s, t->window);
	if ((r = perc_index_guess(index, w->top, seq)) != 0)
		return r;
	return perc_replay_check(w, *index);
}

static void
index_commit(struct perc_srtp *s, struct slot *t, uint32_t ssrc, uint64_t index)
{
	if (t->state != SLOT_LIVE)
		slot_open(s, t, ssrc);
	perc_replay_commit(window_at(s, t->window), index);
	t->started = true;
}

void
perc_srtp_fetch(const struct perc_srtp *s, uint32_t ssrc, unsigned step)
{
	const struct slot *t;
	const uint8_t *w;

	if (step == 0) {
		__builtin_prefetch(s);
	} else if (step == 1) {
		__builtin_prefetch(slot_first(s, ssrc));
		__builtin_prefetch(s->gcm);
	} else {
		perc_gcm_fetch(s->gcm);
		t = slot_find(s, ssrc);
		w = s->windows + t->window * s->stride;
		__builtin_prefetch(w);
		__builtin_prefetch(w + LINE);
	}
}

int
perc_srtp_protect(struct perc_srtp *s, const struct perc_rtp *h,
    const uint8_t *in, size_t n, uint8_t *out, size_t *outlen)
{
	struct slot *t = slot_find(s, h->ssrc);
	size_t hl = h->header_len;
	uint64_t index;
	int r;

	if (n < hl)
		return PERC_ERR_SHORT;
	if ((r = index_find(s, t, h->seq, &index)) != 0)
		return r;
	if (out != in)
		memcpy(out, in, hl);
	/* committed first: an index that met the cipher is spent, whatever
	 * the cipher says */
	index_commit(s, t, h->ssrc, index);
	if ((r = perc_gcm_seal(s->gcm, h->ssrc, index, out, hl, in + hl, n - hl,
		 out + hl)) != 0)
		return r;
	*outlen = n + PERC_SRTP_TAG_LEN;
	return 0;
}

int
perc_srtp_again(struct perc_srtp *s, const struct perc_rtp *h,
    const uint8_t *in, size_t n, const uint8_t tag[static PERC_SRTP_TAG_LEN],
    uint8_t *out, size_t *outlen)
{
	struct slot *t = slot_find(s, h->ssrc);
	size_t hl = h->header_len;
	const struct perc_replay *w;
	uint64_t index;
	int r;

	if (n < hl)
		return PERC_ERR_SHORT;
	if (t->state != SLOT_LIVE || !t->started)
		return PERC_ERR_NOTFOUND;
	w = window_at(s, t->window);
	if ((r = perc_index_guess(&index, w->top, h->seq)) != 0)
		return r;
	if (index > w->top || perc_replay_check(w, index) == 0)
		return PERC_ERR_NOTFOUND;
	memmove(out, in, hl);
	if ((r = perc_gcm_seal(s->gcm, h->ssrc, index, out, hl, in + hl, n - hl,
		 out + hl)) != 0)
		return r;
	if (memcmp(out + n, tag, PERC_SRTP_TAG_LEN) != 0) {
		perc_wipe(out, n + PERC_SRTP_TAG_LEN);
		return PERC_ERR_AUTH;
	}
	*outlen = n + PERC_SRTP_TAG_LEN;
	return 0;
}

int
perc_srtp_unprotect(struct perc_srtp *s, const struct perc_rtp *h,
    const uint8_t *in, size_t n, uint8_t *out, size_t *outlen)
{
	struct slot *t = slot_find(s, h->ssrc);
	size_t hl = h->header_len;
	uint64_t index;
	int r;

	if (n < hl + PERC_SRTP_TAG_LEN)
		return PERC_ERR_SHORT;
	if ((r = index_find(s, t, h->seq, &index)) != 0)
		return r;
	if ((r = perc_gcm_open(s->gcm, h->ssrc, index, in, hl, in + hl, n - hl,
		 out + hl)) != 0)
		return r;
	if (out != in)
		memcpy(out, in, hl);
	index_commit(s, t, h->ssrc, index);
	if (s->heard != NULL)
		s->heard[t->window] = ++s->now;
	*outlen = n - PERC_SRTP_TAG_LEN;
	return 0;
}

int
perc_srtp_roc_set(struct perc_srtp *s, uint32_t ssrc, uint32_t roc)
{
	struct slot *t = slot_find(s, ssrc);
	int r;

	if (t->started)
		return PERC_ERR_STATE;
	if (t->state != SLOT_LIVE) {
		if ((r = slot_room(s, t)) != 0)
			return r;
		slot_open(s, t, ssrc);
	}
	t->top = (uint64_t)roc << 16;
	return 0;
}

/* As if they had been forgotten there: what comes must be newer. */
void
perc_srtp_follow(struct perc_srtp *s, const struct perc_srtp *old)
{
	const struct slot *o;
	struct slot *t;
	uint32_t i;

	for (i = 0; i <= old->mask; i++) {
		o = &old->slots[i];
		if (o->state != SLOT_LIVE || !o->started ||
		    s->forgotten >= s->max_streams * PERC_SRTP_FORGOTTEN_MAX)
			continue;
		t = slot_find(s, o->ssrc);
		if (t->state != SLOT_FREE)
			continue;
		t->ssrc = o->ssrc;
		t->top = window_at(old, o->window)->top;
		t->started = true;
		t->state = SLOT_FORGOTTEN;
		s->forgotten++;
	}
}

int
perc_srtp_roc_get(const struct perc_srtp *s, uint32_t ssrc, uint32_t *roc)
{
	const struct slot *t = slot_find(s, ssrc);
	uint64_t top = t->top;

	if (t->state == SLOT_FREE)
		return PERC_ERR_NOTFOUND;
	if (t->state == SLOT_LIVE && t->started)
		top = window_at(s, t->window)->top;
	*roc = (uint32_t)(top >> 16);
	return 0;
}

void
perc_srtp_forget(struct perc_srtp *s, uint32_t ssrc)
{
	struct slot *t = slot_find(s, ssrc);

	if (t->state == SLOT_LIVE)
		slot_forget(s, t);
}

int
perc_srtp_evicting(struct perc_srtp *s)
{
	s->heard = calloc(s->max_streams, sizeof(*s->heard));
	return s->heard != NULL ? 0 : PERC_ERR_NOMEM;
}
