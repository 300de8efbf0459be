/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ID token is addressed to us, the client, unlike the access token, which
 * stays opaque text (REQ-W-4.1). So we look whether it is the answer to our
 * own question before we pass it on: somebody who plants the code of his own
 * login into our browser's redirect would else have us join under his name,
 * and the nonce is what tells.
 */
#include "agent/frontlogin.h"

#include <string.h>

#include "perc/crypto.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/secret.h"

/* Much: it is the KMF that judges time, and this machine's clock may be
 * wrong; but then say so here, where somebody reads it. */
#define LEEWAY_S 300

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strlen(a) == strlen(b) &&
	    perc_equal(a, b, strlen(a));
}

/* Ours, and where it is for several, given to us. */
static bool
audience_ok(const json_t *j, const char *client_id)
{
	const json_t *aud = json_object_get(j, "aud");
	const char *azp = perc_json_str(j, "azp");

	if (azp != NULL && strcmp(azp, client_id) != 0)
		return false;
	if (json_is_string(aud))
		return same(json_string_value(aud), client_id);
	return perc_json_has(j, "aud", client_id) &&
	    (json_array_size(aud) == 1 || azp != NULL);
}

static bool
nonce_ok(const json_t *j, const struct front_idtoken_want *w)
{
	const char *got = perc_json_str(j, "nonce");

	if (w->nonce == NULL || w->nonce[0] == '\0')
		return true;
	/* A renewed one need not repeat it: Core 12.2. */
	if (got == NULL && json_object_get(j, "nonce") == NULL)
		return w->sub != NULL;
	return same(got, w->nonce);
}

static int
payload_check(const json_t *j, const struct front_idtoken_want *w,
    int64_t *life_s, const char **why)
{
	const char *sub = perc_json_str(j, "sub");
	int64_t exp = 0, iat = 0;

	*why = "its ID token is of another issuer";
	if (!same(perc_json_str(j, "iss"), w->issuer))
		return PERC_ERR_DENIED;
	*why = "its ID token is for another client";
	if (!audience_ok(j, w->client_id))
		return PERC_ERR_DENIED;
	*why = "its ID token does not answer our login (nonce)";
	if (!nonce_ok(j, w))
		return PERC_ERR_DENIED;
	*why = "its ID token names nobody, or no time";
	if (sub == NULL || sub[0] == '\0' ||
	    perc_json_int(&exp, j, "exp", 1, INT64_MAX / 2000) != 0 ||
	    perc_json_int(&iat, j, "iat", 1, INT64_MAX / 2000) != 0)
		return PERC_ERR_FORMAT;
	*why = "its ID token is somebody else's now";
	if (w->sub != NULL && !same(sub, w->sub))
		return PERC_ERR_DENIED;
	*why = "its ID token is of another time: is this machine's clock "
	       "right?";
	if (exp <= w->now_s - LEEWAY_S || iat > w->now_s + LEEWAY_S ||
	    exp <= iat)
		return PERC_ERR_EXPIRED;
	*life_s = exp - iat;
	return 0;
}

int
front_idtoken_check(char **subp, int64_t *life_s, const char *token,
    const struct front_idtoken_want *want, const char **why)
{
	struct perc_jws j = { 0 };
	int r;

	*why = "its ID token cannot be read";
	if ((r = perc_jws_peek(
		 &j, token, strlen(token), PERC_JOSE_TOKEN_MAX)) != 0)
		return r;
	if (j.payload == NULL) {
		r = PERC_ERR_FORMAT;
		goto out;
	}
	if ((r = payload_check(j.payload, want, life_s, why)) != 0)
		goto out;
	if ((*subp = text_dup(perc_json_str(j.payload, "sub"))) == NULL) {
		*why = "out of memory";
		r = PERC_ERR_NOMEM;
	}
out:
	perc_jws_clear(&j);
	return r;
}
