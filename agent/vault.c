/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault: the one process of an endpoint that holds end-to-end keys. It
 * has two doors, the channel to the front and the loopback sockets of the
 * local application, and no other; what comes through the first is believed
 * only as far as the KMF signed it.
 *
 * Permission is a table, as in OpenSSH's monitor.c. A message that the state
 * of its conference does not permit ends the channel, because a front that
 * is merely broken is treated like one that is hostile: with its channel go
 * all keys. Where the vault may have erased by itself meanwhile, the front
 * cannot know, and gets an error instead.
 */
#include "agent/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/json.h"
#include "perc/log.h"

#define FREE   (1u << VAULT_SLOT_FREE)
#define OPEN   (1u << VAULT_SLOT_OPEN)
#define LIVE   (1u << VAULT_SLOT_LIVE)
#define ERASED (1u << VAULT_SLOT_ERASED)

int
vault_refuse(struct vault *v, int err, const char *why)
{
	/* Its own words: not the message's fault. */
	v->why = err == PERC_ERR_NOMEM ? NULL : why;
	return err;
}

static struct vault_slot *
slot_find(struct vault *v, const char *conf)
{
	unsigned i;

	for (i = 0; i < VAULT_SLOTS; i++)
		if (v->slots[i].state != VAULT_SLOT_FREE &&
		    strcmp(v->slots[i].conf, conf) == 0)
			return &v->slots[i];
	return NULL;
}

static void
send_done(struct vault *v, uint32_t id, int err, const char *json)
{
	int32_t code = err;

	if (err != 0 && v->why == NULL)
		v->why = perc_strerror(err);
	vault_send(v, VAULT_DONE, id, &code,
	    (const char *const[]){ err == 0 ? "" : v->why, json }, 2);
}

/* ---- messages of no conference ------------------------------------------- */

static int
do_hello(struct vault *v, const struct perc_chan_msg *m)
{
	char *sign = NULL, *seal = NULL, *report = NULL;
	int r = PERC_ERR_FORMAT;

	if (m->len != 0)
		return r;
	if ((r = perc_jwk_public_json(&sign, v->sign)) != 0 ||
	    (r = perc_jwk_public_json(&seal, v->seal)) != 0)
		goto out;
	if ((report = vault_report_text(v, v->report)) == NULL) {
		r = PERC_ERR_NOMEM;
		goto out;
	}
	vault_send(v, VAULT_READY, m->id, NULL,
	    (const char *const[]){ sign, seal, v->seal_jkt, report }, 4);
	if (v->chan != NULL)
		perc_chan_state_set(v->chan, VAULT_STATE_READY);
out:
	perc_json_free(sign);
	perc_json_free(seal);
	perc_json_free(report);
	return r;
}

static int
do_proof(struct vault *v, const struct perc_chan_msg *m)
{
	struct perc_wire w;
	char *proof = NULL;
	int r;

	perc_wire_reader(&w, m->data, m->len);
	if ((r = vault_proof(v, &w, &proof)) != 0)
		log_warnx("proof refused reason=\"%s\"", perc_strerror(r));
	vault_send(v, VAULT_PROOF_IS, m->id, NULL,
	    (const char *const[]){ r == 0 ? proof : "" }, 1);
	free(proof);
	return 0;
}

static struct vault_slot *
slot_choose(struct vault *v, const char *conf)
{
	struct vault_slot *s = slot_find(v, conf);
	unsigned i;

	if (s != NULL)
		return s->state == VAULT_SLOT_ERASED ? s : NULL;
	for (i = 0; i < VAULT_SLOTS; i++)
		if (v->slots[i].state == VAULT_SLOT_FREE)
			return &v->slots[i];
	for (i = 0; i < VAULT_SLOTS; i++)
		if (v->slots[i].state == VAULT_SLOT_ERASED)
			return &v->slots[i];
	return NULL;
}

static int
slot_open(
    struct vault *v, const char *conf, const char *url, struct vault_slot **sp)
{
	const struct vault_kmf *kmf = vault_config_find(v->config, url);
	struct vault_slot *s;

	if (!vault_id_ok(conf))
		return vault_refuse(v, PERC_ERR_FORMAT, "conference malformed");
	if (kmf == NULL)
		return vault_refuse(v, PERC_ERR_DENIED, "KMF is not pinned");
	if ((s = slot_choose(v, conf)) == NULL)
		return slot_find(v, conf) != NULL
		    ? vault_refuse(v, PERC_ERR_EXISTS, "open already")
		    : vault_refuse(v, PERC_ERR_LIMIT, "no room");
	vault_slot_wipe(s);
	memset(&s->count, 0, sizeof(s->count));
	memset(s->member, 0, sizeof(s->member));
	memset(s->name, 0, sizeof(s->name));
	s->ncodecs = 0;
	if (strcmp(s->conf, conf) != 0) /* ports stay over a return of ours */
		memset(s->port_ssrc, 0, sizeof(s->port_ssrc));
	strcpy(s->conf, conf); /* vault_id_ok: it fits */
	s->kmf = kmf;
	s->state = VAULT_SLOT_OPEN;
	*sp = s;
	return 0;
}

static int
do_open(struct vault *v, const struct perc_chan_msg *m)
{
	struct vault_slot *s = NULL;
	char json[32] = "";
	struct perc_wire w;
	const char *conf, *url;
	int r;

	perc_wire_reader(&w, m->data, m->len);
	conf = perc_wire_get_str(&w);
	url = perc_wire_get_str(&w);
	if ((r = perc_wire_end(&w)) == 0 &&
	    (r = slot_open(v, conf, url, &s)) == 0)
		snprintf(json, sizeof(json), "{\"slot\":%u}", s->index);
	send_done(v, m->id, r, json);
	return 0;
}

