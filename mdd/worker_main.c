/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a media process: harden, warm every library up, close the cage,
 * and only then hear control's limits and the network. It starts with three
 * descriptors and opens nothing ever after; when control is gone it ends.
 */
#include "mdd/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "mdd/intake.h"
#include "mdd/role.h"
#include "mdd/taste.h"
#include "perc/gcm_mb.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/secret.h"

#define WORKER_UDP     PERC_PROC_FD
#define WORKER_CHAN    (PERC_PROC_FD + 1)
#define WORKER_LOBBY   (PERC_PROC_FD + 2)
#define WORKER_TICK_MS 1000

enum worker_state { WORKER_NEW = 1, WORKER_RUNS = 2 };

struct worker_proc {
	struct mdd_worker w;
	struct mdd_intake *in;
};

/* ---- control ---------------------------------------------------------- */

static void
stats_send(struct mdd_worker *w)
{
	struct mdd_stats s;
	uint8_t buf[MDD_MSG_MAX];
	int n;

	memcpy(s.v, w->count, sizeof(s.v));
	if ((n = mdd_stats_put(buf, &s)) > 0 &&
	    perc_chan_send(w->chan, MDD_MSG_STATS, 0, buf, (size_t)n) != 0)
		log_warnx("control does not hear us");
}

static void
legs_flush(struct mdd_worker *w, struct mdd_legstats *m)
{
	uint8_t buf[MDD_MSG_MAX];
	int n = mdd_legstats_put(buf, m);

	if (m->n > 0 && n > 0 &&
	    perc_chan_send(w->chan, MDD_MSG_LEGS, 0, buf, (size_t)n) != 0)
		log_warnx("control does not hear us");
	m->n = 0;
}

/* Each leg of ours, as long as control wants to know of so many. */
static void
legs_send(struct mdd_worker *w)
{
	uint32_t left = w->legs.limits.metrics_legs, i;
	struct mdd_legstats m = { 0 };
	const struct mdd_leg *leg;
	struct mdd_legstat *s;

	for (i = 0; i < w->legs.limits.max_legs && left > 0; i++) {
		leg = &w->legs.pool[i];
		if (leg->state == MDD_LEG_FREE)
			continue;
		left--;
		s = &m.leg[m.n++];
		memcpy(s->leg, leg->id, sizeof(s->leg));
		s->rx = leg->came;
		s->rx_octets = leg->came_octets;
		s->taken = leg->taken;
		s->tx = leg->sent;
		s->tx_octets = leg->sent_octets;
		s->rtt_ms = (uint32_t)leg->report.rtt_ms;
		s->lost = leg->report.loss;
		s->kbps = (uint32_t)(leg->bps / 1000);
		if (m.n == MDD_LEGSTATS_MAX)
			legs_flush(w, &m);
	}
	legs_flush(w, &m);
}

