/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The witness is a process and not a thread, for the benchmark's threads
 * change their class together. Between runs it sleeps in a read: 2,000
 * wakings a second are a few hundredths of a processor (20 us each on a
 * virtual machine), which no other figure should contain.
 *
 * It sees that a processor stood still, not that it was slow: where each new
 * page of memory is a fault in the machine below, all goes at a fifth of its
 * speed for milliseconds, and nothing here tells.
 */
#include "tests/bench/mddstop.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/mddear.h"

#define STOPS 4096 /* of one run, of one processor */

struct list {
	_Atomic unsigned n;
	struct {
		int64_t from, to;
	} at[STOPS];
};

struct seen { /* shared with the witness */
	_Atomic bool on;
	_Atomic uint64_t cpu_ns;
	struct list list;
};

static struct seen *seen;
static struct list sender;
static int to_witness = -1;
static int64_t began_ns;
static bool known;

static int64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
list_add(struct list *l, int64_t from, int64_t to)
{
	unsigned n = atomic_load(&l->n);

	if (n == STOPS)
		return;
	l->at[n].from = from;
	l->at[n].to = to;
	atomic_store(&l->n, n + 1);
}

/* ---- the witness ------------------------------------------------------ */

static void
watch(void)
{
	int64_t due = clock_ns(CLOCK_MONOTONIC), late, now;
	int64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	struct timespec t;

	while (atomic_load(&seen->on)) {
		due += STOP_EVERY_NS;
		t.tv_sec = due / 1000000000;
		t.tv_nsec = due % 1000000000;
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		late = clock_ns(CLOCK_MONOTONIC) - due;
		if (late > STOP_NS) {
			now = rig_now_ns();
			list_add(&seen->list, now - late, now);
			due += late;
		}
		atomic_store(&seen->cpu_ns,
		    (uint64_t)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu));
	}
}

static void
witness(int fd)
{
	char c;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, &c, 1) == 1)
		watch();
	_exit(0);
}

/* ---- a run ------------------------------------------------------------ */

void
stops_begin(void)
{
	sender.n = 0;
	seen->list.n = 0;
	seen->cpu_ns = 0;
	atomic_store(&seen->on, true);
	began_ns = rig_now_ns();
	if (known)
		need(write(to_witness, "w", 1) == 1);
}

static uint64_t
list_sum(struct list *l, int64_t from, int64_t to, uint64_t *longest)
{
	uint64_t sum = 0, one;
	unsigned i;

	for (i = 0; i < l->n; i++) {
		if (l->at[i].to <= from || l->at[i].from >= to)
			continue;
		one = (uint64_t)(l->at[i].to - l->at[i].from);
		sum += one;
		*longest = one > *longest ? one : *longest;
	}
	return sum;
}

void
stops_end(int64_t from_ns, int64_t to_ns, struct stops *s)
{
	uint64_t any = 0;

	memset(s, 0, sizeof(*s));
	atomic_store(&seen->on, false);
	s->known = known;
	s->ns = list_sum(&seen->list, from_ns, to_ns, &s->longest);
	s->sender = list_sum(&sender, from_ns, to_ns, &any);
	s->cost = (double)seen->cpu_ns / (double)(rig_now_ns() - began_ns);
}

void
stops_note(int64_t from_ns, int64_t to_ns)
{
	if (to_ns - from_ns > STOP_NS)
		list_add(&sender, from_ns, to_ns);
}

static bool
list_touch(struct list *l, int64_t from, int64_t to)
{
	unsigned i, n = atomic_load(&l->n);

	for (i = 0; i < n; i++)
		if (from < 2 * l->at[i].to - l->at[i].from &&
		    to > l->at[i].from)
			return true;
	return false;
}

bool
stops_touch(int64_t from_ns, int64_t to_ns)
{
	return seen != NULL &&
	    (list_touch(&seen->list, from_ns, to_ns) ||
		list_touch(&sender, from_ns, to_ns));
}

void
stops_open(void)
{
	const struct sched_param most = { .sched_priority = 99 };
	struct stops none;
	int fd[2];
	pid_t pid;

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(seen != MAP_FAILED && pipe(fd) == 0 && (pid = fork()) >= 0);
	if (pid == 0) {
		(void)close(fd[1]);
		witness(fd[0]);
	}
	(void)close(fd[0]);
	to_witness = fd[1];
	rig_pin(pid, 1);
	known = sched_setscheduler(pid, SCHED_FIFO, &most) == 0;
	/* Its pages are its own from now on, not in the first run. */
	stops_begin();
	(void)usleep(20000);
	stops_end(0, 0, &none);
}
