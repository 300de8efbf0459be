/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Commands at the machine that only the running keeper can carry out: leave
 * the request in the state directory, wait for the answer, print it.
 */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "kmf/control.h"
#include "kmf/kmf.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/loop.h"

#define WAIT_MS	   8000
#define ANSWER_MAX 4096

/* 0: it went well; 1: it was refused; -1: no answer yet. */
static int
answer_take(const struct kmf_conf *c, const char *command, const char *id)
{
	char text[ANSWER_MAX];
	const char *to, *what;
	json_t *v = NULL;
	int code = -1;

	if (kmf_control_get(
		text, sizeof(text), c->state_dir, KMF_CONTROL_ANSWER) != 0 ||
	    perc_json_parse(&v, text, strlen(text), ANSWER_MAX, NULL, 0) != 0)
		goto out;
	to = perc_json_str(v, "id");
	what = perc_json_str(v, "text");
	if (to == NULL || what == NULL || strcmp(to, id) != 0)
		goto out;
	kmf_control_drop(c->state_dir, KMF_CONTROL_ANSWER);
	code = perc_json_bool(v, "ok", false) ? 0 : 1;
	if (code == 0)
		printf("%s\n", what);
	else
		fprintf(stderr, "perch-kmf: %s: %s\n", command, what);
out:
	json_decref(v);
	return code;
}

static int
wait_answer(const struct kmf_conf *c, const char *command, const char *id)
{
	int64_t until = perc_now_ms() + WAIT_MS;
	int code;

	while (
	    (code = answer_take(c, command, id)) < 0 && perc_now_ms() < until)
		(void)poll(NULL, 0, 50);
	if (code >= 0)
		return code;
	fprintf(stderr,
	    "perch-kmf: %s: the KMF does not answer; the request stays in "
	    "%s/" KMF_CONTROL_REQUEST " and is carried out when it starts\n",
	    command, c->state_dir);
	return 3;
}

int
kmf_control_ask(const struct kmf_conf *c, const char *command, json_t *request)
{
	char id[32], *text = NULL;
	int code = 1;

	perc_random_id(id, sizeof(id), "r_");
	if (request == NULL ||
	    json_object_set_new(request, "id", json_string(id)) != 0 ||
	    json_object_set_new(request, "do", json_string(command)) != 0 ||
	    (text = perc_json_text(request)) == NULL) {
		fprintf(stderr, "perch-kmf: %s: out of memory\n", command);
		goto out;
	}
	kmf_control_drop(c->state_dir, KMF_CONTROL_ANSWER);
	if (kmf_control_put(c->state_dir, KMF_CONTROL_REQUEST, 0600, text) != 0)
		fprintf(stderr,
		    "perch-kmf: %s: %s: cannot be written; run this as its "
		    "owner or as root\n",
		    command, c->state_dir);
	else
		code = wait_answer(c, command, id);
out:
	perc_json_free(text);
	json_decref(request);
	return code;
}
