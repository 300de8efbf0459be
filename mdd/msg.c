/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codec of mdd/msg.h. Both ends are the same program, yet each reads the
 * other as a stranger: a worker faces the internet.
 */
#include "mdd/msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/log.h"
#include "perc/wire.h"

static int
put_end(const struct perc_wire *w)
{
	int r = perc_wire_end(w);

	return r != 0 ? r : (int)w->pos;
}

/* A string into an array of ours. */
static void
get_text(struct perc_wire *w, char *out, size_t cap)
{
	const char *s = perc_wire_get_str(w);

	if (strlen(s) >= cap)
		perc_wire_fail(w, PERC_ERR_FORMAT);
	else
		memcpy(out, s, strlen(s) + 1);
}

static void
get_raw(struct perc_wire *w, void *out, size_t n)
{
	const uint8_t *p = perc_wire_get_bytes(w, n);

	if (p != NULL)
		memcpy(out, p, n);
}

int
mdd_setup_put(uint8_t *out, const struct mdd_setup *m)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_u32(&w, m->max_legs);
	perc_wire_put_u32(&w, m->max_conferences);
	perc_wire_put_u32(&w, m->max_conference_legs);
	perc_wire_put_u32(&w, m->max_leg_pps);
	perc_wire_put_u32(&w, m->max_leg_kbps);
	perc_wire_put_u32(&w, m->idle_ms);
	perc_wire_put_u32(&w, m->rtx_packets);
	perc_wire_put_u32(&w, m->rtx_kib);
	perc_wire_put_u32(&w, m->last_n);
	perc_wire_put_u32(&w, m->max_links);
	perc_wire_put_u32(&w, m->max_link_sources);
	perc_wire_put_u32(&w, m->max_link_pps);
	perc_wire_put_u32(&w, m->log_level);
	perc_wire_put_u32(&w, m->metrics_legs);
	return put_end(&w);
}

int
mdd_setup_get(struct mdd_setup *m, const void *p, size_t n)
{
	struct perc_wire w;

	perc_wire_reader(&w, p, n);
	m->max_legs = perc_wire_get_u32(&w);
	m->max_conferences = perc_wire_get_u32(&w);
	m->max_conference_legs = perc_wire_get_u32(&w);
	m->max_leg_pps = perc_wire_get_u32(&w);
	m->max_leg_kbps = perc_wire_get_u32(&w);
	m->idle_ms = perc_wire_get_u32(&w);
	m->rtx_packets = perc_wire_get_u32(&w);
	m->rtx_kib = perc_wire_get_u32(&w);
	m->last_n = perc_wire_get_u32(&w);
	m->max_links = perc_wire_get_u32(&w);
	m->max_link_sources = perc_wire_get_u32(&w);
	m->max_link_pps = perc_wire_get_u32(&w);
	m->log_level = perc_wire_get_u32(&w);
	m->metrics_legs = perc_wire_get_u32(&w);
	if (m->log_level > PERC_LOG_DEBUG)
		return PERC_ERR_FORMAT;
	return perc_wire_end(&w);
}

int
mdd_ready_put(uint8_t *out, const struct mdd_ready *m)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_bytes(&w, m->fp, sizeof(m->fp));
	return put_end(&w);
}

int
mdd_ready_get(struct mdd_ready *m, const void *p, size_t n)
{
	struct perc_wire w;

	perc_wire_reader(&w, p, n);
	get_raw(&w, m->fp, sizeof(m->fp));
	return perc_wire_end(&w);
}

int
mdd_join_put(uint8_t *out, const struct mdd_join *m)
{
	struct perc_wire w;
	unsigned i;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_u8(&w, (uint8_t)m->link);
	perc_wire_put_u8(&w, m->dial);
	perc_wire_put_str(&w, m->leg);
	perc_wire_put_str(&w, m->conference);
	perc_wire_put_str(&w, m->member);
	perc_wire_put_bytes(&w, m->pin, sizeof(m->pin));
	perc_wire_put_u8(&w, (uint8_t)m->nssrcs);
	for (i = 0; i < m->nssrcs; i++)
		perc_wire_put_u32(&w, m->ssrcs[i]);
	perc_wire_put_u64(&w, m->live_ms);
	perc_wire_put_bytes(&w, m->from, sizeof(m->from));
	perc_wire_put_str(&w, m->ufrag);
	perc_wire_put_str(&w, m->pwd);
	perc_wire_put_u8(&w, m->twcc);
	perc_wire_put_u8(&w, m->planned);
	if (m->planned)
		mdd_plan_put(&w, &m->plan);
	return put_end(&w);
}

