/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The tables of perch-kmf.conf, for who compares two of them, and what
 * is looked at when one was read.
 */
#pragma once

#include "kmf/kmf.h"
#include "perc/conf.h"

extern const struct perc_conf_item kmf_main_items[], kmf_mail_items[];

struct kmf_conf_text { /* what was read, and where a fault is told */
	struct perc_conf_text read;
	char *why;
	size_t cap;
};

/* conf_complete.c */
PERC_MUST int
kmf_conf_complete(struct kmf_conf *c, const struct kmf_conf_text *t);
/* "FILE:LINE: what", the line as perc_conf_line() finds it; PERC_ERR_FORMAT. */
PERC_PRINTF(5, 6)
PERC_MUST int kmf_conf_fault(const struct kmf_conf_text *t,
    const char *section, const char *label, const char *name, const char *fmt,
    ...);
/* conf_issuer.c */
PERC_MUST int
kmf_issuers_complete(struct kmf_conf *c, const struct kmf_conf_text *t);
