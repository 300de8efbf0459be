/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault's beginning and end. It is made with all its sockets, because none
 * can be made later; it ends with the channel, whatever ended that, and then
 * every key goes first and the process after it.
 */
#include <string.h>
#include <unistd.h>

#include "agent/vault.h"
#include "perc/log.h"

/* ---- the channel --------------------------------------------------------- */

static int
on_message(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	return vault_input(arg, m);
}

static const struct perc_chan_rule rules[] = {
	{ VAULT_HELLO, VAULT_STATE_START, 0, on_message },
	{ VAULT_PROOF, VAULT_STATE_READY, 16384, on_message },
	{ VAULT_OPEN, VAULT_STATE_READY, 2048, on_message },
	{ VAULT_KEY, VAULT_STATE_READY, VAULT_MSG_MAX, on_message },
	{ VAULT_EPOCH, VAULT_STATE_READY, 16384, on_message },
	{ VAULT_ROSTER, VAULT_STATE_READY, VAULT_MSG_MAX, on_message },
	{ VAULT_NOTICE, VAULT_STATE_READY, 16384, on_message },
	{ VAULT_LEAVE, VAULT_STATE_READY, 256, on_message },
	{ VAULT_MEDIA_IN, VAULT_STATE_READY, 1 + VAULT_PACKET_MAX, on_message },
	{ VAULT_RTCP_IN, VAULT_STATE_READY, 1 + VAULT_PACKET_MAX, on_message },
	{ VAULT_STATUS, VAULT_STATE_READY, 256, on_message },
};

static void
on_close(struct perc_chan *c, int why, void *arg)
{
	struct vault *v = arg;

	log_info("front gone reason=\"%s\"", perc_strerror(why));
	perc_chan_free(v->chan);
	v->chan = NULL;
	vault_stop(v, "stopped");
	perc_loop_stop(v->loop);
}

void
vault_stop(struct vault *v, const char *reason)
{
	unsigned i;

	for (i = 0; i < VAULT_SLOTS; i++)
		if (v->slots[i].state == VAULT_SLOT_OPEN ||
		    v->slots[i].state == VAULT_SLOT_LIVE)
			vault_slot_erase(&v->slots[i], reason);
	if (v->chan != NULL)
		perc_chan_flush(v->chan);
}

/* ---- life ---------------------------------------------------------------- */

static uint16_t
port_of(int fd)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&sin, &len) != 0 ||
	    sin.sin_family != AF_INET)
		return 0;
	return ntohs(sin.sin_port);
}

static void
local_init(struct vault_slot *s, unsigned place, const int fd[2])
{
	struct vault_local *l = &s->local[place];

	l->slot = s;
	l->media = place == 0 ? VAULT_AUDIO : VAULT_VIDEO;
	l->layer = (uint8_t)(place == 0 ? 0 : place - 1);
	l->rtp_fd = fd[0];
	l->rtcp_fd = fd[1];
	l->port = port_of(fd[0]);
	l->rtcp_port = port_of(fd[1]);
}

static int
local_watch(struct vault *v, struct vault_local *l)
{
	int r = 0;

	if (l->rtp_fd >= 0)
		r = perc_loop_add(v->loop, &l->rtp_io, l->rtp_fd, EPOLLIN,
		    vault_local_rtp, l);
	if (r == 0 && l->rtcp_fd >= 0)
		r = perc_loop_add(v->loop, &l->rtcp_io, l->rtcp_fd, EPOLLIN,
		    vault_local_rtcp, l);
	return r;
}

static void
batch_init(struct vault *v)
{
	unsigned i;

	for (i = 0; i < VAULT_BATCH; i++) {
		v->in_iov[i] = (struct iovec){ v->in[i], sizeof(v->in[i]) };
		v->in_msg[i].msg_hdr.msg_iov = &v->in_iov[i];
		v->in_msg[i].msg_hdr.msg_iovlen = 1;
		v->in_msg[i].msg_hdr.msg_name = &v->in_from[i];
		v->out_iov[i] = (struct iovec){ v->out[i], 0 };
		v->out_msg[i].msg_hdr.msg_iov = &v->out_iov[i];
		v->out_msg[i].msg_hdr.msg_iovlen = 1;
		v->out_msg[i].msg_hdr.msg_name = &v->out_to[i];
		v->out_msg[i].msg_hdr.msg_namelen = sizeof(v->out_to[i]);
	}
}

