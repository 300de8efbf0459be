/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Conferences as JSON: what people send, checked member by member with errors
 * that point at the member, and what they get to see.
 */
#include "kmf/keeper_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *
kmf_time_json(int64_t ms)
{
	char text[PERC_TIME_LEN];

	perc_time_put(text, ms);
	return json_string(text);
}

/* What endpoints may send; fixed payload types save a negotiation. */
json_t *
kmf_media_json(void)
{
	return json_pack("[{s:s, s:i, s:s}, {s:s, s:i, s:s}, {s:s, s:i, s:s}]",
	    "media", "audio", "pt", 111, "codec", "opus/48000/2", "media",
	    "video", "pt", 96, "codec", "VP8/90000", "media", "video", "pt", 97,
	    "codec", "H264/90000");
}

/* Sound, then the layers of the picture, worst first: that order is what a
 * distributor knows of them. Old endpoints know no layers, so where there is
 * one it has no number. */
static unsigned
ssrcs_of(const struct db_member *m, uint32_t out[static 1 + DB_LAYERS_MAX])
{
	const uint32_t all[] = { m->ssrc_audio, m->ssrc_video, m->ssrc_video2,
		m->ssrc_video3 };
	unsigned i, n = 0;

	for (i = 0; i < 1 + DB_LAYERS_MAX; i++)
		if (all[i] != 0)
			out[n++] = all[i];
	return n;
}

json_t *
kmf_ssrcs_json(const struct db_member *m)
{
	uint32_t ssrc[1 + DB_LAYERS_MAX];
	unsigned i, n = ssrcs_of(m, ssrc);
	json_t *list = json_array(), *o;
	int bad = 0;

	for (i = 0; i < n; i++) {
		o = json_pack("{s:I, s:s}", "ssrc", (json_int_t)ssrc[i],
		    "media", i == 0 ? "audio" : "video");
		if (i > 0 && n > 2)
			bad |= json_object_set_new(
			    o, "layer", json_integer(i - 1));
		bad |= json_array_append_new(list, o);
	}
	if (bad) {
		json_decref(list);
		return NULL;
	}
	return list;
}

json_t *
kmf_ssrc_numbers_json(const struct db_member *m)
{
	uint32_t ssrc[1 + DB_LAYERS_MAX];
	unsigned i, n = ssrcs_of(m, ssrc);
	json_t *list = json_array();
	int bad = 0;

	for (i = 0; i < n; i++)
		bad |= json_array_append_new(list, json_integer(ssrc[i]));
	if (bad) {
		json_decref(list);
		return NULL;
	}
	return list;
}

const char *
kmf_conf_state_name(enum db_conf_state s)
{
	static const char *const names[] = { "scheduled", "live", "ended" };

	return names[s];
}

const char *
kmf_conf_state_text(const struct db_conf *c)
{
	return c->cancelled ? "cancelled" : kmf_conf_state_name(c->state);
}

int64_t
kmf_conf_opens_ms(const struct db_conf *c, const struct kmf_policy *p)
{
	return c->starts_ms - (int64_t)p->early_entry_s * 1000;
}

json_t *
kmf_conf_event_json(const struct db_conf *c)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:b}", "state",
	    kmf_conf_state_text(c), "title", c->title, "starts_at",
	    kmf_time_json(c->starts_ms), "ends_at", kmf_time_json(c->ends_ms),
	    "locked", (int)(c->locked_ms != 0));
}

static json_t *
invitee_json(struct kmf_keeper *k, const struct db_invitee *v)
{
	return json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:s, s:s, s:o*}",
	    "id", v->id, "email", kmf_json_opt(v->email), "iss",
	    kmf_json_opt(v->iss), "sub", kmf_json_opt(v->sub), "group",
	    kmf_json_opt(v->group), "domain", kmf_json_opt(v->domain), "role",
	    v->role, "kind", v->kind, "mail",
	    v->email[0] != '\0' && k->mail_from[0] != '\0'
		? kmf_mail_json(k, v->id)
		: NULL);
}

json_t *
kmf_invitees_json(struct kmf_keeper *k, const struct db_invitee *list, size_t n)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		kmf_json_add(&a, invitee_json(k, &list[i]));
	return a;
}

static json_t *
invitees_json(struct kmf_keeper *k, const char *conf)
{
	struct db_invitee *list = NULL;
	json_t *a;
	size_t n;

	if (db_invitee_list(k->db, &list, &n, conf) != 0)
		return NULL;
	a = kmf_invitees_json(k, list, n);
	free(list);
	return a;
}

