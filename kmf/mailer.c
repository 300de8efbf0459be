/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The mailer: hands messages to the mail server, and nothing else. libcurl
 * waits for the answer to a whole message in one call, for a minute if need
 * be; whatever shared this process would wait with it. So SIGTERM, which
 * nobody would read meanwhile, ends it as it ends any program: what had no end
 * yet is given again.
 */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "kmf/fetch_int.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/sandbox.h"

#define RETIRED_LOOK_MS 100

#define FD_SUPERVISOR PERC_PROC_FD
#define FD_KEEPER     (PERC_PROC_FD + 1)

struct mailer {
	struct perc_loop *loop;
	struct kmf_handover handover;
	struct kmf_runner runner;
	struct perc_timer retired; /* an heir is there: finish and go */
};

/* It is told nothing but that its time is over. */
static void
on_handover(unsigned n, int fd, void *arg)
{
	close(fd);
}

/* What was given to us is ours to finish: a message would else come twice. */
static void
on_retired(void *arg)
{
	struct mailer *m = arg;

	if (m->runner.chan != NULL)
		perc_chan_flush(m->runner.chan);
	if (m->runner.chan == NULL || m->runner.flying == 0 ||
	    perc_timer_set(
		m->loop, &m->retired, RETIRED_LOOK_MS, on_retired, m) != 0)
		perc_loop_stop(m->loop);
}

static int
mailer_open(struct mailer *m, const struct kmf_conf *c)
{
	const char *const files[] = { c->mail.ca_file, NULL };
	int r;

	/* The password is read before privileges are dropped. */
	if ((r = perc_loop_new(&m->loop)) != 0 ||
	    (r = kmf_runner_open(
		 &m->runner, KMF_OUTLET_MAILER, m->loop, c, FD_KEEPER)) != 0 ||
	    (r = perc_proc_drop(c->user, NULL)) != 0 ||
	    (r = perc_process_harden()) != 0 ||
	    (r = kmf_handover_watch(&m->handover, m->loop, FD_SUPERVISOR,
		 on_handover, on_retired, m)) != 0)
		return r;
	return fetch_cage(files);
}

int
kmf_mailer_main(const struct kmf_conf *c)
{
	struct mailer m = { 0 };
	int r;

	if ((r = mailer_open(&m, c)) == 0)
		r = perc_loop_run(m.loop);
	if (r != 0)
		log_warnx("mailer.stop err=\"%s\"", perc_strerror(r));
	perc_timer_stop(m.loop, &m.retired);
	kmf_handover_stop(&m.handover);
	kmf_runner_close(&m.runner);
	perc_loop_free(m.loop);
	return r == 0 ? 0 : 1;
}
