/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Signatures of identity providers' tokens, by liboauth2, and nothing but
 * signatures: it is given one key, whose algorithm the caller has compared
 * with the token's, and asked whether this text was signed by it.
 */
#pragma once

#include "perc/err.h"

/* Once per process, before the cage is shut: it makes named semaphores. */
PERC_MUST int kmf_verify_init(void);
void kmf_verify_done(void);
/* jwk: JSON text of one public key. PERC_ERR_AUTH, PERC_ERR_CRYPTO. */
PERC_MUST int kmf_verify_signature(const char *jwk, const char *token);
