/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the distributor is to send us. Subscriptions replace each other as a
 * whole (docs/wire/join.md), so each command says all of it: subscribe is
 * "this and nothing else", unsubscribe "all but this".
 */
#include "agent/clitalk.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/json.h"

#define RULES_MAX  48
#define LAST_N_MAX 255
#define LAYER_MAX  254

static const char *
conference(const struct cli *c)
{
	return c->nargs > 0 ? c->arg[0] : NULL;
}

/* The id of the one whom the roster calls that. */
static const char *
named(const json_t *roster, const char *who)
{
	const json_t *m;
	const char *name, *id = NULL;
	size_t i, n = 0;

	json_array_foreach(json_object_get(roster, "members"), i, m)
	{
		name = perc_json_str(m, "name");
		if (name == NULL || strcmp(name, who) != 0)
			continue;
		id = perc_json_str(m, "member");
		n++;
	}
	if (n == 1)
		return id;
	cli_complain(n == 0
		? "nobody is called %s here; see perch roster"
		: "several are called %s: give the id, see perch roster",
	    cli_clean(who));
	return NULL;
}

/* A rule for each --member; the roster is asked for when a name is met. */
static int
rules_make(const struct cli *c, bool audio, bool video, json_t *rules)
{
	json_t *roster = NULL;
	const char *who, *id;
	unsigned at = 0;
	int r = CLI_OK;

	while (r == CLI_OK && (who = cli_each(c, CLI_MEMBER, &at)) != NULL) {
		id = who;
		if (!text_is_id(who, "m_")) {
			if (roster == NULL)
				r = talk_once(c,
				    json_pack("{s:s, s:s*}", "cmd", "roster",
					"conference", conference(c)),
				    &roster);
			id = r == CLI_OK ? named(roster, who) : NULL;
		}
		if (id == NULL)
			r = r != CLI_OK ? r : CLI_USAGE;
		else
			json_array_append_new(rules,
			    json_pack("{s:s, s:b, s:b}", "member", id, "audio",
				(int)audio, "video", (int)video));
	}
	json_decref(roster);
	if (r == CLI_OK && json_array_size(rules) > RULES_MAX) {
		cli_complain("at most %d times --member", RULES_MAX);
		r = CLI_USAGE;
	}
	return r;
}

static int
number_take(const char *s, const char *option, int least, int most,
    const char *name, json_t *to)
{
	char *end;
	long n;

	if (s == NULL)
		return CLI_OK;
	n = strtol(s, &end, 10);
	if (end == s || *end != '\0' || n < least || n > most) {
		cli_complain("%s: a number from %d to %d", option, least, most);
		return CLI_USAGE;
	}
	json_object_set_new(to, name, json_integer(n));
	return CLI_OK;
}

/* How many, and how good: of those that are named, or of all. */
static int
bounds_take(const struct cli *c, const json_t *rules, json_t *wanted)
{
	const char *layer = c->opt[CLI_MAX_LAYER];
	size_t i;
	int r;

	r = number_take(
	    c->opt[CLI_LAST_N], "--last-n", 1, LAST_N_MAX, "last_n", wanted);
	if (r == CLI_OK && json_array_size(rules) == 0)
		return number_take(
		    layer, "--max-layer", 0, LAYER_MAX, "max_layer", wanted);
	for (i = 0; r == CLI_OK && i < json_array_size(rules); i++)
		r = number_take(layer, "--max-layer", 0, LAYER_MAX, "max_layer",
		    json_array_get(rules, i));
	return r;
}

/* `rest`: what is not named is wanted, and what is named is not. */
static int
subscribe(const struct cli *c, bool rest)
{
	bool both = (c->opt[CLI_AUDIO] != NULL) == (c->opt[CLI_VIDEO] != NULL);
	bool audio = (both || c->opt[CLI_AUDIO] != NULL) != rest;
	bool video = (both || c->opt[CLI_VIDEO] != NULL) != rest;
	bool some = c->opt[CLI_MEMBER] != NULL;
	json_t *rules = json_array(), *j = NULL;
	json_t *wanted =
	    json_pack("{s:b, s:b, s:O}", "audio", (int)(some ? rest : audio),
		"video", (int)(some ? rest : video), "rules", rules);
	int r = rules_make(c, audio, video, rules);

	if (r == CLI_OK)
		r = bounds_take(c, rules, wanted);
	if (r == CLI_OK)
		r = talk_once(c,
		    json_pack("{s:s, s:s*, s:O}", "cmd", "subscribe",
			"conference", conference(c), "subscriptions", wanted),
		    &j);
	if (r == CLI_OK && cli_json(c))
		cli_print_json(j);
	else if (r == CLI_OK)
		cli_say("Done; it holds until you change it or leave.");
	json_decref(rules);
	json_decref(wanted);
	json_decref(j);
	return r;
}

int
cli_subscribe(const struct cli *c)
{
	return subscribe(c, false);
}

int
cli_unsubscribe(const struct cli *c)
{
	return subscribe(c, true);
}
