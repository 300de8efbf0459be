/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * "[webhook name]" of perch-kmf.conf. The name is the webhook's identity: its
 * place in the feed stands in the database under it, it is a segment of URLs
 * and a label of metrics. So it is spelt narrowly, and a webhook that is
 * renamed is another one, which begins with what comes.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/conf_hook.h"

#include "kmf/conf_table.h"
#include "kmf/event.h"

#define IN(m) offsetof(struct kmf_webhook, m)

const struct perc_conf_item kmf_hook_items[] = {
	{ .name = "url",
	    .type = PERC_CONF_STR,
	    .offset = IN(url),
	    .required = true,
	    .help = "https URL that events are posted to" },
	{ .name = "secret_file",
	    .type = PERC_CONF_PATH,
	    .offset = IN(secret_file),
	    .required = true,
	    .help = "signs the posts, mode 0600; a line, or two in a change" },
	{ .name = "types",
	    .type = PERC_CONF_STR,
	    .offset = IN(types),
	    .help = "events it wants, as member.*,epoch.rekeyed; default all" },
	{ .name = "ca_file",
	    .type = PERC_CONF_PATH,
	    .offset = IN(ca_file),
	    .help = "trust for its HTTPS; default the system's" },
	{ .name = "timeout_s",
	    .type = PERC_CONF_INT,
	    .offset = IN(timeout_s),
	    .def = "10",
	    .min = 1,
	    .max = 60,
	    .help = "seconds for one post" },
	{ .name = "give_up_s",
	    .type = PERC_CONF_INT,
	    .offset = IN(give_up_s),
	    .def = "259200",
	    .min = 1,
	    .max = 2592000,
	    .help = "an event this old that fails again is put aside" },
	{ .name = "allow_link_local",
	    .type = PERC_CONF_BOOL,
	    .offset = IN(allow_link_local),
	    .def = "no",
	    .help = "post to link-local and metadata addresses too" },
	{ 0 }
};

/* A name stands in URLs and in metrics. */
static bool
label_ok(const char *label)
{
	size_t n = strlen(label);

	return n > 0 && n < KMF_ID_MAX &&
	    strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

int
kmf_hook_open(void *conf, const char *label, void **targetp)
{
	struct kmf_conf *c = conf;
	struct kmf_webhook *h;
	size_t n;

	if (!label_ok(label))
		return PERC_ERR_FORMAT;
	for (n = 0; n < c->nhooks; n++)
		if (strcmp(c->hooks[n].label, label) == 0)
			return PERC_ERR_EXISTS;
	if (c->nhooks == KMF_HOOKS_MAX)
		return PERC_ERR_LIMIT;
	h = &c->hooks[c->nhooks];
	if ((h->label = strdup(label)) == NULL)
		return PERC_ERR_NOMEM;
	c->nhooks++;
	*targetp = h;
	return 0;
}

static void
blanks_out(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++)
		if (*s != ' ' && *s != '\t')
			*to++ = *s;
	*to = '\0';
}

static int
hook_complete(const struct kmf_conf *c, struct kmf_webhook *h,
    const struct kmf_conf_text *t)
{
	if (h->types == NULL && (h->types = strdup("")) == NULL)
		return PERC_ERR_NOMEM;
	blanks_out(h->types);
	if (strncmp(h->url, "https://", 8) != 0 ||
	    strlen(h->url) >= KMF_HOOK_URL_MAX)
		return kmf_conf_fault(t, "webhook", h->label, "url",
		    "'url' of webhook %s must be an https URL of less than "
		    "%d characters",
		    h->label, KMF_HOOK_URL_MAX);
	if (strlen(h->types) >= KMF_TYPES_MAX || !kmf_event_types_ok(h->types))
		return kmf_conf_fault(t, "webhook", h->label, "types",
		    "'types' of webhook %s names an event that there is not; "
		    "see perch-kmf.conf(5)",
		    h->label);
	if (h->give_up_s > c->events_keep_s)
		return kmf_conf_fault(t, "webhook", h->label, "give_up_s",
		    "'give_up_s' of webhook %s must not be more than "
		    "events_keep_s",
		    h->label);
	return 0;
}

int
kmf_hooks_complete(struct kmf_conf *c, const struct kmf_conf_text *t)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < c->nhooks; i++)
		r = hook_complete(c, &c->hooks[i], t);
	return r;
}
