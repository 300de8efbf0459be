/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logind's part of the system bus (org.freedesktop.login1(5)), by sd-bus on
 * our loop. A delay lock is held while we are awake: without one the machine
 * may sleep before the keys are gone, and the memory of a sleeping machine is
 * what its finder reads. Signals of sessions are broadcast, so those of other
 * users come too and are told apart by asking whose the session is.
 */
#include "agent/logind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "perc/log.h"

#define NAME	"org.freedesktop.login1"
#define PATH	"/org/freedesktop/login1"
#define MANAGER NAME ".Manager"
#define SESSION NAME ".Session"
#define CALL_US 2000000 /* logind answers in milliseconds, or not at all */

struct logind {
	struct perc_loop *loop;
	struct perc_io *io;
	sd_bus *bus;
	int lock; /* the delay lock; -1: none */
	logind_fn fn;
	void *arg;
};

static void
lock_take(struct logind *l)
{
	sd_bus_message *answer = NULL;
	int fd, r;

	if (l->lock >= 0)
		return;
	r = sd_bus_call_method(l->bus, NAME, PATH, MANAGER, "Inhibit", NULL,
	    &answer, "ssss", "sleep", "perch-agent",
	    "keys of a conference are erased first", "delay");
	if (r >= 0 && sd_bus_message_read(answer, "h", &fd) >= 0)
		l->lock = dup(fd);
	if (l->lock < 0)
		log_warnx("logind inhibit reason=\"%s\"",
		    strerror(r < 0 ? -r : errno));
	sd_bus_message_unref(answer);
}

void
logind_ready(struct logind *l)
{
	if (l->lock >= 0)
		close(l->lock);
	l->lock = -1;
}

static int
on_sleep(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	struct logind *l = arg;
	int going;

	(void)e;
	if (sd_bus_message_read(m, "b", &going) < 0)
		return 0;
	if (!going)
		lock_take(l);
	l->fn(going ? LOGIND_SLEEP : LOGIND_WAKE, l->arg);
	return 0;
}

/* Does the session of this signal belong to us? */
static bool
session_ours(struct logind *l, sd_bus_message *m)
{
	sd_bus_message *answer = NULL;
	const char *path;
	uint32_t uid = UINT32_MAX;

	if (sd_bus_get_property(l->bus, NAME, sd_bus_message_get_path(m),
		SESSION, "User", NULL, &answer, "(uo)") < 0 ||
	    sd_bus_message_read(answer, "(uo)", &uid, &path) < 0)
		uid = UINT32_MAX;
	sd_bus_message_unref(answer);
	return uid == (uint32_t)getuid();
}

static int
on_lock(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	struct logind *l = arg;

	(void)e;
	if (session_ours(l, m))
		l->fn(LOGIND_LOCK, l->arg);
	return 0;
}

/* A screen that locked itself says so as a hint that changed. */
static int
on_properties(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	const char *interface, *name;
	int locked = 0, r;

	if (sd_bus_message_read(m, "s", &interface) < 0 ||
	    strcmp(interface, SESSION) != 0 ||
	    sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
		return 0;
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		if (sd_bus_message_read(m, "s", &name) < 0)
			return 0;
		r = strcmp(name, "LockedHint") == 0
		    ? sd_bus_message_read(m, "v", "b", &locked)
		    : sd_bus_message_skip(m, "v");
		if (r < 0 || sd_bus_message_exit_container(m) < 0)
			return 0;
	}
	return locked ? on_lock(m, arg, e) : 0;
}

static void
on_bus(int fd, uint32_t events, void *arg)
{
	struct logind *l = arg;
	int r;

	(void)fd;
	(void)events;
	while ((r = sd_bus_process(l->bus, NULL)) > 0)
		continue;
	if (r >= 0)
		return;
	log_warnx("logind reason=\"%s\"", strerror(-r));
	perc_loop_del(l->io); /* the bus is gone, and with it its news */
	l->io = NULL;
}

static int
matches_add(struct logind *l)
{
	int r;

	if ((r = sd_bus_match_signal(l->bus, NULL, NAME, PATH, MANAGER,
		 "PrepareForSleep", on_sleep, l)) < 0 ||
	    (r = sd_bus_match_signal(
		 l->bus, NULL, NAME, NULL, SESSION, "Lock", on_lock, l)) < 0)
		return r;
	return sd_bus_match_signal(l->bus, NULL, NAME, NULL,
	    "org.freedesktop.DBus.Properties", "PropertiesChanged",
	    on_properties, l);
}

int
logind_new(struct logind **lp, struct perc_loop *loop, logind_fn fn, void *arg)
{
	struct logind *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return PERC_ERR_NOMEM;
	*l = (struct logind){ .loop = loop, .lock = -1, .fn = fn, .arg = arg };
	if ((r = sd_bus_open_system(&l->bus)) < 0 ||
	    (r = sd_bus_set_method_call_timeout(l->bus, CALL_US)) < 0 ||
	    (r = matches_add(l)) < 0) {
		log_debug("logind reason=\"%s\"", strerror(-r));
		logind_free(l);
		return PERC_ERR_UNSUPPORTED;
	}
	lock_take(l);
	if ((r = perc_loop_add(loop, &l->io, sd_bus_get_fd(l->bus), EPOLLIN,
		 on_bus, l)) != 0) {
		logind_free(l);
		return r;
	}
	*lp = l;
	on_bus(-1, 0, l); /* what came while we asked */
	return 0;
}

void
logind_free(struct logind *l)
{
	if (l == NULL)
		return;
	logind_ready(l);
	perc_loop_del(l->io);
	sd_bus_flush_close_unref(l->bus);
	free(l);
}
