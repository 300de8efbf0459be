/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a packet did not open. The linker puts this file around the function by
 * which vaults seal, so of each packet it is known whose key it is under; and
 * a vault remembers which keys it had. A key that was wiped before its packet
 * was read is either a packet that came late or one that was read late.
 */
#include "tests/load/media.h"

#include <string.h>

#include "agent/text.h"

static struct {
	unsigned first[WHY_COUNT], last[WHY_COUNT];
	struct load_samples after;
} w;

static const char *const words[WHY_COUNT] = {
	[WHY_WIPED] = "its key was wiped",
	[WHY_UNKNOWN] = "its epoch was not known",
	[WHY_FIELD] = "its sender's key was not known",
};

int __real_perc_double_tx_seal(struct perc_double_tx *t, int64_t now_ms,
    const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen);
int __wrap_perc_double_tx_seal(struct perc_double_tx *t, int64_t now_ms,
    const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen);

int
__wrap_perc_double_tx_seal(struct perc_double_tx *t, int64_t now_ms,
    const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen)
{
	int r = __real_perc_double_tx_seal(t, now_ms, in, n, out, cap, outlen);
	struct load_media *m = load_count_sender(t);
	struct perc_rtp h;

	if (r == 0 && m != NULL && perc_rtp_parse(&h, in, n) == 0)
		m->sealed[h.seq] = (struct load_sealed){ .us = load_us(),
			.spi = perc_double_tx_spi(t) };
	return r;
}

double
load_why_age(const struct load_media *from, uint16_t number)
{
	int64_t us = from->sealed[number].us;

	return us == 0 ? -1 : (double)(load_us() - us) / 1000;
}

void
load_why_look(struct load_look *k, const struct load_media *to,
    const struct load_media *from, uint16_t number)
{
	const struct vault_slot *s = &to->vault->slots[to->conf.slot];
	uint16_t spi = from->sealed[number].spi;
	double ms = load_why_age(from, number);
	enum load_why why = WHY_UNKNOWN;

	if (vault_epoch_held(s, spi) != NULL)
		why = WHY_FIELD;
	else if (vault_epoch_known(s, spi))
		why = WHY_WIPED;
	k->last = (uint8_t)why;
	if (k->first != WHY_OPENED)
		return;
	k->first = (uint8_t)why;
	k->after_ms = (uint16_t)(ms < 0 ? 0 : ms > 65535 ? 65535 : ms);
}

void
load_why_count(const struct load_look *k)
{
	w.first[k->first]++;
	w.last[k->last]++;
	load_sample(&w.after, k->after_ms);
}

void
load_why_report(struct load *l, const char *what)
{
	char text[128];
	unsigned i;

	if (w.after.n == 0)
		return;
	for (i = WHY_OPENED + 1; i < WHY_COUNT; i++) {
		text_put(text, sizeof(text),
		    "%s: media: undecryptable, when first read %s", what,
		    words[i]);
		load_note(l, text, w.first[i], "");
		text_put(text, sizeof(text),
		    "%s: media: undecryptable, when last tried %s", what,
		    words[i]);
		load_note(l, text, w.last[i], "");
	}
	text_put(text, sizeof(text),
	    "%s: media: undecryptable, read after being sealed", what);
	load_note_samples(l, text, &w.after);
	memset(&w, 0, sizeof(w));
}
