/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The mailer is there when mail is configured, and comes and goes with the
 * configuration. Keys matter more than mail: when it does not live it is
 * started again and again, and nobody else ends by that.
 */
#include "config.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmf/handover.h"
#include "kmf/supervisor.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"

/* fd: its end of the channel to the keeper, the caller's. */
static int
spawn(struct outlet *o, int fd)
{
	int pair[2] = { -1, -1 }, r;

	if ((r = perc_proc_pair(pair)) == 0 &&
	    (r = sup_files_stamp(o->files, o->s->conf, KMF_OUTLET_MAILER)) ==
		0) {
		const int fds[] = { pair[0], fd };

		r = sup_role_start(o->s, &o->pid, "mailer", 0, fds, 2);
	}
	sup_close(&pair[0], 1);
	if (r == 0) {
		sup_close(&o->sock, 1);
		o->sock = pair[1];
	} else
		sup_close(&pair[1], 1);
	return r;
}

int
sup_mailer_first(struct sup *s, int *other)
{
	int errands[2] = { -1, -1 }, r;

	if (s->conf->mail.url == NULL)
		return 0;
	if ((r = perc_proc_pair(errands)) == 0)
		r = spawn(&s->outlet[KMF_OUTLET_MAILER], errands[1]);
	sup_close(&errands[1], 1);
	if (r == 0)
		*other = errands[0];
	else
		sup_close(&errands[0], 1);
	return r;
}

void
sup_mailer_start(void *arg)
{
	int errands[2] = { -1, -1 }, r;
	struct outlet *o = arg;
	struct sup *s = o->s;

	if (s->conf->mail.url == NULL)
		return;
	if ((r = perc_proc_pair(errands)) == 0 &&
	    (r = kmf_handover_send(
		 s->keeper_sock, KMF_HANDOVER_MAILER, errands[0])) == 0)
		r = spawn(o, errands[1]);
	if (r != 0) {
		log_warnx(
		    "kmf.restart role=mailer err=\"%s\"", perc_strerror(r));
		sup_again(s, &o->respawn, sup_mailer_start, o);
	}
	sup_close(errands, 2);
}

void
sup_mailer_died(struct outlet *o, int status)
{
	o->pid = 0;
	if (o->s->stopping)
		return;
	log_warnx("kmf.mailer_died status=%d signal=%d",
	    WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	sup_again(o->s, &o->respawn, sup_mailer_start, o);
}

/* Its handover closes after the keeper was sent the heir's channel, so that
 * nothing more is given to who is about to go. */
void
sup_mailer_renew(struct sup *s)
{
	struct outlet *o = &s->outlet[KMF_OUTLET_MAILER];
	int was = o->sock;

	if (o->pid != 0)
		sup_retire(s, o->pid);
	o->pid = 0;
	o->sock = -1;
	perc_timer_stop(s->loop, &o->respawn);
	sup_mailer_start(o);
	sup_close(&was, 1);
}
