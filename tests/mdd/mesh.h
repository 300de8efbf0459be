/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real perch-mdds that know each other as peers, each with a link key, and
 * members who come to one of them and are heard at another.
 */
#pragma once

#include "perc/jose.h"
#include "tests/mdd/stage.h"

#define SSRC_C 0x0c0c0c0cu

extern struct perc_jwk *mesh_key[STAGE_MDDS];

int mesh_open(void **state); /* of a group */
int mesh_close(void **state);
int mesh_stop(void **state); /* after each test: all MDDs */
/* A new link key for MDD i, in the file that its configuration names. */
void mesh_key_new(unsigned i);
/* MDD i's file: peers are those of the bits in `to`, each with the lines
 * `peer`. */
void
mesh_conf(unsigned i, unsigned to, const char *settings, const char *peer);
void mesh_come(unsigned mdd, struct member *m, const char *name,
    const char *conference, uint32_t ssrc);
void mesh_leave(unsigned mdd, struct member *m);
/* Says on and on until it is heard; how often it took. Then it must come once
 * and once only. */
int mesh_reaches(struct member *from, struct member *to);
/* Says something that must not be heard. */
void mesh_deaf(struct member *from, struct member *to);
/* Wait until this MDD has so many links. */
void mesh_links(unsigned mdd, uint64_t want);
