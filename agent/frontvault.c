/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever the vault sends is believed about form only: slots and lengths
 * are checked, and an answer to nothing we asked ends the channel, since a
 * vault that talks nonsense is no vault.
 */
#include "agent/frontvault.h"

#include <stdlib.h>
#include <string.h>

#include "perc/log.h"
#include "perc/secret.h"
#include "perc/wire.h"

struct ask {
	uint32_t id;	 /* 0: free */
	uint16_t answer; /* message type that answers */
	front_vault_fn fn;
	const void *arg;
};

struct front_vault {
	struct perc_chan *chan;
	struct front_vault_events on;
	void *arg;
	uint32_t next_id;
	struct ask asks[FRONT_VAULT_ASKS_MAX];
};

static struct ask *
ask_new(struct front_vault *v, uint16_t answer, front_vault_fn fn, void *arg)
{
	for (size_t i = 0; i < FRONT_VAULT_ASKS_MAX; i++) {
		struct ask *a = &v->asks[i];

		if (a->id != 0)
			continue;
		if (++v->next_id == 0)
			v->next_id = 1;
		*a = (struct ask){ v->next_id, answer, fn, arg };
		return a;
	}
	return NULL;
}

/* The question that m answers, taken off the list; NULL: none. */
static bool
ask_take(struct front_vault *v, const struct perc_chan_msg *m, struct ask *out)
{
	for (size_t i = 0; i < FRONT_VAULT_ASKS_MAX; i++)
		if (v->asks[i].id == m->id && m->id != 0 &&
		    v->asks[i].answer == m->type) {
			*out = v->asks[i];
			memset(&v->asks[i], 0, sizeof(v->asks[i]));
			return true;
		}
	return false;
}

static int
answer(struct front_vault *v, const struct perc_chan_msg *m, int err,
    const char *text)
{
	struct ask a;

	if (!ask_take(v, m, &a))
		return PERC_ERR_STATE;
	if (a.fn != NULL)
		a.fn(err, text, (void *)a.arg);
	return 0;
}

static int
on_ready(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_vault *v = arg;
	const char *sign_jwk, *seal_jwk, *report;
	struct perc_wire w;

	perc_wire_reader(&w, m->data, m->len);
	sign_jwk = perc_wire_get_str(&w);
	seal_jwk = perc_wire_get_str(&w);
	(void)perc_wire_get_str(&w); /* seal_jkt: the vault puts it in */
	report = perc_wire_get_str(&w);
	if (perc_wire_end(&w) != 0)
		return PERC_ERR_FORMAT;
	v->on.ready(sign_jwk, seal_jwk, report, v->arg);
	return 0;
}

static int
on_proof(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct perc_wire w;
	const char *proof;

	perc_wire_reader(&w, m->data, m->len);
	proof = perc_wire_get_str(&w);
	if (perc_wire_end(&w) != 0)
		return PERC_ERR_FORMAT;
	if (*proof == '\0')
		return answer(arg, m, PERC_ERR_DENIED,
		    "the vault signs nothing for this server");
	return answer(arg, m, 0, proof);
}

static int
on_done(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	const char *words, *json;
	struct perc_wire w;
	int32_t err;

	perc_wire_reader(&w, m->data, m->len);
	err = (int32_t)perc_wire_get_u32(&w);
	words = perc_wire_get_str(&w);
	json = perc_wire_get_str(&w);
	if (perc_wire_end(&w) != 0 || err > 0)
		return PERC_ERR_FORMAT;
	return answer(arg, m, err, err == 0 ? json : words);
}

static int
on_status(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct perc_wire w;
	const char *text;

	perc_wire_reader(&w, m->data, m->len);
	text = perc_wire_get_str(&w);
	if (perc_wire_end(&w) != 0)
		return PERC_ERR_FORMAT;
	return answer(arg, m, 0, text);
}

static int
on_erased(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_vault *v = arg;
	const char *conf, *reason, *receipt;
	struct perc_wire w;

	perc_wire_reader(&w, m->data, m->len);
	conf = perc_wire_get_str(&w);
	reason = perc_wire_get_str(&w);
	receipt = perc_wire_get_str(&w);
	if (perc_wire_end(&w) != 0)
		return PERC_ERR_FORMAT;
	v->on.erased(conf, reason, receipt, v->arg);
	return 0;
}

static int
on_packet(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_vault *v = arg;

	if (m->len < 2 || m->data[0] >= VAULT_SLOTS)
		return PERC_ERR_FORMAT;
	if (m->type == VAULT_MEDIA_OUT)
		v->on.media(m->data[0], m->data + 1, m->len - 1, v->arg);
	else
		v->on.rtcp(m->data[0], m->data + 1, m->len - 1, v->arg);
	return 0;
}

static int
on_key_wanted(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_vault *v = arg;
	struct perc_wire w;
	const char *conf;
	uint16_t spi;

	perc_wire_reader(&w, m->data, m->len);
	conf = perc_wire_get_str(&w);
	spi = perc_wire_get_u16(&w);
	if (perc_wire_end(&w) != 0)
		return PERC_ERR_FORMAT;
	v->on.key_wanted(conf, spi, v->arg);
	return 0;
}

/* A conference and a text about it. */
static int
text_take(const struct perc_chan_msg *m,
    void (*fn)(const char *conf, const char *json, void *arg), void *arg)
{
	const char *conf, *json;
	struct perc_wire w;

	perc_wire_reader(&w, m->data, m->len);
	conf = perc_wire_get_str(&w);
	json = perc_wire_get_str(&w);
	if (perc_wire_end(&w) != 0)
		return PERC_ERR_FORMAT;
	fn(conf, json, arg);
	return 0;
}