static void
slots_init(struct vault *v, const struct vault_setup *setup)
{
	unsigned i, k;

	for (i = 0; i < VAULT_SLOTS; i++) {
		v->slots[i].v = v;
		v->slots[i].index = i;
		for (k = 0; k < VAULT_LOCAL_STREAMS; k++)
			local_init(&v->slots[i], k, setup->local_fd[i][k]);
	}
}

static int
sockets_watch(struct vault *v, const struct vault_setup *setup)
{
	unsigned i, k;
	int r;

	for (i = 0; i < VAULT_SLOTS; i++)
		for (k = 0; k < VAULT_LOCAL_STREAMS; k++)
			if ((r = local_watch(v, &v->slots[i].local[k])) != 0)
				return r;
	if (setup->out_fd < 0)
		return 0;
	return perc_loop_add(
	    v->loop, &v->out_io, setup->out_fd, EPOLLIN, vault_out_rtcp, v);
}

static int
keys_make(struct vault *v)
{
	int r;

	if ((r = perc_jwk_generate(&v->sign)) != 0 ||
	    (r = perc_jwk_generate(&v->seal)) != 0)
		return r;
	return perc_jwk_thumbprint(v->seal_jkt, v->seal);
}

int
vault_new(
    struct vault **vp, struct perc_loop *l, const struct vault_setup *setup)
{
	struct vault *v;
	int r;

	if ((v = perc_secmem_alloc(sizeof(*v))) == NULL)
		return PERC_ERR_NOMEM;
	memset(v, 0, sizeof(*v));
	v->loop = l;
	v->config = setup->config;
	v->out_fd = setup->out_fd;
	v->out_base = setup->out_base;
	v->out_port = port_of(setup->out_fd);
	vault_owner_init(v, setup->diag_fd);
	batch_init(v);
	slots_init(v, setup);
	if ((r = sockets_watch(v, setup)) != 0 || (r = keys_make(v)) != 0)
		goto out;
	if ((v->report = strdup(setup->report)) == NULL) {
		r = PERC_ERR_NOMEM;
		goto out;
	}
	if (setup->chan_fd >= 0) {
		if ((r = perc_chan_new(&v->chan, l, setup->chan_fd, rules,
			 sizeof(rules) / sizeof(rules[0]), on_close, v)) != 0)
			goto out;
		perc_chan_state_set(v->chan, VAULT_STATE_START);
		perc_chan_queue_max(v->chan, VAULT_QUEUE_MAX);
	}
	*vp = v;
	v = NULL;
out:
	vault_free(v);
	return r;
}

static void
local_close(struct vault_local *l)
{
	perc_loop_del(l->rtp_io);
	perc_loop_del(l->rtcp_io);
	if (l->rtp_fd >= 0)
		close(l->rtp_fd);
	if (l->rtcp_fd >= 0)
		close(l->rtcp_fd);
}

void
vault_free(struct vault *v)
{
	unsigned i, k;

	if (v == NULL)
		return;
	for (i = 0; i < VAULT_SLOTS; i++) {
		vault_slot_wipe(&v->slots[i]);
		for (k = 0; k < VAULT_LOCAL_STREAMS; k++)
			local_close(&v->slots[i].local[k]);
	}
	perc_loop_undefer(v->loop, &v->flush);
	perc_loop_del(v->out_io);
	if (v->out_fd >= 0)
		close(v->out_fd);
	vault_owner_clear(v);
	perc_chan_free(v->chan);
	perc_jwk_free(v->sign);
	perc_jwk_free(v->seal);
	free(v->report);
	perc_secmem_free(v); /* wipes */
}