int
mdd_join_get(struct mdd_join *m, const void *p, size_t n)
{
	struct perc_wire w;
	unsigned i, dial;
	uint8_t planned, twcc;

	memset(m, 0, sizeof(*m));
	perc_wire_reader(&w, p, n);
	m->link = perc_wire_get_u8(&w);
	dial = perc_wire_get_u8(&w);
	if (m->link >= MDD_LINK_KINDS || dial > (m->link != MDD_LINK_NONE))
		return PERC_ERR_FORMAT;
	m->dial = dial != 0;
	get_text(&w, m->leg, sizeof(m->leg));
	get_text(&w, m->conference, sizeof(m->conference));
	get_text(&w, m->member, sizeof(m->member));
	get_raw(&w, m->pin, sizeof(m->pin));
	m->nssrcs = perc_wire_get_u8(&w);
	if (m->nssrcs > MDD_TOKEN_SSRCS)
		return PERC_ERR_FORMAT;
	for (i = 0; i < m->nssrcs; i++)
		m->ssrcs[i] = perc_wire_get_u32(&w);
	m->live_ms = perc_wire_get_u64(&w);
	get_raw(&w, m->from, sizeof(m->from));
	get_text(&w, m->ufrag, sizeof(m->ufrag));
	get_text(&w, m->pwd, sizeof(m->pwd));
	twcc = perc_wire_get_u8(&w);
	planned = perc_wire_get_u8(&w);
	if (twcc > 1 || planned > 1)
		return PERC_ERR_FORMAT;
	m->twcc = twcc == 1;
	m->planned = planned == 1;
	if (m->planned)
		mdd_plan_get(&w, &m->plan);
	return perc_wire_end(&w);
}

int
mdd_restart_put(uint8_t *out, const struct mdd_restart *m)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_str(&w, m->leg);
	perc_wire_put_str(&w, m->ufrag);
	perc_wire_put_str(&w, m->pwd);
	return put_end(&w);
}

int
mdd_restart_get(struct mdd_restart *m, const void *p, size_t n)
{
	struct perc_wire w;

	memset(m, 0, sizeof(*m));
	perc_wire_reader(&w, p, n);
	get_text(&w, m->leg, sizeof(m->leg));
	get_text(&w, m->ufrag, sizeof(m->ufrag));
	get_text(&w, m->pwd, sizeof(m->pwd));
	return perc_wire_end(&w);
}

int
mdd_joined_put(uint8_t *out, const struct mdd_joined *m)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_u32(&w, (uint32_t)-m->err);
	perc_wire_put_str(&w, m->leg);
	perc_wire_put_str(&w, m->ufrag);
	perc_wire_put_str(&w, m->pwd);
	return put_end(&w);
}

int
mdd_joined_get(struct mdd_joined *m, const void *p, size_t n)
{
	struct perc_wire w;
	uint32_t err;

	memset(m, 0, sizeof(*m));
	perc_wire_reader(&w, p, n);
	err = perc_wire_get_u32(&w);
	get_text(&w, m->leg, sizeof(m->leg));
	get_text(&w, m->ufrag, sizeof(m->ufrag));
	get_text(&w, m->pwd, sizeof(m->pwd));
	if (err >= (uint32_t)-PERC_ERR_LAST)
		return PERC_ERR_FORMAT;
	m->err = -(int)err;
	return perc_wire_end(&w);
}

int
mdd_dial_put(uint8_t *out, const struct mdd_dial *m)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_str(&w, m->leg);
	perc_wire_put_bytes(&w, m->pin, sizeof(m->pin));
	perc_wire_put_str(&w, m->host);
	perc_wire_put_u32(&w, m->port);
	perc_wire_put_u8(&w, m->odd);
	perc_wire_put_u8(&w, m->twcc);
	perc_wire_put_str(&w, m->ufrag);
	perc_wire_put_str(&w, m->pwd);
	return put_end(&w);
}

int
mdd_dial_get(struct mdd_dial *m, const void *p, size_t n)
{
	struct perc_wire w;

	memset(m, 0, sizeof(*m));
	perc_wire_reader(&w, p, n);
	get_text(&w, m->leg, sizeof(m->leg));
	get_raw(&w, m->pin, sizeof(m->pin));
	get_text(&w, m->host, sizeof(m->host));
	m->port = perc_wire_get_u32(&w);
	m->odd = perc_wire_get_u8(&w) != 0;
	m->twcc = perc_wire_get_u8(&w) != 0;
	get_text(&w, m->ufrag, sizeof(m->ufrag));
	get_text(&w, m->pwd, sizeof(m->pwd));
	if (m->port == 0 || m->port > 65535)
		return PERC_ERR_FORMAT;
	return perc_wire_end(&w);
}

int
mdd_renew_put(uint8_t *out, const struct mdd_renew *m)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_str(&w, m->leg);
	perc_wire_put_u64(&w, m->live_ms);
	return put_end(&w);
}

