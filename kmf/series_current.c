/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where the URI of a series leads to at this moment. Whoever asks has not
 * said who it is, so a series that is not there must look like one that is.
 */
#include "kmf/series.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "perc/b64.h"

/* The one that runs, the later begun of several, else the next to come. */
const struct db_conf *
kmf_series_current(const struct kmf_series *o, int64_t now_ms)
{
	const struct db_conf *now = NULL, *next = NULL, *c;
	size_t i;

	for (i = 0; i < o->nconfs; i++) {
		c = &o->confs[i];
		if (c->state == DB_CONF_ENDED || c->ends_ms <= now_ms)
			continue;
		if (c->starts_ms <= now_ms &&
		    (now == NULL || c->starts_ms > now->starts_ms))
			now = c;
		if (c->starts_ms > now_ms &&
		    (next == NULL || c->starts_ms < next->starts_ms))
			next = c;
	}
	return now != NULL ? now : next;
}

/*
 * What a series that is not there leads to: a conference that is not there,
 * another one each week, so that to look again later tells nothing either.
 */
static int
hole(struct kmf_keeper *k, const char *id, char conf[static DB_ID_MAX])
{
	static const int64_t week_s = 7 * 24 * 3600;
	uint8_t key[PERC_SHA256_LEN], mac[PERC_SHA256_LEN];
	char text[64];
	int r;

	if ((r = perc_hmac_sha256(
		 key, k->root->data, k->root->len, "perch hole", 10)) != 0 ||
	    (r = perc_hmac_sha256(mac, key, sizeof(key), id, strlen(id))) != 0)
		goto out;
	snprintf(text, sizeof(text), "%s|%" PRId64, id,
	    (k->now_ms / 1000 + (mac[0] << 8 | mac[1]) * 9) / week_s);
	if ((r = perc_hmac_sha256(mac, key, sizeof(key), text, strlen(text))) ==
	    0) {
		memcpy(conf, "c_", 3);
		perc_b64_put(conf + 2, mac, 16);
	}
out:
	perc_wipe(key, sizeof(key));
	return r;
}

/* Anybody may ask; both answers take the same steps but the expansion. */
int
kmf_op_series_current(struct kmf_job *j)
{
	const struct db_conf *c;
	char conf[DB_ID_MAX];
	struct kmf_series o;
	int r;

	if ((r = hole(j->k, j->call->conf, conf)) != 0)
		return r;
	r = kmf_series_open(&o, j->k, j->call->conf);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		goto out;
	if ((c = kmf_series_current(&o, j->k->now_ms)) == NULL && o.nconfs > 0)
		c = &o.confs[o.nconfs - 1]; /* it is over: that they may know */
	r = kmf_answer_text(j, 200, "text/plain", c != NULL ? c->id : conf);
out:
	kmf_series_close(&o);
	return r;
}
