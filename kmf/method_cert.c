/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Room devices, by a certificate of the organisation's CA (RFC 8705, section
 * 2.1). The device says which of the certificate's names it goes by
 * (client_id); the CA's word is the identity, and what it gets is bound to
 * this certificate or to the key of its proof. The files were read before
 * the cage was shut.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "perc/conf.h"
#include "perc/log.h"
#include "perc/secret.h"

#define CA_MAX	    (256u << 10) /* octets of one file */
#define NAME_OCTETS 256		 /* of a device */

static bool
takes(const struct front_req *q)
{
	return q->cred.kind == KMF_CRED_CERT;
}

static void
device_fill(struct front_req *q)
{
	static const char *const kinds[] = {
		[KMF_KIND_AUTO] = "room",
		[KMF_KIND_PERSON] = "person",
		[KMF_KIND_ROOM] = "room",
		[KMF_KIND_RECORDER] = "recorder",
	};
	struct kmf_identity *id = &q->who;

	id->who = KMF_WHO_PERSON;
	id->iss = q->issuer->url;
	id->sub = q->cred.text;
	id->kind = kinds[q->issuer->kind];
	id->x5t = front_x5t(q);
	if (q->issuer->subject_from == KMF_SUBJECT_EMAIL &&
	    front_email_counts(q->issuer, q->cred.text)) {
		id->email = q->cred.text;
		id->email_verified = true;
	}
}

/* The first CA that knows the certificate has the word about it. */
static int
look(struct front_req *q, const char **why)
{
	static const enum perc_httpd_name names[] = {
		[KMF_SUBJECT_URI] = PERC_HTTPD_URI,
		[KMF_SUBJECT_DNS] = PERC_HTTPD_DNS,
		[KMF_SUBJECT_EMAIL] = PERC_HTTPD_EMAIL,
		[KMF_SUBJECT_CN] = PERC_HTTPD_CN,
	};
	const struct kmf_conf *c = q->f->conf;
	int r = PERC_ERR_UNKNOWN_KEY;
	size_t i;

	*why = "no issuer takes certificates";
	for (i = 0; r == PERC_ERR_UNKNOWN_KEY && i < c->nissuers; i++) {
		if (q->f->cas[i] == NULL)
			continue;
		q->issuer = &c->issuers[i];
		r = perc_httpd_client_cert(q->r, q->f->cas[i],
		    names[c->issuers[i].subject_from], q->cred.text, why);
	}
	return r;
}

static void
run(struct front_req *q)
{
	const char *why = "client_id too long";
	int r = PERC_ERR_LIMIT;

	if (strlen(q->cred.text) <= NAME_OCTETS && (r = look(q, &why)) == 0)
		device_fill(q);
	kmf_method_end(q, r, why);
}

const struct kmf_method kmf_method_cert = {
	.name = "cert",
	.takes = takes,
	.run = run,
};

/* --- files ---------------------------------------------------------------- */
static int
trust_add(char **textp, size_t *lenp, const char *file, char *why, size_t cap)
{
	struct perc_conf_error e;
	char *one = NULL, *all;
	size_t n;
	int r;

	if ((r = perc_conf_read_file(&one, &n, file, CA_MAX, &e)) != 0) {
		snprintf(why, cap, "%s", e.text);
		return r;
	}
	if ((all = realloc(*textp, *lenp + n + 2)) == NULL) {
		perc_secmem_free(one);
		snprintf(why, cap, "%s: out of memory", file);
		return PERC_ERR_NOMEM;
	}
	memcpy(all + *lenp, one, n);
	memcpy(all + *lenp + n, "\n", 2);
	perc_secmem_free(one);
	*textp = all;
	*lenp += n + 1;
	return 0;
}

int
front_cas_open(struct front *f, char **trustp, char *why, size_t cap)
{
	const struct kmf_conf *c = f->conf;
	const struct kmf_issuer *is;
	size_t i, len = 0;
	int r = 0;

	*trustp = NULL;
	if (c->client_ca != NULL)
		r = trust_add(trustp, &len, c->client_ca, why, cap);
	for (i = 0; r == 0 && i < c->nissuers; i++) {
		is = &c->issuers[i];
		if (is->certificate &&
		    (r = trust_add(trustp, &len, is->ca_file, why, cap)) == 0)
			r = perc_httpd_ca_new(
			    &f->cas[i], is->ca_file, is->crl_file, why, cap);
	}
	return r;
}

void
front_cas_close(struct front *f)
{
	size_t i;

	for (i = 0; i < KMF_ISSUERS_MAX; i++)
		perc_httpd_ca_free(f->cas[i]);
}
