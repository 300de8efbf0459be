/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one leg: a path to the distributor (frontpath.c), DTLS by
 * pinned fingerprint, the two hop contexts.
 */
#include "agent/frontleg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/rtp.h"
#include "perc/secret.h"
#include "perc/srtp.h"
#include "perc/stun.h"

#define STREAMS_OUT 8
#define STREAMS_IN  1024
#define WINDOW	    512
static void on_dtls_timer(void *arg);

void
front_leg_timer(
    struct front_leg *l, struct perc_timer *t, int64_t ms, perc_loop_fn fn)
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

void
front_leg_lost(struct front_leg *l, const char *why)
{
	if (l->state == LEG_LOST)
		return;
	l->state = LEG_LOST;
	text_put(l->why, sizeof(l->why), "%s", why);
	front_leg_timer(l, &l->lost, 0, on_lost);
}

static void
dtls_out(const uint8_t *p, size_t n, void *arg)
{
	front_leg_send(arg, p, n);
}

static void
dtls_plan(struct front_leg *l)
{
	int ms = perc_dtls_next_ms(l->dtls);

	if (ms < 0)
		perc_timer_stop(l->loop, &l->dtls_timer);
	else
		front_leg_timer(l, &l->dtls_timer, ms, on_dtls_timer);
}

void
front_leg_dtls_begin(struct front_leg *l)
{
	l->state = LEG_DTLS;
	l->started_ms = perc_now_ms();
	if (perc_dtls_new(
		&l->dtls, l->id, false, l->pin, NULL, 0, dtls_out, l) != 0 ||
	    perc_dtls_start(l->dtls) != 0)
		front_leg_lost(l, "cannot start DTLS");
	else
		dtls_plan(l);
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
	    (r = perc_srtp_evicting(l->rx)) != 0 ||
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
			front_leg_lost(l, "cannot take the hop keys");
			return;
		}
		l->state = LEG_UP;
		front_mdd_up(l->conf);
		break;
	case PERC_DTLS_CLOSED:
		front_leg_lost(l, "the distributor closed the leg");
		return;
	case PERC_DTLS_FAILED:
		front_leg_lost(l, "the distributor is not who it said it is");
		return;
	default:
		break;
	}
	dtls_plan(l);
}

void
front_leg_dtls(struct front_leg *l, const uint8_t *p, size_t n)
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
		front_leg_lost(l, "the distributor does not answer DTLS");
	else
		dtls_look(l);
}

/* ---- life
 * -------------------------------------------------------------------------- */

static bool
address_read(struct front_leg *l, const struct front_join *j)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&l->there;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&l->there;

	if (inet_pton(AF_INET, j->host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(j->port);
		return true;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(j->port);
	return inet_pton(AF_INET6, j->host, &v6->sin6_addr) == 1;
}

int
front_leg_new(struct front_leg **lp, struct front_conf *c,
    struct perc_dtls_id *id, const struct front_join *j, const char *ufrag,
    char *why, size_t whycap)
{
	struct front_leg *l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return PERC_ERR_NOMEM;
	if ((l->repair = front_repair_new()) == NULL) {
		free(l);
		return PERC_ERR_NOMEM;
	}
	l->conf = c;
	l->loop = c->agent->loop;
	l->id = id;
	l->started_ms = perc_now_ms();
	memcpy(l->pin, j->fingerprint, sizeof(l->pin));
	memcpy(l->pwd, j->pwd, sizeof(l->pwd));
	/* RFC 8445 section 7.2.2: theirs first in what we send */
	text_put(l->username, sizeof(l->username), "%s:%s", j->ufrag, ufrag);
	text_put(l->own_pwd, sizeof(l->own_pwd), "%s", c->ice_pwd);
	perc_random(&l->tie_breaker, sizeof(l->tie_breaker));
	front_leg_batches(l);
	errno = EINVAL;
	if (!address_read(l, j) || !front_path_start(l)) {
		text_put(why, whycap, "no way to %s port %u: %s", j->host,
		    j->port, strerror(errno));
		front_leg_free(l);
		return PERC_ERR_SYS;
	}
	*lp = l;
	return 0;
}

void
front_leg_free(struct front_leg *l)
{
	bool up;

	if (l == NULL)
		return;
	up = l->state == LEG_UP;
	l->state = LEG_LOST; /* a refused farewell must set no timer now */
	if (l->dtls != NULL && up)
		perc_dtls_close(l->dtls);
	perc_timer_stop(l->loop, &l->dtls_timer);
	perc_timer_stop(l->loop, &l->lost);
	perc_timer_stop(l->loop, &l->repair_timer);
	front_repair_free(l->repair);
	perc_dtls_free(l->dtls);
	perc_srtp_free(l->tx);
	perc_srtp_free(l->rx);
	perc_srtcp_free(l->rtcp_tx);
	perc_srtcp_free(l->rtcp_rx);
	front_path_stop(l);
	perc_wipe(l, sizeof(*l));
	free(l);
}

json_t *
front_leg_json(const struct front_leg *l)
{
	static const char *const names[] = { "ice", "dtls", "up", "lost" };
	const struct front_path *path;
	struct front_repair_count r;
	json_t *j;

	if (l == NULL)
		return json_null();
	front_repair_count(l->repair, &r);
	path = l->now;
	j = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
		      " s:I, s:I, s:I}",
	    "state", names[l->state], "sent", (json_int_t)l->count.sent,
	    "received", (json_int_t)l->count.received, "dropped",
	    (json_int_t)l->count.dropped, "auth_failed",
	    (json_int_t)l->count.auth_failed, "replayed",
	    (json_int_t)l->count.replayed, "rtcp_sent",
	    (json_int_t)l->count.rtcp_sent, "rtcp_received",
	    (json_int_t)l->count.rtcp_received, "asked", (json_int_t)r.asked,
	    "mended", (json_int_t)r.mended, "given_up", (json_int_t)r.given_up,
	    "resent", (json_int_t)r.resent, "lost", (json_int_t)r.lost);
	if (path != NULL)
		json_object_set_new(
		    j, "path", json_string(path->relay ? "relay" : "direct"));
	if (path != NULL && path->relay)
		json_object_set_new(j, "relay", json_string(path->words));
	if (l->relay_words[0] != '\0')
		json_object_set_new(
		    j, "relay_trouble", json_string(l->relay_words));
	return j;
}
