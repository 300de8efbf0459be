/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Two libraries asked about the tokens of a test suite, a line each:
 *
 *	JWK <tab> TOKEN	->	"- -"	the front would not have asked
 *				"1 1"	liboauth2 and cjose: signed by it
 *				"0 0"	neither thinks so
 *
 * Whoever reads this demands that both columns are alike
 * (tests/kmf/test_attacks_forged.py).
 */
#include "config.h"

#include <cjose/cjose.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/verify.h"
#include "perc/jose.h"
#include "perc/json.h"

/* What stands before both libraries in the front. */
static bool
let_through(const struct perc_jwk *key, const char *token)
{
	struct perc_jws j;
	const char *alg;
	bool good;

	if (perc_jws_peek(&j, token, strlen(token), PERC_JOSE_TOKEN_MAX) != 0)
		return false;
	alg = perc_json_str(j.header, "alg");
	good = alg != NULL && strcmp(alg, perc_jwk_alg(key)) == 0 &&
	    j.payload != NULL && perc_jws_sig_fits(&j);
	perc_jws_clear(&j);
	return good;
}

static bool
by_cjose(const char *public, const char *token)
{
	cjose_err err;
	cjose_jwk_t *k = cjose_jwk_import(public, strlen(public), &err);
	cjose_jws_t *jws = cjose_jws_import(token, strlen(token), &err);
	bool good = jws != NULL && cjose_jws_verify(jws, k, &err);

	cjose_jws_release(jws);
	cjose_jwk_release(k);
	return good;
}

static int
look(char *line)
{
	char *token = strchr(line, '\t'), *public = NULL;
	struct perc_jwk *key = NULL;
	int r = 1;

	if (token == NULL)
		return 1;
	*token++ = '\0';
	if (perc_jwk_from_json(&key, line, strlen(line), true) != 0 ||
	    perc_jwk_public_json(&public, key) != 0)
		goto out;
	if (!let_through(key, token))
		puts("- -");
	else
		printf("%d %d\n", kmf_verify_signature(public, token) == 0,
		    by_cjose(public, token));
	r = 0;
out:
	perc_json_free(public);
	perc_jwk_free(key);
	return r;
}

int
main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int r;

	if ((r = kmf_verify_init()) != 0)
		return 1;
	while (r == 0 && (n = getline(&line, &cap, stdin)) > 0) {
		line[n - (line[n - 1] == '\n')] = '\0';
		r = look(line);
	}
	free(line);
	kmf_verify_done();
	return r;
}