static int
on_streams(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_vault *v = arg;

	return text_take(m, v->on.streams, v->arg);
}

static int
on_speaking(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_vault *v = arg;

	return text_take(m, v->on.speaking, v->arg);
}

static const struct perc_chan_rule rules[] = {
	{ VAULT_READY, ~0u, 65536, on_ready },
	{ VAULT_PROOF_IS, ~0u, 65536, on_proof },
	{ VAULT_DONE, ~0u, 65536, on_done },
	{ VAULT_ERASED, ~0u, 65536, on_erased },
	{ VAULT_MEDIA_OUT, ~0u, VAULT_PACKET_MAX + 1, on_packet },
	{ VAULT_RTCP_OUT, ~0u, VAULT_PACKET_MAX + 1, on_packet },
	{ VAULT_KEY_WANTED, ~0u, 256, on_key_wanted },
	{ VAULT_STREAMS, ~0u, VAULT_MSG_MAX, on_streams },
	{ VAULT_STATUS_IS, ~0u, VAULT_MSG_MAX, on_status },
	{ VAULT_SPEAKING, ~0u, VAULT_MSG_MAX, on_speaking },
};

static void
on_close(struct perc_chan *c, int why, void *arg)
{
	struct front_vault *v = arg;

	if (why != PERC_ERR_CLOSED)
		log_warnx("vault_thrown_out why=\"%s\"", perc_strerror(why));
	v->on.gone(v->arg);
}

int
front_vault_new(struct front_vault **vp, struct perc_loop *l, int fd,
    const struct front_vault_events *events, void *arg)
{
	struct front_vault *v;
	int r;

	if ((v = calloc(1, sizeof(*v))) == NULL)
		return PERC_ERR_NOMEM;
	v->on = *events;
	v->arg = arg;
	if ((r = perc_chan_new(&v->chan, l, fd, rules,
		 sizeof(rules) / sizeof(rules[0]), on_close, v)) != 0 ||
	    (r = perc_chan_send(v->chan, VAULT_HELLO, 0, NULL, 0)) != 0) {
		front_vault_free(v);
		return r;
	}
	*vp = v;
	return 0;
}

void
front_vault_free(struct front_vault *v)
{
	if (v == NULL)
		return;
	perc_chan_free(v->chan);
	free(v);
}

/* Send what w holds and remember who waits for the answer. */
static int
ask_send(struct front_vault *v, enum vault_msg type, uint16_t answer_type,
    const struct perc_wire *w, front_vault_fn fn, void *arg)
{
	struct ask *a;
	int r;

	if ((r = perc_wire_end(w)) != 0)
		return r;
	if ((a = ask_new(v, answer_type, fn, arg)) == NULL)
		return PERC_ERR_LIMIT;
	if ((r = perc_chan_send(v->chan, type, a->id, w->out, w->pos)) != 0)
		memset(a, 0, sizeof(*a));
	return r;
}

int
front_vault_proof(struct front_vault *v, unsigned flags, const char *htm,
    const char *htu, const char *token, const char *nonce, front_vault_fn fn,
    void *arg)
{
	uint8_t buf[16384];
	struct perc_wire w;
	int r;

	perc_wire_writer(&w, buf, sizeof(buf));
	perc_wire_put_u8(&w, (uint8_t)flags);
	perc_wire_put_str(&w, htm);
	perc_wire_put_str(&w, htu);
	perc_wire_put_str(&w, token != NULL ? token : "");
	perc_wire_put_str(&w, nonce != NULL ? nonce : "");
	r = ask_send(v, VAULT_PROOF, VAULT_PROOF_IS, &w, fn, arg);
	perc_wipe(buf, sizeof(buf));
	return r;
}

int
front_vault_ask(struct front_vault *v, enum vault_msg type,
    const char *const strs[], unsigned n, front_vault_fn fn, void *arg)
{
	struct perc_wire w;
	size_t room = 16;
	uint8_t *buf;
	int r;

	for (unsigned i = 0; i < n; i++)
		room += strlen(strs[i]) + 8;
	if (room > VAULT_MSG_MAX)
		return PERC_ERR_LIMIT;
	if ((buf = malloc(room)) == NULL)
		return PERC_ERR_NOMEM;
	perc_wire_writer(&w, buf, room);
	for (unsigned i = 0; i < n; i++)
		perc_wire_put_str(&w, strs[i]);
	r = ask_send(v, type,
	    type == VAULT_STATUS ? VAULT_STATUS_IS : VAULT_DONE, &w, fn, arg);
	free(buf);
	return r;
}

void
front_vault_forget(struct front_vault *v, const void *arg)
{
	for (size_t i = 0; i < FRONT_VAULT_ASKS_MAX; i++)
		if (v->asks[i].arg == arg)
			v->asks[i].fn = NULL;
}

void
front_vault_packet(struct front_vault *v, enum vault_msg type, unsigned slot,
    const uint8_t *p, size_t n, const uint8_t *tail, size_t taillen)
{
	uint8_t s = (uint8_t)slot;
	struct iovec iov[3] = { { &s, 1 }, { (void *)p, n },
		{ (void *)tail, taillen } };

	if (perc_chan_sendv(v->chan, type, 0, 0, iov, taillen > 0 ? 3 : 2) != 0)
		return;
}
