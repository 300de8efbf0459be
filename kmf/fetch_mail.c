/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The mailer's part of mail: one message to one address, to the server that
 * our own configuration names. While one waits for the server's answer the
 * others do too (mailer.c), and may not fail by that.
 */
#include "kmf/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/conf.h"
#include "perc/httpc.h"

#define CONNECT_MS   30000
#define TOTAL_MS     60000
#define PASSWORD_MAX 256

struct runner {
	struct perc_httpc *client;
	struct perc_secret *password;
	char text[PASSWORD_MAX + 1];
};

struct letter {
	struct kmf_runner *u;
	uint64_t job;
};

static void
runner_close(struct kmf_runner *u)
{
	struct runner *w = u->state[KMF_ERRAND_MAIL];

	if (w == NULL)
		return;
	perc_httpc_free(w->client);
	perc_secret_free(w->password);
	perc_wipe(w, sizeof(*w));
	free(w);
	u->state[KMF_ERRAND_MAIL] = NULL;
}

static int
password_read(struct runner *w, const char *file)
{
	struct perc_conf_error e = { "" };
	int r;

	r = perc_conf_read_secret(&w->password, file, PASSWORD_MAX, &e);
	if (r != 0) {
		log_warnx("mail.password err=\"%s\"", e.text);
		return r;
	}
	memcpy(w->text, w->password->data, w->password->len);
	w->text[w->password->len] = '\0';
	w->text[strcspn(w->text, "\r\n")] = '\0';
	return 0;
}

static int
runner_open(struct kmf_runner *u)
{
	const struct kmf_mail_conf *m = &u->conf->mail;
	const struct perc_httpc_conf c = { .ca_file = m->ca_file,
		.connect_ms = CONNECT_MS,
		.total_ms = TOTAL_MS };
	struct runner *w;
	int r;

	if (m->url == NULL)
		return 0;
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return PERC_ERR_NOMEM;
	u->state[KMF_ERRAND_MAIL] = w;
	if (m->password_file != NULL &&
	    (r = password_read(w, m->password_file)) != 0)
		return r;
	return perc_httpc_new(&w->client, u->loop, &c);
}

/* libcurl calls a command that was refused a failure to send. */
static void
why_put(char *out, size_t cap, const struct perc_httpc_answer *a)
{
	if (a->err == PERC_ERR_CLOSED && a->status >= 400)
		snprintf(out, cap, "the mail server refused it: %d", a->status);
	else
		snprintf(out, cap, "%s",
		    a->why[0] != '\0' ? a->why : "the mail server refused");
}

/* RFC 5321, 4.2.1: 5yz is for good. */
static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct letter *l = arg;
	bool good = a->err == 0 && a->status / 100 == 2;
	char why[KMF_ERRAND_WHY_MAX] = "";

	if (!good)
		why_put(why, sizeof(why), a);
	kmf_run_end(l->u, KMF_ERRAND_MAIL, l->job,
	    good		       ? KMF_ERRAND_DONE
		: a->status / 100 == 5 ? KMF_ERRAND_REFUSED
				       : KMF_ERRAND_FAILED,
	    why);
	free(l);
}

static int
post(struct kmf_runner *u, uint64_t job, const json_t *o)
{
	const struct kmf_mail_conf *c = &u->conf->mail;
	struct runner *w = u->state[KMF_ERRAND_MAIL];
	const char *to = perc_json_str(o, "to");
	const char *text = perc_json_str(o, "text");
	struct perc_mail m = { .url = c->url,
		.from = c->from,
		.to = to,
		.user = c->user,
		.starttls = c->starttls,
		.text = text };
	struct letter *l;
	int r;

	if (w == NULL || to == NULL || text == NULL)
		return PERC_ERR_NOTFOUND;
	m.password = w->password != NULL ? w->text : NULL;
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return PERC_ERR_NOMEM;
	l->u = u;
	l->job = job;
	if ((r = perc_httpc_mail(w->client, &m, on_answer, l)) != 0)
		free(l);
	return r;
}

const struct kmf_run_ops kmf_mail_runner = { runner_open, post, runner_close };
