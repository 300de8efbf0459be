/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One leg against a distributor made of the same core: an ICE-lite answerer
 * and a DTLS server in the same loop. What surrounds the leg (its
 * conference, the vault) stands in this file. REQ-WS-6.3c: hop keys come
 * from DTLS-SRTP, and from the pinned peer alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/front.h"
#include "agent/frontleg.h"
#include "agent/turnmsg.h"
#include "perc/rtp.h"
#include "perc/srtp.h"
#include "perc/stun.h"
#include "perc/tail.h"

/* ---- what the leg calls ------------------------------------------------- */

static unsigned ups, losses, vault_packets;
static char lost_why[256];
static uint8_t vault_got[2048];
static size_t vault_len;
static enum vault_msg vault_type;

void
front_mdd_up(struct front_conf *c)
{
	ups++;
}

void
front_mdd_lost(struct front_conf *c, const char *why)
{
	losses++;
	text_put(lost_why, sizeof(lost_why), "%s", why);
	front_leg_free(c->leg);
	c->leg = NULL;
}

void
front_vault_packet(struct front_vault *v, enum vault_msg type, unsigned slot,
    const uint8_t *p, size_t n, const uint8_t *tail, size_t taillen)
{
	assert_int_equal(slot, 2);
	vault_packets++;
	vault_type = type;
	memcpy(vault_got, p, n);
	if (taillen > 0)
		memcpy(vault_got + n, tail, taillen);
	vault_len = n + taillen;
}

/* ---- the distributor
 * --------------------------------------------------------- */

static struct {
	int fd;
	struct perc_io *io;
	struct sockaddr_in peer;
	char ufrag[PERC_ICE_UFRAG + 1], pwd[PERC_ICE_PWD + 1];
	struct perc_dtls_id *id;
	struct perc_dtls *dtls;
	struct perc_srtp *tx, *rx;
	struct perc_srtcp *rtcp_tx, *rtcp_rx;
	uint8_t client_fp[PERC_FINGERPRINT_LEN];
	bool mute, stranger; /* answers nothing; answers errors */
	unsigned checks, nominated;
	uint8_t got[2048];
	size_t got_len;
} mdd;

static struct perc_loop *loop;
static struct agent agent;
static struct front_conf conf;
static struct front_join join;

static void
mdd_send(const uint8_t *p, size_t n, void *arg)
{
	assert_int_equal(sendto(mdd.fd, p, n, 0, (struct sockaddr *)&mdd.peer,
			     sizeof(mdd.peer)),
	    n);
}

static void
mdd_stun(const uint8_t *p, size_t n)
{
	struct perc_stun m;
	uint8_t out[PERC_STUN_MAX];
	size_t len;
	char want[64];

	assert_int_equal(perc_stun_parse(&m, p, n), 0);
	assert_int_equal(perc_stun_verify(&m, mdd.pwd), 0);
	text_put(want, sizeof(want), "%s:mine", mdd.ufrag);
	assert_int_equal(m.username_len, strlen(want));
	assert_memory_equal(m.username, want, m.username_len);
	assert_true(m.controlling);
	mdd.checks++;
	mdd.nominated += m.use_candidate;
	if (mdd.mute)
		return;
	if (mdd.stranger)
		assert_int_equal(perc_stun_error(out, &len, &m, NULL, 401), 0);
	else
		assert_int_equal(perc_stun_success(out, &len, &m, mdd.pwd,
				     (struct sockaddr *)&mdd.peer),
		    0);
	mdd_send(out, len, NULL);
}

