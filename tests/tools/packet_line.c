/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests are strict: a member of the wrong type, length or range makes the
 * whole request malformed, and nothing of it is done. Members that an
 * operation does not know are ignored, so that a vector file may carry notes.
 */
#include "tests/tools/packet.h"

#include <string.h>

#include "perc/b64.h"
#include "perc/json.h"

static const struct {
	const char *name;
	op_fn fn;
} ops[] = {
	{ "double_protect", op_double_protect },
	{ "double_unprotect", op_double_unprotect },
	{ "dtls_split", op_dtls_split },
	{ "ekt_full", op_ekt_full },
	{ "ekt_key_parse", op_ekt_key_parse },
	{ "ekt_process", op_ekt_process },
	{ "encryption_key_parse", op_encryption_key_parse },
	{ "kdf", op_kdf },
	{ "md_rewrite", op_md_rewrite },
	{ "receive_sequence", op_receive_sequence },
	{ "srtcp_protect", op_srtcp_protect },
	{ "srtcp_unprotect", op_srtcp_unprotect },
	{ "srtp_protect", op_srtp_protect },
	{ "srtp_unprotect", op_srtp_unprotect },
};

const char *
err_word(int err)
{
	static const char *const words[] = {
		[-PERC_ERR_INVAL] = "request",
		[-PERC_ERR_SHORT] = "short",
		[-PERC_ERR_FORMAT] = "format",
		[-PERC_ERR_AUTH] = "auth",
		[-PERC_ERR_REPLAY] = "replay",
		[-PERC_ERR_DENIED] = "denied",
		[-PERC_ERR_NOTFOUND] = "no_key",
		[-PERC_ERR_EXISTS] = "request",
		[-PERC_ERR_CONFLICT] = "request",
		[-PERC_ERR_LIMIT] = "limit",
		[-PERC_ERR_STATE] = "state",
		[-PERC_ERR_UNSUPPORTED] = "unsupported",
		[-PERC_ERR_UNKNOWN_KEY] = "unknown_key",
	};
	size_t i = (size_t)-err;

	if (i >= sizeof(words) / sizeof(words[0]) || words[i] == NULL)
		return "internal";
	return words[i];
}

bool
req_has(const struct req *q, const char *name)
{
	return json_object_get(q->in, name) != NULL;
}

bool
hex_get(const json_t *text, struct bytes *b, size_t min, size_t max)
{
	b->n = max;
	/* one spelling only; perc_hex_get takes both cases */
	if (!json_is_string(text) || json_string_length(text) % 2 != 0 ||
	    strpbrk(json_string_value(text), "ABCDEF") != NULL ||
	    json_string_length(text) / 2 > max ||
	    perc_hex_get(b->p, &b->n, json_string_value(text),
		json_string_length(text)) != 0 ||
	    b->n < min) {
		b->n = 0;
		return false;
	}
	return true;
}

void
req_bytes(
    struct req *q, const char *name, struct bytes *b, size_t min, size_t max)
{
	if (!hex_get(json_object_get(q->in, name), b, min, max))
		q->bad = true;
}

void
req_key(struct req *q, const char *name, struct bytes *b, size_t n1, size_t n2)
{
	req_bytes(q, name, b, n1, n2);
	if (b->n != n1 && b->n != n2)
		q->bad = true;
}

int64_t
req_int(struct req *q, const char *name, int64_t min, int64_t max)
{
	int64_t v = 0;

	if (perc_json_int(&v, q->in, name, min, max) != 0) {
		q->bad = true;
		return 0;
	}
	return v;
}

int64_t
req_int_or(
    struct req *q, const char *name, int64_t min, int64_t max, int64_t def)
{
	return req_has(q, name) ? req_int(q, name, min, max) : def;
}

bool
req_bool_or(struct req *q, const char *name, bool def)
{
	const json_t *v = json_object_get(q->in, name);

	if (v == NULL)
		return def;
	if (json_is_boolean(v))
		return json_is_true(v);
	return req_int(q, name, 0, 1) != 0;
}

const json_t *
req_array(struct req *q, const char *name, size_t max)
{
	const json_t *a = json_object_get(q->in, name);

	if (json_is_array(a) && json_array_size(a) <= max)
		return a;
	q->bad = true;
	return NULL;
}

json_t *
hex_json(const uint8_t *p, size_t n)
{
	static char text[2 * (PACKET_MAX + PACKET_ROOM) + 1];

	perc_hex_put(text, p, n);
	return json_stringn(text, 2 * n);
}

void
ans_bytes(struct req *q, const char *name, const uint8_t *p, size_t n)
{
	(void)json_object_set_new(q->out, name, hex_json(p, n));
}

void
ans_int(struct req *q, const char *name, int64_t v)
{
	(void)json_object_set_new(q->out, name, json_integer(v));
}

void
ans_json(struct req *q, const char *name, json_t *v)
{
	(void)json_object_set_new(q->out, name, v);
}

static json_t *
refusal(const char *word)
{
	return json_pack("{s:b, s:s}", "ok", 0, "reason", word);
}

static json_t *
request_run(const json_t *in)
{
	struct req q = { .in = in };
	const char *op = perc_json_str(in, "op");
	size_t i;
	int r;

	if (op == NULL)
		return refusal("request");
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(ops[i].name, op) == 0)
			break;
	if (i == sizeof(ops) / sizeof(ops[0]))
		return refusal("unsupported");
	if ((q.out = json_pack("{s:b}", "ok", 1)) == NULL)
		return NULL;
	r = ops[i].fn(&q);
	if (r == 0 && !q.bad)
		return q.out;
	json_decref(q.out);
	return refusal(q.bad ? "request" : err_word(r));
}

char *
packet_line(const char *line, size_t n)
{
	json_t *in = NULL, *out;
	char *text;

	if (perc_json_parse(&in, line, n, PACKET_LINE, NULL, 0) != 0)
		out = refusal("request");
	else
		out = request_run(in);
	text = json_dumps(out, JSON_COMPACT);
	json_decref(in);
	json_decref(out);
	return text;
}
