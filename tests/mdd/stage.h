/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real perch-mdd with two workers on free loopback ports, a KMF that is a
 * key in this program, and members that join with real tokens.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/mdd/peer.h"

#define KMF    "https://kmf.example"
#define SSRC_A 0x0a0a0a0au
#define SSRC_B 0x0b0b0b0bu
#define BODY   "{\"ufrag\": \"mine\", \"pwd\": \"0123456789012345678901\"}"

#define STAGE_MDDS 4

extern char base[64]; /* the base URL of the MDD that is spoken to */

int stage_open(void **state); /* group set-up and tear-down of cmocka */
int stage_close(void **state);
/* MDD 0's workers: how many, and at most max of their process ids. */
unsigned stage_workers(pid_t *pid, unsigned max);
unsigned stage_workers_of(unsigned i, pid_t *pid, unsigned max);
pid_t stage_pid(void);
/* Wait until it ended by itself; its status. */
int stage_wait(int ms);
extern const char *stage_more; /* settings, before stage_open; or NULL */
/* Several MDDs: what stage_open does, in steps. MDD i gets these settings and
 * sections; a start waits until it is ready, and uses it. */
void stage_setup(void);
const char *stage_base(unsigned i);
void stage_conf(unsigned i, const char *settings, const char *sections);
int stage_start(unsigned i);
int stage_stop(unsigned i, int signo); /* the wait status; 0: was not there */
void stage_use(unsigned i);	       /* speak to this one from now on */
void path_of(char out[128], const char *name); /* a file of this world */

struct answer {
	int err, status;
	json_t *json; /* valid until the next request */
	char text[32768];
};
struct answer
http(const char *method, const char *path, const char *token, const char *body);
/* The status, and the problem's code unless NULL. */
void expect(struct answer a, int status, const char *code);
/* A counter's sum over both workers; and waiting until it is that high. */
uint64_t metric(const char *name, const char *label);
void metric_reaches(const char *name, const char *label, uint64_t want);

struct member { /* an endpoint and its token */
	struct peer p;
	const char *name, *conference;
	uint32_t ssrc;
	char *token;
	char leg[64];
	unsigned port;
};
extern uint32_t stage_second;	  /* tokens list ssrc + this too; 0: not */
extern const char *stage_cascade; /* another MDD that tokens name; or NULL */
json_t *claims(const struct member *m); /* of a good token2 */
char *sign(json_t *c);			/* takes c; the caller frees */
void member_join(
    struct member *m, const char *name, const char *conference, uint32_t ssrc);
void member_end(struct member *m);
/* m_a and m_b, joined and connected. */
void two(struct member *a, struct member *b, const char *conference);
