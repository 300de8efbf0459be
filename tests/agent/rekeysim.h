/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real vaults that seal and open, and between them a network that reorders,
 * loses, delays and doubles, in simulated time (perc_boot_ms is wrapped, and
 * what a vault sends is caught before the channel), so that hundreds of
 * rekeys take seconds. PERCH_SEED runs another history.
 */
#pragma once

#include "rekeyroad.h"

#define SIM_CONF  "c_sim"
#define MEMBERS	  5
#define STEP_MS	  20
#define OVERLAP	  2000
#define LEARN_MAX 1300 /* push, poll or fetch */
#define EPOCHS	  128 /* of one history */

struct member {
	struct kit *k;
	bool asleep;
	bool in;	      /* on the roster, and counted */
	uint64_t knows, told; /* by either way; by the stream, in order */
	uint64_t due;	      /* packets that the network brought, each once */
	struct {
		bool push_lost, gone; /* gone: was replaced before it came */
		uint64_t due;	      /* of those packets, under its key */
	} of[EPOCHS];		      /* by epoch */
	int64_t asked_ms;
};

struct net {		      /* what the network does to a packet */
	unsigned loss, twice; /* per mille */
	int64_t least_ms, jitter_ms;
	unsigned pushes_lost; /* per mille: only a poll or a fetch is left */
	int64_t push_ms, fetch_ms; /* at most */
};

extern struct sim {
	int64_t now;
	uint64_t seed;
	struct perc_loop *loop;
	struct kit_kmf kmf;
	struct kit_conf conf;
	struct member m[MEMBERS];
	struct net net;
	uint16_t spi[EPOCHS]; /* by epoch */
	int64_t stall_ms; /* member 3's pushes come together, so far apart */
	struct road road;
	unsigned sent_by; /* whose vault sends now */
	char *roster;
} sim;

/* For cmocka: four members, who know the first epoch; the fifth is not in. */
int sim_setup(void **state);
int sim_teardown(void **state);

struct vault_slot *sim_slot(unsigned i);
/* Packets that member i opened. */
uint64_t sim_opened(unsigned i);
/* Everybody who is in and awake talks for as long. */
void sim_run(int64_t ms);
void sim_all_asleep(bool asleep);
/* All have spoken to all; from here on each packet is counted. */
void sim_settle_in(void);
void sim_due_restart(struct member *m);

/* The KMF: a new epoch; word of it (of the newest then) to one; the roster. */
void sim_epoch_begin(void);
void sim_news(unsigned to, int64_t in_ms, bool newest);
void sim_roster(void);
/* All three, to the first n. */
void sim_rekey_all(unsigned n);
void sim_come_in(unsigned i);

/* So many rekeys, so far apart; fails the test unless each member opened
 * every packet that came and whose key it could have. */
void sim_histories(
    struct net net, unsigned rekeys, int64_t apart_ms, bool sleepers);
