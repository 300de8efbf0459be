/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the KMF with an administrator's key: one client token per
 * command, bound to a DPoP key that lives as long as the command does. The
 * client file {"client_id", "kmf", "key"} is `perch-kmf init`'s.
 */
#include "agent/cli.h"

#include <stdlib.h>
#include <string.h>

#include "agent/assertion.h"
#include "agent/text.h"
#include "perc/conf.h"
#include "perc/crypto.h"
#include "perc/httpc.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/loop.h"
#include "perc/secret.h"

#define FILE_MAX_LEN   16384
#define NONCE_MAX      256
#define ANSWER_MAX     (1u << 20)
#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

struct cli_kmf {
	char *base, *client_id, *ca_file, *token;
	json_t *key;	       /* the client's private JWK */
	struct perc_jwk *dpop; /* of this command alone */
	char nonce[NONCE_MAX];
};

struct got { /* what one exchange brought */
	int err, status;
	char why[160], etag[80], nonce[NONCE_MAX];
	bool wants_nonce;
	json_t *body;
};

/* ---- the client file ---------------------------------------------------- */

static char *
home_file(const char *name)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config != NULL && config[0] == '/')
		return text_new("%s/perch/%s", config, name);
	return text_new("%s/.config/perch/%s", home != NULL ? home : "", name);
}

static char *
choose_file(
    const struct cli *c, enum cli_opt o, const char *variable, const char *name)
{
	if (c->opt[o] != NULL)
		return text_dup(c->opt[o]);
	if (getenv(variable) != NULL)
		return text_dup(getenv(variable));
	return home_file(name);
}

static int
client_parse(struct cli_kmf *k, const char *path, const char *text, size_t len)
{
	json_t *j = NULL;
	int r = CLI_USAGE;

	if (perc_json_parse(&j, text, len, FILE_MAX_LEN, NULL, 0) == 0) {
		k->base = text_dup(perc_json_str(j, "kmf"));
		k->client_id = text_dup(perc_json_str(j, "client_id"));
		k->key = json_deep_copy(json_object_get(j, "key"));
	}
	if (k->base != NULL && k->client_id != NULL && k->key != NULL)
		r = CLI_OK;
	else
		cli_complain("%s is not a client file of perch-kmf init", path);
	json_decref(j);
	return r;
}

static int
client_read(struct cli_kmf *k, const struct cli *c)
{
	char *path = choose_file(c, CLI_CLIENT, "PERCH_CLIENT", "client.jwk");
	struct perc_conf_error e = { "" };
	struct perc_secret *s = NULL;
	int r = CLI_USAGE;

	if (path == NULL)
		return CLI_FAILED;
	if (perc_conf_read_secret(&s, path, PERC_SECRET_MAX, &e) != 0)
		cli_complain("client file: %s (see --client)",
		    e.text[0] != '\0' ? e.text : path);
	else
		r = client_parse(k, path, (char *)s->data, s->len);
	perc_secret_free(s);
	free(path);
	return r;
}

/* Only a file that was asked for must be there. */
char *
cli_ca_file(const struct cli *c)
{
	char *file = choose_file(c, CLI_CA, "PERCH_CA", "ca.pem");
	struct perc_conf_error e;
	char *text = NULL;
	size_t len;

	if (c->opt[CLI_CA] == NULL && getenv("PERCH_CA") == NULL &&
	    (file == NULL ||
		perc_conf_read_file(&text, &len, file, 1 << 20, &e) != 0)) {
		free(file);
		file = NULL;
	}
	perc_secmem_free(text);
	return file;
}

/* ---- one exchange
 * --------------------------------------------------------------- */

static void
header_copy(
    const struct perc_httpc_answer *a, const char *name, char *out, size_t cap)
{
	const char *v = perc_httpc_header(a->req, name, NULL);

	if (v != NULL && strlen(v) < cap)
		text_put(out, cap, "%s", v);
}

static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct got *g = arg;
	const char *w = perc_httpc_header(a->req, "WWW-Authenticate", NULL);
	const char *error;

	g->err = a->err;
	g->status = a->status;
	text_put(g->why, sizeof(g->why), "%s", a->why);
	header_copy(a, "ETag", g->etag, sizeof(g->etag));
	header_copy(a, "DPoP-Nonce", g->nonce, sizeof(g->nonce));
	if (a->len > 0 &&
	    perc_json_parse(&g->body, a->body, a->len, ANSWER_MAX, NULL, 0) !=
		0)
		g->body = NULL;
	error = perc_json_str(g->body, "error");
	g->wants_nonce = (a->status == 400 || a->status == 401) &&
	    ((w != NULL && strstr(w, "use_dpop_nonce") != NULL) ||
		(error != NULL && strcmp(error, "use_dpop_nonce") == 0));
}

