/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the KMF and what it brought; what clikmf.c is made of. */
#pragma once

#include "agent/cli.h"
#include "perc/jose.h"

#define CLI_NONCE_MAX  256
#define CLI_ANSWER_MAX (4u << 20) /* as the KMF's longest */

struct cli_kmf {
	const struct cli *cli;
	bool person; /* through the agent, by a login; the rest is empty */
	char *base, *client_id, *ca_file, *token;
	json_t *key;	       /* the client's private JWK */
	struct perc_jwk *dpop; /* of this command alone */
	char nonce[CLI_NONCE_MAX];
};

struct got { /* what one exchange brought */
	int err, status;
	char why[160], etag[80], nonce[CLI_NONCE_MAX];
	bool wants_nonce;
	json_t *body;
	char *text; /* when it is no JSON */
};
void got_clear(struct got *g);

/* With the nonce dance, once. 0: *g says what came, and its err why nothing
 * did. got_clear in any case. */
PERC_MUST int cli_exchange(struct cli_kmf *k, struct got *g, const char *method,
    const char *path, const char *type, const char *body,
    const struct cli_how *how);
