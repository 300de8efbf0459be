/* SPDX-License-Identifier: Apache-2.0 */
/* A leg's ways to the distributor: one that breaks, and one by a relay alone.
 */
#include "tests/agent/legkit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/turnmsg.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_a_broken_path_is_replaced),
		WITH(test_a_relay_alone_carries),
	};

	if (perc_srtcp_warm_up() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
