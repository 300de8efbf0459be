/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What perch-agent hears of systemd-logind, on a bus of the test's own: the
 * real one wants to be started by PID 1. Lines of standard input are events:
 *
 *	sleep, wake	  PrepareForSleep
 *	lock UID	  Lock of a session of that user
 *	hint UID	  its LockedHint, as a screen locker sets it
 *
 * Prints "ready", "inhibited N" for the Nth delay lock taken and "released N"
 * when that one was let go.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define NAME	"org.freedesktop.login1"
#define PATH	"/org/freedesktop/login1"
#define SESSION PATH "/session/c1"

#define LOCKS_MAX 8 /* in one run */
#define FIRST	  2 /* descriptors before them in poll() */

static sd_bus *bus;
static int held[LOCKS_MAX]; /* our ends of the delay locks; -1: let go */
static unsigned taken;
static uint32_t owner;

static int
on_inhibit(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	const char *what, *who, *why, *mode;
	int p[2], r;

	(void)arg;
	(void)e;
	if (sd_bus_message_read(m, "ssss", &what, &who, &why, &mode) < 0 ||
	    strcmp(what, "sleep") != 0 || strcmp(mode, "delay") != 0 ||
	    taken == LOCKS_MAX || pipe2(p, O_CLOEXEC) != 0)
		return -EINVAL;
	r = sd_bus_reply_method_return(m, "h", p[1]);
	close(p[1]);
	held[taken++] = p[0];
	printf("inhibited %u\n", taken);
	fflush(stdout);
	return r;
}

static int
get_user(sd_bus *b, const char *path, const char *interface,
    const char *property, sd_bus_message *reply, void *arg, sd_bus_error *e)
{
	(void)b;
	(void)path;
	(void)interface;
	(void)property;
	(void)arg;
	(void)e;
	return sd_bus_message_append(reply, "(uo)", owner, PATH "/user/u");
}

static const sd_bus_vtable manager[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Inhibit", "ssss", "h", on_inhibit, 0),
	SD_BUS_SIGNAL("PrepareForSleep", "b", 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable session[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("User", "(uo)", get_user, 0, 0),
	SD_BUS_SIGNAL("Lock", "", 0),
	SD_BUS_VTABLE_END,
};

static int
hint_send(void)
{
	sd_bus_message *m = NULL;
	int r;

	if ((r = sd_bus_message_new_signal(bus, &m, SESSION,
		 "org.freedesktop.DBus.Properties", "PropertiesChanged")) < 0 ||
	    (r = sd_bus_message_append(m, "sa{sv}as", NAME ".Session", 2,
		 "IdleHint", "b", 1, "LockedHint", "b", 1, 0)) < 0)
		return r;
	r = sd_bus_send(bus, m, NULL);
	sd_bus_message_unref(m);
	return r;
}

static int
line_take(const char *line)
{
	owner = 0;
	if (strcmp(line, "sleep") == 0 || strcmp(line, "wake") == 0)
		return sd_bus_emit_signal(bus, PATH, NAME ".Manager",
		    "PrepareForSleep", "b", *line == 's');
	if (sscanf(line, "lock %u", &owner) == 1)
		return sd_bus_emit_signal(
		    bus, SESSION, NAME ".Session", "Lock", NULL);
	if (sscanf(line, "hint %u", &owner) == 1)
		return hint_send();
	return -EINVAL;
}

static void
released_tell(const struct pollfd *p)
{
	for (unsigned i = 0; i < taken; i++) {
		if (held[i] < 0 || p[i].revents == 0)
			continue;
		close(held[i]);
		held[i] = -1;
		printf("released %u\n", i + 1);
		fflush(stdout);
	}
}

static int
run(void)
{
	struct pollfd p[FIRST + LOCKS_MAX] = { { .fd = sd_bus_get_fd(bus),
						   .events = POLLIN },
		{ .fd = 0, .events = POLLIN } };
	char line[64];
	int r;

	for (;;) {
		while ((r = sd_bus_process(bus, NULL)) > 0)
			continue;
		for (unsigned i = 0; i < taken; i++)
			p[FIRST + i] = (struct pollfd){ held[i], POLLIN, 0 };
		if (r < 0 || poll(p, FIRST + taken, 60000) <= 0)
			return 1;
		released_tell(p + FIRST);
		if (p[1].revents == 0)
			continue;
		if (fgets(line, sizeof(line), stdin) == NULL)
			return 0;
		line[strcspn(line, "\n")] = '\0';
		if (line_take(line) < 0)
			return 1;
	}
}

int
main(void)
{
	setvbuf(stdin, NULL, _IONBF, 0);
	if (sd_bus_open_system(&bus) < 0 ||
	    sd_bus_add_object_vtable(
		bus, NULL, PATH, NAME ".Manager", manager, NULL) < 0 ||
	    sd_bus_add_object_vtable(
		bus, NULL, SESSION, NAME ".Session", session, NULL) < 0 ||
	    sd_bus_request_name(bus, NAME, 0) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	return run();
}
