/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keeper's end of errands. A kind is asked for what is due after the
 * commit and never before: what leaves the house has happened. Who runs it is
 * believed about nothing but how an errand of its own ended. A kind whose
 * process is not there waits for it, and the others do not wait for that.
 */
#include "kmf/errand.h"

#include <string.h>

#include "kmf/hook.h"
#include "kmf/mail.h"

#define RETRY_MS 1000 /* a commit failed, or a kind could not look */

static const struct kmf_errand_kind_ops *const kinds[KMF_ERRAND_LAST] = {
	[KMF_ERRAND_HOOK] = &kmf_hook_errands,
	[KMF_ERRAND_MAIL] = &kmf_mail_errands,
};

static bool
known(enum kmf_errand_kind kind)
{
	return kinds[kind] != NULL;
}

static struct perc_chan *
chan_of(const struct kmf_errands *e, enum kmf_errand_kind kind)
{
	return e->way[kmf_errand_outlet(kind)].chan;
}

static void timer_fire(void *arg);

static void
timer_arm(struct kmf_keeper *k)
{
	struct kmf_errands *e = &k->errands;
	int64_t next = 0, in;
	unsigned i;

	for (i = 1; i < KMF_ERRAND_LAST; i++)
		if (e->next_ms[i] != 0 && chan_of(e, i) != NULL &&
		    (next == 0 || e->next_ms[i] < next))
			next = e->next_ms[i];
	if (next == 0) {
		perc_timer_stop(k->loop, &e->timer);
		return;
	}
	in = next - k->clock(k->clock_arg);
	in = in < 0 ? 0 : in > 3600 * 1000 ? 3600 * 1000 : in;
	if (perc_timer_set(k->loop, &e->timer, in, timer_fire, k) != 0)
		log_warnx("timer.failed");
}

static void
pump(struct kmf_keeper *k, enum kmf_errand_kind kind)
{
	struct kmf_errands *e = &k->errands;
	int64_t next = 0;
	int r;

	e->next_ms[kind] = 0;
	r = kinds[kind]->pump(k, &next);
	if (r != 0 && r != PERC_ERR_CLOSED) {
		log_warnx("errand.pump kind=%u err=\"%s\"", (unsigned)kind,
		    perc_strerror(r));
		next = k->clock(k->clock_arg) + RETRY_MS;
	}
	e->next_ms[kind] = next;
}

void
kmf_errands_pump(struct kmf_keeper *k)
{
	struct kmf_errands *e = &k->errands;
	unsigned i, wake = 0;

	for (i = 1; i < KMF_ERRAND_LAST; i++)
		if (known(i) && chan_of(e, i) != NULL)
			wake |= e->wake & 1u << i;
	if (wake == 0)
		return;
	e->wake &= ~wake;
	for (i = 1; i < KMF_ERRAND_LAST; i++)
		if ((wake & 1u << i) != 0)
			pump(k, (enum kmf_errand_kind)i);
	timer_arm(k);
}

/* The turn is lost: what was to be written will be, by another try. */
void
kmf_errands_later(struct kmf_keeper *k)
{
	struct kmf_errands *e = &k->errands;
	unsigned i;

	for (i = 1; i < KMF_ERRAND_LAST; i++)
		if ((e->wake & 1u << i) != 0)
			e->next_ms[i] = k->clock(k->clock_arg) + RETRY_MS;
	timer_arm(k);
}

/* The clock may have been set, or the hour's bound reached: who is not due
 * finds nothing to do, and says again when it is. */
static void
timer_fire(void *arg)
{
	struct kmf_keeper *k = arg;
	unsigned i;
	int r;

	for (i = 1; i < KMF_ERRAND_LAST; i++) {
		if (k->errands.next_ms[i] == 0)
			continue;
		k->errands.wake |= 1u << i;
		if (kinds[i]->settle != NULL && (r = kinds[i]->settle(k)) != 0)
			log_warnx("errand.settle kind=%u err=\"%s\"", i,
			    perc_strerror(r));
	}
	if (!db_in_transaction(k->db)) /* else the commit does it */
		kmf_errands_pump(k);
}

void
kmf_errand_wake(struct kmf_keeper *k, enum kmf_errand_kind kind)
{
	k->errands.wake |= 1u << kind;
}

/* --- under way ------------------------------------------------------------ */
/* Its place among the flights, or KMF_FLIGHTS_MAX. */
static size_t
flight_at(const struct kmf_errands *e, enum kmf_errand_kind kind, uint64_t job)
{
	size_t i;

	for (i = 0; i < KMF_FLIGHTS_MAX; i++)
		if (e->flights[i].chan != NULL && e->flights[i].kind == kind &&
		    e->flights[i].job == job)
			break;
	return i;
}

bool
kmf_errand_flies(
    const struct kmf_keeper *k, enum kmf_errand_kind kind, uint64_t job)
{
	return flight_at(&k->errands, kind, job) < KMF_FLIGHTS_MAX;
}

unsigned
kmf_errands_count(
    const struct kmf_keeper *k, enum kmf_errand_kind kind, bool present)
{
	const struct kmf_errands *e = &k->errands;
	unsigned n = 0;
	size_t i;

	for (i = 0; i < KMF_FLIGHTS_MAX; i++)
		n += e->flights[i].chan != NULL && e->flights[i].kind == kind &&
		    (!present || e->flights[i].chan == chan_of(e, kind));
	return n;
}

static int
flight_add(struct kmf_errands *e, enum kmf_errand_kind kind, uint64_t job)
{
	size_t i;

	for (i = 0; i < KMF_FLIGHTS_MAX; i++)
		if (e->flights[i].chan == NULL) {
			e->flights[i] =
			    (struct kmf_flight){ kind, job, chan_of(e, kind) };
			return 0;
		}
	return PERC_ERR_LIMIT;
}

