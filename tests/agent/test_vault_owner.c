/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another user of the same machine neither speaks as us nor hears what we
 * hear, though plain media is on loopback: the kernel says whose a socket is.
 * Another user is a child of root's that became nobody; each of its attempts
 * succeeds where the vault is told not to ask.
 */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tools/skip.h"
#include "vaultroom.h"

#define CONF   "c_owner"
#define NOBODY 65534

enum act { SPEAK, HEAR };

static int
setup(void **state)
{
	struct vaultroom *w = vaultroom_open(CONF, 2); /* Alice, Bob */
	unsigned i;

	for (i = 0; i < 2; i++)
		vault_owner_init(w->m[i]->vault,
		    socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			NETLINK_SOCK_DIAG));
	kit_roster_all(&w->kmf, &w->conf, w->m, 2);
	*state = w;
	return 0;
}

/*
 * A program of that user, with one socket: it sends a packet to the port, or
 * listens there and says what came first. It lives until other_end, because
 * the question is whose its socket is.
 */
struct other {
	pid_t pid;
	int out; /* its words */
};

static const char bye[] = "bye";

static int
other_run(enum act act, uint16_t port, int out)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint8_t p[2048] = { 0x80, 111, 0, 1 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (act == SPEAK &&
	    sendto(fd, p, 32, 0, (struct sockaddr *)&sin, sizeof(sin)) != 32)
		return 1;
	if (act == HEAR && bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0)
		return 1;
	if (write(out, "r", 1) != 1)
		return 1;
	if (act == HEAR && recv(fd, p, sizeof(p), 0) > 0 &&
	    write(out, memcmp(p, bye, sizeof(bye)) == 0 ? "b" : "h", 1) != 1)
		return 1;
	pause();
	return 0;
}

static void
other_start(struct other *o, uid_t uid, enum act act, uint16_t port)
{
	int tell[2];
	char c;

	assert_int_equal(pipe(tell), 0);
	if ((o->pid = fork()) == 0) {
		if (uid != getuid() && setresuid(uid, uid, uid) != 0)
			_exit(1);
		_exit(other_run(act, port, tell[1]));
	}
	assert_true(o->pid > 0);
	close(tell[1]);
	o->out = tell[0];
	assert_int_equal(read(o->out, &c, 1), 1);
}

static void
other_end(struct other *o)
{
	(void)kill(o->pid, SIGKILL);
	(void)waitpid(o->pid, NULL, 0);
	close(o->out);
}

/* Did it hear anything before our goodbye? */
static bool
other_heard(struct other *o, struct kit *k, uint16_t port)
{
	char c = 0;

	kit_app_send_to(k, port, bye, sizeof(bye));
	assert_int_equal(read(o->out, &c, 1), 1);
	return c == 'h';
}

static void
speaks(struct vaultroom *w, uid_t uid)
{
	struct other o;

	other_start(&o, uid, SPEAK, w->m[0]->port[0][0]);
	kit_settle(w->m[0], 20);
	other_end(&o);
}

static void
test_another_user_does_not_speak(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];

	if (getuid() != 0)
		skip_because("only root can become another user");
	assert_true(vault_owner_known(a->vault));
	speaks(w, NOBODY);
	assert_int_equal(kit_counter(a, CONF, "local_strangers"), 1);
	assert_int_equal(kit_counter(a, CONF, "sent"), 0);
	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 20);
	speaks(w, NOBODY);
	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 20);
	assert_int_equal(kit_counter(a, CONF, "local_strangers"), 2);
	assert_int_equal(kit_counter(a, CONF, "sent"), 2);
	w->kmf.config.local_any_user = true;
	speaks(w, NOBODY);
	assert_int_equal(kit_counter(a, CONF, "sent"), 3);
}

/* A flood of strangers costs a bounded number of questions. */
static void
test_strangers_do_not_push_us_out(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];
	struct vault_peer k = { 0 };
	struct sockaddr_in who = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned i;
	uint32_t seq;

	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 20);
	seq = a->vault->owner.seq;
	for (i = 1; i <= 5000; i++) {
		who.sin_port = htons((uint16_t)i);
		assert_false(vault_sender_ours(
		    a->vault, &k, a->port[0][0], &who, perc_boot_ms()));
	}
	assert_in_range(a->vault->owner.seq - seq, 1, 400);
	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 20);
	assert_int_equal(kit_counter(a, CONF, "sent"), 2);
}

static bool
hears(struct vaultroom *w, uid_t uid)
{
	struct kit *a = w->m[0], *b = w->m[1];
	uint16_t port = kit_port(b, a->ssrc[0]);
	struct other o;
	bool heard;

	other_start(&o, uid, HEAR, port);
	for (unsigned i = 0; i < 3; i++) {
		kit_app_send(a, VAULT_AUDIO, 111);
		kit_settle(a, 15);
		kit_carry(a, w->m, 2);
		kit_settle(b, 15);
	}
	heard = other_heard(&o, b, port);
	other_end(&o);
	return heard;
}

static void
test_another_user_does_not_hear(void **state)
{
	struct vaultroom *w = *state;
	struct kit *b = w->m[1];

	if (getuid() != 0)
		skip_because("only root can become another user");
	assert_false(hears(w, NOBODY));
	assert_int_equal(kit_counter(b, CONF, "delivered"), 0);
	assert_int_equal(kit_counter(b, CONF, "opened"), 3);
	assert_true(hears(w, getuid()));
	assert_false(hears(w, NOBODY)); /* the port passed to somebody else */
	w->kmf.config.local_any_user = true;
	assert_true(hears(w, NOBODY));
}

/* Where the kernel cannot tell, nothing is asked, and READY says so. */
static void
test_without_an_answer(void **state)
{
	struct vaultroom *w = *state;
	struct kit *a = w->m[0];

	vault_owner_clear(a->vault);
	vault_owner_init(a->vault, dup(a->app)); /* no netlink socket */
	assert_false(vault_owner_known(a->vault));
	kit_app_send(a, VAULT_AUDIO, 111);
	kit_settle(a, 20);
	assert_int_equal(kit_counter(a, CONF, "sent"), 1);
}

int
main(void)
{
#define t(f) cmocka_unit_test_setup_teardown(f, setup, vaultroom_close)
	const struct CMUnitTest tests[] = {
		t(test_another_user_does_not_speak),
		t(test_strangers_do_not_push_us_out),
		t(test_another_user_does_not_hear),
		t(test_without_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
