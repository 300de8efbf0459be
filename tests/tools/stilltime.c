/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time for a test that is alone with itself, all in one thread: it stands
 * still while anything is left to do, and jumps to the end of each wait in
 * vain. So a busy machine makes nothing late, and a second of waiting costs no
 * second. The wall clock begins with a whole second. Linked into a test with
 * $(still_ldflags). OpenSSL's own clock goes on: nothing may be lost that DTLS
 * would have to send again.
 *
 * What was sent over loopback may still lie in the queue of the processor that
 * sent it, when that is busy. So we stay on one processor, and before a wait
 * is called vain, a datagram to ourselves has come that way: all before it
 * have, too.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __real_epoll_wait(int fd, struct epoll_event *ev, int max, int timeout_ms);
int __wrap_epoll_wait(int fd, struct epoll_event *ev, int max, int timeout_ms);
int __real_poll(struct pollfd *p, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout_ms);
int __wrap_usleep(useconds_t us);

static int64_t passed_us;

int
__wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	static struct timespec start[CLOCK_BOOTTIME + 1];

	if (id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME &&
	    id != CLOCK_REALTIME)
		return __real_clock_gettime(id, ts);
	if (start[id].tv_sec == 0 && __real_clock_gettime(id, &start[id]) != 0)
		return -1;
	ts->tv_sec = start[id].tv_sec + passed_us / 1000000;
	ts->tv_nsec = passed_us % 1000000 * 1000;
	return 0;
}

static int to_self;

__attribute__((constructor)) static void
stay_here(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(a);
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (fd < 0 || sched_setaffinity(0, sizeof(one), &one) != 0 ||
	    bind(fd, (struct sockaddr *)&a, n) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0 ||
	    connect(fd, (struct sockaddr *)&a, n) != 0)
		abort();
	to_self = fd;
}

static void
all_arrives(void)
{
	char c = 0;

	if (send(to_self, &c, 1, 0) != 1 || recv(to_self, &c, 1, 0) != 1)
		abort();
}

int
__wrap_epoll_wait(int fd, struct epoll_event *ev, int max, int timeout_ms)
{
	int n = __real_epoll_wait(fd, ev, max, timeout_ms < 0 ? -1 : 0);

	if (n != 0)
		return n;
	all_arrives();
	n = __real_epoll_wait(fd, ev, max, 0);
	passed_us += n == 0 ? timeout_ms * (int64_t)1000 : 0;
	return n;
}

int
__wrap_poll(struct pollfd *p, nfds_t count, int timeout_ms)
{
	int n = __real_poll(p, count, timeout_ms < 0 ? -1 : 0);

	if (n != 0)
		return n;
	all_arrives();
	n = __real_poll(p, count, 0);
	passed_us += n == 0 ? timeout_ms * (int64_t)1000 : 0;
	return n;
}

int
__wrap_usleep(useconds_t us)
{
	all_arrives();
	passed_us += us;
	return 0;
}
