/* SPDX-License-Identifier: Apache-2.0 */
/* mdd/msg.c: what goes in comes out; a peer that lies about lengths, counts
 * or text is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mdd/msg.h"

union any {
	struct mdd_setup setup;
	struct mdd_ready ready;
	struct mdd_join join;
	struct mdd_joined joined;
	struct mdd_renew renew;
	struct mdd_leave leave;
	struct mdd_stats stats;
	struct mdd_dial dial;
};

/* Each get over a heap copy of exactly n octets. */
static int
get_any(unsigned kind, union any *m, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n + 1);
	int r = PERC_ERR_INVAL;

	assert_non_null(copy);
	memcpy(copy, p, n);
	switch (kind) {
	case 0:
		r = mdd_setup_get(&m->setup, copy, n);
		break;
	case 1:
		r = mdd_ready_get(&m->ready, copy, n);
		break;
	case 2:
		r = mdd_join_get(&m->join, copy, n);
		break;
	case 3:
		r = mdd_joined_get(&m->joined, copy, n);
		break;
	case 4:
		r = mdd_renew_get(&m->renew, copy, n);
		break;
	case 5:
		r = mdd_leave_get(&m->leave, copy, n);
		break;
	case 6:
		r = mdd_stats_get(&m->stats, copy, n);
		break;
	case 7:
		r = mdd_dial_get(&m->dial, copy, n);
		break;
	}
	free(copy);
	return r;
}

static int
put_any(unsigned kind, const union any *m, uint8_t *out)
{
	switch (kind) {
	case 0:
		return mdd_setup_put(out, &m->setup);
	case 1:
		return mdd_ready_put(out, &m->ready);
	case 2:
		return mdd_join_put(out, &m->join);
	case 3:
		return mdd_joined_put(out, &m->joined);
	case 4:
		return mdd_renew_put(out, &m->renew);
	case 5:
		return mdd_leave_put(out, &m->leave);
	case 7:
		return mdd_dial_put(out, &m->dial);
	default:
		return mdd_stats_put(out, &m->stats);
	}
}

static void
fill(unsigned kind, union any *m)
{
	unsigned i;

	memset(m, 0, sizeof(*m));
	switch (kind) {
	case 0:
		m->setup = (struct mdd_setup){ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
			11, 12, 3, 14 };
		break;
	case 1:
		memset(m->ready.fp, 0xab, sizeof(m->ready.fp));
		break;
	case 2:
		m->join.link = MDD_LINK_PEER;
		m->join.dial = true;
		strcpy(m->join.leg, "l_abc");
		strcpy(m->join.conference, "k/c_1");
		strcpy(m->join.member, "m_1");
		memset(m->join.pin, 0xcd, sizeof(m->join.pin));
		m->join.nssrcs = 8;
		for (i = 0; i < 8; i++)
			m->join.ssrcs[i] = 0xfffffff0 + i;
		m->join.live_ms = UINT64_MAX / 4;
		memset(m->join.from, 0xef, sizeof(m->join.from));
		break;
	case 3:
		m->joined.err = PERC_ERR_LIMIT;
		strcpy(m->joined.leg, "l_abc");
		strcpy(m->joined.ufrag, "AbCdEfGh");
		strcpy(m->joined.pwd, "012345678901234567890123");
		break;
	case 4:
		strcpy(m->renew.leg, "l_abc");
		m->renew.live_ms = 77;
		break;
	case 5:
		strcpy(m->leave.leg, "l_abc");
		m->leave.why = MDD_LEGS_SILENT;
		break;
	case 6:
		for (i = 0; i < MDD_COUNTS; i++)
			m->stats.v[i] = UINT64_MAX - i;
		break;
	case 7:
		strcpy(m->dial.leg, "k_abc");
		memset(m->dial.pin, 0xee, sizeof(m->dial.pin));
		strcpy(m->dial.host, "2001:db8::1");
		m->dial.port = 65535;
		m->dial.odd = true;
		strcpy(m->dial.ufrag, "AbCdEfGh");
		strcpy(m->dial.pwd, "012345678901234567890123");
		break;
	}
}

