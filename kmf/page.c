/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Lists by pages. A cursor says behind which row to go on, and carries a
 * digest of the list and its filters: one that came with another question is
 * refused, since it would silently leave things out. It needs no key: a row's
 * number gives nobody a right to the row.
 */
#include "kmf/keeper_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

#define TAG_LEN 6
#define RAW_LEN (8 + 8 + TAG_LEN)
/* A page ends behind so many: as a tree it is ten times that, and secret
 * memory may be 4 MiB. */
#define PAGE_OCTETS (256u << 10)

static const char *const filters[] = { "state", "from", "to", "created_by",
	"kind", "recurring", "title" };

/* Of what was asked, but for limit and cursor, and of the row. */
static int
tag_make(uint8_t tag[static TAG_LEN], const struct kmf_job *j, int64_t at,
    int64_t no)
{
	char text[4096], value[300]; /* seven filters at the most */
	uint8_t hash[PERC_SHA256_LEN];
	size_t i, n;
	int r;

	n = (size_t)snprintf(text, sizeof(text), "%d|%s|%" PRId64 "|%" PRId64,
	    (int)j->call->op, j->call->conf, at, no);
	for (i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		if ((r = kmf_query_get(
			 value, sizeof(value), j->call->arg, filters[i])) != 0)
			return r;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "|%s", value);
	}
	if ((r = perc_sha256(hash, text, n)) == 0)
		memcpy(tag, hash, TAG_LEN);
	return r;
}

static int
cursor_get(struct kmf_paging *p, const struct kmf_job *j, const char *text)
{
	uint8_t raw[RAW_LEN], tag[TAG_LEN];
	struct perc_wire w;
	int r;

	if ((r = perc_b64_get_exact(raw, sizeof(raw), text)) != 0)
		return r;
	perc_wire_reader(&w, raw, 16);
	p->at = (int64_t)perc_wire_get_u64(&w);
	p->no = (int64_t)perc_wire_get_u64(&w);
	if ((r = perc_wire_end(&w)) != 0 ||
	    (r = tag_make(tag, j, p->at, p->no)) != 0)
		return r;
	return memcmp(tag, raw + 16, TAG_LEN) == 0 ? 0 : PERC_ERR_AUTH;
}

static int
cursor_put(char out[static KMF_CURSOR_MAX], const struct kmf_job *j,
    const struct kmf_paging *p)
{
	uint8_t raw[RAW_LEN];
	struct perc_wire w;
	int r;

	perc_wire_writer(&w, raw, 16);
	perc_wire_put_u64(&w, (uint64_t)p->at);
	perc_wire_put_u64(&w, (uint64_t)p->no);
	if ((r = perc_wire_end(&w)) != 0 ||
	    (r = tag_make(raw + 16, j, p->at, p->no)) != 0)
		return r;
	perc_b64_put(out, raw, sizeof(raw));
	return 0;
}

int
kmf_page_get(struct kmf_job *j, struct kmf_paging *p, int64_t def, int64_t max)
{
	char text[KMF_CURSOR_MAX];

	memset(p, 0, sizeof(*p));
	if (kmf_query_int(&p->limit, j->call->arg, "limit", def, 1, max) != 0)
		return kmf_refuse(j, 400, "invalid_request", "limit: 1 to %lld",
		    (long long)max);
	if (kmf_query_get(text, sizeof(text), j->call->arg, "cursor") != 0 ||
	    (text[0] != '\0' && cursor_get(p, j, text) != 0))
		return kmf_refuse(j, 400, "invalid_request",
		    "cursor: only what an answer's next said, with the same "
		    "filters; without one the list begins anew");
	if ((p->items = json_array()) == NULL)
		return PERC_ERR_NOMEM;
	return 0;
}

void
kmf_page_clear(struct kmf_paging *p)
{
	json_decref(p->items);
	p->items = NULL;
}

bool
kmf_page_room(struct kmf_paging *p)
{
	if (json_array_size(p->items) < (size_t)p->limit &&
	    p->octets < PAGE_OCTETS)
		return true;
	p->more = true;
	return false;
}

void
kmf_page_add(struct kmf_paging *p, json_t *v, int64_t at, int64_t no)
{
	p->octets += json_dumpb(v, NULL, 0, JSON_COMPACT);
	kmf_json_add(&p->items, v);
	kmf_page_skip(p, at, no);
}

void
kmf_page_skip(struct kmf_paging *p, int64_t at, int64_t no)
{
	p->at = at;
	p->no = no;
}

int
kmf_page_answer(struct kmf_job *j, struct kmf_paging *p, json_t *o)
{
	int r;

	if (o == NULL || p->items == NULL ||
	    json_object_set(o, "items", p->items) != 0)
		goto bad;
	if (p->more) {
		if ((r = cursor_put(j->a.next, j, p)) != 0) {
			json_decref(o);
			return r;
		}
		if (json_object_set_new(o, "next", json_string(j->a.next)) != 0)
			goto bad;
	}
	return kmf_answer_json(j, 200, o);
bad:
	json_decref(o);
	return PERC_ERR_NOMEM;
}

/* Of ASCII letters capitals are the same as small ones; of others not. */
bool
kmf_title_has(const char *title, const char *text)
{
	return text[0] == '\0' || strcasestr(title, text) != NULL;
}
