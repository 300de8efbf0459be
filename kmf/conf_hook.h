/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The webhooks' part of the configuration table (conf_table.c).
 */
#pragma once

#include "kmf/kmf.h"
#include "perc/conf.h"

extern const struct perc_conf_item kmf_hook_items[];
int kmf_hook_open(void *conf, const char *label, void **targetp);
/* What the table cannot say. */
struct kmf_conf_text;
PERC_MUST int
kmf_hooks_complete(struct kmf_conf *c, const struct kmf_conf_text *t);