static int
do_status(struct vault *v, const struct perc_chan_msg *m)
{
	struct perc_wire w;
	const char *conf;
	char *text;

	perc_wire_reader(&w, m->data, m->len);
	conf = perc_wire_get_str(&w);
	if (perc_wire_end(&w) != 0)
		return PERC_ERR_FORMAT;
	text = vault_status_text(v, conf);
	vault_send(v, VAULT_STATUS_IS, m->id, NULL,
	    (const char *const[]){ text == NULL ? "{}" : text }, 1);
	perc_json_free(text);
	return 0;
}

/* ---- messages of one conference ------------------------------------------ */

static int
op_key(struct vault_slot *s, struct perc_wire *w, char **json)
{
	const char *jwe = perc_wire_get_str(w);
	int r;

	if ((r = perc_wire_end(w)) == 0 && (r = vault_key_take(s, jwe)) == 0) {
		*json = vault_key_text(s);
		vault_send_streams(s);
	}
	return r;
}

static int
op_epoch(struct vault_slot *s, struct perc_wire *w, char **json)
{
	const char *statement = perc_wire_get_str(w);
	const char *sealed = perc_wire_get_str(w);
	int r;

	if ((r = perc_wire_end(w)) == 0 &&
	    (r = vault_epoch_take(s, statement, sealed)) == 0)
		*json = vault_key_text(s);
	return r;
}

static int
op_roster(struct vault_slot *s, struct perc_wire *w, char **json)
{
	const char *jws = perc_wire_get_str(w);
	int r;

	if ((r = perc_wire_end(w)) == 0)
		r = vault_roster_take(s, jws);
	*json = vault_roster_text(s); /* a fork is told with the refusal */
	return r;
}

static int
op_notice(struct vault_slot *s, struct perc_wire *w, char **json)
{
	const char *jws = perc_wire_get_str(w), *reason;
	int r;

	if ((r = perc_wire_end(w)) == 0 &&
	    (r = vault_notice_take(s, jws, &reason)) == 0)
		vault_slot_erase(s, reason);
	return r;
}

static int
op_leave(struct vault_slot *s, struct perc_wire *w, char **json)
{
	int r = perc_wire_end(w);

	if (r == 0 && s->state != VAULT_SLOT_ERASED)
		vault_slot_erase(s, "left");
	return r;
}

static const struct {
	uint16_t type;
	unsigned ok, error; /* states; all others end the channel */
	int (*op)(struct vault_slot *, struct perc_wire *, char **);
} ops[] = {
	{ VAULT_KEY, OPEN | LIVE, ERASED, op_key },
	{ VAULT_EPOCH, LIVE, ERASED, op_epoch },
	{ VAULT_ROSTER, LIVE, ERASED, op_roster },
	{ VAULT_NOTICE, OPEN | LIVE, ERASED, op_notice },
	{ VAULT_LEAVE, OPEN | LIVE | ERASED, 0, op_leave },
};

static int
do_op(struct vault *v, const struct perc_chan_msg *m, unsigned i)
{
	struct vault_slot *s;
	struct perc_wire w;
	const char *conf;
	char *json = NULL;
	unsigned state;
	int r;

	perc_wire_reader(&w, m->data, m->len);
	conf = perc_wire_get_str(&w);
	s = w.err == 0 ? slot_find(v, conf) : NULL;
	state = s == NULL ? FREE : 1u << s->state;
	if (((ops[i].ok | ops[i].error) & state) == 0)
		return PERC_ERR_DENIED;
	r = (ops[i].ok & state) != 0
	    ? ops[i].op(s, &w, &json)
	    : vault_refuse(v, PERC_ERR_STATE, "erased already");
	if (r != 0)
		log_warnx("vault refused type=%u conf=%s reason=\"%s\"",
		    m->type, s->conf,
		    v->why != NULL ? v->why : perc_strerror(r));
	send_done(v, m->id, r, json == NULL ? "" : json);
	perc_json_free(json);
	return 0;
}

static int
do_packet(struct vault *v, const struct perc_chan_msg *m)
{
	struct vault_slot *s;

	if (m->len < 1 || m->data[0] >= VAULT_SLOTS)
		return PERC_ERR_FORMAT;
	s = &v->slots[m->data[0]];
	if (s->state == VAULT_SLOT_ERASED)
		return 0;
	if (s->state != VAULT_SLOT_LIVE)
		return PERC_ERR_DENIED;
	if (m->type == VAULT_MEDIA_IN)
		vault_media_in(s, m->data + 1, m->len - 1);
	else
		vault_rtcp_in(s, m->data + 1, m->len - 1);
	return 0;
}

int
vault_input(struct vault *v, const struct perc_chan_msg *m)
{
	unsigned i;

	v->why = NULL;
	switch (m->type) {
	case VAULT_HELLO:
		return do_hello(v, m);
	case VAULT_PROOF:
		return do_proof(v, m);
	case VAULT_OPEN:
		return do_open(v, m);
	case VAULT_STATUS:
		return do_status(v, m);
	case VAULT_MEDIA_IN:
	case VAULT_RTCP_IN:
		return do_packet(v, m);
	}
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (ops[i].type == m->type)
			return do_op(v, m, i);
	return PERC_ERR_DENIED;
}
