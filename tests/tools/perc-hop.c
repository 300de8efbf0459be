/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far do the keys of a hop go? Given all that the distributor holds for a
 * leg (the DTLS exporter's output) and packets captured there, this opens the
 * outer layer and then tries every key at hand on what is inside: as inner
 * key with every salt, and as EKT key on Full EKTFields. Standard input:
 *
 *	hop PROFILE HEX		profile 7 or 8, exporter output
 *	key HEX HEX ROC		one more key, salt and rollover counter to try
 *				(a control: with the right ones all opens)
 *	HEX			a packet, as many lines as there are
 *
 * Standard output: {"packets": n, "outer": n, "inner": n, "ekt": n}. Never
 * installed: it takes raw keys.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/dtls.h"
#include "perc/gcm.h"
#include "perc/keywrap.h"
#include "perc/ohb.h"
#include "perc/rtp.h"
#include "perc/tail.h"

#define KEYS_MAX 8
#define ROCS	 3 /* rollover counters to try */

struct candidate {
	uint8_t key[PERC_SRTP_KEY_MAX], salt[PERC_SRTP_SALT_LEN];
	size_t keylen;
	uint32_t roc; /* senders begin where they like */
};

struct hop {
	struct candidate c[KEYS_MAX];
	unsigned n, hops; /* the first `hops` are the hop's own */
	unsigned packets, outer, inner, ekt;
};

static void
die(const char *what)
{
	fprintf(stderr, "perc-hop: %s\n", what);
	exit(2);
}

static size_t
unhex(uint8_t *out, size_t cap, const char *text)
{
	if (text == NULL || perc_hex_get(out, &cap, text, strlen(text)) != 0)
		die("bad hex");
	return cap;
}

static void
candidate_add(struct hop *h, const uint8_t *key, size_t keylen,
    const uint8_t *salt, uint32_t roc)
{
	struct candidate *c = &h->c[h->n];

	if (h->n++ == KEYS_MAX)
		die("too many keys");
	memcpy(c->key, key, keylen);
	memcpy(c->salt, salt, PERC_SRTP_SALT_LEN);
	c->keylen = keylen;
	c->roc = roc;
}

static void
hop_add(struct hop *h, const char *profile, const char *hex)
{
	struct perc_dtls_split s;
	uint8_t m[256];
	size_t n = unhex(m, sizeof(m), hex);

	if (perc_dtls_split(&s, (unsigned)atoi(profile), m, n) != 0 ||
	    s.saltlen != PERC_SRTP_SALT_LEN)
		die("bad exporter output");
	candidate_add(h, s.client_key, s.keylen, s.client_salt, 0);
	candidate_add(h, s.server_key, s.keylen, s.server_salt, 0);
	h->hops = h->n;
}

/* Open p's payload with that key and salt, at any likely index. */
static bool
opens(const struct candidate *key, const uint8_t *salt,
    const struct perc_rtp *r, const uint8_t *aad, size_t aadlen,
    const uint8_t *in, size_t n, uint8_t *out)
{
	struct perc_gcm *g = NULL;
	bool good = false;
	uint64_t i, roc;

	if (n < PERC_SRTP_TAG_LEN ||
	    perc_gcm_new(&g, key->key, key->keylen, salt) != 0)
		return false;
	for (i = 0; i < 2 * ROCS && !good; i++) {
		roc = i < ROCS ? i : key->roc + i - ROCS;
		good = perc_gcm_open(g, r->ssrc, roc << 16 | r->seq, aad,
			   aadlen, in, n, out) == 0;
	}
	perc_gcm_free(g);
	return good;
}

/* The inner layer (RFC 8723 section 5.3) with every key and every salt. */
static bool
inner_opens(const struct hop *h, const struct perc_rtp *r, const uint8_t *head,
    const uint8_t *body, size_t n)
{
	uint8_t aad[PERC_MTU_MAX], out[PERC_MTU_MAX];
	struct perc_rtp o = *r;
	struct perc_ohb ohb;
	unsigned i, k;

	if (perc_ohb_get(&ohb, body, n) != 0)
		return false;
	memcpy(aad, head, r->fixed_len);
	aad[0] &= 0xef; /* no extension */
	if (ohb.has_pt)
		aad[1] = (aad[1] & 0x80) | ohb.pt;
	if (ohb.has_marker)
		aad[1] = (aad[1] & 0x7f) | (ohb.marker ? 0x80 : 0);
	if (ohb.has_seq) {
		o.seq = ohb.seq;
		aad[2] = (uint8_t)(ohb.seq >> 8);
		aad[3] = (uint8_t)ohb.seq;
	}
	for (i = 0; i < h->n; i++)
		for (k = 0; k < h->n; k++)
			if (opens(&h->c[i], h->c[k].salt, &o, aad, r->fixed_len,
				body, n - ohb.len, out))
				return true;
	return false;
}

static bool
ekt_opens(const struct hop *h, const struct perc_tail *t)
{
	uint8_t out[PERC_TAIL_MAX];
	unsigned i;
	size_t n;

	for (i = 0; t->type == PERC_TAIL_FULL && i < h->n; i++)
		if (perc_kwp_unwrap(out, &n, h->c[i].key, h->c[i].keylen,
			t->ciphertext, t->ciphertext_len) == 0)
			return true;
	return false;
}

static void
packet(struct hop *h, const char *hex)
{
	uint8_t p[PERC_MTU_MAX], body[PERC_MTU_MAX];
	size_t n = unhex(p, sizeof(p), hex), len;
	struct perc_tail t;
	struct perc_rtp r;
	unsigned i;

	h->packets++;
	if (perc_tail_find(&t, p, n) != 0 ||
	    perc_rtp_parse(&r, p, n - t.len) != 0)
		return;
	h->ekt += ekt_opens(h, &t);
	len = n - t.len - r.header_len;
	for (i = 0; i < h->hops; i++)
		if (opens(&h->c[i], h->c[i].salt, &r, p, r.header_len,
			p + r.header_len, len, body)) {
			h->outer++;
			h->inner += inner_opens(
			    h, &r, p, body, len - PERC_SRTP_TAG_LEN);
			return;
		}
}

static void
key_line(struct hop *h, const char *hex, char **save)
{
	uint8_t key[PERC_SRTP_KEY_MAX], salt[PERC_SRTP_SALT_LEN];
	size_t n = unhex(key, sizeof(key), hex);
	const char *roc;

	if (unhex(salt, sizeof(salt), strtok_r(NULL, " \n", save)) !=
	    sizeof(salt))
		die("bad salt");
	roc = strtok_r(NULL, " \n", save);
	candidate_add(h, key, n, salt,
	    roc == NULL ? 0 : (uint32_t)strtoul(roc, NULL, 10));
}

int
main(void)
{
	static struct hop h;
	char *line = NULL, *a, *b, *save;
	size_t cap = 0;

	while (getline(&line, &cap, stdin) > 0) {
		if ((a = strtok_r(line, " \n", &save)) == NULL)
			continue;
		b = strtok_r(NULL, " \n", &save);
		if (strcmp(a, "hop") == 0 && b != NULL) {
			hop_add(&h, b, strtok_r(NULL, " \n", &save));
		} else if (strcmp(a, "key") == 0) {
			key_line(&h, b, &save);
		} else {
			packet(&h, a);
		}
	}
	free(line);
	printf("{\"packets\": %u, \"outer\": %u, \"inner\": %u, \"ekt\": %u}\n",
	    h.packets, h.outer, h.inner, h.ekt);
	return 0;
}
