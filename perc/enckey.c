/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field is a list of groups of parameters (RFC 9110 sections 5.6.1 and
 * 5.6.6): commas and semicolons inside quotes are text, a backslash there
 * means the next character. A value is unquoted into the caller's key or a
 * buffer that is wiped; whatever is wrong refuses the whole field, since a
 * receiver that picks among broken keys can be steered.
 */
#include "perc/enckey.h"

#include "perc/b64.h"
#include "perc/secret.h"
#include "perc/wire.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN 64	      /* longer parameter names are refused */
#define VALUE_MAX    128      /* longer values are refused where we use them */
#define EMPTY_MAX    16	      /* empty elements "within reason" */
#define SALT_MAX     256      /* RFC 8870 section 5.2.2 */
#define TTL_MAX	     16777215 /* RFC 8870 section 5.2.2: 24 bits */

struct param {
	char name[NAME_MAX_LEN];
	char value[VALUE_MAX];
	size_t valuelen; /* may exceed VALUE_MAX: then it was cut */
};

struct group {
	struct perc_enckey *key;
	unsigned seen; /* a bit per row of `params` */
	bool ekt;
	bool unnamed; /* has parameters, but none that says what it is for */
};

/* --- one parameter's meaning -------------------------------------------- */

static int
decimal(uint32_t *out, const char *s, uint32_t min, uint32_t max)
{
	uint64_t v = 0;
	size_t n = strlen(s);

	if (n == 0 || n > 8 || strspn(s, "0123456789") != n ||
	    (n > 1 && s[0] == '0'))
		return PERC_ERR_FORMAT;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint64_t)(s[i] - '0');
	if (v < min || v > max)
		return PERC_ERR_FORMAT;
	*out = (uint32_t)v;
	return 0;
}

static int
get_usage(struct group *g, const char *s)
{
	g->ekt = strcmp(s, "EKT") == 0;
	return 0;
}

static int
get_keyid(struct group *g, const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > PERC_ENCKEY_KEYID_MAX ||
	    strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-._~") != n)
		return PERC_ERR_FORMAT;
	memcpy(g->key->keyid, s, n + 1);
	return 0;
}

static int
get_key(struct group *g, const char *s)
{
	size_t n = strlen(s) == PERC_B64_LEN(16) ? 16 : 32;

	g->key->keylen = n;
	return perc_b64_get_exact(g->key->key, n, s);
}

static int
get_salt(struct group *g, const char *s)
{
	return perc_b64_get_exact(g->key->salt, PERC_EKT_SALT_LEN, s);
}

static int
get_cipher(struct group *g, const char *s)
{
	if (strcmp(s, "AESKW128") == 0)
		g->key->cipher = PERC_AESKW128;
	else if (strcmp(s, "AESKW256") == 0)
		g->key->cipher = PERC_AESKW256;
	else
		return PERC_ERR_FORMAT;
	return 0;
}

static int
get_profile(struct group *g, const char *s)
{
	if (strcmp(s, "0009") == 0)
		g->key->profile = PERC_DOUBLE_128;
	else if (strcasecmp(s, "000A") == 0)
		g->key->profile = PERC_DOUBLE_256;
	else
		return PERC_ERR_FORMAT;
	return 0;
}

static int
get_spi(struct group *g, const char *s)
{
	uint32_t v;
	int r = decimal(&v, s, 0, UINT16_MAX);

	if (r == 0)
		g->key->spi = (uint16_t)v;
	return r;
}

static int
get_ttl(struct group *g, const char *s)
{
	return decimal(&g->key->ttl_s, s, 1, TTL_MAX);
}

static int
get_mode(struct group *g, const char *s)
{
	g->key->recvonly = strcmp(s, "recvonly") == 0;
	return g->key->recvonly || strcmp(s, "sendrecv") == 0 ? 0
							      : PERC_ERR_FORMAT;
}

static int
get_dh(struct group *g, const char *s)
{
	return PERC_ERR_FORMAT; /* no such form is defined for EKT */
}

static const struct {
	const char *name;
	bool required;
	int (*get)(struct group *, const char *);
} params[] = { { "usage", true, get_usage }, { "keyid", true, get_keyid },
	{ "key", true, get_key }, { "cipher", true, get_cipher },
	{ "spi", true, get_spi }, { "salt", true, get_salt },
	{ "ttl", true, get_ttl }, { "profile", true, get_profile },
	{ "mode", false, get_mode }, { "dh", false, get_dh } };
#define PARAMS (sizeof(params) / sizeof(params[0]))

/* --- lexing ------------------------------------------------------------- */

struct text {
	const char *p;
	size_t n, i;
};

static int
peek_char(const struct text *t)
{
	return t->i < t->n ? (unsigned char)t->p[t->i] : -1;
}

static void
skip_blanks(struct text *t)
{
	while (peek_char(t) == ' ' || peek_char(t) == '\t')
		t->i++;
}

