/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What perch-agent hears of systemd-logind, on a bus of the test's own: the
 * real one wants to be started by PID 1. Lines of standard input are events:
 *
 *	sleep, wake	  PrepareForSleep
 *	lock UID	  Lock of a session of that user
 *	hint UID	  its LockedHint, as a screen locker sets it
 *
 * Prints "ready", "inhibited" for each delay lock taken and "released" when
 * it was let go.
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

static sd_bus *bus;
static int held = -1; /* our end of the newest delay lock */
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
	    pipe2(p, O_CLOEXEC) != 0)
		return -EINVAL;
	r = sd_bus_reply_method_return(m, "h", p[1]);
	close(p[1]);
	if (held >= 0)
		close(held);
	held = p[0];
	puts("inhibited");
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

static int
run(void)
{
	struct pollfd p[3] = { { .fd = sd_bus_get_fd(bus), .events = POLLIN },
		{ .fd = 0, .events = POLLIN }, { .events = POLLIN } };
	char line[64];
	int r;

	for (;;) {
		while ((r = sd_bus_process(bus, NULL)) > 0)
			continue;
		p[2].fd = held;
		if (r < 0 || poll(p, 3, 60000) <= 0)
			return 1;
		if (held >= 0 && p[2].revents != 0) {
			close(held);
			held = -1;
			puts("released");
			fflush(stdout);
		}
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
