/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Paths are compared segment by segment; an id that is not formed like one of
 * ours is no path at all, so nothing but base64url ever reaches the keeper
 * from here.
 */
#include "kmf/route.h"

#include <stdio.h>
#include <string.h>

#include "kmf/intake.h"

#define CONF   "/v1/conferences/{c}"
#define SERIES "/v1/series/{s}"
#define WELL   "/.well-known/"

static const struct kmf_route routes[] = {
	/* without a token */
	{ "GET", "/openapi.json", KMF_H_OPENAPI, 0, KMF_PUBLIC, 0 },
	{ "GET", "/c/{c}", KMF_H_DESCRIPTOR, 0, KMF_PUBLIC, 0 },
	{ "GET", "/c/{s}", KMF_H_SERIES, KMF_OP_SERIES_CURRENT, KMF_PUBLIC, 0 },
	{ "GET", WELL "oauth-protected-resource", KMF_H_RESOURCE, 0, KMF_PUBLIC,
	    0 },
	{ "GET", WELL "oauth-protected-resource" CONF, KMF_H_RESOURCE, 0,
	    KMF_PUBLIC, 0 },
	{ "GET", WELL "oauth-authorization-server", KMF_H_SERVER, 0, KMF_PUBLIC,
	    0 },
	{ "GET", WELL "jwks.json", KMF_H_JWKS, 0, KMF_PUBLIC, 0 },
	{ "GET", "/healthz", KMF_H_HEALTH, 0, KMF_PUBLIC, 0 },
	{ "GET", "/readyz", KMF_H_READY, KMF_OP_READY, KMF_PUBLIC, 0 },
	{ "GET", "/metrics", KMF_H_METRICS, KMF_OP_METRICS, KMF_PUBLIC, 0 },
	{ "POST", "/oauth/token", KMF_H_TOKEN, 0, KMF_PUBLIC, 32768 },
	/* members */
	{ "POST", CONF "/keys", KMF_H_CALL, KMF_OP_KEYS, KMF_MEMBER | KMF_NONCE,
	    4096 },
	{ "PUT", CONF "/lease", KMF_H_CALL, KMF_OP_LEASE_RENEW, KMF_MEMBER,
	    4096 },
	{ "DELETE", CONF "/lease", KMF_H_CALL, KMF_OP_LEASE_END, KMF_MEMBER,
	    16384 },
	{ "GET", CONF "/roster", KMF_H_CALL, KMF_OP_ROSTER,
	    KMF_MEMBER | KMF_QUERY, 0 },
	{ "GET", CONF "/events", KMF_H_EVENTS, 0, KMF_MEMBER, 0 },
	/* both */
	{ "GET", CONF, KMF_H_CALL, KMF_OP_CONF_GET, KMF_CLIENT | KMF_MEMBER,
	    0 },
	/* schedulers and auditors */
	{ "POST", "/v1/conferences", KMF_H_CALL, KMF_OP_CONF_CREATE, KMF_CLIENT,
	    KMF_BODY_MAX },
	{ "GET", "/v1/conferences", KMF_H_CALL, KMF_OP_CONF_LIST,
	    KMF_CLIENT | KMF_QUERY, 0 },
	{ "PATCH", CONF, KMF_H_CALL, KMF_OP_CONF_PATCH, KMF_CLIENT,
	    KMF_BODY_MAX },
	{ "DELETE", CONF, KMF_H_CALL, KMF_OP_CONF_DELETE, KMF_CLIENT, 0 },
	{ "GET", "/v1/series", KMF_H_CALL, KMF_OP_SERIES_LIST,
	    KMF_CLIENT | KMF_QUERY, 0 },
	{ "POST", CONF "/invitations/{i}/send", KMF_H_CALL, KMF_OP_INV_SEND,
	    KMF_CLIENT, 4096 },
	{ "POST", CONF "/invitees/{v}/send", KMF_H_CALL, KMF_OP_INVITEE_SEND,
	    KMF_CLIENT, 4096 },
	{ "GET", CONF "/invitees/{v.ics}", KMF_H_CALL, KMF_OP_INVITEE_ICS,
	    KMF_CLIENT, 0 },
	{ "POST", SERIES "/invitees/{v}/send", KMF_H_CALL, KMF_OP_SERIES_SEND,
	    KMF_CLIENT, 4096 },
	{ "GET", SERIES "/invitees/{v.ics}", KMF_H_CALL, KMF_OP_SERIES_ICS,
	    KMF_CLIENT, 0 },
	{ "GET", SERIES, KMF_H_CALL, KMF_OP_SERIES_GET, KMF_CLIENT, 0 },
	{ "PATCH", SERIES, KMF_H_CALL, KMF_OP_SERIES_PATCH, KMF_CLIENT,
	    KMF_BODY_MAX },
	{ "DELETE", SERIES, KMF_H_CALL, KMF_OP_SERIES_DELETE, KMF_CLIENT, 0 },
	{ "POST", SERIES "/cancel", KMF_H_CALL, KMF_OP_SERIES_CANCEL,
	    KMF_CLIENT, 4096 },
	{ "GET", SERIES "/occurrences", KMF_H_CALL, KMF_OP_OCCURRENCE_LIST,
	    KMF_CLIENT | KMF_QUERY, 0 },
	{ "POST", SERIES "/occurrences", KMF_H_CALL, KMF_OP_OCCURRENCE_MAKE,
	    KMF_CLIENT, 4096 },
	{ "POST", CONF "/invitations", KMF_H_CALL, KMF_OP_INV_CREATE,
	    KMF_CLIENT, 16384 },
	{ "GET", CONF "/invitations", KMF_H_CALL, KMF_OP_INV_LIST,
	    KMF_CLIENT | KMF_QUERY, 0 },
	{ "GET", CONF "/invitations/{i}", KMF_H_CALL, KMF_OP_INV_GET,
	    KMF_CLIENT, 0 },
	{ "DELETE", CONF "/invitations/{i}", KMF_H_CALL, KMF_OP_INV_DELETE,
	    KMF_CLIENT, 0 },
	{ "GET", CONF "/invitations/{i.ics}", KMF_H_CALL, KMF_OP_INV_ICS,
	    KMF_CLIENT, 0 },
	{ "GET", CONF "/members", KMF_H_CALL, KMF_OP_MEMBER_LIST,
	    KMF_CLIENT | KMF_MEMBER | KMF_QUERY, 0 },
	{ "GET", CONF "/members/{m}", KMF_H_CALL, KMF_OP_MEMBER_GET,
	    KMF_CLIENT | KMF_MEMBER, 0 },
	{ "DELETE", CONF "/members/{m}", KMF_H_CALL, KMF_OP_MEMBER_EVICT,
	    KMF_CLIENT | KMF_MEMBER, 0 },
	{ "POST", CONF "/rekey", KMF_H_CALL, KMF_OP_CONF_REKEY,
	    KMF_CLIENT | KMF_MEMBER, 4096 },
	{ "POST", CONF "/end", KMF_H_CALL, KMF_OP_CONF_END,
	    KMF_CLIENT | KMF_MEMBER, 4096 },
	{ "POST", CONF "/lock", KMF_H_CALL, KMF_OP_CONF_LOCK,
	    KMF_CLIENT | KMF_MEMBER, 4096 },
	{ "POST", CONF "/unlock", KMF_H_CALL, KMF_OP_CONF_UNLOCK,
	    KMF_CLIENT | KMF_MEMBER, 4096 },
	{ "POST", CONF "/extend", KMF_H_CALL, KMF_OP_CONF_EXTEND,
	    KMF_CLIENT | KMF_MEMBER, 4096 },
	{ "POST", CONF "/cancel", KMF_H_CALL, KMF_OP_CONF_CANCEL, KMF_CLIENT,
	    4096 },
	{ "POST", CONF "/evict", KMF_H_CALL, KMF_OP_EVICT, KMF_CLIENT, 4096 },
	{ "POST", CONF "/explain", KMF_H_CALL, KMF_OP_CONF_EXPLAIN, KMF_CLIENT,
	    16384 },
	{ "GET", "/v1/events", KMF_H_FEED, KMF_OP_FEED, KMF_CLIENT | KMF_QUERY,
	    0 },
	{ "GET", "/v1/webhooks", KMF_H_CALL, KMF_OP_HOOKS, KMF_CLIENT, 0 },
	{ "GET", "/v1/webhooks/{w}/dead", KMF_H_CALL, KMF_OP_DEAD,
	    KMF_CLIENT | KMF_QUERY, 0 },
	{ "POST", "/v1/webhooks/{w}/redeliver", KMF_H_CALL, KMF_OP_REDELIVER,
	    KMF_CLIENT, 4096 },
	{ "GET", "/v1/audit", KMF_H_CALL, KMF_OP_AUDIT, KMF_CLIENT | KMF_QUERY,
	    0 },
};

