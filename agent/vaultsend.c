/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the vault tells its front. Nothing in this file can reach a key:
 * numbers, names, ports, and packets that are sealed already.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/json.h"
#include "perc/log.h"

void
vault_send(struct vault *v, uint16_t type, uint32_t id, const int32_t *code,
    const char *const *strs, unsigned n)
{
	struct perc_wire w;
	size_t len = 4;
	uint8_t *buf;
	unsigned i;

	if (v->chan == NULL)
		return;
	for (i = 0; i < n; i++)
		len += strlen(strs[i]) + 5;
	if ((buf = malloc(len)) == NULL) {
		log_warnx("vault send=%u reason=no-memory", type);
		return;
	}
	perc_wire_writer(&w, buf, len);
	if (code != NULL)
		perc_wire_put_u32(&w, (uint32_t)*code);
	for (i = 0; i < n; i++)
		perc_wire_put_str(&w, strs[i]);
	if (perc_wire_end(&w) != 0 ||
	    perc_chan_send(v->chan, type, id, buf, w.pos) != 0)
		log_warnx("vault send=%u reason=queue-full", type);
	free(buf);
}

void
vault_send_packet(
    struct vault_slot *s, uint16_t type, const uint8_t *p, size_t n)
{
	uint8_t slot = (uint8_t)s->index;
	struct iovec iov[2] = { { &slot, 1 }, { (void *)(uintptr_t)p, n } };

	/* A full queue loses packets, as a full network would. */
	if (s->v->chan == NULL ||
	    perc_chan_sendv(s->v->chan, type, 0, 0, iov, 2) != 0)
		s->count.send_refused++;
}

/* Unknown SPIs come from the network, unauthenticated: few and seldom. */
void
vault_send_wanted(struct vault_slot *s, uint16_t spi)
{
	struct vault_wanted *w = NULL;
	int64_t now = perc_boot_ms();
	uint8_t buf[VAULT_ID_MAX + 8];
	struct perc_wire wire;
	unsigned i;

	if (s->v->chan == NULL || vault_epoch_known(s, spi))
		return;
	for (i = 0; i < VAULT_WANTED_MAX; i++) {
		if (s->wanted[i].asked_ms != 0 &&
		    now - s->wanted[i].asked_ms < VAULT_WANTED_MS) {
			if (s->wanted[i].spi == spi)
				return;
		} else {
			w = &s->wanted[i];
		}
	}
	if (w == NULL)
		return;
	w->spi = spi;
	w->asked_ms = now;
	s->count.key_wanted++;
	perc_wire_writer(&wire, buf, sizeof(buf));
	perc_wire_put_str(&wire, s->conf);
	perc_wire_put_u16(&wire, spi);
	if (perc_wire_end(&wire) == 0 &&
	    perc_chan_send(s->v->chan, VAULT_KEY_WANTED, 0, buf, wire.pos) != 0)
		log_warnx(
		    "vault key-wanted conf=%s reason=queue-full", s->conf);
}

/* ---- JSON ---------------------------------------------------------------- */

static void
layer_add(json_t *o, const struct vault_local *l)
{
	if (l->layered)
		json_object_set_new(o, "layer", json_integer(l->layer));
}

static json_t *
ssrcs_json(const struct vault_slot *s)
{
	json_t *list = json_array(), *o;
	const struct vault_local *l;
	unsigned i;

	for (i = 0; i < VAULT_LOCAL_STREAMS; i++) {
		l = &s->local[i];
		if (l->ssrc == 0)
			continue;
		o = json_pack("{s:I, s:s}", "ssrc", (json_int_t)l->ssrc,
		    "media", vault_media_name(l->media));
		layer_add(o, l);
		json_array_append_new(list, o);
	}
	return list;
}

static int64_t
expires_in(const struct vault_slot *s)
{
	const struct vault_epoch *e = vault_epoch_held(s, s->spi);

	if (s->state != VAULT_SLOT_LIVE || e == NULL)
		return 0;
	return (e->expires_ms - perc_boot_ms()) / 1000;
}

static char *
text_of(json_t *j)
{
	char *text = j == NULL ? NULL : perc_json_text(j);

	json_decref(j);
	return text;
}

