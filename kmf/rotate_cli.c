/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `perch-kmf rotate-keys`: asks the running keeper, or leaves the request for
 * the next start. What is published stands in kmf-keys.json, so the status is
 * read there and needs nobody's help.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kmf/control.h"
#include "kmf/keeper.h"
#include "kmf/kmf.h"
#include "perc/conf.h"
#include "perc/json.h"
#include "perc/secret.h"

#define FILE_MAX (1u << 20)

static void
key_print(const json_t *key)
{
	static const char *const columns[] = { "perch_use", "perch_state",
		"perch_from", "perch_until", "kid" };
	static const int width[] = { 10, 6, 21, 21, 0 };
	const char *s;
	size_t i;

	for (i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		s = perc_json_str(key, columns[i]);
		printf("%-*s", width[i], s != NULL ? s : "-");
	}
	putchar('\n');
}

static int
status_print(const struct kmf_conf *c)
{
	struct perc_conf_error e = { "" };
	char path[KMF_CONTROL_PATH], *text = NULL;
	const json_t *key;
	json_t *v = NULL;
	size_t i, len;
	int code = 1;

	if (kmf_control_path(path, sizeof(path), c->state_dir, KMF_KEYS_FILE) ||
	    perc_conf_read_file(&text, &len, path, FILE_MAX, &e) != 0 ||
	    perc_json_parse(&v, text, len, FILE_MAX, NULL, 0) != 0) {
		fprintf(stderr, "perch-kmf: rotate-keys: %s\n",
		    e.text[0] != '\0' ? e.text : "kmf-keys.json: not JSON");
		goto out;
	}
	printf("%-10s%-6s%-21s%-21s%s\n", "USE", "STATE", "SIGNS FROM",
	    "PUBLISHED UNTIL", "KID");
	json_array_foreach(json_object_get(v, "keys"), i, key) key_print(key);
	json_array_foreach(json_object_get(v, "past"), i, key) key_print(key);
	code = 0;
out:
	json_decref(v);
	perc_secmem_free(text);
	return code;
}

int
kmf_rotate_cli(const struct kmf_conf *c, const char *after, bool status)
{
	int64_t after_s = c->key_overlap_s;
	char more;

	if (status)
		return status_print(c);
	if (after != NULL &&
	    (sscanf(after, "%" SCNd64 "%c", &after_s, &more) != 1 ||
		after_s < 0 || after_s > KMF_OVERLAP_MAX_S)) {
		fprintf(stderr,
		    "perch-kmf: rotate-keys: --after: seconds, at most %d\n",
		    KMF_OVERLAP_MAX_S);
		return 2;
	}
	return kmf_control_ask(c, "rotate-keys",
	    json_pack("{s:I}", "after_s", (json_int_t)after_s));
}
