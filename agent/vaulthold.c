/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that came before their key. A sender goes over to a new epoch 250 ms
 * after it heard of it, and we may hear of it later: our stream was away, the
 * fetch took a second, every Full field of that time was lost. What nothing
 * opened is kept for a while and tried again when a key came, so that it is
 * late and not lost. It is ciphertext still, of a listed SSRC, and whoever
 * floods us with rubbish has it tried when a true key came and not before.
 * So it lies in ordinary memory, as it came by the network; there it takes
 * pages only from the first packet that had to wait.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/wire.h"

#define HOLD_MS	   8000 /* a KMF that starts again, and who waits for it */
#define WINDOW_MS  5000 /* after news of an epoch: failures may be early */
#define TRIES_MAX  64	/* epochs come in bursts, three passes each */
#define PASSES_MAX 3	/* a field found in one pass helps in the next */

struct vault_held {
	int64_t at_ms;
	uint32_t ssrc;
	uint16_t len;
	uint8_t tries;
	bool opened; /* and waits for the field that it has */
	uint8_t p[VAULT_PACKET_MAX];
};

int
vault_hold_init(struct vault_hold *h)
{
	unsigned i;

	memset(h, 0, sizeof(*h));
	if ((h->all = calloc(VAULT_HOLD_MAX, sizeof(*h->all))) == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < VAULT_HOLD_MAX; i++)
		h->order[i] = (uint16_t)i;
	return 0;
}

void
vault_hold_clear(struct vault_hold *h)
{
	free(h->all);
	memset(h, 0, sizeof(*h));
}

/* The one at place i goes; its room stands behind those in use. */
static void
held_drop(struct vault_hold *h, unsigned i)
{
	uint16_t room = h->order[i];

	h->n--;
	memmove(
	    &h->order[i], &h->order[i + 1], (h->n - i) * sizeof(h->order[0]));
	h->order[h->n] = room;
}

/* Too many, too old, or tried too often. */
static void
held_lose(struct vault_slot *s, unsigned i)
{
	s->count.held_lost += !s->hold.all[s->hold.order[i]].opened;
	held_drop(&s->hold, i);
}

static void
held_add(struct vault_slot *s, int64_t now_ms, const uint8_t *p, size_t n,
    bool opened)
{
	struct vault_hold *h = &s->hold;
	struct vault_held *e;
	struct perc_wire w;

	s->count.held++;
	if (h->n == VAULT_HOLD_MAX)
		held_lose(s, 0);
	e = &h->all[h->order[h->n++]];
	perc_wire_reader(&w, p, n);
	perc_wire_get_u32(&w);
	perc_wire_get_u32(&w);
	e->ssrc = perc_wire_get_u32(&w);
	e->at_ms = now_ms;
	e->len = (uint16_t)n;
	e->tries = 0;
	e->opened = opened;
	memcpy(e->p, p, n);
}

void
vault_hold_put(struct vault_slot *s, int64_t now_ms, const uint8_t *p, size_t n,
    int err, uint16_t missing)
{
	struct vault_hold *h = &s->hold;
	bool soon;

	h->lacks = missing != 0 && !vault_epoch_known(s, missing);
	if (h->all == NULL || h->busy || n > VAULT_PACKET_MAX)
		return;
	if (h->lacks)
		h->missing_ms = now_ms;
	else if (missing != 0)
		return; /* of an epoch that is wiped: it never comes back */
	soon = now_ms - s->epoch_ms < WINDOW_MS ||
	    (h->missing_ms != 0 && now_ms - h->missing_ms < WINDOW_MS);
	/* One that opened, and brought the field of an unknown key. */
	if ((err == 0 && missing != 0) || err == PERC_ERR_UNKNOWN_KEY ||
	    err == PERC_ERR_NOTFOUND || (err == PERC_ERR_AUTH && soon))
		held_add(s, now_ms, p, n, err == 0);
}

/* One look at all that wait of this SSRC; true: something opened. */
static bool
pass(struct vault_slot *s, int64_t now_ms, uint32_t ssrc)
{
	struct vault_hold *h = &s->hold;
	struct vault_held *e;
	bool opened = false;
	unsigned i = 0;
	int r;

	while (i < h->n) {
		e = &h->all[h->order[i]];
		if (now_ms - e->at_ms > HOLD_MS) {
			held_lose(s, i);
			continue;
		}
		if (ssrc != 0 && e->ssrc != ssrc) {
			i++;
			continue;
		}
		r = vault_media_open(s, now_ms, e->p, e->len);
		s->count.held_late += r == 0;
		opened = opened || r == 0;
		e->opened = e->opened || r == 0 || r == PERC_ERR_REPLAY;
		if (h->lacks && (r == 0 || r == PERC_ERR_REPLAY))
			i++; /* it has the field of the key after the next */
		else if (r == 0 || r == PERC_ERR_REPLAY)
			held_drop(h, i);
		else if (++e->tries >= TRIES_MAX)
			held_lose(s, i);
		else
			i++;
	}
	return opened;
}

void
vault_hold_try(struct vault_slot *s, uint32_t ssrc)
{
	struct vault_hold *h = &s->hold;
	int64_t now = perc_boot_ms();
	unsigned i;

	if (h->n == 0 || h->busy)
		return;
	h->busy = true;
	perc_double_rx_again(s->rx, true);
	for (i = 0; i < PASSES_MAX && pass(s, now, ssrc); i++)
		continue;
	perc_double_rx_again(s->rx, false);
	h->busy = false;
}