static void
mdd_dtls(const uint8_t *p, size_t n)
{
	struct perc_dtls_keys k;

	if (mdd.dtls == NULL)
		assert_int_equal(perc_dtls_new(&mdd.dtls, mdd.id, true,
				     mdd.client_fp, NULL, 0, mdd_send, NULL),
		    0);
	(void)!perc_dtls_input(mdd.dtls, p, n);
	if (mdd.tx != NULL || perc_dtls_state(mdd.dtls) != PERC_DTLS_UP)
		return;
	assert_int_equal(perc_dtls_keys(mdd.dtls, &k), 0);
	assert_int_equal(
	    perc_srtp_new(&mdd.tx, k.profile, k.tx_key, k.tx_salt, 4096, 64),
	    0);
	assert_int_equal(
	    perc_srtp_new(&mdd.rx, k.profile, k.rx_key, k.rx_salt, 4, 64), 0);
	assert_int_equal(
	    perc_srtcp_new(&mdd.rtcp_tx, k.profile, k.tx_key, k.tx_salt, 0), 0);
	assert_int_equal(
	    perc_srtcp_new(&mdd.rtcp_rx, k.profile, k.rx_key, k.rx_salt, 1), 0);
}

static void
mdd_ready(int fd, uint32_t events, void *arg)
{
	uint8_t p[2048];
	socklen_t len = sizeof(mdd.peer);
	ssize_t n = recvfrom(
	    fd, p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&mdd.peer, &len);

	if (n <= 0)
		return;
	switch (perc_pkt_kind(p, (size_t)n)) {
	case PERC_PKT_STUN:
		mdd_stun(p, (size_t)n);
		break;
	case PERC_PKT_DTLS:
		mdd_dtls(p, (size_t)n);
		break;
	default:
		memcpy(mdd.got, p, (size_t)n);
		mdd.got_len = (size_t)n;
	}
}

