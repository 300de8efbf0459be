/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a conference URI to the servers that it belongs to: one question after
 * the other, each answer checked before the next. What the URI's host says
 * about itself is only a claim; the vault settles it, since it opens a
 * conference at a pinned KMF alone and no proof is signed for any other server
 * (REQ-F-5a).
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "perc/json.h"

#define META_MAX 65536

static void enter_resource(struct front_conf *c);
static void enter_server(struct front_conf *c);

json_t *
front_json_take(
    struct front_conf *c, const struct perc_httpc_answer *a, const char *what)
{
	json_t *j = NULL;

	if (a->err != 0 || a->status != 200)
		front_fail_answer(c, a, what);
	else if (perc_json_parse(&j, a->body, a->len, META_MAX, NULL, 0) != 0)
		front_fail(c, "failed", "%s: the answer is malformed", what);
	return j;
}

static void
get_plain(struct front_conf *c, const char *url, perc_httpc_fn done)
{
	static const char *const headers[] = { "Accept: application/json",
		NULL };
	int r;

	if ((r = perc_httpc_start(c->agent->http, &c->plain, "GET", url,
		 headers, NULL, 0, NULL, 0, done, c)) != 0)
		front_fail(c, "bad_uri", "%s: %s", url,
		    r == PERC_ERR_DENIED ? "not an https URL"
					 : perc_strerror(r));
}

/* ---- the conference's public descriptor ---------------------------------- */

static bool
descriptor_fits(struct front_conf *c, const json_t *j)
{
	const char *kmf = perc_json_str(j, "kmf");
	const char *resource = perc_json_str(j, "resource");
	const char *token = perc_json_str(j, "token_endpoint");
	const char *conf = perc_json_str(j, "conference");
	const char *id = strrchr(c->uri, '/') + 1;
	/* A series' URI leads to its occurrence of this moment. */
	const char *named =
	    text_is_id(id, "s_") ? perc_json_str(j, "series") : conf;
	char want[2048];

	if (kmf == NULL || resource == NULL || token == NULL || conf == NULL ||
	    !text_is_id(conf, "c_") || named == NULL || strcmp(named, id) != 0)
		return false;
	text_put(want, sizeof(want), "%s/c/%s", kmf, id);
	if (strcmp(want, c->uri) != 0)
		return false;
	text_put(want, sizeof(want), "%s/v1/conferences/%s", kmf, conf);
	if (strcmp(want, resource) != 0 || !text_same_origin(kmf, token))
		return false;
	c->kmf = text_dup(kmf);
	c->resource = text_dup(resource);
	return c->kmf != NULL && c->resource != NULL;
}

static void
on_descriptor(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg, *other;
	json_t *j;

	c->plain = NULL;
	if ((j = front_json_take(c, a, "reading the invitation")) == NULL)
		return;
	if (!descriptor_fits(c, j))
		front_fail(c, "bad_uri",
		    "%s does not describe the conference it is named for",
		    c->uri);
	else if ((other = front_conf_find(
		      c->agent, perc_json_str(j, "conference"))) != NULL &&
	    other != c)
		front_fail(c, "already_joined", "already in this conference");
	else {
		text_put(
		    c->id, sizeof(c->id), "%s", perc_json_str(j, "conference"));
		enter_resource(c);
	}
	json_decref(j);
}

/* ---- metadata: RFC 9728, RFC 8414 --------------------------------------- */

/* RFC 9728 section 3.1, RFC 8414 section 3.1: between host and path. */
char *
front_well_known(const char *id, const char *name)
{
	const char *host = strstr(id, "://");
	size_t n;

	if (host == NULL)
		return NULL;
	n = (size_t)(host + 3 - id) + strcspn(host + 3, "/");
	return text_new("%.*s/.well-known/%s%s", (int)n, id, name, id + n);
}

static void
on_resource(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	const char *resource, *server;
	json_t *j;

	c->plain = NULL;
	if ((j = front_json_take(c, a, "reading the resource's metadata")) ==
	    NULL)
		return;
	resource = perc_json_str(j, "resource");
	server = json_string_value(
	    json_array_get(json_object_get(j, "authorization_servers"), 0));
	/* RFC 9728 section 3.3: must equal, else nothing of it is used. */
	if (resource == NULL || strcmp(resource, c->resource) != 0)
		front_fail(c, "failed",
		    "the metadata of %s speaks of another resource", c->kmf);
	else if (server == NULL || strcmp(server, c->kmf) != 0)
		front_fail(c, "failed",
		    "%s names an authorization server that is not itself",
		    c->kmf);
	else
		enter_server(c);
	json_decref(j);
}

static void
enter_resource(struct front_conf *c)
{
	char *url = front_well_known(c->resource, "oauth-protected-resource");

	front_progress(c, "reading what %s asks for", c->kmf);
	if (url != NULL)
		get_plain(c, url, on_resource);
	else
		front_fail(c, "failed", "out of memory");
	free(url);
}

static void
on_server(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	const char *issuer, *token;
	json_t *j;

	c->plain = NULL;
	if ((j = front_json_take(c, a, "reading the server's metadata")) ==
	    NULL)
		return;
	issuer = perc_json_str(j, "issuer");
	token = perc_json_str(j, "token_endpoint");
	/* RFC 8414 section 3.3 */
	if (issuer == NULL || token == NULL || strcmp(issuer, c->kmf) != 0 ||
	    !text_same_origin(token, c->kmf) ||
	    (c->token_endpoint = text_dup(token)) == NULL)
		front_fail(c, "failed",
		    "the server's metadata at %s are not its own", c->kmf);
	else
		front_enter_open(c);
	json_decref(j);
}

static void
enter_server(struct front_conf *c)
{
	char *url = front_well_known(c->kmf, "oauth-authorization-server");

	if (url != NULL)
		get_plain(c, url, on_server);
	else
		front_fail(c, "failed", "out of memory");
	free(url);
}

void
front_discover(struct front_conf *c)
{
	get_plain(c, c->uri, on_descriptor);
}
