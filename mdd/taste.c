/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object, replaced as a whole: who sends it twice has changed nothing, and
 * {} is everything again. Members are named by the ids of the roster; they go
 * to the worker as hashes, for a rule may come before its member does.
 */
#include "mdd/taste.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "perc/json.h"
#include "perc/wire.h"

#define TASTE_BODY_MAX 4096

static const char *const rule_names[] = { "member", "ssrc", "audio", "video",
	"pin", "max_layer", NULL };
static const char *const top_names[] = { "audio", "video", "max_layer",
	"last_n", "rules", NULL };

static int
complain(char *why, const char *text)
{
	(void)snprintf(why, MDD_TASTE_WHY, "%s", text);
	return PERC_ERR_FORMAT;
}

static int
names_check(const json_t *o, const char *const *names, char *why)
{
	const char *key;
	json_t *v;
	unsigned i;

	if (!json_is_object(o))
		return complain(why, "each of rules is an object");
	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		for (i = 0; names[i] != NULL && strcmp(names[i], key) != 0; i++)
			;
		if (names[i] == NULL)
			return complain(why, "a member that is not known here");
	}
	return 0;
}

static int
wish_bit(const json_t *o, const char *name, uint8_t bit, bool def,
    uint8_t *wish, char *why)
{
	const json_t *v = json_object_get(o, name);

	if (v != NULL && !json_is_boolean(v))
		return complain(why, "audio, video and pin are true or false");
	if (v == NULL ? def : json_is_true(v))
		*wish |= bit;
	return 0;
}

/* What rules and the whole have in common. */
static int
wish_get(const json_t *o, uint8_t *wish, uint8_t *layer, char *why)
{
	int64_t n = MDD_LAYER_ALL;
	int r;

	*wish = 0;
	if ((r = wish_bit(o, "audio", MDD_WISH_AUDIO, true, wish, why)) != 0 ||
	    (r = wish_bit(o, "video", MDD_WISH_VIDEO, true, wish, why)) != 0 ||
	    (r = wish_bit(o, "pin", MDD_WISH_PIN, false, wish, why)) != 0)
		return r;
	r = perc_json_int(&n, o, "max_layer", 0, MDD_LAYER_ALL - 1);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return complain(why, "max_layer is 0 (the worst) to 254");
	*layer = (uint8_t)n;
	return 0;
}

static int
rule_get(struct mdd_rule *rule, const json_t *o, char *why)
{
	const json_t *id = json_object_get(o, "member");
	int64_t ssrc = 0;
	int r;

	if ((r = names_check(o, rule_names, why)) != 0 ||
	    (r = wish_get(o, &rule->wish, &rule->layer, why)) != 0)
		return r;
	r = perc_json_int(&ssrc, o, "ssrc", 0, UINT32_MAX);
	if ((r == 0) == (id != NULL) || (r != 0 && r != PERC_ERR_NOTFOUND))
		return complain(why, "a rule has either member or ssrc");
	rule->ssrc = (uint32_t)ssrc;
	if (id == NULL)
		return 0;
	if (!json_is_string(id) || json_string_length(id) == 0 ||
	    json_string_length(id) > MDD_TOKEN_ID_MAX)
		return complain(why, "member is an id of the roster");
	rule->member = mdd_select_member(json_string_value(id));
	return 0;
}

static int
rules_get(struct mdd_taste *t, const json_t *list, char *why)
{
	size_t i;
	int r;

	if (list == NULL)
		return 0;
	if (!json_is_array(list) || json_array_size(list) > MDD_RULES_MAX)
		return complain(why, "rules is a list of at most 48");
	for (i = 0; i < json_array_size(list); i++) {
		r = rule_get(&t->rule[i], json_array_get(list, i), why);
		if (r != 0)
			return r;
		t->nrules++;
	}
	return 0;
}

int
mdd_taste_parse(struct mdd_taste *t, const void *text, size_t len,
    char why[static MDD_TASTE_WHY])
{
	int64_t n = 0;
	json_t *j = NULL;
	int r;

	memset(t, 0, sizeof(*t));
	why[0] = '\0';
	if ((r = perc_json_parse(
		 &j, text, len, TASTE_BODY_MAX, why, MDD_TASTE_WHY)) != 0 ||
	    (r = names_check(j, top_names, why)) != 0 ||
	    (r = wish_get(j, &t->wish, &t->layer, why)) != 0 ||
	    (r = rules_get(t, json_object_get(j, "rules"), why)) != 0)
		goto out;
	r = perc_json_int(&n, j, "last_n", 1, UINT8_MAX);
	if (r != 0 && r != PERC_ERR_NOTFOUND) {
		r = complain(why, "last_n is 1 to 255");
		goto out;
	}
	t->last_n = (uint8_t)n;
	t->set = json_object_size(j) > 0;
	r = 0;
out:
	json_decref(j);
	return r;
}

/* ---- the message -------------------------------------------------------- */

int
mdd_subscribe_put(uint8_t *out, const struct mdd_subscribe *m)
{
	const struct mdd_taste *t = &m->taste;
	struct perc_wire w;
	unsigned i;
	int r;

	perc_wire_writer(&w, out, MDD_MSG_MAX);
	perc_wire_put_str(&w, m->leg);
	perc_wire_put_u8(&w, t->set);
	perc_wire_put_u8(&w, t->wish);
	perc_wire_put_u8(&w, t->layer);
	perc_wire_put_u8(&w, t->last_n);
	perc_wire_put_u8(&w, t->nrules);
	for (i = 0; i < t->nrules; i++) {
		perc_wire_put_u64(&w, t->rule[i].member);
		perc_wire_put_u32(&w, t->rule[i].ssrc);
		perc_wire_put_u8(&w, t->rule[i].wish);
		perc_wire_put_u8(&w, t->rule[i].layer);
	}
	return (r = perc_wire_end(&w)) != 0 ? r : (int)w.pos;
}

int
mdd_subscribe_get(struct mdd_subscribe *m, const void *p, size_t n)
{
	struct mdd_taste *t = &m->taste;
	struct perc_wire w;
	const char *leg;
	unsigned i;

	memset(m, 0, sizeof(*m));
	perc_wire_reader(&w, p, n);
	leg = perc_wire_get_str(&w);
	if (strlen(leg) >= sizeof(m->leg))
		return PERC_ERR_FORMAT;
	memcpy(m->leg, leg, strlen(leg) + 1);
	t->set = perc_wire_get_u8(&w) != 0;
	t->wish = perc_wire_get_u8(&w);
	t->layer = perc_wire_get_u8(&w);
	t->last_n = perc_wire_get_u8(&w);
	t->nrules = perc_wire_get_u8(&w);
	if (t->nrules > MDD_RULES_MAX)
		return PERC_ERR_FORMAT;
	for (i = 0; i < t->nrules; i++) {
		t->rule[i].member = perc_wire_get_u64(&w);
		t->rule[i].ssrc = perc_wire_get_u32(&w);
		t->rule[i].wish = perc_wire_get_u8(&w);
		t->rule[i].layer = perc_wire_get_u8(&w);
	}
	return perc_wire_end(&w);
}
