/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A configuration becomes the keeper's: at its start, and at a reload. Then
 * the supervisor has judged the text already, and waits for a word from here
 * before it starts anything by it: all processes go by the same text or none.
 */
#include "config.h"

#include "kmf/keeper_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmf/handover.h"
#include "kmf/hook.h"
#include "kmf/keeper_int.h"
#include "kmf/settings.h"

/* --- as options ----------------------------------------------------------- */
static int
hook_put(struct kmf_hook_set *w, size_t i, const struct kmf_webhook *h,
    const int *fds, char *why, size_t cap)
{
	int r;

	if (fds == NULL)
		r = kmf_hook_secrets_read(
		    w->secrets[i], h->secret_file, why, cap);
	else
		r = kmf_hook_secrets_read_fd(
		    w->secrets[i], fds[i], h->secret_file, why, cap);
	w->o[i] = (struct kmf_hook_opts){ .name = h->label,
		.types = h->types,
		.url = h->url,
		.secrets = { w->secrets[i][0], w->secrets[i][1] },
		.give_up_ms = h->give_up_s * 1000 };
	return r;
}

int
kmf_keeper_opts_put(struct kmf_keeper_opts *o, struct kmf_hook_set *w,
    const struct kmf_conf *c, const int *fds, char *why, size_t cap)
{
	size_t i;
	int r = 0;

	memset(w, 0, sizeof(*w));
	o->mdds = c->mdds;
	o->cascade = c->cascade;
	o->mail_from = c->mail.url != NULL ? c->mail.from : NULL;
	o->limit_conferences = c->limit_conferences;
	o->limit_invitees = c->limit_invitees;
	o->limit_invitations = c->limit_invitations;
	o->keep =
	    (struct kmf_keep){ .ended_ms = c->keep_ended_days * KMF_DAY_MS,
		    .gone_ms = c->keep_gone_days * KMF_DAY_MS,
		    .revoked_ms = c->keep_revoked_days * KMF_DAY_MS };
	o->events_keep_ms = c->events_keep_s * 1000;
	for (i = 0; r == 0 && i < c->nhooks; i++)
		r = hook_put(w, i, &c->hooks[i], fds, why, cap);
	o->hooks = w->o;
	o->nhooks = c->nhooks;
	return r;
}

void
kmf_hook_set_forget(struct kmf_hook_set *w)
{
	size_t i;

	for (i = 0; i < KMF_HOOKS_MAX; i++) {
		perc_secret_free(w->secrets[i][0]);
		perc_secret_free(w->secrets[i][1]);
	}
	memset(w, 0, sizeof(*w));
}

/* --- a new one ------------------------------------------------------------ */
static int
text_read(char **textp, size_t *lenp, int fd)
{
	char *text = malloc(KMF_CONF_MAX + 1);
	ssize_t n;

	if (text == NULL)
		return PERC_ERR_NOMEM;
	if ((n = pread(fd, text, KMF_CONF_MAX + 1, 0)) < 0 ||
	    n > (ssize_t)KMF_CONF_MAX) {
		free(text);
		return n < 0 ? PERC_ERR_SYS : PERC_ERR_LIMIT;
	}
	*textp = text;
	*lenp = (size_t)n;
	return 0;
}

static int
hash_put(char *out, const char *text, size_t len)
{
	uint8_t hash[PERC_SHA256_LEN];
	int r;

	if ((r = perc_sha256(hash, text, len)) == 0)
		perc_b64_put(out, hash, sizeof(hash));
	return r;
}

void
kmf_conf_hash(char out[static KMF_CONF_HASH_LEN + 1], int fd)
{
	char *text = NULL;
	size_t len;

	if (text_read(&text, &len, fd) != 0 || hash_put(out, text, len) != 0)
		out[0] = '\0';
	free(text);
}

static void
secrets_close(struct kmf_heir_conf *h)
{
	size_t i;

	for (i = 0; i < KMF_HOOKS_MAX; i++) {
		if (h->secrets[i] >= 0)
			close(h->secrets[i]);
		h->secrets[i] = -1;
	}
}

void
kmf_heir_conf_init(struct kmf_heir_conf *h, struct kmf_keeper *k,
    const struct kmf_conf *c, int sock)
{
	*h = (struct kmf_heir_conf){ .k = k, .now = c, .sock = sock };
	memset(h->secrets, 0xff, sizeof(h->secrets)); /* all -1 */
}

static void
own_free(struct kmf_conf *c)
{
	if (c != NULL)
		kmf_conf_clear(c);
	free(c);
}

void
kmf_heir_conf_clear(struct kmf_heir_conf *h)
{
	secrets_close(h);
	own_free(h->own);
	h->own = NULL;
}

void
kmf_heir_conf_secret(struct kmf_heir_conf *h, unsigned n, int fd)
{
	if (n >= KMF_HOOKS_MAX) {
		close(fd);
		return;
	}
	if (h->secrets[n] >= 0)
		close(h->secrets[n]);
	h->secrets[n] = fd;
}

/* Whose errands are no longer what they were. */
static unsigned
moved(const struct kmf_conf *was, const struct kmf_conf *c)
{
	return (kmf_conf_same_hooks(was, c) ? 0 : 1u << KMF_OUTLET_FETCHER) |
	    (kmf_conf_same_mail(was, c) ? 0 : 1u << KMF_OUTLET_MAILER);
}

static int
settings_take(struct kmf_heir_conf *h, const struct kmf_conf *c,
    const char *hash, char *why, size_t cap)
{
	struct kmf_keeper_opts o = { 0 };
	struct kmf_hook_set w;
	int r;

	snprintf(why, cap, "the database does not take it");
	if ((r = kmf_keeper_opts_put(&o, &w, c, h->secrets, why, cap)) == 0)
		r = kmf_settings_change(h->k, &o, hash, moved(h->now, c));
	kmf_hook_set_forget(&w);
	return r;
}

static void
conf_swap(struct kmf_heir_conf *h, struct kmf_conf *next)
{
	perc_log_level_set(next->log_level);
	perc_log_json_set(next->log_format != 0);
	own_free(h->own);
	h->now = h->own = next;
}

static int
conf_take(struct kmf_heir_conf *h, int fd, char *why, size_t cap)
{
	struct kmf_conf *next = calloc(1, sizeof(*next));
	char hash[KMF_CONF_HASH_LEN + 1] = "", *text = NULL;
	size_t len;
	int r = PERC_ERR_NOMEM;

	snprintf(why, cap, "%s: cannot be read", h->now->file);
	if (next == NULL || (r = text_read(&text, &len, fd)) != 0 ||
	    (r = kmf_conf_load_text(next, h->now->file, text, len, why, cap)) !=
		0 ||
	    (r = hash_put(hash, text, len)) != 0 ||
	    (r = settings_take(h, next, hash, why, cap)) != 0)
		goto out;
	conf_swap(h, next);
	next = NULL;
out:
	own_free(next);
	free(text);
	return r;
}

void
kmf_heir_conf_text(struct kmf_heir_conf *h, int fd)
{
	char word[KMF_HANDOVER_WORD_MAX] = { KMF_HANDOVER_NO };
	size_t n;

	if (conf_take(h, fd, word + 1, sizeof(word) - 1) == 0) {
		word[0] = KMF_HANDOVER_YES;
		word[1] = '\0';
	}
	close(fd);
	secrets_close(h);
	n = strlen(word);
	if (write(h->sock, word, n) != (ssize_t)n)
		log_warn("keeper.conf");
}
