/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The outlets' end of errands: which kind runs what. An errand of a kind that
 * this process does not know ends at once, refused, so that the keeper does
 * not wait for it.
 */
#include "kmf/errand.h"

#include <stdio.h>

#include "kmf/hook.h"
#include "kmf/mail.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

static const struct kmf_run_ops *const kinds[KMF_ERRAND_LAST] = {
	[KMF_ERRAND_HOOK] = &kmf_hook_runner,
	[KMF_ERRAND_MAIL] = &kmf_mail_runner,
};

/* NULL: not ours. */
static const struct kmf_run_ops *
ops_of(const struct kmf_runner *u, unsigned kind)
{
	return kmf_errand_outlet(kind) == u->outlet ? kinds[kind] : NULL;
}

void
kmf_run_end(struct kmf_runner *u, enum kmf_errand_kind kind, uint64_t job,
    enum kmf_errand_how how, const char *why)
{
	char text[KMF_ERRAND_WHY_MAX];
	const struct kmf_errand_end e = {
		.kind = kind, .job = job, .how = how, .why = text
	};
	uint8_t *buf = NULL;
	size_t n;

	snprintf(text, sizeof(text), "%s", why);
	u->flying--;
	if (u->chan == NULL)
		return;
	if (kmf_errand_end_encode(&buf, &n, &e) != 0 ||
	    perc_chan_send(u->chan, KMF_MSG_ERRAND_END, 0, buf, n) != 0)
		/* The keeper would wait for ever: a new fetcher is better. */
		fatalx("errand.end err=cannot_be_told");
	perc_secmem_free(buf);
}

static int
start(struct kmf_runner *u, const struct kmf_errand *e)
{
	json_t *o = NULL;
	int r;

	if ((r = perc_json_parse(
		 &o, e->body, e->body_len, KMF_ERRAND_BODY_MAX, NULL, 0)) == 0)
		r = ops_of(u, e->kind)->start(u, e->job, o);
	json_decref(o);
	return r;
}

static int
on_errand(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kmf_runner *u = arg;
	struct kmf_errand e;
	int r;

	if ((r = kmf_errand_decode(&e, m->data, m->len)) != 0)
		return r;
	u->flying++;
	if (ops_of(u, e.kind) == NULL) {
		kmf_run_end(u, e.kind, e.job, KMF_ERRAND_REFUSED,
		    "this process knows no such errand");
		return 0;
	}
	if ((r = start(u, &e)) != 0)
		kmf_run_end(
		    u, e.kind, e.job, KMF_ERRAND_FAILED, perc_strerror(r));
	return 0;
}

static const struct perc_chan_rule rules[] = {
	{ KMF_MSG_ERRAND, ~0u, KMF_ERRAND_BODY_MAX + 4096, on_errand },
};

/* Without the keeper there is nothing to serve; the supervisor ends us. */
static void
on_gone(struct perc_chan *c, int why, void *arg)
{
	struct kmf_runner *u = arg;

	perc_chan_free(u->chan);
	u->chan = NULL;
}

int
kmf_runner_open(struct kmf_runner *u, enum kmf_outlet o, struct perc_loop *l,
    const struct kmf_conf *c, int fd)
{
	unsigned i;
	int r;

	u->loop = l;
	u->conf = c;
	u->outlet = o;
	for (i = 1; i < KMF_ERRAND_LAST; i++)
		if (ops_of(u, i) != NULL && (r = ops_of(u, i)->open(u)) != 0)
			return r;
	return perc_chan_new(&u->chan, l, fd, rules,
	    sizeof(rules) / sizeof(rules[0]), on_gone, u);
}

void
kmf_runner_close(struct kmf_runner *u)
{
	unsigned i;

	for (i = 1; i < KMF_ERRAND_LAST; i++)
		if (ops_of(u, i) != NULL)
			ops_of(u, i)->close(u);
	perc_chan_free(u->chan);
	u->chan = NULL;
}