json_t *
kmf_conf_json(struct kmf_keeper *k, const struct db_conf *c)
{
	char uri[DB_URL_MAX + 64];
	int64_t live = 0;

	if (db_member_count(k->db, &live, c->id, DB_MEMBER_LIVE) != 0)
		return NULL;
	snprintf(uri, sizeof(uri), "%s/c/%s", k->base, c->id);
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:b, s:o, s:o, "
			 "s:s, s:o, s:I, s:o, s:s, s:s*, s:o*, s:o*}",
	    "id", c->id, "title", c->title, "uri", uri, "starts_at",
	    kmf_time_json(c->starts_ms), "ends_at", kmf_time_json(c->ends_ms),
	    "tzid", c->tzid, "state", kmf_conf_state_text(c), "locked",
	    (int)(c->locked_ms != 0), "policy", json_loads(c->policy, 0, NULL),
	    "invitees", invitees_json(k, c->id), "mdd", c->mdd, "epoch",
	    c->epoch_ms != 0 ? json_integer(c->epoch) : json_null(),
	    "members_live", (json_int_t)live, "created_at",
	    kmf_time_json(c->created_ms), "created_by", c->created_by, "series",
	    kmf_json_opt(c->series), "recurrence_id",
	    c->series[0] != '\0' ? kmf_time_json(c->recur_ms) : NULL,
	    "exception",
	    c->series[0] != '\0' ? json_boolean(c->exception) : NULL);
}

