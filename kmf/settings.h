/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The settings of the keeper that a reload changes: mdds, cascade, limits,
 * how long things are kept, mail_from, webhooks. All of the options is copied.
 */
#pragma once

#include "kmf/keeper.h"

PERC_MUST int
kmf_settings_open(struct kmf_keeper *k, const struct kmf_keeper_opts *o);
/* From the loop, not from within an operation. config: the hash to be
 * recorded. moved: bits 1 << enum kmf_outlet, whose errands go elsewhere, or
 * otherwise; the process there is knows only the old ways and gets nothing
 * more. An error changes nothing. */
PERC_MUST int kmf_settings_change(struct kmf_keeper *k,
    const struct kmf_keeper_opts *o, const char *config, unsigned moved);
void kmf_settings_close(struct kmf_keeper *k);
