/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REQ-W-3.1, REQ-W-3.3, REQ-J-4.3: where keys lie and that they go. A child
 * is the vault, in secret memory as in life, with one thing added: it looks
 * for octets in all of its own writable memory. They come masked, so that
 * the question does not put them there. The parent is KMF and front, and
 * knows every key, the sender's own too, out of a Full field.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "perc/b64.h"
#include "perc/json.h"
#include "perc/proc.h"
#include "perc/tail.h"
#include "tests/tools/skip.h"
#include "vaultkit.h"

#define CONF "c_erase"
#define MASK 0xa5

struct question { /* over the control pipe */
	uint8_t n;
	uint8_t masked[64];
};

struct finding {
	uint32_t all, outside; /* outside: not in memfd_secret pages */
};

/* ---- the child ------------------------------------------------------------
 */

static uint32_t
count_in(const volatile uint8_t *p, size_t size, const struct question *q)
{
	uint32_t found = 0;
	size_t i, k;

	for (i = 0; i + q->n <= size; i++) {
		for (k = 0; k < q->n; k++)
			if ((p[i + k] ^ MASK) != q->masked[k])
				break;
		found += k == q->n;
	}
	return found;
}

static struct finding
look(const struct question *q)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	struct finding f = { 0, 0 };
	unsigned long from, to;
	char line[512], mode[8];
	uint32_t n;

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 ||
		    strncmp(mode, "rw", 2) != 0)
			continue;
		n = count_in((const uint8_t *)from, to - from, q);
		f.all += n;
		if (strstr(line, "secretmem") == NULL)
			f.outside += n;
	}
	fclose(maps);
	return f;
}

static void
on_question(int fd, uint32_t events, void *arg)
{
	struct question q;
	struct finding f;

	if (read(fd, &q, sizeof(q)) != sizeof(q))
		exit(0);
	f = look(&q);
	if (write(fd, &f, sizeof(f)) != sizeof(f))
		exit(1);
}

static int
child(int chan, int ctl)
{
	static char jwks[4096];
	static struct vault_config config;
	struct vault_setup s = { .config = &config,
		.report = "{}",
		.chan_fd = chan,
		.out_fd = -1,
		.out_base = 20000 };
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	enum perc_secmem_level level;
	struct perc_loop *l;
	struct perc_io *io;
	struct vault *v;
	ssize_t n;

	if (perc_secmem_init(4u << 20) != 0 ||
	    (n = read(ctl, jwks, sizeof(jwks))) <= 0)
		return 2;
	config.nkmf = 1;
	config.kmf[0].url = strdup(KIT_KMF);
	memset(s.local_fd, 0xff, sizeof(s.local_fd));
	s.local_fd[0][0][0] = socket(AF_INET, SOCK_DGRAM, 0);
	if (perc_jwks_from_json(&config.kmf[0].set, jwks, (size_t)n) != 0 ||
	    bind(s.local_fd[0][0][0], (struct sockaddr *)&sin, len) != 0 ||
	    getsockname(s.local_fd[0][0][0], (struct sockaddr *)&sin, &len) !=
		0 ||
	    perc_loop_new(&l) != 0 || vault_new(&v, l, &s) != 0 ||
	    perc_loop_add(l, &io, ctl, EPOLLIN, on_question, NULL) != 0)
		return 3;
	level = perc_secmem_level();
	if (write(ctl, &sin.sin_port, 2) != 2 ||
	    write(ctl, &level, sizeof(level)) != sizeof(level))
		return 4;
	return perc_loop_run(l) == 0 ? 0 : 5;
}

/* ---- the parent -----------------------------------------------------------
 */

static int chan_fd, ctl_fd;

