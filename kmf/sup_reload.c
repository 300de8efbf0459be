/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * SIGHUP, in three steps. A configuration that is wrong is not taken at all;
 * of a good one everything but what cannot change while we run (sup_conf.c).
 * The keeper takes its part first, or says no: then nothing has happened. Then
 * the other processes get heirs that read it, for they are caged and can open
 * no file. Fronts that were before retire, and go on with the streams and
 * requests that they have; fetcher and mailer finish what they have been given.
 */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmf/handover.h"
#include "kmf/supervisor.h"
#include "perc/conf.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"

/* --- taking over ---------------------------------------------------------- */
static void
refuse(struct sup *s, const char *why)
{
	log_warnx("kmf.reload err=\"%s\" settings=the_old_ones", why);
	s->reloading = false;
	sup_conf_drop(&s->next, &s->next_fd);
	perc_proc_notify("READY=1");
}

static bool
files_moved(const struct sup *s, const struct kmf_conf *next, enum kmf_outlet o)
{
	uint8_t files[sizeof(s->outlet[o].files)];

	return sup_files_stamp(files, next, o) != 0 ||
	    memcmp(files, s->outlet[o].files, sizeof(files)) != 0;
}

/* The keys of the issuers would have to be fetched again, so the fetcher stays
 * when nothing that it has read is otherwise. */
static bool
fetcher_moved(const struct sup *s, const struct kmf_conf *next)
{
	return !kmf_conf_same_issuers(s->conf, next) ||
	    !kmf_conf_same_hooks(s->conf, next) ||
	    files_moved(s, next, KMF_OUTLET_FETCHER);
}

static bool
mailer_moved(const struct sup *s, const struct kmf_conf *next)
{
	return !kmf_conf_same_mail(s->conf, next) ||
	    files_moved(s, next, KMF_OUTLET_MAILER);
}

static void
conf_take(struct sup *s)
{
	bool fetcher = fetcher_moved(s, s->next);
	bool mailer = mailer_moved(s, s->next);

	sup_conf_close(s);
	s->conf = s->next;
	s->snapshot = s->next_fd;
	s->next = NULL;
	s->next_fd = -1;
	perc_log_level_set(s->conf->log_level);
	perc_log_json_set(s->conf->log_format != 0);
	if (mailer)
		sup_mailer_renew(s);
	if (fetcher)
		sup_fetcher_renew(s);
	else
		sup_roll(s);
}

static void
on_word(int fd, uint32_t events, void *arg)
{
	struct sup *s = arg;
	char word[KMF_HANDOVER_WORD_MAX + 1];
	ssize_t n = read(fd, word, sizeof(word) - 1);

	if (n <= 0) { /* it is gone, and so shall we be */
		sup_reload_stop(s);
		return;
	}
	word[n] = '\0';
	if (s->next == NULL || s->stopping)
		return;
	if (word[0] == KMF_HANDOVER_YES)
		conf_take(s);
	else
		refuse(s, word + 1);
}

int
sup_reload_start(struct sup *s)
{
	return perc_loop_add(
	    s->loop, &s->word_io, s->keeper_sock, EPOLLIN, on_word, s);
}

void
sup_reload_stop(struct sup *s)
{
	perc_loop_del(s->word_io);
	s->word_io = NULL;
	sup_conf_drop(&s->next, &s->next_fd);
}

/* --- asking --------------------------------------------------------------- */
static int
secret_send(struct sup *s, size_t n, char *why, size_t cap)
{
	struct perc_conf_error e = { "" };
	int fd, r;

	if ((r = perc_conf_open_secret(
		 &fd, s->next->hooks[n].secret_file, &e)) != 0) {
		snprintf(why, cap, "%s", e.text);
		return r;
	}
	r = kmf_handover_send(
	    s->keeper_sock, KMF_HANDOVER_SECRET + (unsigned)n, fd);
	close(fd);
	return r;
}

static int
keeper_ask(struct sup *s, char *why, size_t cap)
{
	size_t i;
	int r = 0;

	snprintf(why, cap, "the keeper cannot be told");
	for (i = 0; r == 0 && i < s->next->nhooks; i++)
		r = secret_send(s, i, why, cap);
	if (r == 0)
		r = kmf_handover_send(
		    s->keeper_sock, KMF_HANDOVER_CONF, s->next_fd);
	return r;
}

void
sup_reload(struct sup *s)
{
	char why[700], state[96];

	if (s->stopping || !s->told || s->rolling != 0 || s->reloading) {
		log_warnx("kmf.reload err=\"another is under way\" "
			  "hint=\"try again\"");
		return;
	}
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)perc_now_ms() * 1000);
	perc_proc_notify(state);
	s->reloading = true;
	if (sup_conf_next(&s->next, &s->next_fd, s->conf, s->snapshot, why,
		sizeof(why)) != 0 ||
	    keeper_ask(s, why, sizeof(why)) != 0)
		refuse(s, why);
}

void
sup_reload_done(struct sup *s)
{
	if (s->rolling != 0)
		return;
	sup_close(&s->fetcher_was, 1);
	s->fetcher_was = -1;
	if (!s->reloading || s->next != NULL)
		return;
	s->reloading = false;
	log_info("kmf.reloaded fronts=%d", (int)s->conf->fronts);
	perc_proc_notify("READY=1");
}

/* --- who only ends -------------------------------------------------------- */
/* The eldest, when there are too many, must end after all. */
void
sup_retire(struct sup *s, pid_t pid)
{
	unsigned i;

	if (s->nretired == SUP_RETIRED_MAX) {
		(void)kill(s->retired[0], SIGTERM);
		for (i = 1; i < s->nretired; i++)
			s->retired[i - 1] = s->retired[i];
		s->nretired--;
	}
	s->retired[s->nretired++] = pid;
}

bool
sup_retired_died(struct sup *s, pid_t pid)
{
	unsigned i;

	for (i = 0; i < s->nretired; i++)
		if (s->retired[i] == pid) {
			s->retired[i] = s->retired[--s->nretired];
			return true;
		}
	return false;
}
