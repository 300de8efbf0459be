/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another process's memory, as its administrator can read it. What comes from
 * memfd_secret nobody can read: it counts as unreadable.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MEM_OVERLAP_MAX 4096

struct mem {
	size_t overlap; /* octets that each piece repeats of the one before */
	int all;	/* what is only readable too, not just what is writable */
	/* n octets that stand at address `at` of the mapping. */
	void (*look)(void *arg, const uint8_t *p, size_t n, uint64_t at,
	    const char *mapping);
	void *arg;
	uint64_t octets, unreadable;
};

/* 0; -1: nothing of it could be read. */
int mem_read(struct mem *m, const char *pid);
/* Octets written; ends the program on anything but hex that fits. */
size_t mem_unhex(uint8_t *out, size_t cap, const char *s);