/* tchar, RFC 9110 section 5.6.2 */
static bool
is_token(int c)
{
	return c > 0 && c < 0x7f &&
	    (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void
value_add(struct param *p, int c)
{
	if (p->valuelen < VALUE_MAX - 1)
		p->value[p->valuelen] = (char)c;
	p->valuelen++;
}

/* Behind the opening quote, up to and with the closing one. */
static int
lex_quoted(struct text *t, struct param *p)
{
	for (;;) {
		int c = peek_char(t);

		t->i++;
		if (c == '"')
			return 0;
		if (c == '\\') {
			c = peek_char(t);
			t->i++;
		}
		/* NUL, CR, LF, other controls, and the end of the text */
		if (c < 0x20 ? c != '\t' : c == 0x7f)
			return PERC_ERR_FORMAT;
		value_add(p, c);
	}
}

static int
lex_param(struct text *t, struct param *p)
{
	size_t n = 0;
	int r = 0;

	memset(p, 0, sizeof(*p));
	for (; is_token(peek_char(t)); t->i++, n++)
		if (n < NAME_MAX_LEN - 1)
			p->name[n] = t->p[t->i];
	if (n >= NAME_MAX_LEN)
		return PERC_ERR_LIMIT;
	if (n == 0 || peek_char(t) != '=')
		return PERC_ERR_FORMAT;
	t->i++;
	if (peek_char(t) == '"') {
		t->i++;
		r = lex_quoted(t, p);
	} else {
		if (!is_token(peek_char(t)))
			return PERC_ERR_FORMAT;
		for (; is_token(peek_char(t)); t->i++)
			value_add(p, peek_char(t));
	}
	return r;
}

/* --- groups ------------------------------------------------------------- */

/* Names seen in one group, ours or not, may not repeat. */
struct names {
	char name[24][NAME_MAX_LEN];
	size_t n;
};

static int
name_once(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcasecmp(names->name[i], name) == 0)
			return PERC_ERR_FORMAT;
	if (names->n == sizeof(names->name) / sizeof(names->name[0]))
		return PERC_ERR_LIMIT;
	strcpy(names->name[names->n++], name);
	return 0;
}

static int
param_apply(struct group *g, const struct param *p, int *bad)
{
	for (size_t i = 0; i < PARAMS; i++) {
		if (strcasecmp(params[i].name, p->name) != 0)
			continue;
		g->seen |= 1u << i;
		/* Whether it matters is known when usage is: it may follow. */
		if (p->valuelen >= VALUE_MAX || params[i].get(g, p->value) != 0)
			*bad = PERC_ERR_FORMAT;
		return 0;
	}
	return 0;
}

static int
group_judge(const struct group *g)
{
	const struct perc_enckey *k = g->key;

	for (size_t i = 0; i < PARAMS; i++)
		if (params[i].required && (g->seen & 1u << i) == 0)
			return PERC_ERR_FORMAT;
	if (k->keylen != (k->cipher == PERC_AESKW128 ? 16u : 32u))
		return PERC_ERR_FORMAT;
	/* RFC 8870 section 6: the wrap is as strong as what it wraps. */
	if (k->profile == PERC_DOUBLE_256 && k->cipher != PERC_AESKW256)
		return PERC_ERR_FORMAT;
	return 0;
}

/* One group, up to a comma or the end. */
static int
group_parse(struct text *t, struct group *g)
{
	struct names names = { .n = 0 };
	struct param p;
	int r = 0, bad = 0, empty = 0;

	for (;;) {
		skip_blanks(t);
		if (peek_char(t) == ';') { /* RFC 9110: may be empty */
			t->i++;
			if (++empty > EMPTY_MAX)
				r = PERC_ERR_LIMIT;
		} else if (peek_char(t) == ',' || peek_char(t) == -1)
			break;
		else if ((r = lex_param(t, &p)) == 0 &&
		    (r = name_once(&names, p.name)) == 0) {
			r = param_apply(g, &p, &bad);
			skip_blanks(t);
			if (peek_char(t) != ';' && peek_char(t) != ',' &&
			    peek_char(t) != -1)
				r = PERC_ERR_FORMAT;
		}
		if (r != 0)
			break;
	}
	perc_wipe(&p, sizeof(p));
	g->unnamed = names.n > 0 && (g->seen & 1u) == 0;
	if (r != 0 || !g->ekt)
		return r;
	return bad != 0 ? bad : group_judge(g);
}

static int
group_new(const struct perc_enckey *keys, size_t n, const struct perc_enckey *k)
{
	if (n == PERC_ENCKEY_MAX)
		return PERC_ERR_LIMIT;
	for (size_t i = 0; i < n; i++)
		if (keys[i].spi == k->spi ||
		    strcmp(keys[i].keyid, k->keyid) == 0)
			return PERC_ERR_FORMAT;
	return 0;
}

int
perc_enckey_parse(struct perc_enckey keys[static PERC_ENCKEY_MAX], size_t *n,
    const char *value, size_t len)
{
	struct text t = { value, len, 0 };
	struct perc_enckey k;
	size_t found = 0;
	int r = 0, elements = 0;
	bool unnamed = false;

	memset(keys, 0, PERC_ENCKEY_MAX * sizeof(keys[0]));
	while (r == 0) {
		struct group g = { .key = &k };

		memset(&k, 0, sizeof(k));
		if (++elements > EMPTY_MAX)
			r = PERC_ERR_LIMIT;
		else if ((r = group_parse(&t, &g)) == 0 && g.ekt &&
		    (r = group_new(keys, found, &k)) == 0)
			keys[found++] = k;
		unnamed = unnamed || g.unnamed;
		if (peek_char(&t) != ',')
			break;
		t.i++;
	}
	perc_wipe(&k, sizeof(k));
	/* beside an EKT key it may serve others; alone it is a broken answer */
	if (r == 0 && found == 0 && unnamed)
		r = PERC_ERR_FORMAT;
	*n = r == 0 ? found : 0;
	if (r != 0)
		perc_wipe(keys, PERC_ENCKEY_MAX * sizeof(keys[0]));
	return r;
}

/* --- writing ------------------------------------------------------------ */

static bool
writable(const struct perc_enckey *k)
{
	struct perc_enckey scratch;
	struct group g = { .key = &scratch };
	bool narrow = k->cipher == PERC_AESKW128 && k->keylen == 16 &&
	    k->profile == PERC_DOUBLE_128;
	bool wide = k->cipher == PERC_AESKW256 && k->keylen == 32;

	return get_keyid(&g, k->keyid) == 0 && k->ttl_s >= 1 &&
	    k->ttl_s <= TTL_MAX && (narrow || wide);
}

int
perc_enckey_print(char *out, size_t cap, const struct perc_enckey *k)
{
	char key[PERC_B64_LEN(PERC_EKT_KEY_MAX) + 1];
	char salt[PERC_B64_LEN(PERC_EKT_SALT_LEN) + 1];
	int n;

	if (!writable(k))
		return PERC_ERR_INVAL;
	perc_b64_put(key, k->key, k->keylen);
	perc_b64_put(salt, k->salt, sizeof(k->salt));
	n = snprintf(out, cap,
	    "usage=\"EKT\"; keyid=\"%s\"; key=\"%s\"; cipher=\"AESKW%d\"; "
	    "spi=\"%u\"; salt=\"%s\"; ttl=\"%u\"; profile=\"%04X\"%s",
	    k->keyid, key, k->keylen == 16 ? 128 : 256, (unsigned)k->spi, salt,
	    (unsigned)k->ttl_s, (unsigned)k->profile,
	    k->recvonly ? "; mode=\"recvonly\"" : "");
	perc_wipe(key, sizeof(key));
	perc_wipe(salt, sizeof(salt));
	if (n >= 0 && (size_t)n < cap)
		return 0;
	perc_wipe(out, cap);
	return PERC_ERR_SHORT;
}

/* --- the struct of RFC 8870 section 5.2.2 ------------------------------- */

int
perc_ektkey_get(struct perc_enckey *k, const void *in, size_t n)
{
	struct perc_wire w;
	const uint8_t *key, *salt;
	size_t keylen, saltlen;
	int r;

	memset(k, 0, sizeof(*k));
	perc_wire_reader(&w, in, n);
	/* Bounds of 256 make the length prefixes two octets wide. */
	key = perc_wire_get_blob16(&w, &keylen);
	salt = perc_wire_get_blob16(&w, &saltlen);
	k->spi = perc_wire_get_u16(&w);
	k->ttl_s = perc_wire_get_u24(&w);
	r = perc_wire_end(&w);
	if (r == 0 &&
	    ((keylen != 16 && keylen != 32) || saltlen < PERC_EKT_SALT_LEN ||
		saltlen > SALT_MAX || k->ttl_s == 0))
		r = PERC_ERR_FORMAT;
	if (r != 0) {
		memset(k, 0, sizeof(*k));
		return r;
	}
	memcpy(k->key, key, keylen);
	memcpy(k->salt, salt, sizeof(k->salt));
	k->keylen = keylen;
	k->cipher = keylen == 16 ? PERC_AESKW128 : PERC_AESKW256;
	k->profile = keylen == 16 ? PERC_DOUBLE_128 : PERC_DOUBLE_256;
	return 0;
}

int
perc_ektkey_put(uint8_t *out, size_t *n, const struct perc_enckey *k)
{
	struct perc_wire w;
	int r;

	if (k->keylen > PERC_EKT_KEY_MAX)
		return PERC_ERR_INVAL;
	perc_wire_writer(&w, out, *n);
	perc_wire_put_blob16(&w, k->key, k->keylen);
	perc_wire_put_blob16(&w, k->salt, PERC_EKT_SALT_LEN);
	perc_wire_put_u16(&w, k->spi);
	perc_wire_put_u24(&w, k->ttl_s);
	if ((r = perc_wire_end(&w)) == 0)
		*n = w.pos;
	else
		perc_wipe(out, *n);
	return r;
}
