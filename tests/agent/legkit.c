/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distributor that tests of a leg speak with, made of the same core: an
 * ICE-lite answerer and a DTLS server in the leg's own loop. It trusts what it
 * is told of the leg and asserts the rest.
 */
#include "tests/agent/legkit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/turnmsg.h"
#include "perc/rtp.h"
#include "perc/stun.h"

/* ---- what the leg calls ------------------------------------------------- */

unsigned ups, losses, vault_packets;
char lost_why[256];
uint8_t vault_got[2048];
size_t vault_len;
enum vault_msg vault_type;

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

struct legkit_mdd mdd;

struct perc_loop *loop;
struct agent agent;
struct front_conf conf;
struct front_join join;

void
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

int
legkit_setup(void **state)
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

int
legkit_teardown(void **state)
{
	front_leg_free(conf.leg);
	mdd_close();
	perc_dtls_id_free(conf.dtls_id);
	perc_loop_free(loop);
	return 0;
}

void
connect_leg(void)
{
	char why[256];

	assert_int_equal(front_leg_new(&conf.leg, &conf, conf.dtls_id, &join,
			     "mine", why, sizeof(why)),
	    0);
}

void
turn_until(const unsigned *what, int ms)
{
	int64_t end = perc_now_ms() + ms;

	while (*what == 0 && perc_now_ms() < end) {
		assert_int_equal(perc_loop_turn(loop, 20), 0);
		front_leg_turn(conf.leg);
	}
}

void
turns(int n)
{
	for (int i = 0; i < n; i++) {
		front_leg_turn(conf.leg);
		assert_int_equal(perc_loop_turn(loop, 10), 0);
	}
}

/* A packet as the vault gives it: header, sealed payload, OHB, Short field. */
size_t
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
