/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that sleeps keeps its memory, so it may not before the keys are
 * gone: the delay lock is let go when the vault says that it wiped, by one
 * octet on a socket that only supervisor and vault have, or by its end. A
 * vault that is stuck is not waited for longer than logind itself would
 * wait (InhibitDelayMaxSec is 5 s): then the log at least says so.
 */
#include "agent/supersleep.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/log.h"

#define LATE_MS 4000

void
super_tell(pid_t pid, int signo)
{
	if (pid > 0)
		(void)kill(pid, signo);
}

static void
on_late(void *arg)
{
	struct super_sleep *s = arg;

	log_warnx("suspend erased=unknown: the vault says nothing for %d ms, "
		  "the machine sleeps without its word",
	    LATE_MS);
	logind_ready(s->logind);
}

/* False: nobody can say anything any more. */
static bool
words_read(struct super_sleep *s, bool *said)
{
	char octets[16];
	ssize_t n;

	*said = false;
	while ((n = recv(s->word_fd, octets, sizeof(octets), 0)) > 0)
		*said = true;
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void
on_word(int fd, uint32_t events, void *arg)
{
	struct super_sleep *s = arg;
	bool said, alive = words_read(s, &said);

	if (!alive) { /* its memory is the kernel's again */
		perc_loop_del(s->word);
		s->word = NULL;
	}
	if ((!said && alive) || !perc_timer_armed(&s->late))
		return;
	perc_timer_stop(s->loop, &s->late);
	logind_ready(s->logind);
}

static void
on_sleep(struct super_sleep *s)
{
	bool said;

	if (!s->conf->erase_on_suspend || *s->vault <= 0 || s->word == NULL) {
		logind_ready(s->logind);
		return;
	}
	/* What it said of another night does not count for this one. */
	(void)words_read(s, &said);
	if (perc_timer_set(s->loop, &s->late, LATE_MS, on_late, s) != 0)
		log_warnx("suspend: no memory for a timer");
	super_tell(*s->vault, SIGUSR1);
}

/* The vault erases, the front waits for the morning. */
static void
on_logind(enum logind_event event, void *arg)
{
	struct super_sleep *s = arg;

	if (event == LOGIND_SLEEP)
		on_sleep(s);
	else if (event == LOGIND_LOCK && s->conf->erase_on_lock)
		super_tell(*s->vault, SIGUSR2);
	if (event != LOGIND_WAKE)
		return;
	/* A word that comes now must not let go of the next night's lock. */
	perc_timer_stop(s->loop, &s->late);
	super_tell(*s->front, SIGUSR1);
}

void
super_sleep_start(struct super_sleep *s, struct perc_loop *loop,
    const struct agent_conf *conf, const pid_t *vault, const pid_t *front)
{
	s->loop = loop;
	s->conf = conf;
	s->vault = vault;
	s->front = front;
	if (!conf->erase_on_lock && !conf->erase_on_suspend)
		return;
	if (perc_loop_add(loop, &s->word, s->word_fd, EPOLLIN, on_word, s) != 0)
		log_warnx("suspend: the vault's word cannot be heard");
	if (logind_new(&s->logind, loop, on_logind, s) != 0)
		log_info("logind=none: keys stay over suspend and lock");
}

void
super_sleep_stop(struct super_sleep *s)
{
	logind_free(s->logind);
	perc_loop_del(s->word);
	if (s->word_fd >= 0)
		close(s->word_fd);
}
