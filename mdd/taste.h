/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A receiver's subscription as it travels: the JSON of docs/wire/join.md on
 * its way to control, and control's word to the worker.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "mdd/msg.h"
#include "mdd/select.h"

#define MDD_TASTE_WHY 96

struct mdd_subscribe { /* MDD_MSG_SUBSCRIBE */
	char leg[MDD_LEG_ID_MAX];
	struct mdd_taste taste;
};

/* Strict: unknown members, wrong types and too many rules are refused, and
 * why says what is wrong in words of ours. */
PERC_MUST int mdd_taste_parse(struct mdd_taste *t, const void *text, size_t len,
    char why[static MDD_TASTE_WHY]);
/* As in mdd/msg.h. */
int mdd_subscribe_put(uint8_t *out, const struct mdd_subscribe *m);
PERC_MUST int
mdd_subscribe_get(struct mdd_subscribe *m, const void *p, size_t n);
