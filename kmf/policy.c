/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A conference's policy: one table of names, ranges and defaults, so that
 * reading, checking and printing agree.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <string.h>

enum kind { FLAG, NUMBER };

static const struct {
	const char *name;
	enum kind kind;
	size_t offset;
	uint32_t def, min, max;
} members[] = {
	{ "rekey_on_leave", FLAG, offsetof(struct kmf_policy, rekey_on_leave),
	    1, 0, 1 },
	{ "rekey_on_join", FLAG, offsetof(struct kmf_policy, rekey_on_join), 1,
	    0, 1 },
	{ "join_window_ms", NUMBER, offsetof(struct kmf_policy, join_window_ms),
	    2000, 0, 60000 },
	{ "leave_window_ms", NUMBER,
	    offsetof(struct kmf_policy, leave_window_ms), 250, 0, 10000 },
	{ "max_epoch_age_s", NUMBER,
	    offsetof(struct kmf_policy, max_epoch_age_s), 300, 5, 86400 },
	{ "overlap_ms", NUMBER, offsetof(struct kmf_policy, overlap_ms), 2000,
	    0, 60000 },
	{ "lease_s", NUMBER, offsetof(struct kmf_policy, lease_s), 15, 2, 300 },
	{ "early_entry_s", NUMBER, offsetof(struct kmf_policy, early_entry_s),
	    600, 0, 86400 },
	{ "video_layers", NUMBER, offsetof(struct kmf_policy, video_layers), 1,
	    1, DB_LAYERS_MAX },
};
#define NMEMBERS (sizeof(members) / sizeof(members[0]))

static void
store(struct kmf_policy *p, size_t i, uint32_t v)
{
	uint8_t *at = (uint8_t *)p + members[i].offset;

	if (members[i].kind == FLAG)
		*(bool *)at = v != 0;
	else
		*(uint32_t *)at = v;
}

static int
member_get(struct kmf_policy *p, size_t i, const json_t *v)
{
	json_int_t n;

	if (members[i].kind == FLAG) {
		if (!json_is_boolean(v))
			return PERC_ERR_FORMAT;
		store(p, i, json_is_true(v));
		return 0;
	}
	if (!json_is_integer(v))
		return PERC_ERR_FORMAT;
	n = json_integer_value(v);
	if (n < members[i].min || n > members[i].max)
		return PERC_ERR_FORMAT;
	store(p, i, (uint32_t)n);
	return 0;
}

/* RFC 8870, 6: the key wrap is at least as strong as the cipher. */
static int
suite_get(struct kmf_policy *p, const json_t *o, char *why, size_t cap)
{
	const json_t *c = json_object_get(o, "cipher");
	const json_t *f = json_object_get(o, "profile");
	const char *cs = c != NULL ? json_string_value(c) : "";
	const char *fs = f != NULL ? json_string_value(f) : "";
	bool c256, f256;

	c256 = cs != NULL && strcmp(cs, "AESKW256") == 0;
	f256 = fs != NULL && strcmp(fs, "AEAD_AES_256_GCM") == 0;
	if (c != NULL && !c256 && (cs == NULL || strcmp(cs, "AESKW128") != 0)) {
		snprintf(why, cap, "/cipher: AESKW128 or AESKW256");
		return PERC_ERR_FORMAT;
	}
	if (f != NULL && !f256 &&
	    (fs == NULL || strcmp(fs, "AEAD_AES_128_GCM") != 0)) {
		snprintf(
		    why, cap, "/profile: AEAD_AES_128_GCM or AEAD_AES_256_GCM");
		return PERC_ERR_FORMAT;
	}
	if (c != NULL && f != NULL && c256 != f256) {
		snprintf(why, cap, "/profile: must be as strong as cipher");
		return PERC_ERR_FORMAT;
	}
	if (c != NULL || f != NULL)
		p->aes256 = c256 || f256;
	return 0;
}

static size_t
member_find(const char *name)
{
	size_t i;

	for (i = 0; i < NMEMBERS; i++)
		if (strcmp(members[i].name, name) == 0)
			break;
	return i;
}

/* Members that o does not name keep what stands in p. */
static int
policy_merge(struct kmf_policy *p, const json_t *o, char *why, size_t cap)
{
	const char *name;
	json_t *v;
	size_t i;

	json_object_foreach((json_t *)o, name, v)
	{
		if (strcmp(name, "cipher") == 0 || strcmp(name, "profile") == 0)
			continue;
		i = member_find(name);
		if (i == NMEMBERS) {
			snprintf(
			    why, cap, "/%.40s: there is no such policy", name);
			return PERC_ERR_FORMAT;
		}
		if (member_get(p, i, v) == 0)
			continue;
		if (members[i].kind == FLAG)
			snprintf(why, cap, "/%s: true or false", name);
		else
			snprintf(why, cap, "/%s: a number from %u to %u", name,
			    members[i].min, members[i].max);
		return PERC_ERR_FORMAT;
	}
	return suite_get(p, o, why, cap);
}

int
kmf_policy_get(struct kmf_policy *p, const json_t *o, char *why, size_t cap)
{
	if (o == NULL)
		return 0;
	if (!json_is_object(o)) {
		snprintf(why, cap, ": an object");
		return PERC_ERR_FORMAT;
	}
	return policy_merge(p, o, why, cap);
}

void
kmf_policy_default(struct kmf_policy *p)
{
	size_t i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < NMEMBERS; i++)
		store(p, i, members[i].def);
}

int
kmf_policy_load(struct kmf_policy *p, const char *text)
{
	json_t *o;
	char why[80];
	int r;

	kmf_policy_default(p);
	if ((o = json_loads(text, 0, NULL)) == NULL)
		return PERC_ERR_FORMAT;
	r = kmf_policy_get(p, o, why, sizeof(why));
	json_decref(o);
	return r;
}

int
kmf_policy_of(struct kmf_keeper *k, struct kmf_policy *p, const char *text)
{
	int r;

	if (strcmp(text, k->policy_text) != 0) {
		k->policy_text[0] = '\0';
		if ((r = kmf_policy_load(&k->policy, text)) != 0 ||
		    (r = kmf_copy(
			 k->policy_text, sizeof(k->policy_text), text)) != 0)
			return r;
	}
	*p = k->policy;
	return 0;
}

json_t *
kmf_policy_json(const struct kmf_policy *p)
{
	json_t *o = json_object();
	const uint8_t *at;
	size_t i;
	int bad = 0;

	for (i = 0; i < NMEMBERS; i++) {
		at = (const uint8_t *)p + members[i].offset;
		bad |= json_object_set_new(o, members[i].name,
		    members[i].kind == FLAG
			? json_boolean(*(const bool *)at)
			: json_integer(*(const uint32_t *)at));
	}
	bad |= json_object_set_new(
	    o, "cipher", json_string(p->aes256 ? "AESKW256" : "AESKW128"));
	bad |= json_object_set_new(o, "profile",
	    json_string(p->aes256 ? "AEAD_AES_256_GCM" : "AEAD_AES_128_GCM"));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}
