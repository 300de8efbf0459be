/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * slot (u32) | HMAC-SHA-256(key, "perch-nonce" | slot), cut to 16 octets.
 */
#include "kmf/nonce.h"

#include <string.h>

#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/secret.h"
#include "perc/wire.h"

#define SLOT_S 60
#define RAW    20

static void
nonce_raw(uint8_t out[static RAW], const uint8_t key[static 32], uint32_t slot)
{
	static const char label[] = "perch-nonce";
	uint8_t in[sizeof(label) + 4], mac[PERC_SHA256_LEN];
	struct perc_wire w;

	perc_wire_writer(&w, in, sizeof(in));
	perc_wire_put_bytes(&w, label, sizeof(label));
	perc_wire_put_u32(&w, slot);
	if (perc_wire_end(&w) != 0 ||
	    perc_hmac_sha256(mac, key, 32, in, sizeof(in)) != 0)
		fatalx("nonce err=hmac");
	memcpy(out, in + sizeof(label), 4);
	memcpy(out + 4, mac, RAW - 4);
}

void
kmf_nonce_make(char out[static KMF_NONCE_LEN + 1], const uint8_t key[static 32],
    int64_t now_s)
{
	uint8_t raw[RAW];

	nonce_raw(raw, key, (uint32_t)(now_s / SLOT_S));
	perc_b64_put(out, raw, sizeof(raw));
}

bool
kmf_nonce_ok(const char *nonce, const uint8_t key[static 32], int64_t now_s)
{
	uint32_t slot, now = (uint32_t)(now_s / SLOT_S);
	uint8_t raw[RAW], want[RAW];
	struct perc_wire w;

	if (perc_b64_get_exact(raw, sizeof(raw), nonce) != 0)
		return false;
	perc_wire_reader(&w, raw, sizeof(raw));
	slot = perc_wire_get_u32(&w);
	if (slot > now + 1 || slot + KMF_NONCE_SLOTS < now)
		return false;
	nonce_raw(want, key, slot);
	return perc_equal(raw, want, sizeof(raw));
}
