/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is speaking: audio that opened end to end tells it, not the level that
 * a header extension claims, for that one the distributor could write. The
 * name is the roster's, so it comes from the identity provider by way of the
 * KMF's signature. Opus says silence with one or two octets (RFC 6716 section
 * 2.1.9), and those do not count.
 */
#include <stdlib.h>

#include "agent/vault.h"
#include "perc/json.h"

#define SILENCE_MAX 3	/* octets of payload */
#define HOLD_MS	    800 /* a speaker stays one for as long */
#define LOOK_MS	    200

json_t *
vault_speak_json(const struct vault_slot *s)
{
	const struct vault_member *m;
	const struct vault_stream *t;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < s->roster.nstreams; i++) {
		t = &s->roster.streams[i];
		if (!t->speaking)
			continue;
		m = &s->roster.members[t->member];
		json_array_append_new(list,
		    json_pack("{s:I, s:s, s:s}", "ssrc", (json_int_t)t->ssrc,
			"member", m->id, "name", m->name));
	}
	return list;
}

static void
speaking_send(struct vault_slot *s)
{
	json_t *o = json_pack("{s:o}", "speaking", vault_speak_json(s));
	char *text = o != NULL ? perc_json_text(o) : NULL;

	if (text != NULL)
		vault_send(s->v, VAULT_SPEAKING, 0, NULL,
		    (const char *const[]){ s->conf, text }, 2);
	perc_json_free(text);
	json_decref(o);
}

static void
look(void *arg)
{
	struct vault_slot *s = arg;
	int64_t now = perc_boot_ms();
	bool any = false, changed = s->speak_new;
	struct vault_stream *t;
	size_t i;

	s->speak_new = false;
	for (i = 0; i < s->roster.nstreams; i++) {
		t = &s->roster.streams[i];
		if (t->speaking && now - t->heard_ms > HOLD_MS) {
			t->speaking = false;
			changed = true;
		}
		any = any || t->speaking;
	}
	if (changed)
		speaking_send(s);
	if (any &&
	    perc_timer_set(s->v->loop, &s->speak_timer, LOOK_MS, look, s) != 0)
		return; /* no memory: the next packet tries again */
}

void
vault_speak_heard(struct vault_slot *s, struct vault_stream *t, size_t payload)
{
	if (t->media != VAULT_AUDIO || payload <= SILENCE_MAX)
		return;
	t->heard_ms = perc_boot_ms();
	if (!t->speaking) {
		t->speaking = true;
		s->speak_new = true;
	}
	if (!perc_timer_armed(&s->speak_timer) &&
	    perc_timer_set(s->v->loop, &s->speak_timer, 0, look, s) != 0)
		return;
}
