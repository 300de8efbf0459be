/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One leg: a UDP socket, an ICE check that nominates (the MDD is ICE-lite,
 * RFC 8445 section 2.5), DTLS by pinned fingerprint, the two hop contexts
 * and the pump between them and the vault. What passes here is inner
 * ciphertext; the EKTField is cut off before the outer layer and put back
 * behind it byte for byte (RFC 8723 section 5.1, RFC 8870 section 4.1).
 *
 * A path that answers no check is given up long before consent's 30 s
 * (RFC 7675 section 5.1): joining anew costs two requests, silence costs
 * the conversation.
 */
#include "agent/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/rtp.h"
#include "perc/secret.h"
#include "perc/srtp.h"
#include "perc/stun.h"
#include "perc/tail.h"

#define BATCH		 32
#define ICE_MS		 250   /* between checks until one is answered */
#define ICE_MAX_MS	 10000 /* without any answer: no such path */
#define DTLS_MAX_MS	 10000
#define CONSENT_MS	 5000 /* RFC 7675: 4 to 6 s */
#define CONSENT_AGAIN_MS 500
#define CONSENT_LOST_MS	 4000	     /* after the first unanswered check */
#define REFUSED_MAX	 3	     /* checks in a row that were turned away */
#define PRIORITY	 1862270975u /* peer-reflexive, RFC 8445 section 5.1.2 */
#define STREAMS_OUT	 8
#define STREAMS_IN	 1024
#define WINDOW		 512
#define ROOM		 (PERC_MTU_MAX + PERC_SRTCP_ROOM)

enum leg_state { LEG_ICE, LEG_DTLS, LEG_UP, LEG_LOST };

struct leg_count {
	uint64_t sent, received, dropped, auth_failed, replayed, rtcp_sent,
	    rtcp_received;
};

struct front_leg {
	struct front_conf *conf;
	struct perc_loop *loop;
	enum leg_state state;
	int fd;
	struct perc_io *io;
	char username[600], pwd[257];
	uint64_t tie_breaker;
	uint8_t txid[12]; /* of the check under way */
	bool asking;
	unsigned refused; /* checks */
	bool counted;	  /* this check already */
	int64_t asked_ms, started_ms, consent_ms;
	struct perc_timer check, dtls_timer, lost;
	char why[FRONT_WORDS_MAX];
	uint8_t pin[PERC_FINGERPRINT_LEN];
	struct perc_dtls_id *id; /* the conference's */
	struct perc_dtls *dtls;
	struct perc_srtp *tx, *rx;
	struct perc_srtcp *rtcp_tx, *rtcp_rx;
	struct leg_count count;

	unsigned nout;
	struct mmsghdr out_msg[BATCH], in_msg[BATCH];
	struct iovec out_iov[BATCH], in_iov[BATCH];
	uint8_t out[BATCH][ROOM], in[BATCH][PERC_MTU_MAX];
};

static void on_check(void *arg);
static void on_dtls_timer(void *arg);

static void
later(struct front_leg *l, struct perc_timer *t, int64_t ms, perc_loop_fn fn)
{
	if (perc_timer_set(l->loop, t, ms, fn, l) != 0)
		fatalx("no memory for a timer");
}

/* Told from the loop, since whoever hears it frees the leg. */
static void
on_lost(void *arg)
{
	struct front_leg *l = arg;
	char why[FRONT_WORDS_MAX];

	text_put(why, sizeof(why), "%s", l->why);
	front_mdd_lost(l->conf, why);
}

static void
leg_lost(struct front_leg *l, const char *why)
{
	if (l->state == LEG_LOST)
		return;
	l->state = LEG_LOST;
	text_put(l->why, sizeof(l->why), "%s", why);
	later(l, &l->lost, 0, on_lost);
}

/*
 * A closed port or an error (which bears no integrity): somebody on the path
 * says that we are not known. Ask at once; when that is said again and
 * again, it is true or as good as true, and joining anew harms nobody.
 */
static void
refused(struct front_leg *l)
{
	if (l->state == LEG_LOST || l->state == LEG_ICE)
		return;
	if (!l->asking)
		later(l, &l->check, 0, on_check);
	else if (!l->counted && ++l->refused >= REFUSED_MAX)
		leg_lost(l, "the distributor does not know us any more");
	l->counted = l->asking; /* once for each check */
}

/* ---- sending ----------------------------------------------------------------
 */

static void
leg_flush(struct front_leg *l)
{
	unsigned done = 0;
	int n;

	while (done < l->nout) {
		n = sendmmsg(
		    l->fd, l->out_msg + done, l->nout - done, MSG_DONTWAIT);
		if (n <= 0 && errno == EINTR)
			continue;
		if (n <= 0) { /* full or refused: this one is lost */
			if (errno == ECONNREFUSED)
				refused(l);
			l->count.dropped++;
			n = 1;
		}
		done += (unsigned)n;
	}
	l->nout = 0;
}