static int
exchange(struct cli_kmf *k, struct got *g, const char *method, const char *path,
    const char *type, const char *body)
{
	struct perc_httpc_conf conf = { .ca_file = k->ca_file,
		.user_agent = "perch" };
	char *url = text_new("%s%s", k->base, path), *htu = text_dup(url);
	char *proof = NULL, *lines[5] = { 0 };
	size_t n = 0;
	int r = PERC_ERR_NOMEM;

	memset(g, 0, sizeof(*g));
	if (url == NULL || htu == NULL)
		goto out;
	htu[strcspn(htu, "?")] = '\0'; /* RFC 9449 section 4.2 */
	if ((r = perc_dpop_make(&proof, k->dpop, method, htu, k->token,
		 k->nonce[0] != '\0' ? k->nonce : NULL, NULL,
		 perc_wall_ms() / 1000)) != 0)
		goto out;
	lines[n++] = text_new("DPoP: %s", proof);
	if (k->token != NULL)
		lines[n++] = text_new("Authorization: DPoP %s", k->token);
	if (type != NULL)
		lines[n++] = text_new("Content-Type: %s", type);
	if (strcmp(method, "POST") == 0 && k->token != NULL) {
		char id[40];

		perc_random_id(id, sizeof(id), "p_");
		lines[n++] = text_new("Idempotency-Key: %s", id);
	}
	r = perc_httpc_once(&conf, method, url, (const char *const *)lines,
	    body, body != NULL ? strlen(body) : 0, on_answer, g);
out:
	for (size_t i = 0; i < n; i++)
		text_free(lines[i]);
	text_free(proof);
	free(htu);
	free(url);
	return r;
}

/* With the nonce dance, once. */
static int
exchange_twice(struct cli_kmf *k, struct got *g, const char *method,
    const char *path, const char *type, const char *body)
{
	int r;

	for (int i = 0; i < 2; i++) {
		if ((r = exchange(k, g, method, path, type, body)) != 0)
			return r;
		if (g->nonce[0] != '\0')
			text_put(k->nonce, sizeof(k->nonce), "%s", g->nonce);
		if (!g->wants_nonce || i > 0)
			break;
		json_decref(g->body);
	}
	return 0;
}

static void
words(const struct got *g, char *out, size_t cap)
{
	static const char *const names[] = { "detail", "error_description",
		"title", "error" };
	const char *s = NULL;

	for (size_t i = 0; i < 4 && s == NULL; i++)
		s = perc_json_str(g->body, names[i]);
	if (g->err != 0)
		text_put(out, cap, "%s", g->why);
	else if (s != NULL)
		text_put(out, cap, "%s", cli_clean(s));
	else
		text_put(out, cap, "HTTP status %d", g->status);
}

static int
outcome(const struct cli_kmf *k, int r, const struct got *g)
{
	char text[256];

	if (r != 0) {
		cli_complain("%s: %s", k->base,
		    r == PERC_ERR_DENIED ? "not an https URL"
					 : perc_strerror(r));
		return CLI_FAILED;
	}
	if (g->err == 0 && g->status / 100 == 2)
		return CLI_OK;
	words(g, text, sizeof(text));
	cli_complain("%s", text);
	return g->err != 0 || g->status >= 500 ? CLI_UNREACHABLE : CLI_FAILED;
}

/* ---- the client token
 * ------------------------------------------------------------- */

static int
token_get(struct cli_kmf *k)
{
	struct text form = { 0 };
	char *assertion = NULL;
	struct got g = { 0 };
	int r;

	if ((r = assertion_make(&assertion, k->key, k->client_id, k->base,
		 perc_wall_ms() / 1000)) != 0) {
		cli_complain("the client file's key does not sign: %s",
		    perc_strerror(r));
		return CLI_USAGE;
	}
	text_add_form(&form, "grant_type", "client_credentials");
	text_add_form(&form, "client_assertion_type", ASSERTION_TYPE);
	text_add_form(&form, "client_assertion", assertion);
	r = exchange_twice(k, &g, "POST", "/oauth/token",
	    "application/x-www-form-urlencoded", form.p);
	if ((r = outcome(k, r, &g)) == CLI_OK &&
	    (k->token = text_dup(perc_json_str(g.body, "access_token"))) ==
		NULL) {
		cli_complain("%s gave no token", k->base);
		r = CLI_FAILED;
	}
	json_decref(g.body);
	text_clear(&form);
	text_free(assertion);
	return r;
}

int
cli_kmf_open(struct cli_kmf **kp, const struct cli *c)
{
	struct cli_kmf *k;
	int r;

	*kp = NULL;
	if ((k = calloc(1, sizeof(*k))) == NULL)
		return CLI_FAILED;
	if ((r = client_read(k, c)) == CLI_OK) {
		k->ca_file = cli_ca_file(c);
		r = perc_jwk_generate(&k->dpop) == 0 ? token_get(k)
						     : CLI_FAILED;
	}
	if (r != CLI_OK)
		cli_kmf_close(k);
	else
		*kp = k;
	return r;
}

void
cli_kmf_close(struct cli_kmf *k)
{
	if (k == NULL)
		return;
	free(k->base);
	free(k->client_id);
	free(k->ca_file);
	text_free(k->token);
	json_decref(k->key);
	perc_jwk_free(k->dpop);
	free(k);
}

const char *
cli_kmf_client(const struct cli_kmf *k)
{
	return k->client_id;
}

int
cli_kmf_call(struct cli_kmf *k, struct cli_answer *a, const char *method,
    const char *path, const json_t *body)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	struct got g = { 0 };
	int r;

	memset(a, 0, sizeof(*a));
	r = exchange_twice(k, &g, method, path,
	    text != NULL ? "application/json" : NULL, text);
	r = outcome(k, r, &g);
	a->status = g.status;
	a->body = g.body;
	text_free(text);
	return r;
}

void
cli_answer_clear(struct cli_answer *a)
{
	json_decref(a->body);
	memset(a, 0, sizeof(*a));
}
