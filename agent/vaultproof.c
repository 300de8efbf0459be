/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DPoP proofs for the front. The vault's signing key proves to the KMF that
 * a request comes from this endpoint, so the front could do harm with a
 * proof for any other request: the vault signs only what a member of a
 * conference sends to a KMF that is pinned, and makes jti and iat itself.
 */
#include <string.h>

#include "agent/vault.h"

static bool
method_ok(const char *htm)
{
	static const char *const ok[] = { "POST", "GET", "PUT", "DELETE" };
	size_t i;

	for (i = 0; i < sizeof(ok) / sizeof(ok[0]); i++)
		if (strcmp(htm, ok[i]) == 0)
			return true;
	return false;
}

/*
 * https and below a pinned BASE. Query and fragment have no place in htu
 * (RFC 9449 section 4.2); dots, escapes and backslashes could climb out of
 * BASE again when somebody normalises.
 */
static bool
target_ok(const struct vault_config *c, const char *htu)
{
	unsigned i;
	size_t n;

	if (strncmp(htu, "https://", 8) != 0 || strlen(htu) > 1024 ||
	    strpbrk(htu, "?#%\\@ \"\t\r\n") != NULL ||
	    strstr(htu, "/..") != NULL || strstr(htu, "/./") != NULL ||
	    strstr(htu + 8, "//") != NULL)
		return false;
	for (i = 0; i < c->nkmf; i++) {
		n = strlen(c->kmf[i].url);
		if (strncmp(htu, c->kmf[i].url, n) == 0 && htu[n] == '/')
			return true;
	}
	return false;
}

/*
 * A key answer is sealed to us or there is none: a proof without seal_jkt
 * would get the front the plain form of docs/http-key.md.
 */
static bool
is_for_keys(const char *htm, const char *htu)
{
	return strcmp(htm, "POST") == 0 && strstr(htu, "/keys") != NULL;
}

int
vault_proof(struct vault *v, struct perc_wire *w, char **proofp)
{
	uint8_t flags = perc_wire_get_u8(w);
	const char *htm = perc_wire_get_str(w);
	const char *htu = perc_wire_get_str(w);
	const char *token = perc_wire_get_str(w);
	const char *nonce = perc_wire_get_str(w);
	int r;

	if ((r = perc_wire_end(w)) != 0)
		return r;
	if ((flags & ~VAULT_PROOF_SEAL_JKT) != 0 || !method_ok(htm) ||
	    !target_ok(v->config, htu) || strlen(token) > PERC_JOSE_TOKEN_MAX ||
	    strlen(nonce) > 256)
		return PERC_ERR_DENIED;
	if (is_for_keys(htm, htu))
		flags |= VAULT_PROOF_SEAL_JKT;
	return perc_dpop_make(proofp, v->sign, htm, htu,
	    *token == '\0' ? NULL : token, *nonce == '\0' ? NULL : nonce,
	    (flags & VAULT_PROOF_SEAL_JKT) != 0 ? v->seal_jkt : NULL,
	    perc_wall_ms() / 1000);
}