/* The next buffer of the batch, n octets long once it is filled. */
static uint8_t *
out_next(struct front_leg *l)
{
	if (l->nout == BATCH)
		leg_flush(l);
	return l->out[l->nout];
}

static void
out_done(struct front_leg *l, size_t n)
{
	l->out_iov[l->nout].iov_len = n;
	l->nout++;
}

static void
leg_send_now(struct front_leg *l, const uint8_t *p, size_t n)
{
	if (send(l->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return;
	if (errno == ECONNREFUSED)
		refused(l);
	l->count.dropped++;
}

void
front_leg_media(struct front_leg *l, const uint8_t *p, size_t n)
{
	struct perc_tail tail;
	struct perc_rtp h;
	uint8_t *out;
	size_t len;

	if (l == NULL || l->state != LEG_UP)
		return;
	if (n + PERC_SRTP_TAG_LEN > ROOM || perc_tail_find(&tail, p, n) != 0 ||
	    perc_rtp_parse(&h, p, n - tail.len) != 0) {
		l->count.dropped++;
		return;
	}
	out = out_next(l);
	if (perc_srtp_protect(l->tx, &h, p, n - tail.len, out, &len) != 0) {
		l->count.dropped++;
		return;
	}
	memcpy(out + len, p + n - tail.len, tail.len);
	out_done(l, len + tail.len);
	l->count.sent++;
}

void
front_leg_rtcp(struct front_leg *l, const uint8_t *p, size_t n)
{
	uint8_t *out;

	if (l == NULL || l->state != LEG_UP || n + PERC_SRTCP_ROOM > ROOM)
		return;
	out = out_next(l);
	memcpy(out, p, n);
	if (perc_srtcp_protect(l->rtcp_tx, out, &n) != 0) {
		l->count.dropped++;
		return;
	}
	out_done(l, n);
	l->count.rtcp_sent++;
}

/* ---- ICE
 * ---------------------------------------------------------------------- */

static void
check_send(struct front_leg *l)
{
	uint8_t msg[PERC_STUN_MAX];
	size_t n;

	if (!l->asking) {
		perc_random(l->txid, sizeof(l->txid));
		l->asking = true;
		l->asked_ms = perc_now_ms();
	}
	l->counted = false;
	if (perc_stun_request(msg, &n, l->txid, l->username, l->pwd, PRIORITY,
		true, l->tie_breaker) == 0)
		leg_send_now(l, msg, n);
}

static void
on_check(void *arg)
{
	struct front_leg *l = arg;
	int64_t now = perc_now_ms();

	if (l->state == LEG_ICE && now - l->started_ms > ICE_MAX_MS) {
		leg_lost(l, "no answer at the distributor's media address");
		return;
	}
	if (l->state == LEG_DTLS && now - l->started_ms > DTLS_MAX_MS) {
		leg_lost(l, "the distributor does not finish DTLS");
		return;
	}
	if (l->state != LEG_ICE && l->asking &&
	    now - l->asked_ms > CONSENT_LOST_MS) {
		leg_lost(l, "the distributor has gone silent");
		return;
	}
	check_send(l);
	later(l, &l->check, l->state == LEG_ICE ? ICE_MS : CONSENT_AGAIN_MS,
	    on_check);
}

static void
dtls_out(const uint8_t *p, size_t n, void *arg)
{
	leg_send_now(arg, p, n);
}

static void
dtls_plan(struct front_leg *l)
{
	int ms = perc_dtls_next_ms(l->dtls);

	if (ms < 0)
		perc_timer_stop(l->loop, &l->dtls_timer);
	else
		later(l, &l->dtls_timer, ms, on_dtls_timer);
}

static void
dtls_begin(struct front_leg *l)
{
	l->state = LEG_DTLS;
	l->started_ms = perc_now_ms();
	if (perc_dtls_new(
		&l->dtls, l->id, false, l->pin, NULL, 0, dtls_out, l) != 0 ||
	    perc_dtls_start(l->dtls) != 0)
		leg_lost(l, "cannot start DTLS");
	else
		dtls_plan(l);
}

static void
stun_in(struct front_leg *l, const uint8_t *p, size_t n)
{
	struct perc_stun m;
	int64_t jitter;

	if (perc_stun_parse(&m, p, n) != 0 || !l->asking ||
	    memcmp(m.txid, l->txid, sizeof(l->txid)) != 0)
		return;
	if (m.type == 0x0111) {
		refused(l);
		return;
	}
	if (m.type != 0x0101 || perc_stun_verify(&m, l->pwd) != 0)
		return;
	l->asking = false;
	l->refused = 0;
	l->consent_ms = perc_now_ms();
	jitter = perc_random_u32() % 2001;
	later(l, &l->check, CONSENT_MS - 1000 + jitter, on_check);
	if (l->state == LEG_ICE)
		dtls_begin(l);
}

/* ---- DTLS
 * ---------------------------------------------------------------------- */

static int
hops_make(struct front_leg *l)
{
	struct perc_dtls_keys k;
	int r;

	if ((r = perc_dtls_keys(l->dtls, &k)) != 0 ||
	    (r = perc_srtp_new(&l->tx, k.profile, k.tx_key, k.tx_salt,
		 STREAMS_OUT, WINDOW)) != 0 ||
	    (r = perc_srtp_new(&l->rx, k.profile, k.rx_key, k.rx_salt,
		 STREAMS_IN, WINDOW)) != 0 ||
	    (r = perc_srtcp_new(
		 &l->rtcp_tx, k.profile, k.tx_key, k.tx_salt, 0)) != 0)
		goto out;
	r = perc_srtcp_new(&l->rtcp_rx, k.profile, k.rx_key, k.rx_salt, 1);
out:
	perc_wipe(&k, sizeof(k));
	return r;
}

static void
dtls_look(struct front_leg *l)
{
	switch (perc_dtls_state(l->dtls)) {
	case PERC_DTLS_UP:
		if (l->state != LEG_DTLS)
			break;
		if (hops_make(l) != 0) {
			leg_lost(l, "cannot take the hop keys");
			return;
		}
		l->state = LEG_UP;
		front_mdd_up(l->conf);
		break;
	case PERC_DTLS_CLOSED:
		leg_lost(l, "the distributor closed the leg");
		return;
	case PERC_DTLS_FAILED:
		leg_lost(l, "the distributor is not who it said it is");
		return;
	default:
		break;
	}
	dtls_plan(l);
}

static void
dtls_in(struct front_leg *l, const uint8_t *p, size_t n)
{
	int r;

	if (l->dtls == NULL || l->state == LEG_LOST)
		return;
	if ((r = perc_dtls_input(l->dtls, p, n)) != 0)
		log_warnx(
		    "dtls conf=%s what=\"%s\"", l->conf->id, perc_strerror(r));
	dtls_look(l);
}

static void
on_dtls_timer(void *arg)
{
	struct front_leg *l = arg;

	if (l->state == LEG_LOST)
		return;
	if (perc_dtls_timeout(l->dtls) != 0)
		leg_lost(l, "the distributor does not answer DTLS");
	else
		dtls_look(l);
}

/* ---- receiving
 * ------------------------------------------------------------------ */

static void
drop(struct front_leg *l, int err)
{
	if (err == PERC_ERR_AUTH)
		l->count.auth_failed++;
	else if (err == PERC_ERR_REPLAY)
		l->count.replayed++;
	else
		l->count.dropped++;
}

static void
rtp_in(struct front_leg *l, uint8_t *p, size_t n)
{
	struct perc_tail tail;
	struct perc_rtp h;
	size_t len;
	int r;

	if ((r = perc_tail_find(&tail, p, n)) != 0 ||
	    (r = perc_rtp_parse(&h, p, n - tail.len)) != 0 ||
	    (r = perc_srtp_unprotect(l->rx, &h, p, n - tail.len, p, &len)) !=
		0) {
		drop(l, r);
		return;
	}
	l->count.received++;
	front_vault_packet(l->conf->agent->vault, VAULT_MEDIA_IN, l->conf->slot,
	    p, len, p + n - tail.len, tail.len);
}

static void
rtcp_in(struct front_leg *l, uint8_t *p, size_t n)
{
	int r;

	if ((r = perc_srtcp_unprotect(l->rtcp_rx, p, &n)) != 0) {
		drop(l, r);
		return;
	}
	l->count.rtcp_received++;
	front_vault_packet(
	    l->conf->agent->vault, VAULT_RTCP_IN, l->conf->slot, p, n, NULL, 0);
}

static void
datagram(struct front_leg *l, uint8_t *p, size_t n)
{
	bool open = l->state == LEG_UP && l->conf->vault_live;

	switch (perc_pkt_kind(p, n)) {
	case PERC_PKT_STUN:
		stun_in(l, p, n);
		break;
	case PERC_PKT_DTLS:
		dtls_in(l, p, n);
		break;
	case PERC_PKT_RTP:
		if (open)
			rtp_in(l, p, n);
		break;
	case PERC_PKT_RTCP:
		if (open)
			rtcp_in(l, p, n);
		break;
	default:
		break;
	}
}

static void
on_ready(int fd, uint32_t events, void *arg)
{
	struct front_leg *l = arg;
	int n;

	for (unsigned i = 0; i < BATCH; i++)
		l->in_iov[i].iov_len = PERC_MTU_MAX;
	n = recvmmsg(fd, l->in_msg, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && errno == ECONNREFUSED)
		refused(l);
	for (int i = 0; i < n && l->state != LEG_LOST; i++)
		if ((l->in_msg[i].msg_hdr.msg_flags & MSG_TRUNC) == 0)
			datagram(l, l->in[i], l->in_msg[i].msg_len);
}

/* ---- life
 * -------------------------------------------------------------------------- */

static void
batches_init(struct front_leg *l)
{
	for (unsigned i = 0; i < BATCH; i++) {
		l->in_iov[i].iov_base = l->in[i];
		l->in_msg[i].msg_hdr.msg_iov = &l->in_iov[i];
		l->in_msg[i].msg_hdr.msg_iovlen = 1;
		l->out_iov[i].iov_base = l->out[i];
		l->out_msg[i].msg_hdr.msg_iov = &l->out_iov[i];
		l->out_msg[i].msg_hdr.msg_iovlen = 1;
	}
}

static int
socket_connect(struct front_leg *l, const struct front_join *j)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(j->port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		.sin_port = htons(j->port) };
	bool four = inet_pton(AF_INET, j->host, &v4.sin_addr) == 1;
	int size = 1 << 20;

	if (!four && inet_pton(AF_INET6, j->host, &v6.sin6_addr) != 1)
		return PERC_ERR_FORMAT;
	l->fd = socket(four ? AF_INET : AF_INET6,
	    SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return PERC_ERR_SYS;
	(void)setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(l->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(l->fd, four ? (void *)&v4 : (void *)&v6,
		four ? sizeof(v4) : sizeof(v6)) != 0)
		return PERC_ERR_SYS;
	return perc_loop_add(l->loop, &l->io, l->fd, EPOLLIN, on_ready, l);
}

int
front_leg_new(struct front_leg **lp, struct front_conf *c,
    struct perc_dtls_id *id, const struct front_join *j, const char *ufrag,
    char *why, size_t whycap)
{
	struct front_leg *l;
	int r;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return PERC_ERR_NOMEM;
	l->conf = c;
	l->loop = c->agent->loop;
	l->id = id;
	l->fd = -1;
	l->started_ms = perc_now_ms();
	memcpy(l->pin, j->fingerprint, sizeof(l->pin));
	memcpy(l->pwd, j->pwd, sizeof(l->pwd));
	/* RFC 8445 section 7.2.2: theirs first in what we send */
	text_put(l->username, sizeof(l->username), "%s:%s", j->ufrag, ufrag);
	perc_random(&l->tie_breaker, sizeof(l->tie_breaker));
	batches_init(l);
	if ((r = socket_connect(l, j)) != 0) {
		text_put(why, whycap, "no way to %s port %u: %s", j->host,
		    j->port, strerror(errno));
		front_leg_free(l);
		return r;
	}
	later(l, &l->check, 0, on_check);
	*lp = l;
	return 0;
}

void
front_leg_free(struct front_leg *l)
{
	if (l == NULL)
		return;
	perc_timer_stop(l->loop, &l->check);
	perc_timer_stop(l->loop, &l->dtls_timer);
	perc_timer_stop(l->loop, &l->lost);
	if (l->dtls != NULL && l->state == LEG_UP)
		perc_dtls_close(l->dtls);
	perc_dtls_free(l->dtls);
	perc_srtp_free(l->tx);
	perc_srtp_free(l->rx);
	perc_srtcp_free(l->rtcp_tx);
	perc_srtcp_free(l->rtcp_rx);
	perc_loop_del(l->io);
	if (l->fd >= 0)
		close(l->fd);
	perc_wipe(l, sizeof(*l));
	free(l);
}

void
front_leg_turn(struct front_leg *l)
{
	if (l != NULL && l->nout > 0)
		leg_flush(l);
}

json_t *
front_leg_json(const struct front_leg *l)
{
	static const char *const names[] = { "ice", "dtls", "up", "lost" };

	if (l == NULL)
		return json_null();
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "state",
	    names[l->state], "sent", (json_int_t)l->count.sent, "received",
	    (json_int_t)l->count.received, "dropped",
	    (json_int_t)l->count.dropped, "auth_failed",
	    (json_int_t)l->count.auth_failed, "replayed",
	    (json_int_t)l->count.replayed, "rtcp_sent",
	    (json_int_t)l->count.rtcp_sent, "rtcp_received",
	    (json_int_t)l->count.rtcp_received);
}
