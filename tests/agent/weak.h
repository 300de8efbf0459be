/* SPDX-License-Identifier: Apache-2.0 */
/* Guards that tests/agent/weaken.py made optional. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/double.h"
#include "perc/jose.h"

/* Does the file "weak" beside this program name that guard? */
bool weak(const char *guard);
/* The same, in a program of more than one attack. */
void weak_choose(const char *names);
/* "argv": the key's octets in hex, where ps(1) shows them. */
void weak_say(const uint8_t *key, size_t n);
/* As the functions without weak_; "signature": any will do; "plain": what is
 * not sealed is taken and given. */
int weak_verify_set(struct perc_jws *j, const char *text, size_t len,
    size_t max, const struct perc_jwks *set, const char *typ);
int weak_rx_open(struct perc_double_rx *rx, int64_t now_ms, const uint8_t *in,
    size_t n, uint8_t *out, struct perc_double_in *info, uint16_t *unknown_spi);
int weak_tx_seal(struct perc_double_tx *tx, int64_t now_ms, const uint8_t *in,
    size_t n, uint8_t *out, size_t cap, size_t *len);
