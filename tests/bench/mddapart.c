/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receivers are other machines on a real road, but on loopback the system does
 * their side too, in the time of who sends: route, socket, cutting a message
 * apart for receivers that want datagrams, their filter. With --apart all of
 * that is done by the generator's processor. Loopback of a network namespace
 * of our own is told so (rps_cpus), for the machine's is not ours to change.
 * The system's stamp on a datagram is made before it changes processors.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/mddrig.h"

#define GENERATOR "1" /* a mask: the first processor (rig_pin) */

static void
loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	r.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
	need(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0);
	(void)close(fd);
}

/* sysfs shows the devices of the namespace in which it was mounted. */
static void
loopback_steer(const char *dir)
{
	char sys[96], path[160];
	int fd;

	(void)snprintf(sys, sizeof(sys), "%s/sys", dir);
	(void)snprintf(
	    path, sizeof(path), "%s/class/net/lo/queues/rx-0/rps_cpus", sys);
	need(mkdir(sys, 0700) == 0 &&
	    mount("sysfs", sys, "sysfs", 0, NULL) == 0 &&
	    (fd = open(path, O_WRONLY)) >= 0);
	need(write(fd, GENERATOR, strlen(GENERATOR)) > 0);
	(void)close(fd);
	need(umount2(sys, MNT_DETACH) == 0 && rmdir(sys) == 0);
}

void
rig_apart(const char *dir)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
		fputs("mdd: --apart makes a network namespace: be root\n",
		    stderr);
		exit(1);
	}
	need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	loopback_up();
	loopback_steer(dir);
}
