/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invitations by mail: queued in the transaction that caused them, composed
 * when they leave (mail_text.c), handed to the mailer as an errand.
 */
#pragma once

#include "kmf/errand.h"
#include "kmf/series.h"

#define KMF_MAIL_KEEP_MS   (24 * 3600 * 1000LL) /* tried for so long */
#define KMF_MAIL_CODE_LEN  22

extern const struct kmf_errand_kind_ops kmf_mail_errands;
extern const struct kmf_run_ops kmf_mail_runner;

PERC_MUST int kmf_mail_series_invitee(struct kmf_keeper *k,
    const struct kmf_series *o, const struct db_invitee *v);

/* A message of RFC 5322, multipart, free()d by the caller, who wipes it.
 * PERC_ERR_FORMAT: what stands in m could be no such thing. */
PERC_MUST int kmf_mail_text(char **textp, const struct kmf_keeper *k,
    const struct db_mail *m, const char *calendar, const char *code);
