/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a webhook's posts are signed with. The keeper reads it from a file at
 * its start, and later from a descriptor that it is given: then it can open no
 * file any more.
 */
#include "kmf/hook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perc/conf.h"

static int
secret_line(struct perc_secret **out, const char *p, size_t n)
{
	while (n > 0 && (p[n - 1] == '\r' || p[n - 1] == ' '))
		n--;
	if (n < KMF_HOOK_SECRET_MIN || n > KMF_HOOK_SECRET_MAX)
		return PERC_ERR_FORMAT;
	return perc_secret_from(out, p, n);
}

static int
secret_lines(struct perc_secret *out[static 2], const char *p, size_t left)
{
	const char *end;
	size_t i, n;
	int r;

	for (i = 0; left > 0; i++) {
		end = memchr(p, '\n', left);
		n = end != NULL ? (size_t)(end - p) : left;
		if (i == 2)
			return PERC_ERR_LIMIT;
		if ((r = secret_line(&out[i], p, n)) != 0)
			return r;
		p += n;
		left -= n;
		if (left > 0) {
			p++;
			left--;
		}
	}
	return i > 0 ? 0 : PERC_ERR_FORMAT;
}

int
kmf_hook_secrets_read_fd(struct perc_secret *secrets[static 2], int fd,
    const char *file, char *why, size_t cap)
{
	struct perc_conf_error e = { "" };
	struct perc_secret *s = NULL;
	int r;

	if ((r = perc_conf_read_secret_fd(
		 &s, fd, file, 2 * KMF_HOOK_SECRET_MAX + 4, &e)) != 0) {
		snprintf(why, cap, "%s", e.text);
		return r;
	}
	if ((r = secret_lines(secrets, (const char *)s->data, s->len)) != 0) {
		snprintf(why, cap,
		    "%s: must have one line, or two while changing over, of "
		    "%d octets or more; make one with: openssl rand -hex 32",
		    file, KMF_HOOK_SECRET_MIN);
		perc_secret_free(secrets[0]);
		perc_secret_free(secrets[1]);
		secrets[0] = secrets[1] = NULL;
	}
	perc_secret_free(s);
	return r;
}

int
kmf_hook_secrets_read(struct perc_secret *secrets[static 2], const char *file,
    char *why, size_t cap)
{
	struct perc_conf_error e = { "" };
	int fd, r;

	if ((r = perc_conf_open_secret(&fd, file, &e)) != 0) {
		snprintf(why, cap, "%s", e.text);
		return r;
	}
	r = kmf_hook_secrets_read_fd(secrets, fd, file, why, cap);
	close(fd);
	return r;
}

static int
mac_put(char *out, const struct perc_secret *s, const char *text)
{
	uint8_t mac[PERC_SHA256_LEN];
	size_t i;
	int r;

	if ((r = perc_hmac_sha256(mac, s->data, s->len, text, strlen(text))) !=
	    0)
		return r;
	for (i = 0; i < sizeof(mac); i++)
		snprintf(out + 2 * i, 3, "%02x", mac[i]);
	return 0;
}

int
kmf_hook_sign(char out[static KMF_HOOK_SIGNATURE_MAX], const struct kmf_hook *h,
    int64_t now_s, const char *body)
{
	char mac[2 * PERC_SHA256_LEN + 1], *text = NULL;
	size_t i, n;
	int r = 0;

	if (asprintf(&text, "%" PRId64 ".%s", now_s, body) < 0)
		return PERC_ERR_NOMEM;
	n = (size_t)snprintf(out, KMF_HOOK_SIGNATURE_MAX, "t=%" PRId64, now_s);
	for (i = 0; r == 0 && i < 2 && h->secrets[i] != NULL; i++)
		if ((r = mac_put(mac, h->secrets[i], text)) == 0)
			n += (size_t)snprintf(
			    out + n, KMF_HOOK_SIGNATURE_MAX - n, ",v1=%s", mac);
	free(text);
	return r;
}
