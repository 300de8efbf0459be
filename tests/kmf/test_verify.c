/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Two libraries, one verdict: what kmf/verify.c (liboauth2) says about a
 * signature, cjose called by itself says too, over good tokens of ES256,
 * RS256 and PS256, and each of them bent in every way that we could think of.
 * Both see only what the front lets through: a text that perc/jose.h could
 * take apart, with the algorithm of the key.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <cjose/cjose.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/verify.h"
#include "perc/b64.h"
#include "perc/jose.h"
#include "perc/json.h"

struct signer {
	const char *alg;
	cjose_jwk_t *key;
	char *public; /* JSON */
};

static struct signer signers[3];
static unsigned asked, accepted;

static cjose_jwk_t *
key_make(const char *alg)
{
	static const uint8_t e[] = { 1, 0, 1 };
	cjose_err err;

	return strcmp(alg, "ES256") == 0
	    ? cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &err)
	    : cjose_jwk_create_RSA_random(2048, e, sizeof(e), &err);
}

static char *
token_make(const struct signer *s, const char *typ, const char *payload)
{
	cjose_err err;
	cjose_header_t *h = cjose_header_new(&err);
	cjose_jws_t *jws;
	const char *lent;
	char *out;

	assert_true(cjose_header_set(h, CJOSE_HDR_ALG, s->alg, &err));
	assert_true(cjose_header_set(h, "typ", typ, &err));
	jws = cjose_jws_sign(
	    s->key, h, (const uint8_t *)payload, strlen(payload), &err);
	assert_non_null(jws);
	assert_true(cjose_jws_export(jws, &lent, &err));
	out = strdup(lent);
	cjose_jws_release(jws);
	cjose_header_release(h);
	return out;
}

static bool
by_cjose(const struct signer *s, const char *token)
{
	cjose_err err;
	cjose_jwk_t *k = cjose_jwk_import(s->public, strlen(s->public), &err);
	cjose_jws_t *jws = cjose_jws_import(token, strlen(token), &err);
	bool good = jws != NULL && cjose_jws_verify(jws, k, &err);

	cjose_jws_release(jws);
	cjose_jwk_release(k);
	return good;
}

/* What stands before both libraries in the front. */
static bool
let_through(const struct signer *s, const char *token)
{
	struct perc_jws j;
	const char *alg;
	bool good;

	if (perc_jws_peek(&j, token, strlen(token), PERC_JOSE_TOKEN_MAX) != 0)
		return false;
	alg = perc_json_str(j.header, "alg");
	good = alg != NULL && strcmp(alg, s->alg) == 0 && j.payload != NULL &&
	    perc_jws_sig_fits(&j);
	perc_jws_clear(&j);
	return good;
}

/* The verdict, after it was seen to be the same. */
static bool
verdict(const struct signer *s, const char *token, const char *what)
{
	bool ours, theirs;

	if (!let_through(s, token))
		return false;
	ours = kmf_verify_signature(s->public, token) == 0;
	theirs = by_cjose(s, token);
	asked++;
	accepted += ours;
	if (ours != theirs)
		fail_msg("%s, %s: liboauth2 %d, cjose %d", s->alg, what, ours,
		    theirs);
	return ours;
}

/* --- the suite's token cases --------------------------------------------- */
static const char *const payloads[] = {
	"{\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"s\",\"exp\":4000000000}",
	"{\"iss\":\"i/\",\"aud\":[\"x\",\"a\"],\"sub\":\"s\",\"exp\":1}",
	"{\"exp\":\"4000000000\",\"nbf\":4000000000,\"iat\":\"x\"}",
	"{\"exp\":-1,\"iat\":4000000000,\"nbf\":null}",
	"{\"exp\":1e300}",
	"{\"cnf\":{\"jkt\":\"x\"},\"act\":{\"sub\":\"y\"}}",
	"{\"scope\":[\"member\"],\"azp\":7,\"client_id\":{}}",
	"{}",
	"{\"sub\":\"\\ud83d\\ude00\"}",
};

static void
test_claims_change_no_verdict(void **state)
{
	static const char *const types[] = { "at+jwt", "JWT", "dpop+jwt",
		"application/at+JWT" };
	size_t i, k, n;

	for (i = 0; i < 3; i++)
		for (k = 0; k < sizeof(payloads) / sizeof(payloads[0]); k++)
			for (n = 0; n < 4; n++) {
				char *t = token_make(
				    &signers[i], types[n], payloads[k]);

				if (!verdict(&signers[i], t, payloads[k]))
					fail_msg("%s: refused %s",
					    signers[i].alg, payloads[k]);
				free(t);
			}
}

/* --- signatures ----------------------------------------------------------- */
static char *
with_signature(const char *token, const uint8_t *sig, size_t n)
{
	size_t head = (size_t)(strrchr(token, '.') - token) + 1;
	char *out = calloc(1, head + PERC_B64_LEN(n) + 1);

	memcpy(out, token, head);
	perc_b64_put(out + head, sig, n);
	return out;
}

static size_t
signature_of(uint8_t *sig, size_t cap, const char *token)
{
	const char *p = strrchr(token, '.') + 1;

	assert_int_equal(perc_b64_get(sig, &cap, p, strlen(p)), 0);
	return cap;
}

static bool
bent(const struct signer *s, const char *token, const uint8_t *sig, size_t n,
    const char *what)
{
	char *t = with_signature(token, sig, n);
	bool good = verdict(s, t, what);

	free(t);
	return good;
}