static bool
take_id(char out[static KMF_ID_MAX], const char *seg, size_t n,
    const char *prefix, const char *suffix)
{
	size_t s = strlen(suffix);

	if (n < s || n - s >= KMF_ID_MAX ||
	    strncmp(seg + n - s, suffix, s) != 0)
		return false;
	memcpy(out, seg, n - s);
	out[n - s] = '\0';
	return kmf_id_ok(out, prefix);
}

/* As kmf/conf_hook.c takes them. */
static bool
take_label(char out[static KMF_ID_MAX], const char *seg, size_t n)
{
	if (n == 0 || n >= KMF_ID_MAX ||
	    strspn(seg, "abcdefghijklmnopqrstuvwxyz0123456789_-") < n)
		return false;
	memcpy(out, seg, n);
	out[n] = '\0';
	return true;
}

/* One segment against one of the pattern. */
static bool
segment_is(struct kmf_params *p, const char *pat, size_t patlen,
    const char *seg, size_t n)
{
	static const struct {
		const char *name, *prefix, *suffix;
		bool conf;
	} kinds[] = { { "{c}", "c_", "", true }, { "{s}", "s_", "", true },
		{ "{m}", "m_", "", false }, { "{i}", "i_", "", false },
		{ "{v}", "v_", "", false }, { "{i.ics}", "i_", ".ics", false },
		{ "{v.ics}", "v_", ".ics", false } };
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (patlen == strlen(kinds[i].name) &&
		    strncmp(pat, kinds[i].name, patlen) == 0)
			return take_id(kinds[i].conf ? p->conf : p->obj, seg, n,
			    kinds[i].prefix, kinds[i].suffix);
	if (patlen == 3 && strncmp(pat, "{w}", 3) == 0)
		return take_label(p->obj, seg, n);
	return patlen == n && strncmp(pat, seg, n) == 0;
}

