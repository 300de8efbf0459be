/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a packet costs: the functions that the programs call, over the same
 * packets, beside one bare AES-GCM operation of OpenSSL on the same octets and
 * beside libsrtp. A round makes its packets first and then times one step of
 * the road for all of them; the medians of the rounds are printed, because a
 * shared machine has slow moments but no fast ones.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <srtp2/srtp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "perc/double.h"
#include "perc/forward.h"
#include "perc/srtp.h"
#include "perc/tail.h"

#define BATCH	  48 /* packets of a round: with all copies they fit L2 */
#define LEGS	  8  /* receivers of one packet */
#define ROUNDS	  4001
#define PKT_MAX	  1600
#define HEADER	  12
#define PTIME_MS  20
#define SSRC	  0xcafebabe
#define FOREVER	  INT64_MAX
#define LIST_SIZE 2

enum step {
	BARE_SEAL,
	BARE_OPEN,
	INNER,
	OUTER,
	FORWARD,
	FORWARD_SAME,
	RECEIVE,
	LIB_PROTECT,
	LIB_UNPROTECT,
	STEPS
};

static const struct {
	const char *name;
	enum step bare; /* what it is held against */
	unsigned gcm;	/* AES-GCM operations that it cannot do without */
	enum step lib;	/* libsrtp's way to the same, STEPS: none */
} steps[STEPS] = {
	[BARE_SEAL] = { "bare EVP AES-GCM, seal", BARE_SEAL, 1, STEPS },
	[BARE_OPEN] = { "bare EVP AES-GCM, open", BARE_OPEN, 1, STEPS },
	[INNER] = { "inner protect + EKTField", BARE_SEAL, 1, LIB_PROTECT },
	[OUTER] = { "outer protect", BARE_SEAL, 1, LIB_PROTECT },
	[FORWARD] = { "rewrite per receiver", BARE_SEAL, 1, LIB_PROTECT },
	[FORWARD_SAME] = { "forward per receiver", BARE_SEAL, 1, LIB_PROTECT },
	[RECEIVE] = { "receive (outer + inner)", BARE_OPEN, 2, LIB_UNPROTECT },
	[LIB_PROTECT] = { "libsrtp protect", BARE_SEAL, 1, STEPS },
	[LIB_UNPROTECT] = { "libsrtp unprotect", BARE_OPEN, 1, STEPS },
};

struct packet {
	_Alignas(16) uint8_t p[PKT_MAX];
	size_t n;
};

struct road { /* one conference: a sender, a distributor, a receiver */
	size_t keylen, payload;
	struct perc_ekt *ekt;
	struct perc_double_tx *tx;
	struct perc_double_rx *rx;
	struct perc_srtp *up_tx, *up_rx, *leg_same[LEGS], *leg[LEGS], *down;
	srtp_t lib_tx, lib_rx;
	EVP_CIPHER_CTX *seal, *open;
	uint16_t seq;
	int64_t now_ms;
	struct packet plain[BATCH], inner[BATCH], outer[BATCH], opened[BATCH],
	    sent[BATCH], same[BATCH], lib[BATCH], bare[BATCH], out;
	double ns[STEPS][ROUNDS];
};

static void
must(int good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "bench: %s failed\n", what);
	exit(1);
}

#define OK(x) must((x) == 0, #x)

static double
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct perc_srtp *
hop(const struct road *r, uint8_t first)
{
	uint8_t key[32], salt[PERC_SRTP_SALT_LEN];
	struct perc_srtp *s;

	memset(key, first, sizeof(key));
	memset(salt, first, sizeof(salt));
	OK(perc_srtp_new(&s,
	    r->keylen == 16 ? PERC_AEAD_AES_128_GCM : PERC_AEAD_AES_256_GCM,
	    key, salt, 64, 128));
	return s;
}

static srtp_t
lib_hop(const struct road *r, int inbound)
{
	static uint8_t key[32 + PERC_SRTP_SALT_LEN];
	srtp_policy_t policy;
	srtp_t s;

	memset(&policy, 0, sizeof(policy));
	if (r->keylen == 16) {
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
	} else {
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp);
	}
	policy.ssrc.type = inbound ? ssrc_any_inbound : ssrc_any_outbound;
	policy.key = key;
	must(srtp_create(&s, &policy) == srtp_err_status_ok, "srtp_create");
	return s;
}