char *
vault_key_text(const struct vault_slot *s)
{
	return text_of(json_pack("{s:I, s:i, s:s, s:s, s:o, s:I}", "epoch",
	    (json_int_t)s->epoch, "spi", (int)s->spi, "member", s->member,
	    "name", s->name, "ssrcs", ssrcs_json(s), "expires_in",
	    (json_int_t)expires_in(s)));
}

char *
vault_roster_text(const struct vault_slot *s)
{
	const struct vault_roster *h = &s->roster;

	return text_of(json_pack("{s:I, s:I, s:b, s:b, s:b, s:b, s:i}", "seq",
	    (json_int_t)h->seq, "epoch", (json_int_t)h->epoch, "fresh",
	    h->have && !vault_roster_stale(s), "gap", h->gap, "forked",
	    h->forked, "listed", h->listed, "members", (int)h->nmembers));
}

static void
codec_add(json_t *o, const struct vault_slot *s, enum vault_media media, int pt)
{
	const struct vault_codec *c = vault_codec_find(s, media, pt);

	if (c == NULL)
		return;
	json_object_set_new(o, "pt", json_integer(c->pt));
	json_object_set_new(o, "codec", json_string(c->name));
}

/* All that the application may choose from. */
static json_t *
codecs_json(const struct vault_slot *s, enum vault_media media)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < s->ncodecs; i++)
		if (s->codecs[i].media == media)
			json_array_append_new(list,
			    json_pack("{s:i, s:s}", "pt", (int)s->codecs[i].pt,
				"codec", s->codecs[i].name));
	return list;
}

static json_t *
in_json(const struct vault_slot *s)
{
	json_t *list = json_array(), *o;
	const struct vault_local *l;
	unsigned i;

	for (i = 0; i < VAULT_LOCAL_STREAMS; i++) {
		l = &s->local[i];
		if (l->ssrc == 0 || l->rtp_fd < 0)
			continue;
		o = json_pack("{s:s, s:i, s:i, s:I}", "media",
		    vault_media_name(l->media), "port", (int)l->port,
		    "rtcp_port", (int)l->rtcp_port, "ssrc",
		    (json_int_t)l->ssrc);
		layer_add(o, l);
		codec_add(o, s, l->media, -1);
		json_object_set_new(o, "codecs", codecs_json(s, l->media));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
out_json(const struct vault_slot *s)
{
	const struct vault_member *m;
	json_t *list = json_array(), *o;
	const struct vault_stream *t;
	size_t i;

	for (i = 0; i < s->roster.nstreams; i++) {
		t = &s->roster.streams[i];
		m = &s->roster.members[t->member];
		if (t->port == 0)
			continue;
		o = json_pack("{s:s, s:s, s:s, s:I, s:i, s:i}", "member", m->id,
		    "name", m->name, "media", vault_media_name(t->media),
		    "ssrc", (json_int_t)t->ssrc, "port", (int)t->port,
		    "rtcp_port", (int)t->port + 1);
		json_object_set_new(o, "rtcp_to", json_integer(s->v->out_port));
		codec_add(o, s, t->media, t->pt);
		json_array_append_new(list, o);
	}
	return list;
}

void
vault_send_streams(struct vault_slot *s)
{
	char *text = text_of(
	    json_pack("{s:o, s:o}", "in", in_json(s), "out", out_json(s)));

	if (text != NULL)
		vault_send(s->v, VAULT_STREAMS, 0, NULL,
		    (const char *const[]){ s->conf, text }, 2);
	perc_json_free(text);
}

static json_t *
spis_json(const struct vault_slot *s)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++)
		if (s->epochs[i].held)
			json_array_append_new(
			    list, json_integer(s->epochs[i].spi));
	return list;
}

static json_t *
roster_json(struct vault_slot *s)
{
	const struct vault_roster *h = &s->roster;
	const char *state = !h->have ? "none"
	    : h->forked		     ? "forked"
	    : vault_roster_stale(s)  ? "stale"
				     : "fresh";

	return json_pack("{s:s, s:I, s:I, s:i, s:s, s:o}", "state", state,
	    "seq", (json_int_t)h->seq, "epoch", (json_int_t)h->epoch, "members",
	    (int)h->nmembers, "code", vault_code_text(s), "warnings",
	    vault_roster_warnings(s));
}

