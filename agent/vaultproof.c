/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DPoP proofs (RFC 9449). The vault's signing key proves to the KMF that
 * a request comes from this endpoint, so the front could do harm with a
 * proof for any other request: the vault signs only requests to a KMF that
 * is pinned (a member's, or an administrator's with a role), and makes jti
 * and iat itself.
 *
 * One kind goes elsewhere: to an identity provider, so that its tokens are
 * bound to this endpoint from the first request on. Nobody pins providers
 * (the KMF names them), so such a proof is a bare POST without a token, which
 * no resource server accepts, and never one that a pinned KMF would.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/vault.h"

static bool
method_ok(const char *htm)
{
	static const char *const ok[] = { "POST", "GET", "PUT", "PATCH",
		"DELETE" };
	size_t i;

	for (i = 0; i < sizeof(ok) / sizeof(ok[0]); i++)
		if (strcmp(htm, ok[i]) == 0)
			return true;
	return false;
}

/*
 * Query and fragment have no place in htu (RFC 9449 section 4.2); dots,
 * escapes and backslashes could climb out of BASE again, or into it, when
 * somebody normalises.
 */
static bool
target_plain(const char *htu)
{
	return strncmp(htu, "https://", 8) == 0 && htu[8] != '/' &&
	    strlen(htu) <= 1024 && strpbrk(htu, "?#%\\@ \"\t\r\n") == NULL &&
	    strstr(htu, "/..") == NULL && strstr(htu, "/./") == NULL &&
	    strstr(htu + 8, "//") == NULL;
}

/* https and below a pinned BASE. */
static bool
target_ok(const struct vault_config *c, const char *htu)
{
	unsigned i;
	size_t n;

	for (i = 0; i < c->nkmf; i++) {
		n = strlen(c->kmf[i].url);
		if (strncmp(htu, c->kmf[i].url, n) == 0 && htu[n] == '/')
			return true;
	}
	return false;
}

struct authority {
	size_t host; /* octets */
	unsigned long port;
	const char *path;
};

/* RFC 3986 section 6.2.3: no port, an empty one and 443 are the same. */
static struct authority
authority(const char *url)
{
	const char *host = url + 8;
	struct authority a = { strcspn(host, "/"), 443, NULL };
	size_t n = a.host;

	a.path = host + n;
	while (n > 0 && host[n - 1] >= '0' && host[n - 1] <= '9')
		n--;
	if (n > 0 && host[n - 1] == ':') {
		if (n < a.host)
			a.port = strtoul(host + n, NULL, 10);
		a.host = n - 1;
	}
	return a;
}

/* Would a pinned KMF take url for one of its own? */
static bool
is_pinned(const struct vault_config *c, const char *url)
{
	struct authority u = authority(url), k;
	size_t len;
	unsigned i;

	for (i = 0; i < c->nkmf; i++) {
		k = authority(c->kmf[i].url);
		len = strlen(k.path);
		if (k.host == u.host && k.port == u.port &&
		    strncasecmp(c->kmf[i].url + 8, url + 8, u.host) == 0 &&
		    strncmp(u.path, k.path, len) == 0 &&
		    (u.path[len] == '\0' || u.path[len] == '/'))
			return true;
	}
	return false;
}

static bool
may_sign(const struct vault_config *c, unsigned flags, const char *htm,
    const char *htu, const char *token)
{
	if (!method_ok(htm) || !target_plain(htu))
		return false;
	switch (flags) {
	case 0:
	case VAULT_PROOF_SEAL_JKT:
		return target_ok(c, htu);
	case VAULT_PROOF_LOGIN:
		return strcmp(htm, "POST") == 0 && *token == '\0' &&
		    !is_pinned(c, htu);
	default:
		return false;
	}
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
	if (!may_sign(v->config, flags, htm, htu, token) ||
	    strlen(token) > PERC_JOSE_TOKEN_MAX || strlen(nonce) > 256)
		return PERC_ERR_DENIED;
	if (flags != VAULT_PROOF_LOGIN && is_for_keys(htm, htu))
		flags |= VAULT_PROOF_SEAL_JKT;
	return perc_dpop_make(proofp, v->sign, htm, htu,
	    *token == '\0' ? NULL : token, *nonce == '\0' ? NULL : nonce,
	    (flags & VAULT_PROOF_SEAL_JKT) != 0 ? v->seal_jkt : NULL,
	    perc_wall_ms() / 1000);
}
