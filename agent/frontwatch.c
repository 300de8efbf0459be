/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever watches is told what `status` would say, whenever that changed. It
 * is asked of the vault at intervals rather than told at each change, because
 * counters and speakers change with every packet, and a watcher is a person's
 * terminal.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "agent/local.h"
#include "perc/json.h"

#define EVERY_MS     500
#define EVERY_MIN_MS 100
#define EVERY_MAX_MS 60000
#define WATCHES_MAX  16

struct front_watch {
	struct front_watch *next;
	struct agent *agent;
	struct local_req *req; /* NULL: gone, an answer is awaited */
	struct perc_timer timer;
	int64_t every_ms;
	bool asking;
	char *told; /* the last text */
};

static void on_time(void *arg);

static void
watch_free(struct front_watch *w)
{
	struct front_watch **p = &w->agent->watches;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	perc_timer_stop(w->agent->loop, &w->timer);
	perc_json_free(w->told);
	free(w);
}

static void
again(struct front_watch *w)
{
	if (perc_timer_set(
		w->agent->loop, &w->timer, w->every_ms, on_time, w) == 0)
		return;
	local_error(w->req, "failed", "out of memory");
	watch_free(w);
}

static void
on_answer(int err, const char *text, void *arg)
{
	struct front_watch *w = arg;
	json_t *vault = err == 0 ? json_loads(text, 0, NULL) : NULL;
	json_t *now = front_status_json(w->agent, vault);
	char *told = now == NULL ? NULL : perc_json_text(now);

	w->asking = false;
	if (w->req == NULL) {
		watch_free(w);
	} else {
		if (told != NULL &&
		    (w->told == NULL || strcmp(told, w->told) != 0))
			local_event(w->req, "status", now);
		perc_json_free(w->told);
		w->told = told;
		told = NULL;
		again(w);
	}
	perc_json_free(told);
	json_decref(now);
	json_decref(vault);
}

static void
on_time(void *arg)
{
	static const char *const all[] = { "" };
	struct front_watch *w = arg;

	w->asking = true;
	if (front_vault_ask(
		w->agent->vault, VAULT_STATUS, all, 1, on_answer, w) == 0)
		return;
	w->asking = false; /* it has much to do; later */
	again(w);
}

void
front_watch_start(struct agent *a, struct local_req *r, const json_t *ask)
{
	struct front_watch *w;
	unsigned n = 0;

	for (w = a->watches; w != NULL; w = w->next)
		n++;
	if (n >= WATCHES_MAX || (w = calloc(1, sizeof(*w))) == NULL) {
		local_error(r, "failed", "too many watch already");
		return;
	}
	*w = (struct front_watch){
		.next = a->watches, .agent = a, .req = r, .every_ms = EVERY_MS
	};
	a->watches = w;
	if (json_object_get(ask, "every_ms") != NULL &&
	    perc_json_int(&w->every_ms, ask, "every_ms", EVERY_MIN_MS,
		EVERY_MAX_MS) != 0) {
		local_error(r, "usage", "every_ms is 100 to 60000");
		watch_free(w);
		return;
	}
	on_time(w);
}

void
front_watch_gone(struct agent *a, const struct local_req *r)
{
	struct front_watch *w, *next;

	for (w = a->watches; w != NULL; w = next) {
		next = w->next;
		if (w->req != r)
			continue;
		w->req = NULL;
		if (!w->asking)
			watch_free(w);
	}
}

void
front_watches_free(struct agent *a)
{
	while (a->watches != NULL)
		watch_free(a->watches);
}