static struct finding
find(const void *p, size_t n)
{
	struct question q = { .n = (uint8_t)n };
	struct finding f;
	size_t i;

	for (i = 0; i < n; i++)
		q.masked[i] = ((const uint8_t *)p)[i] ^ MASK;
	assert_int_equal(write(ctl_fd, &q, sizeof(q)), sizeof(q));
	assert_int_equal(read(ctl_fd, &f, sizeof(f)), sizeof(f));
	return f;
}

static int
on_msg(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kit *k = arg;
	struct kit_msg *q = &k->q[k->nq++];

	*q = (struct kit_msg){ m->type, m->id, malloc(m->len + 1), m->len };
	memcpy(q->data, m->data, m->len);
	return 0;
}

static const struct perc_chan_rule rules[] = {
	{ VAULT_READY, ~0u, 65536, on_msg },
	{ VAULT_DONE, ~0u, 65536, on_msg },
	{ VAULT_ERASED, ~0u, 65536, on_msg },
	{ VAULT_STREAMS, ~0u, 65536, on_msg },
	{ VAULT_SPEAKING, ~0u, 65536, on_msg },
	{ VAULT_MEDIA_OUT, ~0u, 65536, on_msg },
};

static enum perc_secmem_level
meet(struct kit *k, struct kit_kmf *kmf)
{
	enum perc_secmem_level level;
	char *pub, *set;
	struct kit_msg m;
	struct perc_wire w;
	const char *seal;
	uint16_t port;

	kit_kmf_open(kmf);
	assert_int_equal(perc_jwk_public_json(&pub, kmf->key), 0);
	assert_true(asprintf(&set, "{\"keys\":[%s]}", pub) > 0);
	assert_int_equal(write(ctl_fd, set, strlen(set)), (ssize_t)strlen(set));
	perc_json_free(pub);
	free(set);
	assert_int_equal(read(ctl_fd, &port, 2), 2);
	assert_int_equal(read(ctl_fd, &level, sizeof(level)), sizeof(level));
	k->port[0][0] = ntohs(port);
	assert_int_equal(perc_loop_new(&k->loop), 0);
	assert_int_equal(perc_chan_new(&k->chan, k->loop, chan_fd, rules,
			     sizeof(rules) / sizeof(rules[0]), NULL, k),
	    0);
	assert_true(kit_wait(k, VAULT_READY, kit_send(k, VAULT_HELLO, 0), &m));
	perc_wire_reader(&w, m.data, m.len);
	perc_wire_get_str(&w);
	seal = perc_wire_get_str(&w);
	assert_int_equal(
	    perc_jwk_from_json(&k->seal, seal, strlen(seal), true), 0);
	kit_msg_clear(&m);
	k->app = socket(AF_INET, SOCK_DGRAM, 0);
	strcpy(k->member, "m_x");
	k->ssrc[0] = 17;
	k->ssrc[1] = 18;
	perc_random(k->delivery, sizeof(k->delivery));
	return level;
}

/* The sender's own key, from its next Full field. */
static void
own_key(struct kit *k, const struct kit_conf *c, uint8_t key[32])
{
	struct perc_enckey set = { .keylen = 16,
		.cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.spi = c->spi,
		.ttl_s = 9 };
	struct perc_ekt *ekt;
	struct perc_tail t;
	struct kit_msg m;
	uint32_t roc;
	size_t n;

	kit_settle(k, 20);
	kit_drop(k, VAULT_MEDIA_OUT);
	memcpy(set.key, c->key, 16);
	memcpy(set.salt, c->salt, 12);
	kit_app_send(k, VAULT_AUDIO, 111);
	assert_true(kit_wait(k, VAULT_MEDIA_OUT, 0, &m));
	assert_int_equal(perc_tail_find(&t, m.data, m.len), 0);
	assert_int_equal(t.type, PERC_TAIL_FULL);
	assert_int_equal(perc_ekt_new(&ekt), 0);
	assert_int_equal(perc_ekt_add(ekt, &set, INT64_MAX), 0);
	assert_int_equal(perc_ekt_unwrap(ekt, t.spi, t.ciphertext,
			     t.ciphertext_len, k->ssrc[0], key, &n, &roc),
	    0);
	perc_ekt_free(ekt);
	kit_msg_clear(&m);
}

