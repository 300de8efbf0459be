/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keeper's process, as a ritual: secret memory before any library has
 * touched a key, the root key, the database, one signature to warm the
 * libraries up, then the cage; only then is the first front heard.
 */
#include "config.h"

#include "kmf/keeper_int.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmf/handover.h"
#include "kmf/keeper_conf.h"
#include "kmf/root.h"
#include "perc/proc.h"
#include "perc/sandbox.h"

enum { DB_WAIT_MS = 20000 };

static void
secmem_start(void)
{
	static const size_t sizes[] = { 64u << 20, 16u << 20, 7u << 20,
		4u << 20 };
	size_t i;
	int r = PERC_ERR_SYS;

	/* As much as RLIMIT_MEMLOCK lets us have: a roster of a thousand
	 * members passes through it. */
	for (i = 0; r == PERC_ERR_SYS && i < sizeof(sizes) / sizeof(sizes[0]);
	     i++)
		r = perc_secmem_init(sizes[i]);
	if (r != 0)
		fatalx("secmem.failed why=\"%s\" hint=\"raise the "
		       "limit of locked memory (LimitMEMLOCK) to 4 MiB\"",
		    perc_strerror(r));
}

static void
roots_read(struct perc_secret *root[static 2], const struct kmf_conf *c)
{
	char why[600] = "";

	if (kmf_roots_read(&root[0], &root[1], c, why, sizeof(why)) != 0)
		fatalx("root_key.refused why=\"%s\"", why);
}

static void
ping(int fd)
{
	if (write(fd, "p", 1) != 1)
		log_warnx("keeper.ping");
	close(fd);
}

/* In the place of a front, fetcher or mailer that died; or news. */
static void
on_heir(unsigned n, int fd, void *arg)
{
	struct kmf_heir_conf *h = arg;
	int r = 0;

	if (n == KMF_HANDOVER_CONF)
		kmf_heir_conf_text(h, fd);
	else if (n == KMF_HANDOVER_PING)
		ping(fd);
	else if (n == KMF_HANDOVER_FETCHER)
		r = kmf_keeper_outlet_add(h->k, KMF_OUTLET_FETCHER, fd);
	else if (n == KMF_HANDOVER_MAILER)
		r = kmf_keeper_outlet_add(h->k, KMF_OUTLET_MAILER, fd);
	else if (n >= KMF_HANDOVER_SECRET && n < KMF_HANDOVER_FETCHER)
		kmf_heir_conf_secret(h, n - KMF_HANDOVER_SECRET, fd);
	else
		r = kmf_keeper_front_add(h->k, fd);
	if (r != 0)
		log_warnx("front.refused index=%u", n);
}

static void
on_term(int signo, void *arg)
{
	perc_loop_stop(arg);
}

#define ZONES "/usr/share/zoneinfo"

static void
cage(const struct kmf_conf *c)
{
	const char *const rw[] = { c->state_dir, c->guard_dir, NULL };
	/* libical reads a time zone when it is first named; a cage fails as
	 * a whole on a path that is not there. */
	const char *ro[] = { access(ZONES, R_OK) == 0 ? ZONES : NULL, NULL };
	struct perc_cage_report rep = { 0 };

	if (perc_process_harden() != 0)
		fatalx("harden.failed");
	if (perc_sandbox(PERC_CAGE_KEEPER, rw, ro, &rep) != 0)
		log_warnx("sandbox.missing seccomp=%d landlock=%d", rep.seccomp,
		    rep.landlock);
	log_info("keeper.caged seccomp=%d landlock=%d memory=%s", rep.seccomp,
	    rep.landlock, perc_secmem_level_name());
}

static void
note_start(struct kmf_keeper *k, const struct kmf_conf *c)
{
	char hash[KMF_CONF_HASH_LEN + 1] = "";

	kmf_conf_hash(hash, c->snapshot);
	if (kmf_audit_program(k, KMF_AUDIT_STARTED,
		json_pack("{s:s, s:s, s:s}", "version", PACKAGE_VERSION,
		    "config", hash, "memory", perc_secmem_level_name())) != 0)
		log_warnx("audit.lost kind=started");
}

static void
keeper_open(
    struct kmf_keeper **kp, struct perc_loop *l, const struct kmf_conf *c)
{
	struct kmf_keeper_opts o = { .base_url = c->base_url,
		.db_wait_ms = DB_WAIT_MS,
		.root_file = c->root_credential ? NULL : c->root_key,
		.guard_dir = c->guard_dir };
	struct perc_secret *root[2] = { NULL, NULL };
	struct kmf_hook_set hooks;
	char file[4096], why[512] = "";

	roots_read(root, c);
	if (kmf_keeper_opts_put(&o, &hooks, c, NULL, why, sizeof(why)) != 0)
		fatalx("webhook.refused why=\"%s\"", why);
	if (perc_proc_drop(c->user, NULL) != 0)
		fatal("user.refused name=%s", c->user);
	snprintf(file, sizeof(file), "%s/%s", c->state_dir, KMF_DB_FILE);
	o.db_file = file;
	o.root = root[0] != NULL ? root[0]->data : NULL;
	o.root_new = root[1] != NULL ? root[1]->data : NULL;
	if (kmf_keeper_new(kp, l, &o, why, sizeof(why)) != 0)
		fatalx("keeper.refused why=\"%s\"", why);
	perc_secret_free(root[0]);
	perc_secret_free(root[1]);
	kmf_hook_set_forget(&hooks);
}

/* Descriptors in the order of roles.c: fronts, supervisor, fetcher, mailer. */
int
kmf_keeper_main(const struct kmf_conf *c)
{
	int i, r, sup = PERC_PROC_FD + (int)c->fronts;
	struct kmf_handover handover = { 0 };
	struct kmf_heir_conf heir;
	struct kmf_keeper *k = NULL;
	struct perc_loop *l = NULL;

	secmem_start();
	if (perc_loop_new(&l) != 0)
		fatal("loop.failed");
	keeper_open(&k, l, c);
	if (perc_loop_signal(l, SIGTERM, on_term, l) != 0 ||
	    perc_loop_signal(l, SIGINT, on_term, l) != 0)
		fatal("signal.failed");
	note_start(k, c);
	cage(c);
	for (i = 0; i < c->fronts; i++)
		if (kmf_keeper_front_add(k, PERC_PROC_FD + i) != 0)
			fatalx("front.refused index=%d", i);
	kmf_heir_conf_init(&heir, k, c, sup);
	if (kmf_handover_watch(&handover, l, sup, on_heir, NULL, &heir) != 0)
		fatalx("supervisor.missing");
	if (kmf_keeper_outlet_add(k, KMF_OUTLET_FETCHER, sup + 1) != 0 ||
	    (c->mail.url != NULL &&
		kmf_keeper_outlet_add(k, KMF_OUTLET_MAILER, sup + 2) != 0))
		fatalx("fetcher.refused");
	log_info("keeper.ready fronts=%d", (int)c->fronts);
	r = perc_loop_run(l);
	kmf_handover_stop(&handover);
	kmf_turn_finish(k); /* who waits for a commit hears of it */
	if (kmf_audit_program(k, KMF_AUDIT_STOPPED,
		json_pack("{s:s}", "why", r == 0 ? "told" : "failed")) != 0)
		log_warnx("audit.lost kind=stopped");
	kmf_keeper_free(k);
	kmf_heir_conf_clear(&heir);
	perc_loop_free(l);
	return r == 0 ? 0 : 1;
}