int
mdd_renew_get(struct mdd_renew *m, const void *p, size_t n)
{
	struct perc_wire w;

	memset(m, 0, sizeof(*m));
	perc_wire_reader(&w, p, n);
	get_text(&w, m->leg, sizeof(m->leg));
	m->live_ms = perc_wire_get_u64(&w);
	return perc_wire_end(&w);
}

int
mdd_leave_put(uint8_t *out, const struct mdd_leave *m)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_str(&w, m->leg);
	perc_wire_put_u32(&w, m->why);
	return put_end(&w);
}

int
mdd_leave_get(struct mdd_leave *m, const void *p, size_t n)
{
	struct perc_wire w;

	memset(m, 0, sizeof(*m));
	perc_wire_reader(&w, p, n);
	get_text(&w, m->leg, sizeof(m->leg));
	m->why = perc_wire_get_u32(&w);
	if (m->why >= MDD_COUNTS)
		return PERC_ERR_FORMAT;
	return perc_wire_end(&w);
}

int
mdd_stats_put(uint8_t *out, const struct mdd_stats *m)
{
	struct perc_wire w;
	unsigned i;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	for (i = 0; i < MDD_COUNTS; i++)
		perc_wire_put_u64(&w, m->v[i]);
	return put_end(&w);
}

int
mdd_stats_get(struct mdd_stats *m, const void *p, size_t n)
{
	struct perc_wire w;
	unsigned i;

	perc_wire_reader(&w, p, n);
	for (i = 0; i < MDD_COUNTS; i++)
		m->v[i] = perc_wire_get_u64(&w);
	return perc_wire_end(&w);
}

int
mdd_legstats_put(uint8_t *out, const struct mdd_legstats *m)
{
	const struct mdd_legstat *s;
	struct perc_wire w;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_u8(&w, (uint8_t)m->n);
	for (s = m->leg; s < m->leg + m->n; s++) {
		perc_wire_put_str(&w, s->leg);
		perc_wire_put_u64(&w, s->rx);
		perc_wire_put_u64(&w, s->rx_octets);
		perc_wire_put_u64(&w, s->taken);
		perc_wire_put_u64(&w, s->tx);
		perc_wire_put_u64(&w, s->tx_octets);
		perc_wire_put_u32(&w, s->rtt_ms);
		perc_wire_put_u32(&w, s->lost);
		perc_wire_put_u32(&w, s->kbps);
	}
	return put_end(&w);
}

int
mdd_legstats_get(struct mdd_legstats *m, const void *p, size_t n)
{
	struct mdd_legstat *s;
	struct perc_wire w;

	memset(m, 0, sizeof(*m));
	perc_wire_reader(&w, p, n);
	m->n = perc_wire_get_u8(&w);
	if (m->n > MDD_LEGSTATS_MAX)
		return PERC_ERR_FORMAT;
	for (s = m->leg; s < m->leg + m->n; s++) {
		get_text(&w, s->leg, sizeof(s->leg));
		s->rx = perc_wire_get_u64(&w);
		s->rx_octets = perc_wire_get_u64(&w);
		s->taken = perc_wire_get_u64(&w);
		s->tx = perc_wire_get_u64(&w);
		s->tx_octets = perc_wire_get_u64(&w);
		s->rtt_ms = perc_wire_get_u32(&w);
		s->lost = perc_wire_get_u32(&w);
		s->kbps = perc_wire_get_u32(&w);
	}
	return perc_wire_end(&w);
}

/* ---- a descriptor for control ----------------------------------------- */

union pass_room {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

int
mdd_pass_send(int sock, const struct mdd_worker_note *n, int fd)
{
	struct mdd_worker_note copy = *n;
	struct iovec iov = { &copy, sizeof(copy) };
	union pass_room u = { 0 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.room,
		.msg_controllen = sizeof(u.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(sock, &m, MSG_NOSIGNAL) != (ssize_t)sizeof(copy))
		return PERC_ERR_SYS;
	return 0;
}

int
mdd_pass_recv(int sock, struct mdd_worker_note *n, int *fdp)
{
	struct iovec iov = { n, sizeof(*n) };
	union pass_room u = { 0 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.room,
		.msg_controllen = sizeof(u.room) };
	struct cmsghdr *c;
	ssize_t got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? PERC_ERR_AGAIN
							 : PERC_ERR_SYS;
	if (got == 0)
		return PERC_ERR_CLOSED;
	c = CMSG_FIRSTHDR(&m);
	if (got != (ssize_t)sizeof(*n) || c == NULL ||
	    c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return PERC_ERR_FORMAT;
	memcpy(fdp, CMSG_DATA(c), sizeof(*fdp));
	return 0;
}
