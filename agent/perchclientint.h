/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of libperchclient share: perchclient.c has the connection and
 * what is heard, perchclientask.c questions and answers. Not installed; names
 * that a program would see begin with perch__.
 */
#pragma once

#include "agent/perchclient.h"

#define ASKS_MAX 8  /* the agent takes no more at once */
#define EARS_MAX 64 /* streams heard by callback */

struct ask {
	int id; /* 0: free */
	perch_answer_fn fn;
	void *arg;
};

struct ear {
	int fd; /* -1: free */
	perch_packet_fn fn;
	void *arg;
};

struct perch_client {
	int fd, poll;
	char *in;
	size_t len, cap;
	int next_id;
	struct ask asks[ASKS_MAX];
	struct ear ears[EARS_MAX];
	char error[256];
};

/* -1, errno and the words of perch_client_error(). */
__attribute__((format(printf, 3, 4))) int perch__fail(
    struct perch_client *c, int err, const char *fmt, ...);
void perch__hang_up(struct perch_client *c);
struct ask *perch__ask_find(struct perch_client *c, int id);
/* What the agent said meanwhile; -1: it went away. */
int perch__read(struct perch_client *c);
