/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The supervisor's files: supervisor.c lives with the processes, roles.c
 * starts them, sup_mailer.c the one that may be missing.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "kmf/kmf.h"
#include "perc/loop.h"

#define SUP_RESPAWN_MS	1000
#define SUP_RETIRED_MAX 64

struct sup;

struct slot {
	struct sup *s;
	unsigned index;
	pid_t pid; /* 0: not running */
	int ready; /* its "ready" socket, -1: heard or gone */
	struct perc_io *io;
	struct perc_timer respawn;
};

struct outlet { /* the fetcher, the mailer */
	struct sup *s;
	pid_t pid;	   /* 0: not running */
	int sock;	   /* handover; closed, it finishes; or -1 */
	uint8_t files[32]; /* the stamp of those that it has read */
	struct perc_timer respawn;
};

struct sup {
	struct kmf_conf *conf; /* of the snapshot; changes at SIGHUP */
	int snapshot;	       /* memfd: what every role reads */
	struct perc_loop *loop;
	int listen[KMF_FRONTS_MAX], metrics;
	int keeper_sock; /* handover */
	int fetcher_was; /* of the fetcher before */
	pid_t keeper;
	struct outlet outlet[KMF_OUTLETS];
	struct slot slots[KMF_FRONTS_MAX];
	unsigned nready, deaths, rolling; /* fronts still to be renewed */
	int64_t deaths_since_ms;
	bool stopping, told;
	bool reloading;	       /* until the last front has an heir */
	struct kmf_conf *next; /* until the keeper has said its word */
	int next_fd;
	struct perc_io *word_io;
	pid_t retired[SUP_RETIRED_MAX]; /* who only ends */
	unsigned nretired;
	/* systemd's watchdog */
	int64_t watch_ms;
	bool pong;
	int pipe[2];
	struct perc_io *pong_io;
	struct perc_timer watch;
	int code;
	struct perc_timer kill;
};

/* roles.c */
int sup_ports_open(struct sup *s); /* has told why when not 0 */
PERC_MUST int sup_start_all(struct sup *s);
/* In the place of one that is gone; tries again by itself. */
void sup_front_start(void *slot);
void sup_fetcher_start(void *outlet);
/* Start its heir; it finishes when the fronts are renewed too. */
void sup_fetcher_renew(struct sup *s);
/* Renew the fronts one after the other: the next when an heir is ready. */
void sup_roll(struct sup *s);
void sup_roll_next(struct sup *s);
void sup_close(int *fds, size_t n);
/* Once more in SUP_RESPAWN_MS. */
void sup_again(struct sup *s, struct perc_timer *t, perc_loop_fn fn, void *arg);
PERC_MUST int sup_role_start(struct sup *s, pid_t *pid, const char *role,
    unsigned index, const int *fds, int nfds);

/* sup_mailer.c; nothing without [mail]. The first one: other gets the other
 * end of its channel to the keeper. */
PERC_MUST int sup_mailer_first(struct sup *s, int *other);
void sup_mailer_start(void *outlet); /* in the place of one that is gone */
void sup_mailer_died(struct outlet *o, int status);
/* Start its heir, if there is to be one; it finishes. */
void sup_mailer_renew(struct sup *s);

/* sup_files.c: which files it reads, and of when they are. */
PERC_MUST int sup_files_stamp(
    uint8_t out[static 32], const struct kmf_conf *c, enum kmf_outlet o);

/* sup_conf.c: the configuration as every process reads it. */
PERC_MUST int sup_conf_open(struct sup *s, const char *file); /* told why */
void sup_conf_close(struct sup *s);
/* next with the frozen settings as they were; free() it. */
PERC_MUST int sup_merge(char **textp, const char *was, const char *next,
    const struct kmf_frozen *f);
PERC_MUST int sup_conf_next(struct kmf_conf **cp, int *fdp,
    const struct kmf_conf *was, int was_fd, char *why, size_t cap);
void sup_conf_drop(struct kmf_conf **cp, int *fdp);

/* sup_reload.c */
void sup_reload(struct sup *s);
void sup_reload_done(struct sup *s); /* looks whether it is */
/* Listen to what the keeper says of a configuration. */
PERC_MUST int sup_reload_start(struct sup *s);
void sup_reload_stop(struct sup *s);
void sup_retire(struct sup *s, pid_t pid);
bool sup_retired_died(struct sup *s, pid_t pid);

/* sup_watch.c */
PERC_MUST int sup_watch_start(struct sup *s);