static void
is_held(const void *p, size_t n, bool secret)
{
	struct finding f = find(p, n);

	assert_true(f.all > 0); /* the search can find */
	if (secret)
		assert_int_equal(f.outside, 0);
}

static void
is_gone(const void *p, size_t n)
{
	assert_int_equal(find(p, n).all, 0);
}

/* Neither text of an answer or a statement lingers. */
static void
text_gone(const void *p, size_t n)
{
	char b64[64];

	perc_b64_put(b64, p, n);
	is_gone(b64, strlen(b64) - 1);
}

static void
test_REQ_W_3_3_keys_go(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));
	uint8_t first[32] = { 0 }, second[32] = { 0 };
	struct kit_conf c, old;
	struct kit_kmf kmf;
	bool secret;
	unsigned i;
	char *jwe;

#ifdef PERCH_SANITIZED
	free(k);
	skip_because("a sanitizer keeps what was freed");
#endif
	secret = meet(k, &kmf) == PERC_SECMEM_SECRET;
	kit_conf_init(&c, CONF);
	old = c;
	kit_join(k, &kmf, &c);
	own_key(k, &c, first);
	is_held(c.key, 16, secret);
	is_held(k->delivery, 32, secret);
	is_held(first, 16, secret);
	text_gone(c.key, 16);
	text_gone(k->delivery, 32);

	kit_conf_rekey(&c);
	kit_push(k, &kmf, &c);
	own_key(k, &c, second);
	is_held(old.key, 16, secret); /* REQ-F-4.5f: for late packets */
	is_held(c.key, 16, secret);
	is_held(second, 16, secret);
	for (i = 0; i < 23; i++) { /* overlap_ms of the test's policy: 1000 */
		kit_app_send(k, VAULT_AUDIO, 111);
		kit_settle(k, 50);
	}
	is_gone(old.key, 16);
	is_gone(first, 16);
	is_held(c.key, 16, secret);

	kit_conf_rekey(&c); /* by KEY: another delivery key comes with it */
	memcpy(first, k->delivery, 32);
	perc_random(k->delivery, sizeof(k->delivery));
	jwe = kit_answer(&kmf, &c, k, NULL);
	assert_int_equal(kit_err(kit_call(k, VAULT_KEY, 2, CONF, jwe)), 0);
	free(jwe);
	is_gone(first, 32);
	is_held(k->delivery, 32, secret);
	own_key(k, &c, second);

	assert_int_equal(kit_err(kit_call(k, VAULT_LEAVE, 1, CONF)), 0);
	is_gone(old.key, 16);
	is_gone(c.key, 16);
	is_gone(k->delivery, 32);
	is_gone(first, 16);
	is_gone(second, 16);
	text_gone(c.key, 16);

	perc_chan_free(k->chan);
	perc_loop_free(k->loop);
	perc_jwk_free(k->seal);
	kit_kmf_close(&kmf);
	close(k->app);
	for (i = 0; i < k->nq; i++)
		free(k->q[i].data);
	free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_REQ_W_3_3_keys_go),
	};
	int chan[2], ctl[2], r;
	pid_t pid;

	/* Before any library is touched: the child inherits nothing. */
	if (perc_proc_pair(chan) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, ctl) != 0)
		return 99;
	if ((pid = fork()) == 0) {
		close(chan[0]);
		close(ctl[0]);
		_exit(child(chan[1], ctl[1]));
	}
	close(chan[1]);
	close(ctl[1]);
	chan_fd = chan[0];
	ctl_fd = ctl[0];
	r = cmocka_run_group_tests(tests, NULL, NULL);
	close(ctl_fd);
	(void)waitpid(pid, NULL, 0);
	return r;
}
