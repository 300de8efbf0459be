/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarders side by side: the same members, packets and receivers, and a
 * forwarder that is one of three. Nobody here is a mock; all is UDP on
 * loopback.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "perc/srtp.h"
#include "tests/bench/mddstop.h"

#define RIG_MEMBERS 101
#define RIG_PACKET  1600 /* octets at most */

struct rig_member {
	int fd;			 /* sends and receives */
	struct sockaddr_in self; /* where it is */
	struct sockaddr_in to;	 /* where the forwarder hears it */
	struct perc_srtp *tx;	 /* its hop */
	uint32_t ssrc;
	uint16_t seq;		   /* of its next packet */
	uint8_t key[16], salt[12]; /* plain, rtpengine: what it sends under */
	uint32_t drops;		   /* at its socket, when last looked at */
	char ufrag[64], pwd[64];   /* perch: the forwarder's, for this leg */
	int64_t checked_ms;
};

struct rig;

struct sut { /* system under test */
	const char *name;
	bool tail; /* packets end with an EKTField */
	/* Members are open; fill `to` and `tx`, set r->pid. Aborts on failure,
	 * false: it is not installed. */
	bool (*start)(struct rig *r);
	void (*stop)(struct rig *r);
	/* After packets were lost; NULL: nothing needs to be done. */
	void (*revive)(struct rig *r);
	/* Before each run; or NULL. */
	void (*keep)(struct rig *r);
};
extern const struct sut sut_perch, sut_plain, sut_rtpengine;

struct rig {
	const struct sut *sut;
	unsigned n;	  /* members; each hears all others */
	unsigned senders; /* the first of them */
	size_t payload;	  /* octets of media in a packet */
	struct rig_member m[RIG_MEMBERS];
	pid_t pid;	 /* whose processor time counts */
	const char *mdd; /* the perch-mdd to run */
	bool no_segments;
	unsigned leg_pps;     /* perch: max_leg_pps; 0: as many as it takes */
	unsigned conferences; /* perch: that members are spread over; 0: one */
	unsigned one_of;      /* packets that receivers' sockets keep (sieve) */
	char dir[64];
};

struct rig_load {
	unsigned rate;	/* packets a second that leave the forwarder */
	unsigned burst; /* packets of one sender at once */
	double seconds;
	/* Receivers read a sample, and not before all was sent. */
	bool sampled;
};
struct rig_result {
	uint64_t expected, delivered;
	double cpu_ns; /* of the forwarder, for each packet that left */
	double late;   /* how far the generator fell behind, seconds */
	double busy;   /* part of its processor that the forwarder took */
	uint64_t ran_ns;
	uint64_t waited_ns; /* that it could have run and another process did */
	double p50_us, p99_us;
	/* Sampled only: p99 of the part of the packets that no stop touched. */
	double still_us, still;
	struct stops stops;
};

void rig_open(struct rig *r, const struct sut *s, unsigned n, unsigned senders,
    size_t payload);
bool rig_start(struct rig *r);
void rig_run(struct rig *r, const struct rig_load *l, struct rig_result *out);
void rig_close(struct rig *r);
/* One more packet of m; its octets, at most RIG_PACKET. */
size_t rig_packet(struct rig *r, struct rig_member *m, uint8_t *p);

/* Datagrams that members' sockets had no room for since the last call. */
uint64_t rig_drops(struct rig *r);
/* Its time on the processor; *waited: and in the queue for it. */
uint64_t rig_cpu_ns(pid_t pid, uint64_t *waited);
/* Packets that leave in a second of the forwarder's processor when more are
 * offered than it can do, nobody taking them: sockets that are full count what
 * reaches them, and cost the generator nothing. */
double rig_flat_out(struct rig *r, unsigned offered, double seconds);

struct rig_peak {
	unsigned rate;
	bool generator; /* and more could not be sent here */
};
void
rig_peak(struct rig *r, unsigned burst, double seconds, struct rig_peak *p);

#define RIG_RUNS 15
struct rig_spread {
	double median, least, most;
};
struct rig_delay {     /* medians of the runs, or means where nothing is said */
	unsigned rate; /* packets a second that were to leave */
	double part;   /* of it that the generator sent; median */
	double p50_us; /* median */
	struct rig_spread p99_us, still_us; /* all packets; no stop's */
	double busy; /* part of its processor that it took; median */
	bool known;  /* there was a witness of stops */
	/* Parts: of the packets lost and left out of still_us; of the time in
	 * which it waited for another process, in which it stood still, the
	 * generator's did, and which the witness took. */
	double lost, left_out, waited, stopped, sender, watch;
	double longest_us; /* of stops in all runs */
};
void rig_delay(struct rig *r, unsigned rate, unsigned burst, double seconds,
    unsigned runs, struct rig_delay *d);

/* mddtable.c. what: the line's first cells. */
void table_delay_head(FILE *f);
void table_delay_row(FILE *f, const char *what, const char *who,
    const struct rig_delay *d);

/* Sorts v. */
double rig_median(double *v, unsigned n);

struct flood_opt {
	const char *kind; /* NULL: each */
	unsigned rate;	  /* datagrams of the flood a second */
	unsigned out;	  /* honest packets a second that leave */
	unsigned most;	  /* far more than one processor forwards */
	double seconds;
};
/* mddflood.c, mddmemory.c: r has its directory and program. */
void flood_bench(struct rig *r, const struct flood_opt *o);
void memory_bench(struct rig *r);

/* Or abort, saying where and what, and errno if that was set. */
#define need(good) ((good) ? (void)0 : rig_fail(#good, __FILE__, __LINE__))
void rig_fail(const char *what, const char *file, int line)
    __attribute__((noreturn));
void rig_random(void *p, size_t n);
/* mddapart.c: from now on loopback's receiving side is the generator's
 * processor's; a directory of ours. Ends the program where it may not. */
void rig_apart(const char *dir);
/* The processor that forwarders have for themselves. */
void rig_pin(pid_t pid, int cpu);
/* No ordinary process runs before it (SCHED_FIFO), if we may ask for that. */
void rig_first(pid_t pid, bool on);
