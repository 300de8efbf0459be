/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of this machine has changed: another WLAN, a cable pulled, a
 * tunnel that came up. The kernel tells it on a netlink socket; what exactly
 * does not matter, since everybody here asks the kernel for the way to his
 * own peer. Changes come in bursts, and a machine that starts containers all
 * day has many that concern nobody, so it is looked at a moment later and
 * costs a route look-up.
 */
#include "agent/front.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/log.h"

#define SETTLE_MS 150  /* an address and its route come one after the other */
#define AGAIN_MS  1000 /* IPv6 looks for duplicates that long */

static void
retry_now(struct front_conf *c, struct front_retry *r, perc_loop_fn fn)
{
	r->tries = 0;
	if (perc_timer_armed(&r->timer))
		front_later(c, &r->timer, 0, fn);
}

static void
moved(struct agent *a)
{
	perc_httpc_moved(a->http);
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
		struct front_conf *c = a->confs[i];

		if (c == NULL || !front_is_live(c))
			continue;
		front_leg_moved(c->leg);
		if (c->mdd_retry.timer.fn != NULL)
			retry_now(c, &c->mdd_retry, c->mdd_retry.timer.fn);
		if (c->events_retry.timer.fn != NULL)
			retry_now(
			    c, &c->events_retry, c->events_retry.timer.fn);
	}
}

static void
on_again(void *arg)
{
	moved(arg);
}

static void
on_settled(void *arg)
{
	struct agent *a = arg;

	log_debug("network_changed");
	moved(a);
	if (perc_timer_set(a->loop, &a->moved_timer, AGAIN_MS, on_again, a) !=
	    0)
		log_warnx("moved: no memory for a timer");
}

static void
on_netlink(int fd, uint32_t events, void *arg)
{
	struct agent *a = arg;
	char drop[8192];

	(void)events;
	/* ENOBUFS: there was more than fits; that too is a change. */
	while (
	    recv(fd, drop, sizeof(drop), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		continue;
	if (perc_timer_set(
		a->loop, &a->moved_timer, SETTLE_MS, on_settled, a) != 0)
		moved(a);
}

void
front_moved_follow(struct agent *a)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
		    RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
		    RTMGRP_IPV6_ROUTE };

	a->moved_fd = socket(
	    AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (a->moved_fd >= 0 &&
	    bind(a->moved_fd, (struct sockaddr *)&nl, sizeof(nl)) == 0 &&
	    perc_loop_add(a->loop, &a->moved_io, a->moved_fd, EPOLLIN,
		on_netlink, a) == 0)
		return;
	log_warn("netlink: a change of networks is seen late");
	front_moved_stop(a);
}

void
front_moved_stop(struct agent *a)
{
	perc_timer_stop(a->loop, &a->moved_timer);
	perc_loop_del(a->moved_io);
	a->moved_io = NULL;
	if (a->moved_fd >= 0)
		close(a->moved_fd);
	a->moved_fd = -1;
}
