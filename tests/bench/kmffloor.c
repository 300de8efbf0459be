/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nobody can save: one P-256 signature made, one verified. Twice: by
 * OpenSSL on octets that are at hand, and as our JOSE does it on a whole
 * compact JWS (cjose: base64url, JSON, the same OpenSSL below).
 */
#include "tests/bench/kmf.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 9
#define TIMES  400
#define HTU    "https://localhost:1/v1/conferences/c_0123456789/roster"

static double
cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct subject {
	EVP_PKEY *pkey;
	uint8_t sig[128], text[500];
	size_t siglen;
	struct perc_jwk *key;
	char *jws;
};

static int
evp_sign(struct subject *s)
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	int ok;

	s->siglen = sizeof(s->sig);
	ok = m != NULL &&
	    EVP_DigestSignInit(m, NULL, EVP_sha256(), NULL, s->pkey) == 1 &&
	    EVP_DigestSign(m, s->sig, &s->siglen, s->text, sizeof(s->text)) ==
		1;
	EVP_MD_CTX_free(m);
	return ok ? 0 : PERC_ERR_CRYPTO;
}

static int
evp_verify(struct subject *s)
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	int ok = m != NULL &&
	    EVP_DigestVerifyInit(m, NULL, EVP_sha256(), NULL, s->pkey) == 1 &&
	    EVP_DigestVerify(m, s->sig, s->siglen, s->text, sizeof(s->text)) ==
		1;

	EVP_MD_CTX_free(m);
	return ok ? 0 : PERC_ERR_CRYPTO;
}

static int
cjose_sign(struct subject *s)
{
	free(s->jws);
	s->jws = NULL;
	return perc_dpop_make(&s->jws, s->key, "GET", HTU, "token", NULL, NULL,
	    perc_wall_ms() / 1000);
}

static int
cjose_verify(struct subject *s)
{
	struct perc_jws j = { 0 };
	int r = perc_jws_verify(&j, s->jws, strlen(s->jws), PERC_JOSE_TOKEN_MAX,
	    s->key, "dpop+jwt");

	perc_jws_clear(&j);
	return r;
}

static int
median_of(double *us, struct subject *s, int (*fn)(struct subject *))
{
	struct load_samples all = { 0 };
	double t0;
	int r = 0;

	for (int k = 0; r == 0 && k < ROUNDS; k++) {
		t0 = cpu_us();
		for (int i = 0; r == 0 && i < TIMES; i++)
			r = fn(s);
		load_sample(&all, (cpu_us() - t0) / TIMES);
	}
	*us = load_quantile(&all, 0.5);
	free(all.v);
	return r;
}

int
bench_floor_measure(struct bench_floor *f)
{
	struct subject s = { .pkey =
				 EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256") };
	int r;

	if (s.pkey == NULL)
		return PERC_ERR_CRYPTO;
	memset(s.text, 'x', sizeof(s.text));
	if ((r = perc_jwk_generate(&s.key)) != 0 ||
	    (r = median_of(&f->evp_sign_us, &s, evp_sign)) != 0 ||
	    (r = median_of(&f->evp_verify_us, &s, evp_verify)) != 0 ||
	    (r = median_of(&f->cjose_sign_us, &s, cjose_sign)) != 0)
		goto out;
	r = median_of(&f->cjose_verify_us, &s, cjose_verify);
out:
	EVP_PKEY_free(s.pkey);
	perc_jwk_free(s.key);
	free(s.jws);
	return r;
}