static void
mdd_open(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	memset(&mdd, 0, sizeof(mdd));
	perc_ice_credentials(mdd.ufrag, mdd.pwd);
	assert_int_equal(perc_dtls_id_generate(&mdd.id, "mdd", 1), 0);
	perc_dtls_id_fingerprint(conf.dtls_id, mdd.client_fp);
	mdd.fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(mdd.fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(mdd.fd, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(
	    perc_loop_add(loop, &mdd.io, mdd.fd, EPOLLIN, mdd_ready, NULL), 0);
	memset(&join, 0, sizeof(join));
	strcpy(join.host, "127.0.0.1");
	join.port = ntohs(sin.sin_port);
	strcpy(join.ufrag, mdd.ufrag);
	strcpy(join.pwd, mdd.pwd);
	perc_dtls_id_fingerprint(mdd.id, join.fingerprint);
}

static void
mdd_close(void)
{
	perc_loop_del(mdd.io);
	close(mdd.fd);
	perc_dtls_free(mdd.dtls);
	perc_dtls_id_free(mdd.id);
	perc_srtp_free(mdd.tx);
	perc_srtp_free(mdd.rx);
	perc_srtcp_free(mdd.rtcp_tx);
	perc_srtcp_free(mdd.rtcp_rx);
}

static int
setup(void **state)
{
	ups = losses = vault_packets = 0;
	memset(&conf, 0, sizeof(conf));
	assert_int_equal(perc_loop_new(&loop), 0);
	agent.loop = loop;
	conf.agent = &agent;
	conf.slot = 2;
	conf.vault_live = true;
	assert_int_equal(perc_dtls_id_generate(&conf.dtls_id, "perch", 1), 0);
	mdd_open();
	return 0;
}

static int
teardown(void **state)
{
	front_leg_free(conf.leg);
	mdd_close();
	perc_dtls_id_free(conf.dtls_id);
	perc_loop_free(loop);
	return 0;
}

static void
connect_leg(void)
{
	char why[256];

	assert_int_equal(front_leg_new(&conf.leg, &conf, conf.dtls_id, &join,
			     "mine", why, sizeof(why)),
	    0);
}

static void
turn_until(const unsigned *what, int ms)
{
	int64_t end = perc_now_ms() + ms;

	while (*what == 0 && perc_now_ms() < end) {
		assert_int_equal(perc_loop_turn(loop, 20), 0);
		front_leg_turn(conf.leg);
	}
}

static void
turns(int n)
{
	for (int i = 0; i < n; i++) {
		front_leg_turn(conf.leg);
		assert_int_equal(perc_loop_turn(loop, 10), 0);
	}
}

static void
test_REQ_WS_6_3c_up_by_dtls_srtp(void **state)
{
	connect_leg();
	turn_until(&ups, 2000);
	assert_int_equal(ups, 1);
	assert_int_equal(losses, 0);
	assert_true(mdd.nominated > 0);
}

static void
test_REQ_WS_6_3c_other_fingerprint_is_refused(void **state)
{
	join.fingerprint[7] ^= 1;
	connect_leg();
	turn_until(&losses, 3000);
	assert_int_equal(ups, 0);
	assert_int_equal(losses, 1);
	assert_non_null(strstr(lost_why, "not who it said"));
}

/* A packet as the vault gives it: header, sealed payload, OHB, Short field. */
static size_t
packet(uint8_t *p, uint16_t seq, const char *tail, size_t taillen)
{
	static const uint8_t head[12] = { 0x80, 111, 0, 0, 0, 0, 0, 1, 0xca,
		0xfe, 0xba, 0xbe };

	memcpy(p, head, 12);
	p[2] = (uint8_t)(seq >> 8);
	p[3] = (uint8_t)seq;
	memset(p + 12, 'e', 40);
	memcpy(p + 52, tail, taillen);
	return 52 + taillen;
}

static void
test_a_broken_path_is_replaced(void **state)
{
	uint8_t p[128];
	size_t n = packet(p, 7, "\0", 1);
	in_port_t old;

	connect_leg();
	turn_until(&ups, 2000);
	old = mdd.peer.sin_port;
	front_path_trouble(conf.leg->now, ENETUNREACH);
	for (int i = 0; i < 200 && mdd.peer.sin_port == old; i++)
		turns(1);
	turns(150); /* it takes some answers */
	mdd.got_len = 0;
	front_leg_media(conf.leg, p, n);
	turns(3);
	assert_int_equal(mdd.got_len, n + PERC_SRTP_TAG_LEN);
	assert_int_not_equal(mdd.peer.sin_port, old);
	assert_int_equal(ups, 1);
	assert_int_equal(losses, 0);
	for (size_t i = 0; i < PATHS; i++) /* and none is left behind */
		assert_int_equal(conf.leg->path[i].state,
		    &conf.leg->path[i] == conf.leg->now ? PATH_NOW : PATH_NONE);
}

/* ---- a relay, as perch-turn would be ------------------------------------ */

static struct {
	int leg, out; /* its end of the leg's pair; a UDP socket */
	struct perc_io *leg_io, *out_io;
	uint32_t id;
} relay;

static void
relay_move(int fd, uint32_t events, void *arg)
{
	uint8_t p[2048];
	ssize_t n = recv(fd, p, sizeof(p), MSG_DONTWAIT);

	if (n > 0)
		(void)!send(fd == relay.leg ? relay.out : relay.leg, p,
		    (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
relay_take(int chan)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct turn_open o;
	struct iovec iov = { .iov_base = &o, .iov_len = sizeof(o) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };

	assert_int_equal(recvmsg(chan, &m, 0), sizeof(o));
	assert_int_equal(o.type, TURN_OPEN);
	assert_int_equal(
	    ((struct sockaddr_in *)&o.peer)->sin_port, htons(join.port));
	memcpy(&relay.leg, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	relay.id = o.id;
	relay.out = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(connect(relay.out, (struct sockaddr *)&o.peer,
			     sizeof(struct sockaddr_in)),
	    0);
	assert_int_equal(perc_loop_add(loop, &relay.leg_io, relay.leg, EPOLLIN,
			     relay_move, NULL),
	    0);
	assert_int_equal(perc_loop_add(loop, &relay.out_io, relay.out, EPOLLIN,
			     relay_move, NULL),
	    0);
}

static void
relay_drop(void)
{
	perc_loop_del(relay.leg_io);
	perc_loop_del(relay.out_io);
	close(relay.leg);
	close(relay.out);
}

static void
told(uint32_t id, bool up, const char *words, void *arg)
{
	front_leg_relay_told(conf.leg, id, up, words);
}

static const char *
leg_says(const char *name)
{
	static char text[TURN_WORDS_MAX];
	json_t *j = front_leg_json(conf.leg);
	const char *s = json_string_value(json_object_get(j, name));

	text_put(text, sizeof(text), "%s", s != NULL ? s : "-");
	json_decref(j);
	return text;
}

static void
test_a_relay_alone_carries(void **state)
{
	struct turn_told t = { .type = TURN_TOLD, .words = "turn:example" };
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(
	    front_relays_new(&agent.relays, loop, sv[0], true, told, NULL), 0);
	connect_leg();
	relay_take(sv[1]);
	t.id = relay.id;
	assert_int_equal(send(sv[1], "short", 5, 0), 5); /* is no message */
	assert_int_equal(send(sv[1], &t, sizeof(t), 0), sizeof(t));
	turns(3);
	assert_string_equal(leg_says("relay_trouble"), "turn:example");
	t.up = 1;
	assert_int_equal(send(sv[1], &t, sizeof(t), 0), sizeof(t));
	turn_until(&ups, 2000);
	assert_int_equal(ups, 1);
	assert_string_equal(leg_says("path"), "relay");
	assert_string_equal(leg_says("relay"), "turn:example");
	assert_string_equal(leg_says("relay_trouble"), "-");

	/* perch-turn dies: another relay is asked for, and the leg stays */
	relay_drop();
	turns(20);
	relay_take(sv[1]);
	turns(200);
	assert_string_equal(leg_says("path"), "relay");
	assert_int_equal(losses, 0);
	front_leg_free(conf.leg);
	conf.leg = NULL;
	relay_drop();
	front_relays_free(agent.relays);
	agent.relays = NULL;
	close(sv[1]);
}

static void
test_field_is_outside_the_outer_layer(void **state)
{
	uint8_t p[128], plain[128];
	size_t n = packet(p, 7, "\0", 1), len;
	struct perc_tail tail;
	struct perc_rtp h;

	connect_leg();
	turn_until(&ups, 2000);
	front_leg_media(conf.leg, p, n);
	turns(3);
	assert_int_equal(mdd.got_len, n + PERC_SRTP_TAG_LEN);
	assert_int_equal(perc_tail_find(&tail, mdd.got, mdd.got_len), 0);
	assert_int_equal(tail.len, 1);
	assert_int_equal(
	    perc_rtp_parse(&h, mdd.got, mdd.got_len - tail.len), 0);
	assert_int_equal(perc_srtp_unprotect(mdd.rx, &h, mdd.got,
			     mdd.got_len - tail.len, plain, &len),
	    0);
	assert_int_equal(len, n - 1);
	assert_memory_equal(plain, p, n - 1);

	/* and back, under the distributor's own key */
	n = packet(p, 9, "\0", 1);
	assert_int_equal(perc_rtp_parse(&h, p, n - 1), 0);
	assert_int_equal(
	    perc_srtp_protect(mdd.tx, &h, p, n - 1, plain, &len), 0);
	plain[len] = p[n - 1];
	mdd_send(plain, len + 1, NULL);
	turn_until(&vault_packets, 1000);
	assert_int_equal(vault_type, VAULT_MEDIA_IN);
	assert_int_equal(vault_len, n);
	assert_memory_equal(vault_got, p, n);

	/* once only, and not with a bit turned */
	mdd_send(plain, len + 1, NULL);
	plain[20] ^= 1;
	mdd_send(plain, len + 1, NULL);
	turns(5);
	assert_int_equal(vault_packets, 1);
}

static void
test_rtcp_both_ways(void **state)
{
	static const uint8_t rr[8] = { 0x80, 201, 0, 1, 0xca, 0xfe, 0xba,
		0xbe };
	uint8_t p[8 + PERC_SRTCP_ROOM];
	size_t n = sizeof(rr);

	connect_leg();
	turn_until(&ups, 2000);
	front_leg_rtcp(conf.leg, rr, sizeof(rr));
	turns(3);
	n = mdd.got_len;
	assert_int_equal(perc_srtcp_unprotect(mdd.rtcp_rx, mdd.got, &n), 0);
	assert_int_equal(n, sizeof(rr));
	assert_memory_equal(mdd.got, rr, sizeof(rr));
	memcpy(p, rr, sizeof(rr));
	n = sizeof(rr);
	assert_int_equal(perc_srtcp_protect(mdd.rtcp_tx, p, &n), 0);
	mdd_send(p, n, NULL);
	turn_until(&vault_packets, 1000);
	assert_int_equal(vault_type, VAULT_RTCP_IN);
	assert_int_equal(vault_len, sizeof(rr));
}

static void
mdd_rtcp(const uint8_t *words, size_t n)
{
	uint8_t p[64 + PERC_SRTCP_ROOM];

	memcpy(p, words, n);
	assert_int_equal(perc_srtcp_protect(mdd.rtcp_tx, p, &n), 0);
	mdd_send(p, n, NULL);
	turns(5);
}

/* A distributor that drains says goodbye, under the hop's keys; the goodbye of
 * a sender is the vault's business. */
static void
test_farewell_is_believed(void **state)
{
	uint8_t bye[16] = { 0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 203, 0, 1, 0, 0,
		0, 2 };

	connect_leg();
	turn_until(&ups, 2000);
	mdd_rtcp(bye, sizeof(bye));
	assert_int_equal(vault_packets, 1);
	bye[15] = 1;
	mdd_send(bye, sizeof(bye), NULL); /* anybody can say that */
	turns(5);
	assert_int_equal(losses, 0);
	bye[11] = 200; /* a length that lies */
	mdd_rtcp(bye, sizeof(bye));
	assert_int_equal(losses, 0);
	bye[11] = 1;
	mdd_rtcp(bye, sizeof(bye));
	turn_until(&losses, 1000);
	assert_int_equal(losses, 1);
	assert_non_null(strstr(lost_why, "join again"));
}

static void
mdd_media(uint16_t seq)
{
	uint8_t p[128], out[160];
	size_t n = packet(p, seq, "\0", 1), len;
	struct perc_rtp h;

	assert_int_equal(perc_rtp_parse(&h, p, n - 1), 0);
	assert_int_equal(perc_srtp_protect(mdd.tx, &h, p, n - 1, out, &len), 0);
	out[len] = 0;
	mdd_send(out, len + 1, NULL);
}

/* The leg itself asks for what the hop lost, and sends again what the
 * distributor lost; the vault hears of neither. */
static void
test_losses_are_mended_by_the_leg(void **state)
{
	uint8_t p[128], first[160], q[64 + PERC_SRTCP_ROOM];
	size_t n = packet(p, 7, "\0", 1), len;
	static const uint16_t seq = 7;
	struct perc_wire w;
	struct perc_rtp h;

	connect_leg();
	turn_until(&ups, 2000);
	front_leg_media(conf.leg, p, n); /* now it has an SSRC */
	turns(3);
	memcpy(first, mdd.got, len = mdd.got_len);
	mdd.got_len = 0;
	mdd_media(20);
	mdd_media(23);
	turns(8);
	n = mdd.got_len;
	assert_true(n > 0);
	assert_int_equal(perc_srtcp_unprotect(mdd.rtcp_rx, mdd.got, &n), 0);
	assert_int_equal(n, 24);
	assert_memory_equal(mdd.got + 20, "\0\x15\0\1", 4); /* 21, 22 */
	assert_memory_equal(mdd.got + 4, p + 8, 4);

	assert_int_equal(perc_rtp_parse(&h, p, 53), 0);
	perc_wire_writer(&w, q, sizeof(q));
	perc_rtcp_nack_put(&w, 1, h.ssrc, &seq, 1);
	n = w.pos;
	assert_int_equal(perc_srtcp_protect(mdd.rtcp_tx, q, &n), 0);
	mdd_send(q, n, NULL);
	turns(5);
	assert_int_equal(mdd.got_len, len);
	assert_memory_equal(mdd.got, first, len);
}

/* As many speakers as one leg can tell apart, one after the other, and four
 * times as many. Behind them it joins again, for a new leg forgets. */
static void
test_new_speakers_are_heard(void **state)
{
	uint8_t p[128], out[160];
	size_t n = packet(p, 1, "\0", 1), len;
	const unsigned room = 1024 * (1 + PERC_SRTP_FORGOTTEN_MAX);
	struct perc_rtp h;

	connect_leg();
	turn_until(&ups, 2000);
	for (unsigned i = 0; i <= room; i++) {
		p[8] = (uint8_t)(i >> 8);
		p[9] = (uint8_t)i;
		assert_int_equal(perc_rtp_parse(&h, p, n - 1), 0);
		assert_int_equal(
		    perc_srtp_protect(mdd.tx, &h, p, n - 1, out, &len), 0);
		out[len] = 0;
		mdd_send(out, len + 1, NULL);
		perc_srtp_forget(mdd.tx, h.ssrc);
		if (i % 32 == 31)
			turns(1);
		if (i == room - 1)
			assert_int_equal(vault_packets, room);
		assert_int_equal(losses, 0);
	}
	turn_until(&losses, 1000);
	assert_int_equal(losses, 1);
	assert_non_null(strstr(lost_why, "no more speakers"));
}

/* A vault that has erased must get nothing more. */
static void
test_nothing_for_an_erased_vault(void **state)
{
	uint8_t p[128], out[160];
	size_t n = packet(p, 9, "\0", 1), len;
	struct perc_rtp h;

	connect_leg();
	turn_until(&ups, 2000);
	conf.vault_live = false;
	assert_int_equal(perc_rtp_parse(&h, p, n - 1), 0);
	assert_int_equal(perc_srtp_protect(mdd.tx, &h, p, n - 1, out, &len), 0);
	out[len] = 0;
	mdd_send(out, len + 1, NULL);
	turns(5);
	assert_int_equal(vault_packets, 0);
}

static void
test_lengths_that_lie(void **state)
{
	uint8_t p[2200] = { 0x80, 111 };

	connect_leg();
	turn_until(&ups, 2000);
	for (size_t n = 0; n < 13; n++)
		front_leg_media(conf.leg, p, n);
	front_leg_media(conf.leg, p, sizeof(p));
	front_leg_rtcp(conf.leg, p, sizeof(p));
	front_leg_rtcp(conf.leg, p, 0);
	turns(3);
	assert_int_equal(mdd.got_len, 0);
	for (size_t n = 0; n < 40; n++)
		mdd_send(p, n, NULL);
	turns(10);
	assert_int_equal(vault_packets, 0);
	assert_int_equal(losses, 0);
}

/* An MDD that was started anew answers that it knows nobody. */
static void
test_stranger_is_left(void **state)
{
	connect_leg();
	turn_until(&ups, 2000);
	mdd.stranger = true;
	turn_until(&losses, 9000);
	assert_int_equal(losses, 1);
	assert_non_null(strstr(lost_why, "does not know us"));
}

/* DTLS says goodbye while the leg is freed; that the port is closed by now
 * must not set timers of what is about to be gone. */
static void
test_freed_at_a_closed_port(void **state)
{
	connect_leg();
	turn_until(&ups, 2000);
	perc_loop_del(mdd.io);
	mdd.io = NULL;
	close(mdd.fd);
	mdd.fd = -1;
	front_leg_send(conf.leg, (const uint8_t *)"x", 1); /* is refused */
	front_leg_free(conf.leg);
	conf.leg = NULL;
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(losses, 0);
}

static void
test_no_address_no_leg(void **state)
{
	char why[256];

	strcpy(join.host, "media.example");
	assert_int_not_equal(front_leg_new(&conf.leg, &conf, conf.dtls_id,
				 &join, "mine", why, sizeof(why)),
	    0);
	assert_null(conf.leg);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_REQ_WS_6_3c_up_by_dtls_srtp),
		WITH(test_REQ_WS_6_3c_other_fingerprint_is_refused),
		WITH(test_field_is_outside_the_outer_layer),
		WITH(test_rtcp_both_ways),
		WITH(test_losses_are_mended_by_the_leg),
		WITH(test_new_speakers_are_heard),
		WITH(test_nothing_for_an_erased_vault),
		WITH(test_lengths_that_lie),
		WITH(test_stranger_is_left),
		WITH(test_farewell_is_believed),
		WITH(test_freed_at_a_closed_port),
		WITH(test_no_address_no_leg),
		WITH(test_a_broken_path_is_replaced),
		WITH(test_a_relay_alone_carries),
	};

	if (perc_srtcp_warm_up() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