static EVP_CIPHER_CTX *
bare_ctx(size_t keylen)
{
	static const uint8_t key[32];
	EVP_CIPHER *c = EVP_CIPHER_fetch(
	    NULL, keylen == 16 ? "AES-128-GCM" : "AES-256-GCM", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	must(c != NULL && ctx != NULL &&
		EVP_CipherInit_ex2(ctx, c, key, NULL, 1, NULL) == 1,
	    "EVP_CipherInit_ex2");
	EVP_CIPHER_free(c);
	return ctx;
}

static void
road_open(struct road *r, size_t keylen, size_t payload)
{
	static const uint32_t ssrcs[LIST_SIZE] = { SSRC, 1 };
	struct perc_enckey k = { .keylen = keylen,
		.cipher = keylen == 16 ? PERC_AESKW128 : PERC_AESKW256,
		.profile = keylen == 16 ? PERC_DOUBLE_128 : PERC_DOUBLE_256,
		.spi = 1 };
	unsigned i;

	memset(r, 0, sizeof(*r));
	r->keylen = keylen;
	r->payload = payload;
	OK(perc_ekt_new(&r->ekt));
	OK(perc_ekt_add(r->ekt, &k, FOREVER));
	OK(perc_double_tx_new(&r->tx, r->ekt, SSRC, PERC_FULL_AUDIO));
	OK(perc_double_tx_switch(r->tx, 1, 0));
	OK(perc_double_rx_new(&r->rx, r->ekt, 16, 128));
	OK(perc_double_rx_list(r->rx, ssrcs, LIST_SIZE));
	r->up_tx = hop(r, 1);
	r->up_rx = hop(r, 1);
	r->down = hop(r, 2);
	for (i = 0; i < LEGS; i++) {
		r->leg[i] = hop(r, (uint8_t)(2 + i));
		r->leg_same[i] = hop(r, (uint8_t)(100 + i));
	}
	r->lib_tx = lib_hop(r, 0);
	r->lib_rx = lib_hop(r, 1);
	r->seal = bare_ctx(keylen);
	r->open = bare_ctx(keylen);
}

static void
road_close(struct road *r)
{
	unsigned i;

	perc_double_tx_free(r->tx);
	perc_double_rx_free(r->rx);
	perc_ekt_free(r->ekt);
	perc_srtp_free(r->up_tx);
	perc_srtp_free(r->up_rx);
	perc_srtp_free(r->down);
	for (i = 0; i < LEGS; i++) {
		perc_srtp_free(r->leg[i]);
		perc_srtp_free(r->leg_same[i]);
	}
	(void)srtp_dealloc(r->lib_tx);
	(void)srtp_dealloc(r->lib_rx);
	EVP_CIPHER_CTX_free(r->seal);
	EVP_CIPHER_CTX_free(r->open);
}

static void
batch_make(struct road *r)
{
	struct packet *p;
	unsigned i;

	for (i = 0; i < BATCH; i++) {
		p = &r->plain[i];
		p->n = HEADER + r->payload;
		memset(p->p, 0xab, p->n);
		memcpy(p->p, "\x80\x60\0\0\0\0\0\0\xca\xfe\xba\xbe", HEADER);
		p->p[2] = (uint8_t)(r->seq >> 8);
		p->p[3] = (uint8_t)r->seq++;
		r->lib[i] = *p;
		r->bare[i] = *p;
	}
}

/* Nonce, header, payload, tag: what no transform can do without. */
static void
step_bare_seal(struct road *r, unsigned i)
{
	struct packet *p = &r->bare[i];
	uint8_t iv[12] = { 0 };
	int len;

	memcpy(iv, p->p, 4);
	must(EVP_EncryptInit_ex2(r->seal, NULL, NULL, iv, NULL) == 1 &&
		EVP_EncryptUpdate(r->seal, NULL, &len, p->p, HEADER) == 1 &&
		EVP_EncryptUpdate(r->seal, p->p + HEADER, &len, p->p + HEADER,
		    (int)r->payload) == 1 &&
		EVP_EncryptFinal_ex(r->seal, p->p, &len) == 1 &&
		EVP_CIPHER_CTX_ctrl(r->seal, EVP_CTRL_AEAD_GET_TAG, 16,
		    p->p + HEADER + r->payload) == 1,
	    "bare seal");
}

static void
step_bare_open(struct road *r, unsigned i)
{
	struct packet *p = &r->bare[i];
	uint8_t iv[12] = { 0 };
	int len;

	memcpy(iv, p->p, 4);
	must(EVP_DecryptInit_ex2(r->open, NULL, NULL, iv, NULL) == 1 &&
		EVP_CIPHER_CTX_ctrl(r->open, EVP_CTRL_AEAD_SET_TAG, 16,
		    p->p + HEADER + r->payload) == 1 &&
		EVP_DecryptUpdate(r->open, NULL, &len, p->p, HEADER) == 1 &&
		EVP_DecryptUpdate(r->open, p->p + HEADER, &len, p->p + HEADER,
		    (int)r->payload) == 1 &&
		EVP_DecryptFinal_ex(r->open, p->p, &len) == 1,
	    "bare open");
}

static void
step_inner(struct road *r, unsigned i)
{
	const struct packet *p = &r->plain[i];
	struct packet *q = &r->inner[i];

	r->now_ms += PTIME_MS;
	OK(perc_double_tx_seal(
	    r->tx, r->now_ms, p->p, p->n, q->p, sizeof(q->p), &q->n));
}

/* The sender's front: cut the field, protect for the hop, put it back. */
static void
step_outer(struct road *r, unsigned i)
{
	const struct packet *p = &r->inner[i];
	struct packet *q = &r->outer[i];
	struct perc_tail t;
	struct perc_rtp h;

	OK(perc_tail_find(&t, p->p, p->n));
	OK(perc_rtp_parse(&h, p->p, p->n - t.len));
	OK(perc_srtp_protect(r->up_tx, &h, p->p, p->n - t.len, q->p, &q->n));
	memcpy(q->p + q->n, p->p + p->n - t.len, t.len);
	q->n += t.len;
}

/* The distributor's side of the first hop; not timed by itself. */
static void
step_md_open(struct road *r, unsigned i)
{
	const struct packet *p = &r->outer[i];
	struct packet *q = &r->opened[i];
	struct perc_tail t;
	struct perc_rtp h;

	OK(perc_tail_find(&t, p->p, p->n));
	OK(perc_rtp_parse(&h, p->p, p->n - t.len));
	OK(perc_srtp_unprotect(r->up_rx, &h, p->p, p->n - t.len, q->p, &q->n));
}

static void
forward_one(struct road *r, unsigned i, struct perc_srtp *leg,
    const struct perc_rewrite *w, struct packet *q)
{
	const struct packet *p = &r->opened[i];
	const struct packet *o = &r->outer[i];
	struct perc_tail t;

	OK(perc_tail_find(&t, o->p, o->n));
	OK(perc_forward(leg, w, p->p, p->n, q->p, sizeof(q->p), &q->n));
	memcpy(q->p + q->n, o->p + o->n - t.len, t.len);
	q->n += t.len;
}

static void
step_forward(struct road *r, unsigned i)
{
	struct perc_rewrite w = { .set_pt = true, .set_seq = true, .pt = 32 };
	unsigned l;

	w.seq = (uint16_t)((r->opened[i].p[2] << 8 | r->opened[i].p[3]) + 9);
	for (l = 0; l < LEGS; l++)
		forward_one(
		    r, i, r->leg[l], &w, l == 0 ? &r->sent[i] : &r->out);
}

static void
step_forward_same(struct road *r, unsigned i)
{
	unsigned l;

	for (l = 0; l < LEGS; l++)
		forward_one(r, i, r->leg_same[l], NULL, &r->out);
}

static void
step_receive(struct road *r, unsigned i)
{
	struct packet *p = &r->sent[i];
	struct perc_double_in info;
	struct perc_tail t;
	struct perc_rtp h;
	uint16_t unknown;
	uint8_t tail[PERC_EKT_FIELD_MAX];
	size_t n;

	OK(perc_tail_find(&t, p->p, p->n));
	OK(perc_rtp_parse(&h, p->p, p->n - t.len));
	memcpy(tail, p->p + p->n - t.len, t.len);
	OK(perc_srtp_unprotect(r->down, &h, p->p, p->n - t.len, p->p, &n));
	memcpy(p->p + n, tail, t.len);
	OK(perc_double_rx_open(
	    r->rx, r->now_ms, p->p, n + t.len, r->out.p, &info, &unknown));
}

static void
step_lib_protect(struct road *r, unsigned i)
{
	int n = (int)r->lib[i].n;

	must(srtp_protect(r->lib_tx, r->lib[i].p, &n) == 0, "srtp_protect");
	r->lib[i].n = (size_t)n;
}

static void
step_lib_unprotect(struct road *r, unsigned i)
{
	int n = (int)r->lib[i].n;

	must(srtp_unprotect(r->lib_rx, r->lib[i].p, &n) == 0, "srtp_unprotect");
}

static double
batch_time(struct road *r, void (*step)(struct road *, unsigned))
{
	double start = now_ns();
	unsigned i;

	for (i = 0; i < BATCH; i++)
		step(r, i);
	return (now_ns() - start) / BATCH;
}

static void
round_run(struct road *r, unsigned n)
{
	batch_make(r);
	r->ns[BARE_SEAL][n] = batch_time(r, step_bare_seal);
	r->ns[BARE_OPEN][n] = batch_time(r, step_bare_open);
	r->ns[INNER][n] = batch_time(r, step_inner);
	r->ns[OUTER][n] = batch_time(r, step_outer);
	(void)batch_time(r, step_md_open);
	r->ns[FORWARD][n] = batch_time(r, step_forward) / LEGS;
	r->ns[FORWARD_SAME][n] = batch_time(r, step_forward_same) / LEGS;
	r->ns[RECEIVE][n] = batch_time(r, step_receive);
	r->ns[LIB_PROTECT][n] = batch_time(r, step_lib_protect);
	r->ns[LIB_UNPROTECT][n] = batch_time(r, step_lib_unprotect);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

static void
table_print(struct road *r, unsigned rounds)
{
	double ns[STEPS];
	unsigned s;

	for (s = 0; s < STEPS; s++)
		ns[s] = median(r->ns[s], rounds);
	printf("\nAES-%zu, payload %zu octets\n\n", r->keylen * 8, r->payload);
	printf("| step | ns a packet | x bare EVP | x libsrtp |\n"
	       "|---|---:|---:|---:|\n");
	for (s = 0; s < STEPS; s++) {
		printf("| %s | %.0f | %.2f |", steps[s].name, ns[s],
		    ns[s] / ns[steps[s].bare] / steps[s].gcm);
		if (steps[s].lib == STEPS)
			printf(" |\n");
		else
			printf(" %.2f |\n",
			    ns[s] / ns[steps[s].lib] / steps[s].gcm);
	}
	(void)fflush(stdout);
}

/* What a rekey costs a receiver for each sender, and a sender once. */
static void
keys_print(size_t keylen, unsigned rounds)
{
	static double ns[3][ROUNDS];
	static struct road r;
	uint8_t key[32] = { 0 }, field[PERC_EKT_FIELD_MAX], got[32];
	struct perc_gcm *g;
	double start;
	uint32_t roc;
	size_t n = 0, len;
	unsigned i, j;

	road_open(&r, keylen, 0);
	for (i = 0; i < rounds; i++) {
		start = now_ns();
		for (j = 0; j < 16; j++)
			OK(perc_ekt_full(
			    r.ekt, 1, 0, key, keylen, SSRC, j, field, &n));
		ns[0][i] = (now_ns() - start) / 16;
		start = now_ns();
		for (j = 0; j < 16; j++)
			OK(perc_ekt_unwrap(
			    r.ekt, 1, field, n - 7, SSRC, got, &len, &roc));
		ns[1][i] = (now_ns() - start) / 16;
		start = now_ns();
		for (j = 0; j < 16; j++) {
			OK(perc_ekt_gcm(r.ekt, 1, key, keylen, &g));
			perc_gcm_free(g);
		}
		ns[2][i] = (now_ns() - start) / 16;
	}
	printf("| AES-%zu | %.0f | %.0f | %.0f |\n", keylen * 8,
	    median(ns[0], rounds), median(ns[1], rounds),
	    median(ns[2], rounds));
	road_close(&r);
}

static void
machine_print(unsigned rounds)
{
	char line[256], *name = NULL;
	FILE *f = fopen("/proc/cpuinfo", "r");
	struct utsname u;
	time_t now = time(NULL);

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "model name", 10) == 0 &&
		    (name = strchr(line, ':')) != NULL)
			break;
	if (f != NULL)
		(void)fclose(f);
	(void)uname(&u);
	if (name != NULL)
		name[strcspn(name, "\n")] = '\0';
	printf("%s, %s %s, %s\n", name == NULL ? u.machine : name + 2,
	    u.sysname, u.release, OpenSSL_version(OPENSSL_VERSION));
	printf("%s; medians of %u rounds of %u packets, one core; per AES-GCM "
	       "operation where a step has two\n",
	    srtp_get_version_string(), rounds, BATCH);
	if (strftime(line, sizeof(line), "%Y-%m-%d", gmtime(&now)) > 0)
		printf("%s\n", line);
}

int
main(int argc, char *argv[])
{
	static const size_t payloads[] = { 160, 1200 }, keys[] = { 16, 32 };
	unsigned rounds =
	    argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : ROUNDS;
	struct road *r = malloc(sizeof(*r));
	unsigned i, n;

	must(r != NULL && rounds > 0 && rounds <= ROUNDS, "rounds (1..4001)");
	OK(perc_srtcp_warm_up());
	machine_print(rounds);
	for (i = 0; i < 4; i++) {
		road_open(r, keys[i / 2], payloads[i % 2]);
		for (n = 0; n < rounds; n++)
			round_run(r, n);
		table_print(r, rounds);
		road_close(r);
	}
	printf("\nA new key, ns\n\n| | make a Full field | unwrap one | derive "
	       "and install, remove |\n|---|---:|---:|---:|\n");
	keys_print(16, rounds);
	keys_print(32, rounds);
	free(r);
	return 0;
}