/* Octets of the UTF-8 character at p (RFC 3629, 4), 0: there is none. */
static size_t
utf8_len(const unsigned char *p)
{
	static const struct {
		unsigned char first, last, low, high; /* of the second octet */
		size_t len;
	} forms[] = {
		{ 0x01, 0x7f, 0, 0xff, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t i, n;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (p[0] >= forms[i].first && p[0] <= forms[i].last)
			break;
	if (i == sizeof(forms) / sizeof(forms[0]))
		return 0;
	if (forms[i].len > 1 && (p[1] < forms[i].low || p[1] > forms[i].high))
		return 0;
	for (n = 2; n < forms[i].len; n++)
		if ((p[n] & 0xc0) != 0x80)
			return 0;
	return forms[i].len;
}

bool
kmf_is_utf8(const char *s)
{
	size_t n;

	for (; *s != '\0'; s += n)
		if ((n = utf8_len((const unsigned char *)s)) == 0)
			return false;
	return true;
}

/* Something to show, without control characters, that JSON can carry. */
int
kmf_text_check(const char *s, size_t max)
{
	size_t n;

	for (n = 0; s[n] != '\0'; n++)
		if (n >= max || iscntrl((unsigned char)s[n]))
			return PERC_ERR_FORMAT;
	return n > 0 && kmf_is_utf8(s) ? 0 : PERC_ERR_FORMAT;
}

static int
email_put(char *out, size_t cap, const char *in)
{
	const char *at = strchr(in, '@');
	size_t i;

	if (kmf_text_check(in, cap - 1) != 0 || at == NULL || at == in ||
	    at[1] == '\0' || strpbrk(in, " ,;<>\"") != NULL)
		return PERC_ERR_FORMAT;
	for (i = 0; in[i] != '\0'; i++)
		out[i] = (char)tolower((unsigned char)in[i]);
	out[i] = '\0';
	return 0;
}

int
kmf_email_get(char *out, size_t cap, const json_t *o)
{
	const char *s = perc_json_str(o, "email");

	out[0] = '\0';
	if (json_object_get(o, "email") == NULL)
		return 0;
	return s != NULL ? email_put(out, cap, s) : PERC_ERR_FORMAT;
}

/* An optional word out of a list; "" in the struct becomes the default. */
bool
kmf_word_is(const char *w, const char *words)
{
	return w[0] != '\0' && strchr(w, ' ') == NULL && kmf_has_word(words, w);
}

int
kmf_word_get(char *out, size_t cap, const json_t *o, const char *name,
    const char *words, const char *def)
{
	const char *s = perc_json_str(o, name);

	if (json_object_get(o, name) == NULL)
		return kmf_copy(out, cap, def);
	if (s == NULL || !kmf_word_is(s, words))
		return PERC_ERR_FORMAT;
	return kmf_copy(out, cap, s);
}

static int
text_get(char *out, size_t cap, const json_t *o, const char *name)
{
	const char *s = perc_json_str(o, name);

	if (json_object_get(o, name) == NULL)
		return 0;
	if (s == NULL || kmf_text_check(s, cap - 1) != 0)
		return PERC_ERR_FORMAT;
	return kmf_copy(out, cap, s);
}

/* Lower case, as addresses are; labels of RFC 1123, at least two. */
static int
domain_get(char out[static DB_DOMAIN_MAX], const json_t *o)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	const char *s = perc_json_str(o, "domain");
	size_t i, n, labels = 0;

	if (json_object_get(o, "domain") == NULL)
		return 0;
	if (s == NULL || strlen(s) > 253)
		return PERC_ERR_FORMAT;
	for (i = 0; s[i] != '\0'; i++)
		out[i] = (char)tolower((unsigned char)s[i]);
	out[i] = '\0';
	for (s = out;; s += n + 1, labels++) {
		n = strspn(s, letters);
		if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
			return PERC_ERR_FORMAT;
		if (s[n] == '\0')
			return labels > 0 ? 0 : PERC_ERR_FORMAT;
		if (s[n] != '.')
			return PERC_ERR_FORMAT;
	}
}

int
kmf_role_get(char out[static DB_WORD_MAX], const json_t *o)
{
	int r;

	if ((r = kmf_word_get(out, DB_WORD_MAX, o, "role",
		 "member host moderator", "member")) == 0 &&
	    strcmp(out, "moderator") == 0) /* another word for the same */
		r = kmf_copy(out, DB_WORD_MAX, "host");
	return r;
}

/* Exactly one of e-mail, issuer with subject, group, domain. */
static int
one_way(const struct db_invitee *v)
{
	int ways = (v->email[0] != '\0') + (v->group[0] != '\0') +
	    (v->domain[0] != '\0') + (v->iss[0] != '\0' && v->sub[0] != '\0');

	return ways == 1 && (v->iss[0] != '\0') == (v->sub[0] != '\0')
	    ? 0
	    : PERC_ERR_FORMAT;
}

static int
invitee_get(struct db_invitee *v, const json_t *o, const char **what)
{
	*what = ": an object with email, iss and sub, group, or domain";
	if (!json_is_object(o))
		return PERC_ERR_FORMAT;
	perc_random_id(v->id, sizeof(v->id), "v_");
	*what = "/email: an e-mail address";
	if (kmf_email_get(v->email, sizeof(v->email), o) != 0)
		return PERC_ERR_FORMAT;
	*what = ": iss, sub and group are texts";
	if (text_get(v->iss, sizeof(v->iss), o, "iss") != 0 ||
	    text_get(v->sub, sizeof(v->sub), o, "sub") != 0 ||
	    text_get(v->group, sizeof(v->group), o, "group") != 0)
		return PERC_ERR_FORMAT;
	*what = "/domain: a domain, as example.org";
	if (domain_get(v->domain, o) != 0)
		return PERC_ERR_FORMAT;
	*what = ": exactly one of email, iss with sub, group, domain";
	if (one_way(v) != 0)
		return PERC_ERR_FORMAT;
	*what = "/role: member or host";
	if (kmf_role_get(v->role, o) != 0)
		return PERC_ERR_FORMAT;
	*what = "/kind: person, room or recorder";
	return kmf_word_get(v->kind, sizeof(v->kind), o, "kind",
	    "person room recorder", "person");
}

int
kmf_invitees_get(
    struct db_invitee **vp, size_t *np, const json_t *a, char *why, size_t cap)
{
	struct db_invitee *list;
	const char *what = "";
	size_t i, n = json_array_size(a);
	int r;

	if (!json_is_array(a) || n > KMF_INVITEES_MAX) {
		snprintf(why, cap, "/invitees: a list of at most %d",
		    KMF_INVITEES_MAX);
		return PERC_ERR_FORMAT;
	}
	if ((list = calloc(n + 1, sizeof(*list))) == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < n; i++) {
		r = invitee_get(&list[i], json_array_get(a, i), &what);
		if (r != 0) {
			snprintf(why, cap, "/invitees/%zu%s", i, what);
			free(list);
			return PERC_ERR_FORMAT;
		}
	}
	*vp = list;
	*np = n;
	return 0;
}