#define COUNT(o, c, f)                                                         \
	json_object_set_new(o, #f, json_integer((json_int_t)(c)->f))

static json_t *
counters_json(const struct vault_slot *s)
{
	static const struct perc_double_stats none;
	const struct perc_double_stats *d =
	    s->rx == NULL ? &none : perc_double_rx_stats(s->rx);
	const struct vault_counters *c = &s->count;
	json_t *o = json_object();

	COUNT(o, c, sent);
	COUNT(o, c, send_refused);
	COUNT(o, c, local_dropped);
	COUNT(o, c, delivered);
	COUNT(o, c, not_delivered);
	COUNT(o, c, pt_refused);
	COUNT(o, c, key_wanted);
	COUNT(o, c, rtcp_in);
	COUNT(o, c, rtcp_out);
	COUNT(o, c, rtcp_dropped);
	COUNT(o, c, key_frames);
	COUNT(o, c, key_frames_damped);
	COUNT(o, c, layer_switches);
	COUNT(o, c, held);
	COUNT(o, c, held_late);
	COUNT(o, c, held_lost);
	COUNT(o, c, local_strangers);
	COUNT(o, d, opened);
	COUNT(o, d, replayed);
	COUNT(o, d, inner_auth_failed);
	COUNT(o, d, no_key);
	COUNT(o, d, unknown_spi);
	COUNT(o, d, not_listed);
	COUNT(o, d, malformed);
	COUNT(o, d, unwraps);
	COUNT(o, d, unwraps_limited);
	COUNT(o, d, keys_installed);
	COUNT(o, d, rollbacks_refused);
	return o;
}

static json_t *
slot_json(struct vault_slot *s)
{
	static const char *const names[] = { "free", "open", "live", "erased" };

	return json_pack("{s:s, s:i, s:s, s:I, s:i, s:o, s:i, s:I, s:s, s:o, "
			 "s:o, s:o}",
	    "conference", s->conf, "slot", (int)s->index, "state",
	    names[s->state], "epoch", (json_int_t)s->epoch, "spi", (int)s->spi,
	    "spis", spis_json(s), "keys_held", (int)vault_keys_held(s),
	    "expires_in", (json_int_t)expires_in(s), "member", s->member,
	    "roster", roster_json(s), "speaking", vault_speak_json(s),
	    "counters", counters_json(s));
}

char *
vault_status_text(struct vault *v, const char *conf)
{
	json_t *list = json_array();
	struct vault_slot *s;
	unsigned i;

	for (i = 0; i < VAULT_SLOTS; i++) {
		s = &v->slots[i];
		if (s->state != VAULT_SLOT_FREE &&
		    (*conf == '\0' || strcmp(conf, s->conf) == 0))
			json_array_append_new(list, slot_json(s));
	}
	return text_of(json_pack("{s:o}", "conferences", list));
}

/* READY's report: what main found out, the KMFs and the ports. */
char *
vault_report_text(const struct vault *v, const char *base)
{
	json_t *j = json_loads(base, 0, NULL), *kmfs = json_array();
	json_t *in = json_array();
	const struct vault_local *l;
	unsigned i, k;

	if (j == NULL)
		j = json_object();
	for (i = 0; i < v->config->nkmf; i++)
		json_array_append_new(kmfs, json_string(v->config->kmf[i].url));
	for (i = 0; i < VAULT_SLOTS; i++)
		for (k = 0; k < VAULT_LOCAL_STREAMS; k++) {
			l = &v->slots[i].local[k];
			if (l->rtp_fd >= 0)
				json_array_append_new(in,
				    json_pack("{s:i, s:s, s:i, s:i, s:i}",
					"slot", (int)i, "media",
					vault_media_name(l->media), "layer",
					(int)l->layer, "port", (int)l->port,
					"rtcp_port", (int)l->rtcp_port));
		}
	json_object_set_new(
	    j, "local_owner", json_boolean(vault_owner_known(v)));
	json_object_set_new(j, "kmf", kmfs);
	json_object_set_new(j, "in", in);
	json_object_set_new(j, "out_base", json_integer(v->out_base));
	json_object_set_new(j, "out_ports", json_integer(VAULT_OUT_PORTS));
	return text_of(j);
}
