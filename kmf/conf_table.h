/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The tables of perch-kmf.conf, for who compares two of them.
 */
#pragma once

#include "perc/conf.h"

extern const struct perc_conf_item kmf_main_items[], kmf_mail_items[];
