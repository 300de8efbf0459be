/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers in the order in which they were found, as a table or as JSON.
 */
#include "tests/load/load.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/json.h"

void
load_note(struct load *l, const char *name, double v, const char *unit)
{
	if (load_aside_note(name, v, unit))
		return;
	json_array_append_new(l->notes,
	    json_pack(
		"{s:s, s:f, s:s}", "name", name, "value", v, "unit", unit));
	if (l->verbose)
		fprintf(stderr, "# %s %.2f %s\n", name, v, unit);
}

void
load_note_samples(struct load *l, const char *name, struct load_samples *s)
{
	char text[128];

	text_put(text, sizeof(text), "%s p50", name);
	load_note(l, text, load_quantile(s, 0.5), "ms");
	text_put(text, sizeof(text), "%s p99", name);
	load_note(l, text, load_quantile(s, 0.99), "ms");
	text_put(text, sizeof(text), "%s max", name);
	load_note(l, text, load_quantile(s, 1), "ms");
	free(s->v);
	memset(s, 0, sizeof(*s));
}

/* "model name : AMD EPYC ..." */
static void
cpu_name(char *out, size_t cap)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256], *colon;

	text_put(out, cap, "?");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "model name", 10) == 0 &&
		    (colon = strchr(line, ':')) != NULL) {
			text_put(out, cap, "%.*s",
			    (int)strcspn(colon + 2, "\n"), colon + 2);
			break;
		}
	if (f != NULL)
		fclose(f);
}

static json_t *
machine(void)
{
	double load[1] = { 0 };
	struct utsname u;
	char cpu[256];

	cpu_name(cpu, sizeof(cpu));
	(void)uname(&u);
	(void)getloadavg(load, 1);
	return json_pack("{s:s, s:i, s:s, s:s, s:f}", "cpu", cpu, "processors",
	    (int)sysconf(_SC_NPROCESSORS_ONLN), "system", u.sysname, "release",
	    u.release, "load", load[0]);
}

static json_t *
counts(const struct load *l)
{
	struct load_count both = load_counted(l), *c = &both;

	return json_pack(
	    "{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, "
	    "s:i, s:i}",
	    "opened", (int)c->opened, "bad_keys", (int)c->bad_keys,
	    "bad_rosters", (int)c->bad_rosters, "rosters", (int)c->rosters,
	    "deltas", (int)c->deltas, "leases", (int)c->leases, "lost_streams",
	    (int)c->lost_streams, "refused", (int)c->refused, "errors",
	    (int)c->errors, "early", (int)c->early, "overtaken",
	    (int)c->overtaken, "undecryptable", (int)c->undecryptable,
	    "new_undecryptable", (int)c->new_undecryptable, "deaf",
	    (int)(c->deaf + c->mixed_up), "leg_troubles", (int)c->leg_troubles);
}

void
load_report(struct load *l)
{
	json_t *m = machine(), *c = counts(l), *v;
	char *text = NULL;
	const char *name;
	size_t i;

	if (l->json) {
		v = json_pack("{s:i, s:i, s:o, s:o, s:O}", "seats", (int)l->n,
		    "spread_s", (int)l->spread_s, "machine", m, "counts", c,
		    "results", l->notes);
		text = json_dumps(v, JSON_INDENT(1));
		puts(text != NULL ? text : "{}");
		free(text);
		json_decref(v);
		return;
	}
	printf("perch-load: %u seats; %s, %d processors, load %.1f\n\n", l->n,
	    perc_json_str(m, "cpu"),
	    (int)json_integer_value(json_object_get(m, "processors")),
	    json_real_value(json_object_get(m, "load")));
	json_array_foreach(l->notes, i, v)
	    printf("%-56s %12.2f %s\n", perc_json_str(v, "name"),
		json_real_value(json_object_get(v, "value")),
		perc_json_str(v, "unit"));
	printf("\n");
	json_object_foreach(c, name, v)
	    printf("%-56s %12d\n", name, (int)json_integer_value(v));
	json_decref(m);
	json_decref(c);
}
