/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-turn is started by perch-agent, with the channel to the front as
 * descriptor 3, and reads the [turn] sections of the same configuration. The
 * passwords are read before the cage closes; nobody else ever has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agentcage.h"
#include "agent/agentconf.h"
#include "agent/turn.h"
#include "agent/turnrelay.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/secret.h"

#define PASSWORD_MAX 1024
#define FDS_MAX	     512 /* of libre's loop */

/* ---- the channel -------------------------------------------------------- */

/* The descriptor that came along, or -1. More than one has no room. */
static int
passed_fd(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void
on_channel(int flags, void *arg)
{
	struct turn *t = arg;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct turn_open o;
	struct iovec iov = { .iov_base = &o, .iov_len = sizeof(o) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(t->chan, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	(void)flags;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		re_cancel(); /* the front has ended */
		return;
	}
	if (n < 0)
		return;
	fd = passed_fd(&m);
	if (fd >= 0 && n == (ssize_t)sizeof(o) && o.type == TURN_OPEN)
		turn_relay_open(t, &o, fd);
	else if (fd >= 0)
		(void)close(fd);
}

static void
on_signal(int signo)
{
	(void)signo;
	re_cancel();
}

/* ---- beginning and end -------------------------------------------------- */

/* One line; what editors put behind it does not count. */
static int
password_read(struct perc_secret **sp, const char *file)
{
	struct perc_conf_error e = { "" };
	struct perc_secret *all = NULL;
	size_t n = 0;
	int r;

	if ((r = perc_conf_read_secret(&all, file, PASSWORD_MAX, &e)) != 0) {
		log_warnx("%s", e.text[0] != '\0' ? e.text : perc_strerror(r));
		return r;
	}
	while (n < all->len && strchr("\r\n", all->data[n]) == NULL)
		n++;
	if (n == 0) {
		log_warnx("%s: write the password as one line", file);
		r = PERC_ERR_FORMAT;
	} else if ((r = perc_secret_new(sp, n + 1)) == 0) {
		memcpy((*sp)->data, all->data, n);
		(*sp)->data[n] = '\0';
	}
	perc_secret_free(all);
	return r;
}

static int
servers_take(struct turn *t, struct perc_secret *passwords[TURN_SERVERS_MAX],
    const struct agent_conf *c)
{
	int r;

	for (size_t i = 0; i < c->nservers; i++) {
		const struct agent_turn_server *s = &c->server[i];

		if ((r = password_read(&passwords[i], s->password_file)) != 0)
			return r;
		t->server[i] = (struct turn_server){ .url = s->url,
			.username = s->username,
			.password = (char *)passwords[i]->data,
			.at = s->parsed };
	}
	t->nservers = c->nservers;
	t->ca_file = c->ca_file;
	return 0;
}

static int
turn_run(const struct agent_conf *conf)
{
	struct perc_secret *passwords[TURN_SERVERS_MAX] = { NULL };
	static const char *const nowhere[] = { NULL }; /* it writes */
	struct turn t = { .chan = PERC_PROC_FD };
	int r;

	if (perc_process_harden() != 0)
		log_warn("harden");
	list_init(&t.relays);
	if ((r = servers_take(&t, passwords, conf)) != 0)
		goto out;
	r = PERC_ERR_SYS;
	if (libre_init() != 0 || fd_setsize(FDS_MAX) != 0 ||
	    fd_listen(t.chan, FD_READ, on_channel, &t) != 0) {
		log_warn("libre");
		goto out;
	}
	if ((r = agent_cage(conf, PERC_CAGE_DIAL, nowhere)) != 0)
		log_warnx("cage err=\"%s\"", perc_strerror(r));
	else if ((errno = re_main(on_signal)) != 0) {
		log_warn("loop");
		r = PERC_ERR_SYS;
	}
	turn_relays_close(&t);
	fd_close(t.chan);
	libre_close();
out:
	for (size_t i = 0; i < TURN_SERVERS_MAX; i++)
		perc_secret_free(passwords[i]);
	return r;
}

static void
usage(FILE *to)
{
	fputs("usage: perch-turn [-c FILE]\n"
	      "       perch-turn --help | --version\n"
	      "\n"
	      "Carries media by TURN relays for perch-agent. Started by it, "
	      "and never by hand,\n"
	      "where the configuration has a [turn NAME] section.\n"
	      "\n"
	      "  -c FILE         perch-agent's configuration\n"
	      "  --version       what this is\n",
	    to);
}

/* 0: go on; else the exit status plus one. */
static int
options_read(const char **filep, int argc, char *argv[])
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1)
		switch (c) {
		case 'c':
			*filep = optarg;
			break;
		case 'V':
			agent_conf_print_version();
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		default:
			usage(stderr);
			return 3;
		}
	if (optind == argc)
		return 0;
	usage(stderr);
	return 3;
}

int
main(int argc, char *argv[])
{
	struct perc_conf_error e = { "" };
	const char *file = NULL;
	struct agent_conf conf;
	int r;

	if ((r = options_read(&file, argc, argv)) != 0)
		return r - 1;
	if (fcntl(PERC_PROC_FD, F_GETFD) < 0) {
		fputs("perch-turn is started by perch-agent\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if ((r = agent_conf_load(&conf, file, &e)) != 0) {
		fprintf(stderr, "perch-turn: %s\n",
		    e.text[0] != '\0' ? e.text : perc_strerror(r));
	} else {
		perc_log_init("perch-agent", "turn", 0,
		    (enum perc_log_level)conf.log_level);
		r = turn_run(&conf);
	}
	agent_conf_clear(&conf);
	return r == 0 ? 0 : 1;
}