static void
test_each_octet_of_a_signature(void **state)
{
	uint8_t sig[512], other[512];
	size_t i, n, at;

	for (i = 0; i < 3; i++) {
		char *t = token_make(&signers[i], "at+jwt", payloads[0]);

		n = signature_of(sig, sizeof(sig), t);
		for (at = 0; at < n; at++) {
			memcpy(other, sig, n);
			other[at] ^= 1u << (at % 8);
			assert_false(
			    bent(&signers[i], t, other, n, "a changed bit"));
		}
		for (at = 0; at < n; at += 7)
			assert_false(
			    bent(&signers[i], t, sig, at, "cut short"));
		memcpy(other, sig, n);
		other[n] = 0;
		assert_false(bent(&signers[i], t, other, n + 1, "one more"));
		memset(other, 0, n);
		assert_false(bent(&signers[i], t, other, n, "zeros"));
		memset(other, 0xff, n);
		assert_false(bent(&signers[i], t, other, n, "ones"));
		assert_false(bent(&signers[i], t, other, 0, "none"));
		free(t);
	}
}

static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
	0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };

/* The order of P-256 minus s: the signature's second valid form. */
static void
negate(uint8_t s[32])
{
	int i, d, borrow = 0;

	for (i = 31; i >= 0; i--) {
		d = order[i] - s[i] - borrow;
		borrow = d < 0;
		s[i] = (uint8_t)(d + (borrow != 0 ? 256 : 0));
	}
}

/* RFC 9449 11.1 is why replay goes by jti: this one is valid. */
static void
test_malleated_ecdsa(void **state)
{
	char *t = token_make(&signers[0], "at+jwt", payloads[0]);
	uint8_t sig[80], other[80];

	assert_int_equal(signature_of(sig, sizeof(sig), t), 64);
	memcpy(other, sig, 64);
	negate(other + 32);
	assert_true(bent(&signers[0], t, other, 64, "n - s"));
	negate(other);
	assert_false(bent(&signers[0], t, other, 64, "n - r"));
	memcpy(other, sig + 32, 32);
	memcpy(other + 32, sig, 32);
	assert_false(bent(&signers[0], t, other, 64, "s, r"));
	memcpy(other, sig, 64);
	memset(other, 0, 32);
	assert_false(bent(&signers[0], t, other, 64, "r = 0"));
	memcpy(other, sig, 64);
	memcpy(other + 32, order, 32);
	assert_false(bent(&signers[0], t, other, 64, "s = n"));
	/* as DER has it: a form of no JWS */
	memcpy(other, "\x30\x44\x02\x20", 4);
	memcpy(other + 4, sig, 32);
	memcpy(other + 36, "\x02\x20", 2);
	memcpy(other + 38, sig + 32, 32);
	assert_false(bent(&signers[0], t, other, 70, "DER"));
	free(t);
}

static void
test_other_keys_and_paddings(void **state)
{
	size_t i, k;

	for (i = 0; i < 3; i++)
		for (k = 0; k < 3; k++) {
			struct signer s = { signers[i].alg, signers[i].key,
				signers[k].public };
			char *t = token_make(&s, "at+jwt", payloads[0]);

			assert_true(verdict(&s, t, "another key") == (i == k));
			free(t);
		}
}

/* The signature of one padding under the name of the other. */
static void
test_renamed_algorithm(void **state)
{
	static const struct {
		size_t from;
		const char *alg;
	} t[] = { { 1, "PS256" }, { 2, "RS256" }, { 1, "RS384" },
		{ 0, "ES384" }, { 0, "HS256" }, { 0, "none" } };
	char header[64], b64[96];
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct signer s = { t[i].alg, signers[t[i].from].key,
			signers[t[i].from].public };
		char *one =
		    token_make(&signers[t[i].from], "at+jwt", payloads[0]);
		char *two = NULL;

		snprintf(header, sizeof(header),
		    "{\"alg\":\"%s\",\"typ\":\"at+jwt\"}", t[i].alg);
		perc_b64_put(b64, header, strlen(header));
		assert_true(asprintf(&two, "%s%s", b64, strchr(one, '.')) > 0);
		assert_false(verdict(&s, two, t[i].alg));
		free(one);
		free(two);
	}
}

static void
test_enough_was_asked(void **state)
{
	/* the good ones, and the one malleated form */
	assert_true(asked > 700);
	assert_int_equal(accepted, 3 * 9 * 4 + 1 + 3);
}

static int
setup(void **state)
{
	static const char *const algs[] = { "ES256", "RS256", "PS256" };
	cjose_err err;
	size_t i;

	for (i = 0; i < 3; i++) {
		signers[i].alg = algs[i];
		signers[i].key = key_make(algs[i]);
		if (signers[i].key == NULL)
			return -1;
		signers[i].public =
		    cjose_jwk_to_json(signers[i].key, false, &err);
	}
	return kmf_verify_init();
}

static int
teardown(void **state)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		cjose_jwk_release(signers[i].key);
		free(signers[i].public);
	}
	kmf_verify_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims_change_no_verdict),
		cmocka_unit_test(test_each_octet_of_a_signature),
		cmocka_unit_test(test_malleated_ecdsa),
		cmocka_unit_test(test_other_keys_and_paddings),
		cmocka_unit_test(test_renamed_algorithm),
		cmocka_unit_test(test_enough_was_asked),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
