/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A file can change under its name: a password, a CA, a provider's keys. What
 * fetcher and mailer have read of them is told from what they would read now by
 * inode, size and times, so that nobody but they look into the secret ones.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "kmf/supervisor.h"
#include "perc/crypto.h"

static void
stamp(FILE *o, const char *file)
{
	struct stat st;

	if (file == NULL)
		return;
	if (stat(file, &st) != 0) {
		fprintf(o, "%s: none\n", file);
		return;
	}
	fprintf(o, "%s: %ju %ju %jd %jd.%09ld %jd.%09ld\n", file,
	    (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
	    (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
	    (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

static void
fetcher_stamp(FILE *o, const struct kmf_conf *c)
{
	size_t i;

	for (i = 0; i < c->nissuers; i++) {
		stamp(o, c->issuers[i].ca_file);
		stamp(o, c->issuers[i].jwks_file);
		stamp(o, c->issuers[i].introspection_key);
		stamp(o, c->issuers[i].introspection_secret);
	}
	for (i = 0; i < c->nhooks; i++)
		stamp(o, c->hooks[i].ca_file);
}

static void
mailer_stamp(FILE *o, const struct kmf_conf *c)
{
	stamp(o, c->mail.password_file);
	stamp(o, c->mail.ca_file);
}

int
sup_files_stamp(
    uint8_t out[static 32], const struct kmf_conf *c, enum kmf_outlet outlet)
{
	char *text = NULL;
	size_t n = 0;
	FILE *o = open_memstream(&text, &n);
	int r;

	if (o == NULL)
		return PERC_ERR_NOMEM;
	if (outlet == KMF_OUTLET_MAILER)
		mailer_stamp(o, c);
	else
		fetcher_stamp(o, c);
	r = fclose(o) == 0 ? perc_sha256(out, text, n) : PERC_ERR_NOMEM;
	free(text);
	return r;
}