int
kmf_errand_send(struct kmf_keeper *k, enum kmf_errand_kind kind, uint64_t job,
    const void *body, size_t len)
{
	const struct kmf_errand m = {
		.kind = kind, .job = job, .body = body, .body_len = len
	};
	struct kmf_errands *e = &k->errands;
	uint8_t *buf = NULL;
	size_t n;
	int r;

	if (chan_of(e, kind) == NULL)
		return PERC_ERR_CLOSED;
	if ((r = kmf_errand_encode(&buf, &n, &m)) != 0)
		return r;
	if ((r = flight_add(e, kind, job)) == 0 &&
	    (r = perc_chan_send(chan_of(e, kind), KMF_MSG_ERRAND, 0, buf, n)) !=
		0)
		e->flights[flight_at(e, kind, job)].chan = NULL;
	perc_secmem_free(buf);
	return r;
}

static void
lose(struct kmf_keeper *k, const struct perc_chan *chan)
{
	struct kmf_flight *f = k->errands.flights;
	size_t i;

	for (i = 0; i < KMF_FLIGHTS_MAX; i++)
		if (f[i].chan != NULL && f[i].chan == chan) {
			f[i].chan = NULL;
			kinds[f[i].kind]->lost(k, f[i].job);
			k->errands.wake |= 1u << f[i].kind;
		}
}

static int
on_end(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kmf_keeper *k = arg;
	struct kmf_errand_end e;
	size_t at;
	int r;

	if ((r = kmf_errand_end_decode(&e, m->data, m->len)) != 0)
		return r;
	if (!known(e.kind))
		return PERC_ERR_DENIED;
	at = flight_at(&k->errands, e.kind, e.job);
	if (at == KMF_FLIGHTS_MAX || k->errands.flights[at].chan != c)
		return 0; /* none of its errands */
	k->errands.flights[at].chan = NULL;
	kmf_errand_wake(k, e.kind);
	if ((r = kmf_turn_begin(k)) == 0 && (r = kmf_mark(k)) == 0) {
		if ((r = kinds[e.kind]->end(k, &e)) == 0)
			r = kmf_mark_keep(k);
		if (r != 0)
			kmf_mark_undo(k);
	}
	if (r != 0) {
		log_warnx("errand.end kind=%u err=\"%s\"", (unsigned)e.kind,
		    perc_strerror(r));
		kinds[e.kind]->lost(k, e.job);
		kmf_errands_later(k);
	}
	return 0;
}

static const struct perc_chan_rule rules[] = {
	{ KMF_MSG_ERRAND_END, ~0u, 4096, on_end },
};

/* --- who runs them -------------------------------------------------------- */
static void
chan_drop(struct kmf_keeper *k, struct perc_chan *c)
{
	struct kmf_errands_way *w = k->errands.way;
	size_t n, i;

	if (c == NULL)
		return;
	for (n = 0; n < KMF_OUTLETS; n++) {
		if (w[n].chan == c)
			w[n].chan = NULL;
		for (i = 0; i < KMF_HEIRS_MAX; i++)
			if (w[n].old[i] == c)
				w[n].old[i] = NULL;
	}
	lose(k, c);
	perc_chan_free(c);
}

static void
on_gone(struct perc_chan *c, int why, void *arg)
{
	struct kmf_keeper *k = arg;

	if (c == k->errands.way[KMF_OUTLET_FETCHER].chan)
		log_info("fetcher.gone why=\"%s\"", perc_strerror(why));
	if (c == k->errands.way[KMF_OUTLET_MAILER].chan)
		log_info("mailer.gone why=\"%s\"", perc_strerror(why));
	chan_drop(k, c);
	if (!db_in_transaction(k->db))
		kmf_errands_pump(k);
}

/* The eldest that still finishes, when there are too many, has had long. */
void
kmf_errands_rest(struct kmf_keeper *k, enum kmf_outlet o)
{
	struct kmf_errands_way *w = &k->errands.way[o];
	size_t last = KMF_HEIRS_MAX - 1;

	if (w->chan == NULL)
		return;
	chan_drop(k, w->old[last]);
	memmove(&w->old[1], &w->old[0], last * sizeof(w->old[0]));
	w->old[0] = w->chan;
	w->chan = NULL;
}

bool
kmf_errands_out(const struct kmf_keeper *k, enum kmf_outlet o)
{
	return k->errands.way[o].chan != NULL;
}

int
kmf_keeper_outlet_add(struct kmf_keeper *k, enum kmf_outlet o, int fd)
{
	struct kmf_errands *e = &k->errands;
	int r;

	kmf_errands_rest(k, o);
	if ((r = perc_chan_new(&e->way[o].chan, k->loop, fd, rules,
		 sizeof(rules) / sizeof(rules[0]), on_gone, k)) != 0)
		return r;
	e->wake = ~0u;
	if (!db_in_transaction(k->db))
		kmf_errands_pump(k);
	return 0;
}

void
kmf_errands_stop(struct kmf_keeper *k)
{
	struct kmf_errands *e = &k->errands;
	size_t n, i;

	perc_timer_stop(k->loop, &e->timer);
	for (n = 0; n < KMF_OUTLETS; n++) {
		perc_chan_free(e->way[n].chan);
		e->way[n].chan = NULL;
		for (i = 0; i < KMF_HEIRS_MAX; i++) {
			perc_chan_free(e->way[n].old[i]);
			e->way[n].old[i] = NULL;
		}
	}
}