static void
test_round_trip(void **state)
{
	uint8_t buf[MDD_MSG_MAX];
	union any a, b;
	unsigned k;
	int n;

	for (k = 0; k < 8; k++) {
		fill(k, &a);
		memset(&b, 0, sizeof(b));
		n = put_any(k, &a, buf);
		assert_true(n > 0);
		assert_int_equal(get_any(k, &b, buf, (size_t)n), 0);
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

static void
test_lengths(void **state)
{
	uint8_t buf[MDD_MSG_MAX + 1];
	union any a, b;
	unsigned k, i;
	int n, len;

	for (k = 0; k < 8; k++) {
		fill(k, &a);
		memset(buf, 0, sizeof(buf));
		len = put_any(k, &a, buf);
		for (n = 0; n < len; n++)
			assert_int_not_equal(get_any(k, &b, buf, (size_t)n), 0);
		assert_int_not_equal(get_any(k, &b, buf, (size_t)len + 1), 0);
		/* Every octet takes hostile values; the sanitizer watches. */
		for (n = 0; n < len; n++)
			for (i = 0; i < 256; i += 5) {
				uint8_t save = buf[n];

				buf[n] = (uint8_t)i;
				(void)!get_any(k, &b, buf, (size_t)len);
				buf[n] = save;
			}
	}
}

static void
test_values(void **state)
{
	struct mdd_join j;
	struct mdd_joined a;
	struct mdd_leave q;
	uint8_t buf[MDD_MSG_MAX];
	union any m;
	int n;

	fill(2, &m);
	m.join.nssrcs = 8;
	n = mdd_join_put(buf, &m.join);
	/* the count, before the SSRCs, the time, the address, two texts and two
	 * flags */
	buf[n - 1 - 8 - 32 - 2 - 10 - MDD_IP_LEN - (int)strlen(m.join.ufrag) -
	    (int)strlen(m.join.pwd)] = 9;
	assert_int_not_equal(mdd_join_get(&j, buf, (size_t)n), 0);
	n = mdd_join_put(buf, &m.join);
	buf[n - 1] = 2; /* a flag */
	assert_int_not_equal(mdd_join_get(&j, buf, (size_t)n), 0);
	m.join.nssrcs = 0; /* a member does not wait for DIAL */
	m.join.link = MDD_LINK_NONE;
	n = mdd_join_put(buf, &m.join);
	assert_int_equal(mdd_join_get(&j, buf, (size_t)n), PERC_ERR_FORMAT);
	m.join.link = MDD_LINK_KINDS;
	n = mdd_join_put(buf, &m.join);
	assert_int_equal(mdd_join_get(&j, buf, (size_t)n), PERC_ERR_FORMAT);
	fill(3, &m);
	n = mdd_joined_put(buf, &m.joined);
	buf[3] = 200; /* no such error */
	assert_int_not_equal(mdd_joined_get(&a, buf, (size_t)n), 0);
	fill(5, &m);
	m.leave.why = MDD_COUNTS;
	n = mdd_leave_put(buf, &m.leave);
	assert_int_not_equal(mdd_leave_get(&q, buf, (size_t)n), 0);
}

static void
test_plan(void **state)
{
	struct mdd_join m = { .planned = true }, got;
	uint8_t buf[MDD_MSG_MAX];
	unsigned i;
	int n, k;

	mdd_plan_init(&m.plan);
	m.plan.pt[MDD_OPUS] = 111;
	m.plan.ext[4] = 14;
	m.plan.rtx[MDD_VP8] = 97;
	m.plan.nrepairs = MDD_PLAN_REPAIRS;
	for (i = 0; i < MDD_PLAN_REPAIRS; i++) {
		m.plan.repair[i].rtx = 0xffffff00 + i;
		m.plan.repair[i].media = i;
	}
	m.plan.nlines = MDD_PLAN_LINES;
	for (i = 0; i < MDD_PLAN_LINES; i++) {
		memset(m.plan.line[i].mid, 'a' + (int)i, MDD_PLAN_MID);
		m.plan.line[i].video = i % 2 == 0;
		m.plan.line[i].hears = i % 3 == 0;
	}
	memset(m.ufrag, 'u', MDD_ICE_MAX);
	memset(m.pwd, 'p', MDD_ICE_MAX);
	memset(m.conference, 'c', MDD_CONF_KEY_MAX);
	memset(m.member, 'm', MDD_TOKEN_ID_MAX);
	m.nssrcs = MDD_TOKEN_SSRCS;
	n = mdd_join_put(buf, &m); /* the longest there can be */
	assert_true(n > 0);
	assert_int_equal(mdd_join_get(&got, buf, (size_t)n), 0);
	assert_memory_equal(&got, &m, sizeof(m));
	for (k = 0; k < n; k++)
		assert_int_not_equal(mdd_join_get(&got, buf, (size_t)k), 0);
	m.plan.line[0].mid[0] = '\0';
	m.plan.nlines = 1;
	m.plan.nrepairs = 0;
	n = mdd_join_put(buf, &m);
	buf[n - 6] = 4; /* flags of the m-line, before its empty mid */
	assert_int_not_equal(mdd_join_get(&got, buf, (size_t)n), 0);
	buf[n - 6] = 0;
	buf[n - 7] = MDD_PLAN_LINES + 1; /* m-lines */
	assert_int_not_equal(mdd_join_get(&got, buf, (size_t)n), 0);
	buf[n - 7] = 1;
	buf[n - 8] = 15; /* an id of the two-byte form */
	assert_int_not_equal(mdd_join_get(&got, buf, (size_t)n), 0);
	buf[n - 8] = 0;
	k = n - 7 - MDD_PLAN_EXTS - 1;
	buf[k] = MDD_PLAN_REPAIRS + 1; /* SSRCs that repair */
	assert_int_not_equal(mdd_join_get(&got, buf, (size_t)n), 0);
	buf[k] = 0;
	assert_int_equal(mdd_join_get(&got, buf, (size_t)n), 0);
	for (i = 1; i <= 2; i++) { /* no payload type: of a repair, a codec */
		buf[k - 1 - (int)((i - 1) * MDD_CODECS)] = 128;
		assert_int_not_equal(mdd_join_get(&got, buf, (size_t)n), 0);
		buf[k - 1 - (int)((i - 1) * MDD_CODECS)] = MDD_PLAN_NONE;
	}
}

static void
test_descriptor(void **state)
{
	struct mdd_worker_note n = { 3, 40003 }, got;
	int sv[2], p[2], fd = -1;
	char c = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(mdd_pass_recv(sv[1], &got, &fd), PERC_ERR_AGAIN);
	assert_int_equal(mdd_pass_send(sv[0], &n, p[1]), 0);
	assert_int_equal(mdd_pass_recv(sv[1], &got, &fd), 0);
	assert_int_equal(got.index, 3);
	assert_int_equal(got.port, 40003);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	(void)close(fd);
	assert_int_equal(send(sv[0], "12345678", 8, 0), 8); /* no fd */
	assert_int_equal(mdd_pass_recv(sv[1], &got, &fd), PERC_ERR_FORMAT);
	(void)close(sv[0]);
	assert_int_equal(mdd_pass_recv(sv[1], &got, &fd), PERC_ERR_CLOSED);
	(void)close(sv[1]);
	(void)close(p[0]);
	(void)close(p[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_descriptor),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
