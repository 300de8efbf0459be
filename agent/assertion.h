/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The assertion by which an administrator's command line proves who it is
 * (RFC 7523, private_key_jwt): signed by libjwt, typ JWT, ES256.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "perc/err.h"

/*
 * jwk: a private P-256 JWK, an object. iss = sub = client_id, aud, a fresh
 * jti, exp = now_s + 120. The caller text_free()s *textp. PERC_ERR_FORMAT:
 * the key is not of that kind.
 */
PERC_MUST int assertion_make(char **textp, const json_t *jwk,
    const char *client_id, const char *aud, int64_t now_s);
