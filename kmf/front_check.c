/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Is this request one that schema/openapi.yaml describes? Asked behind the
 * credentials, so that strangers learn nothing and cost nothing more, and
 * before the keeper, whose time is everybody's.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/front.h"
#include "kmf/openapi.h"
#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/log.h"

int
front_check_open(struct front *f)
{
	uint8_t hash[PERC_SHA256_LEN];
	char text[PERC_JKT_LEN + 1], why[160] = "";
	int r;

	if ((r = kmf_api_new(&f->api, why, sizeof(why))) != 0) {
		log_warnx("front.start err=\"%s\"", why);
		return r;
	}
	if ((r = perc_sha256(hash, kmf_openapi_text, kmf_openapi_len)) != 0)
		return r;
	perc_b64_put(text, hash, sizeof(hash));
	snprintf(f->openapi_etag, sizeof(f->openapi_etag), "\"%s\"", text);
	return 0;
}

int
front_check(struct front_req *q)
{
	struct kmf_faults f = { .n = 0 };
	const char *type;
	const void *body;
	unsigned ntypes;
	size_t len;
	int r;

	if ((r = front_rate_person(q)) != 0)
		return r;
	body = perc_httpd_body(q->r, &len);
	type = perc_httpd_header(q->r, "Content-Type", &ntypes);
	r = kmf_api_query(q->f->api, q->route, perc_httpd_query(q->r), &f);
	if (r == 0 && ntypes > 1)
		r = PERC_ERR_UNSUPPORTED;
	if (r == 0)
		r = kmf_api_body(q->f->api, q->route, type, body, len, &f);
	if (r == PERC_ERR_FORMAT)
		front_faults(q, &f);
	else if (r == PERC_ERR_UNSUPPORTED)
		front_problem(
		    q, 415, "unsupported_media_type", "send application/json");
	else if (r != 0)
		front_problem(q, 503, "unavailable", "try again");
	return r;
}
