/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What one operation asks of its caller: a row of the table in ops.c.
 */
#pragma once

#include "kmf/keeper_int.h"

#define KMF_BY(w) (1u << KMF_WHO_##w)
#define KMF_STAFF (KMF_BY(CLIENT) | KMF_BY(ROLE))

enum kmf_on {
	KMF_ON_NOTHING,
	KMF_ON_CONF,
	KMF_ON_CONF_HOST /* a member only when it is a host */
};

struct kmf_rule {
	unsigned who;	   /* bits of enum kmf_who */
	const char *scope; /* words, one of which staff needs; NULL: any */
	enum kmf_on on;
	int (*fn)(struct kmf_job *j);
};

const struct kmf_rule *kmf_rule_of(enum kmf_op op);
