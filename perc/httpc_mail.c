/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message to a mail server (RFC 5321) by the same client: libcurl speaks
 * SMTP as well. TLS is demanded unless the server is on this machine.
 */
#include <stdlib.h>
#include <string.h>

#include "perc/httpc_int.h"
#include "perc/secret.h"

static size_t
on_read(char *out, size_t size, size_t n, void *arg)
{
	struct perc_httpc_req *r = arg;

	n *= size;
	if (n > r->body_len - r->body_sent)
		n = r->body_len - r->body_sent;
	memcpy(out, r->body + r->body_sent, n);
	r->body_sent += n;
	return n;
}

static CURLcode
wires_set(struct perc_httpc_req *r, const struct perc_mail *m)
{
	const struct perc_httpc *c = r->client;
	CURLcode code = CURLE_OK;
	CURL *e = r->easy;

	code |= curl_easy_setopt(e, CURLOPT_URL, m->url);
	code |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	code |= curl_easy_setopt(e, CURLOPT_PROXY, "");
	code |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(e, CURLOPT_USE_SSL,
	    (long)(m->starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
	code |= curl_easy_setopt(
	    e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	code |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	code |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	if (c->ca_file != NULL)
		code |= curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
	code |=
	    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
	code |= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)c->total_ms);
	code |= curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
	code |= curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	code |= curl_easy_setopt(e, CURLOPT_READDATA, r);
	code |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->errbuf);
	code |= curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	if (m->user != NULL && m->password != NULL) {
		code |= curl_easy_setopt(e, CURLOPT_USERNAME, m->user);
		code |= curl_easy_setopt(e, CURLOPT_PASSWORD, m->password);
	}
	return code;
}

/* "<address>", which cannot end early: no control, no angle bracket. */
static int
address_add(struct curl_slist **list, const char *address)
{
	char text[300];
	size_t n = strlen(address), i;
	struct curl_slist *more;

	if (n == 0 || n > 254)
		return PERC_ERR_INVAL;
	for (i = 0; i < n; i++)
		if ((unsigned char)address[i] <= ' ' || address[i] == '<' ||
		    address[i] == '>' || address[i] == 127)
			return PERC_ERR_INVAL;
	text[0] = '<';
	memcpy(text + 1, address, n);
	memcpy(text + 1 + n, ">", 2);
	if ((more = curl_slist_append(*list, text)) == NULL)
		return PERC_ERR_NOMEM;
	*list = more;
	return 0;
}

static int
mail_fill(struct perc_httpc_req *r, const struct perc_mail *m)
{
	struct curl_slist *from = NULL;
	int e;

	if ((e = address_add(&from, m->from)) != 0 ||
	    (e = address_add(&r->sent, m->to)) != 0)
		goto out;
	e = PERC_ERR_NOMEM;
	r->body_len = strlen(m->text);
	if ((r->body = malloc(r->body_len + 1)) == NULL)
		goto out;
	memcpy(r->body, m->text, r->body_len + 1);
	if ((r->easy = curl_easy_init()) == NULL || wires_set(r, m) != CURLE_OK)
		goto out;
	if (curl_easy_setopt(r->easy, CURLOPT_MAIL_FROM, from->data) ==
		CURLE_OK &&
	    curl_easy_setopt(r->easy, CURLOPT_MAIL_RCPT, r->sent) == CURLE_OK)
		e = 0;
out:
	curl_slist_free_all(from);
	return e;
}

int
perc_httpc_mail(struct perc_httpc *c, const struct perc_mail *m,
    perc_httpc_fn done, void *arg)
{
	struct perc_httpc_req *r;
	int e;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return PERC_ERR_NOMEM;
	r->client = c;
	r->done = done;
	r->arg = arg;
	memcpy(r->where, "the mail server", 16);
	if ((e = mail_fill(r, m)) == 0)
		e = httpc_run(r);
	if (e != 0)
		httpc_req_free(r);
	return e;
}