static void
cpu_count(struct mdd_worker *w)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) == 0)
		w->count[MDD_CPU_MS] =
		    (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
		    (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static void
tick(void *arg)
{
	struct worker_proc *p = arg;
	int64_t now = perc_now_ms();

	mdd_worker_tick(&p->w, now);
	mdd_intake_tick(p->in, now);
	cpu_count(&p->w);
	stats_send(&p->w);
	legs_send(&p->w);
	if (perc_timer_set(p->w.loop, &p->w.tick, WORKER_TICK_MS, tick, p) != 0)
		fatalx("no timer");
}

static int
on_setup(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct worker_proc *p = arg;
	struct mdd_ready ready;
	struct mdd_setup s;
	uint8_t buf[MDD_MSG_MAX];
	int n, r;

	if ((r = mdd_setup_get(&s, m->data, m->len)) != 0)
		return r;
	if ((r = mdd_worker_init(&p->w, p->w.loop, WORKER_UDP, &s)) != 0)
		fatalx("cannot make the pools: %s", perc_strerror(r));
	if ((r = mdd_intake_start(p->in)) != 0)
		fatal("cannot watch the media sockets");
	perc_log_level_set((enum perc_log_level)s.log_level);
	perc_chan_state_set(c, WORKER_RUNS);
	perc_dtls_id_fingerprint(p->w.id, ready.fp);
	tick(p);
	if ((n = mdd_ready_put(buf, &ready)) < 0)
		return n;
	return perc_chan_send(c, MDD_MSG_READY, 0, buf, (size_t)n);
}

static int
on_limits(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct worker_proc *p = arg;
	struct mdd_setup s, *now = &p->w.legs.limits;
	int r;

	if ((r = mdd_setup_get(&s, m->data, m->len)) != 0)
		return r;
	now->max_leg_pps = s.max_leg_pps;
	now->max_leg_kbps = s.max_leg_kbps;
	now->idle_ms = s.idle_ms;
	now->metrics_legs = s.metrics_legs;
	perc_log_level_set((enum perc_log_level)s.log_level);
	return 0;
}

static int
joined_send(struct perc_chan *c, uint32_t id, int err, const char *name,
    const struct mdd_leg *leg)
{
	struct mdd_joined a = { .err = err };
	uint8_t buf[MDD_MSG_MAX];
	int n, r;

	memcpy(a.leg, name, sizeof(a.leg));
	if (err == 0) {
		memcpy(a.ufrag, leg->ufrag, sizeof(a.ufrag));
		memcpy(a.pwd, leg->pwd, sizeof(a.pwd));
	}
	n = mdd_joined_put(buf, &a);
	perc_wipe(&a, sizeof(a));
	if (n < 0)
		return n;
	r = perc_chan_send(c, MDD_MSG_JOINED, id, buf, (size_t)n);
	perc_wipe(buf, sizeof(buf));
	return r;
}

static int
on_join(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct worker_proc *p = arg;
	struct mdd_leg *leg = NULL;
	struct mdd_join j;
	int r;

	if ((r = mdd_join_get(&j, m->data, m->len)) != 0)
		return r;
	if ((r = mdd_leg_join(&p->w.legs, &j, perc_now_ms(), &leg)) == 0)
		p->w.count[MDD_LEGS_JOINED]++;
	r = joined_send(c, m->id, r, j.leg, leg);
	perc_wipe(&j, sizeof(j));
	return r;
}

static int
on_restart(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct worker_proc *p = arg;
	struct mdd_restart q;
	struct mdd_leg *leg;
	int r;

	if ((r = mdd_restart_get(&q, m->data, m->len)) != 0)
		return r;
	if ((leg = mdd_leg_by_id(&p->w.legs, q.leg)) == NULL)
		return 0; /* LEFT is on its way */
	mdd_ice_restart(&p->w, leg, q.ufrag, q.pwd);
	perc_wipe(&q, sizeof(q));
	return joined_send(c, m->id, 0, leg->id, leg);
}

static int
on_dial(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct worker_proc *p = arg;
	struct mdd_leg *leg;
	struct mdd_dial q;
	int r;

	if ((r = mdd_dial_get(&q, m->data, m->len)) != 0)
		return r;
	leg = mdd_leg_by_id(&p->w.legs, q.leg);
	if (leg != NULL && leg->link != NULL)
		mdd_link_dial(&p->w, leg, &q, perc_now_ms());
	perc_wipe(&q, sizeof(q));
	return 0;
}

static int
on_renew(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct worker_proc *p = arg;
	struct mdd_renew q;
	struct mdd_leg *leg;
	int r;

	if ((r = mdd_renew_get(&q, m->data, m->len)) != 0)
		return r;
	if ((leg = mdd_leg_by_id(&p->w.legs, q.leg)) != NULL)
		leg->ends_ms = perc_now_ms() + (int64_t)q.live_ms;
	return 0;
}

static int
on_leave(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct worker_proc *p = arg;
	struct mdd_leave q;
	struct mdd_leg *leg;
	int r;

	if ((r = mdd_leave_get(&q, m->data, m->len)) != 0)
		return r;
	if ((leg = mdd_leg_by_id(&p->w.legs, q.leg)) != NULL)
		mdd_leg_end(&p->w.legs, leg,
		    q.why == MDD_LEGS_DRAINED ? MDD_LEGS_DRAINED
					      : MDD_LEGS_LEFT);
	mdd_batch_flush(p->w.out);
	return 0;
}

static int
on_subscribe(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct worker_proc *p = arg;
	struct mdd_subscribe q;
	struct mdd_leg *leg;
	int r;

	if ((r = mdd_subscribe_get(&q, m->data, m->len)) != 0)
		return r;
	if ((leg = mdd_leg_by_id(&p->w.legs, q.leg)) != NULL)
		mdd_select_taste(leg, &q.taste);
	return 0;
}

static const struct perc_chan_rule rules[] = {
	{ MDD_MSG_SETUP, WORKER_NEW, MDD_MSG_MAX, on_setup },
	{ MDD_MSG_LIMITS, WORKER_RUNS, MDD_MSG_MAX, on_limits },
	{ MDD_MSG_JOIN, WORKER_RUNS, MDD_MSG_MAX, on_join },
	{ MDD_MSG_RENEW, WORKER_RUNS, MDD_MSG_MAX, on_renew },
	{ MDD_MSG_RESTART, WORKER_RUNS, MDD_MSG_MAX, on_restart },
	{ MDD_MSG_DIAL, WORKER_RUNS, MDD_MSG_MAX, on_dial },
	{ MDD_MSG_LEAVE, WORKER_RUNS, MDD_MSG_MAX, on_leave },
	{ MDD_MSG_SUBSCRIBE, WORKER_RUNS, MDD_MSG_MAX, on_subscribe },
};

static void
control_gone(struct perc_chan *c, int why, void *arg)
{
	struct worker_proc *p = arg;

	perc_loop_stop(p->w.loop);
}

/* ---- memory */

/* What OpenSSL was seen to take, rounded up. */
#define MEM_BASE       (1024u << 10)
#define MEM_LEG	       (3u << 10)
#define MEM_DTLS       (92u << 10)
#define MEM_DTLS_LEAST 16
#define MEM_LEFT       (256u << 10) /* of the limit, for others who lock pages */

/*
 * Hop keys and the DTLS key live where OpenSSL allocates: in secret pages, as
 * many as we may lock. A full arena must refuse a handshake, not a leg that
 * is up, hence the bound on associations. libsrtp's RTCP keys stay in the
 * ordinary heap of this undumpable process (NSS cannot be moved).
 */
static void
memory_make(struct mdd_worker *w, unsigned max_legs)
{
	size_t least = MEM_BASE + (size_t)max_legs * MEM_LEG;
	size_t size = least + MDD_HANDSHAKES_MAX * (size_t)MEM_DTLS;
	struct rlimit lim;

	least += MEM_DTLS_LEAST * (size_t)MEM_DTLS;
	if (getrlimit(RLIMIT_MEMLOCK, &lim) == 0 &&
	    lim.rlim_max != RLIM_INFINITY && size + MEM_LEFT > lim.rlim_max)
		size = lim.rlim_max < least + MEM_LEFT
		    ? 0
		    : (size_t)lim.rlim_max - MEM_LEFT;
	if (size == 0 || perc_secmem_init(size) != 0) {
		log_warnx("hop keys in ordinary memory: let %zu KiB be locked "
			  "(LimitMEMLOCK) to have them in secret pages",
		    (least + MEM_LEFT) >> 10);
		return;
	}
	w->dtls_max = (unsigned)((size - least) / MEM_DTLS) + MEM_DTLS_LEAST;
	if (w->dtls_max > MDD_HANDSHAKES_MAX)
		w->dtls_max = MDD_HANDSHAKES_MAX;
	log_info("memory=%s kib=%zu handshakes=%u", perc_secmem_level_name(),
	    size >> 10, w->dtls_max);
}

/* ---- start ------------------------------------------------------------ */

struct warm { /* datagrams on their way to one end of the handshake */
	uint8_t buf[8192];
	size_t len[8], used;
	unsigned n;
};

static void
warm_send(const uint8_t *p, size_t n, void *arg)
{
	struct warm *q = arg;

	if (q->n == 8 || n > sizeof(q->buf) - q->used)
		return;
	memcpy(q->buf + q->used, p, n);
	q->used += n;
	q->len[q->n++] = n;
}

static void
warm_deliver(struct perc_dtls *d, struct warm *q)
{
	struct warm now = *q;
	size_t at = 0;
	unsigned i;

	memset(q, 0, sizeof(*q));
	for (i = 0; i < now.n; at += now.len[i++])
		(void)!perc_dtls_input(d, now.buf + at, now.len[i]);
}

/* A handshake with ourselves: what OpenSSL and NSS load, they load now and
 * not behind the cage. */
static void
warm_up(struct mdd_worker *w)
{
	struct warm to_c = { 0 }, to_s = { 0 };
	struct perc_dtls *c = NULL, *s = NULL;
	uint8_t fp[PERC_FINGERPRINT_LEN];
	int r, i;

	if (perc_gcm_mb_use() != 0)
		log_debug("no faster cipher here");
	if ((r = perc_srtcp_warm_up()) != 0)
		fatalx("SRTCP: %s", perc_strerror(r));
	if ((r = perc_dtls_id_generate(&w->id, "perch-mdd", MDD_CERT_DAYS)) !=
	    0)
		fatalx("DTLS certificate: %s", perc_strerror(r));
	perc_dtls_id_fingerprint(w->id, fp);
	if (perc_dtls_new(&c, w->id, false, fp, NULL, 0, warm_send, &to_s) !=
		0 ||
	    perc_dtls_new(&s, w->id, true, fp, NULL, 0, warm_send, &to_c) !=
		0 ||
	    perc_dtls_start(c) != 0)
		fatalx("DTLS does not start");
	for (i = 0; i < 4; i++) {
		warm_deliver(s, &to_s);
		warm_deliver(c, &to_c);
	}
	if (perc_dtls_state(c) != PERC_DTLS_UP ||
	    perc_dtls_state(s) != PERC_DTLS_UP)
		fatalx("DTLS does not work here");
	perc_dtls_free(c);
	perc_dtls_free(s);
}

int
mdd_worker_main(unsigned max_legs)
{
	static const char *const none[] = { NULL };
	struct worker_proc *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL)
		fatal("cannot start");
	memory_make(&p->w, max_legs); /* before anybody asks OpenSSL */
	if (perc_loop_new(&p->w.loop) != 0)
		fatal("cannot start");
	if ((r = perc_process_harden()) != 0)
		log_warnx("hardening: %s", perc_strerror(r));
	if (mdd_intake_new(&p->in, &p->w, WORKER_UDP, WORKER_LOBBY) != 0)
		fatal("cannot start");
	p->w.segments = mdd_intake_segments(p->in);
	warm_up(&p->w);
	if ((r = perc_chan_new(&p->w.chan, p->w.loop, WORKER_CHAN, rules,
		 sizeof(rules) / sizeof(rules[0]), control_gone, p)) != 0)
		fatalx("channel: %s", perc_strerror(r));
	/* ^C of a terminal, and systemd's to the whole group: control ends
	 * first, and its end is ours. */
	if (perc_loop_signal(p->w.loop, SIGINT, mdd_ignore_signal, NULL) != 0 ||
	    perc_loop_signal(p->w.loop, SIGTERM, mdd_ignore_signal, NULL) != 0)
		fatal("cannot take signals");
	log_info("cipher=%s segments=%s", perc_gcm_engine_name(),
	    p->w.segments ? "yes" : "no");
	mdd_cage(PERC_CAGE_VAULT, none);
	r = perc_loop_run(p->w.loop);
	if (p->w.ready)
		mdd_batch_flush(p->w.out);
	mdd_intake_free(p->in);
	mdd_worker_clear(&p->w);
	free(p);
	return r != 0;
}