static bool
path_is(struct kmf_params *p, const char *pat, const char *path)
{
	size_t m, n;

	memset(p, 0, sizeof(*p));
	while (*pat == '/' && *path == '/') {
		pat++;
		path++;
		m = strcspn(pat, "/");
		n = strcspn(path, "/");
		if (!segment_is(p, pat, m, path, n))
			return false;
		pat += m;
		path += n;
	}
	return *pat == '\0' && *path == '\0';
}

/* HEAD is GET without the body (RFC 9110, 9.3.2); a stream is all body. */
static bool
method_is(const struct kmf_route *r, const char *method)
{
	if (strcmp(method, "HEAD") == 0 && r->handler != KMF_H_EVENTS)
		method = "GET";
	return strcmp(r->method, method) == 0;
}

static void
allow_add(char *allow, size_t cap, const struct kmf_route *r)
{
	size_t n = strlen(allow);

	snprintf(allow + n, cap - n, "%s%s", r->method,
	    strcmp(r->method, "GET") == 0 && r->handler != KMF_H_EVENTS
		? ", HEAD, "
		: ", ");
}

int
kmf_route_find(const struct kmf_route **rp, struct kmf_params *p,
    const char *method, const char *path, char *allow, size_t allowcap)
{
	struct kmf_params found;
	size_t i, n;

	allow[0] = '\0';
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!path_is(&found, routes[i].path, path))
			continue;
		if (method_is(&routes[i], method)) {
			*rp = &routes[i];
			*p = found;
			return 0;
		}
		allow_add(allow, allowcap, &routes[i]);
	}
	if (allow[0] == '\0')
		return PERC_ERR_NOTFOUND;
	n = strlen(allow);
	snprintf(allow + n, allowcap - n, "OPTIONS");
	return PERC_ERR_UNSUPPORTED;
}

const struct kmf_route *
kmf_route_at(size_t i)
{
	return i < sizeof(routes) / sizeof(routes[0]) ? &routes[i] : NULL;
}
