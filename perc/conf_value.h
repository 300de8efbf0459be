/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value of a configuration: text to target; and a line. Private to
 * perc/conf*.c.
 */
#pragma once

#include "perc/conf.h"

/* Parse text by the item's type into target + offset; what stood there is
 * freed. On error why says what is wrong, to be read behind the name. file:
 * relative paths start at its directory. */
PERC_MUST int perc_conf_value_set(void *target,
    const struct perc_conf_item *item, const char *text, const char *file,
    char *why, size_t cap);

/* A line without blanks at its ends, and without its comment; both write. */
char *perc_conf_trim(char *s);
void perc_conf_cut_comment(char *s);
