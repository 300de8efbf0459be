/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of media, as tell.c tells the others: of an epoch, of the inner
 * layer, and what is derived from that.
 */
#include "perc/ekt.h"
#include "perc/gcm.h"
#include "perc/secret.h"
#include "tests/tools/tell.h"

int __real_perc_ekt_add(
    struct perc_ekt *e, const struct perc_enckey *k, int64_t expires_ms);
int __wrap_perc_ekt_add(
    struct perc_ekt *e, const struct perc_enckey *k, int64_t expires_ms);
int __real_perc_gcm_new(struct perc_gcm **gp, const uint8_t *master_key,
    size_t keylen, const uint8_t *master_salt);
int __wrap_perc_gcm_new(struct perc_gcm **gp, const uint8_t *master_key,
    size_t keylen, const uint8_t *master_salt);

int
__wrap_perc_ekt_add(
    struct perc_ekt *e, const struct perc_enckey *k, int64_t expires_ms)
{
	tell("ekt", k->key, k->keylen);
	tell("salt", k->salt, sizeof(k->salt));
	return __real_perc_ekt_add(e, k, expires_ms);
}

int
__wrap_perc_gcm_new(struct perc_gcm **gp, const uint8_t *master_key,
    size_t keylen, const uint8_t *master_salt)
{
	struct perc_session_keys s;

	tell("master", master_key, keylen);
	if (perc_srtp_kdf(&s, master_key, keylen, master_salt) == 0) {
		tell("session", s.rtp_key, keylen);
		tell("session", s.rtp_salt, sizeof(s.rtp_salt));
		tell("session", s.rtcp_key, keylen);
		tell("session", s.rtcp_salt, sizeof(s.rtcp_salt));
	}
	perc_wipe(&s, sizeof(s));
	return __real_perc_gcm_new(gp, master_key, keylen, master_salt);
}
