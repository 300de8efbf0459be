/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every length from the wire is compared against what is left before it is
 * used, here and nowhere else. The subtraction form `n > len - pos` matters:
 * pos + n could wrap.
 */
#include "perc/wire.h"

#include <string.h>

void
perc_wire_reader(struct perc_wire *w, const void *in, size_t len)
{
	*w = (struct perc_wire){ .in = in, .len = len };
}

void
perc_wire_writer(struct perc_wire *w, void *out, size_t cap)
{
	*w = (struct perc_wire){ .out = out, .len = cap };
}

void
perc_wire_fail(struct perc_wire *w, int err)
{
	if (w->err == 0)
		w->err = err;
}

size_t
perc_wire_left(const struct perc_wire *w)
{
	return w->err != 0 ? 0 : w->len - w->pos;
}

/* Move over n octets: true when they are there. */
static bool
take(struct perc_wire *w, size_t n)
{
	if (w->err != 0)
		return false;
	if (n > w->len - w->pos) {
		w->err = PERC_ERR_SHORT;
		return false;
	}
	w->pos += n;
	return true;
}

static uint64_t
get_uint(struct perc_wire *w, size_t n)
{
	uint64_t v = 0;
	const uint8_t *p = perc_wire_get_bytes(w, n);

	for (size_t i = 0; p != NULL && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t
perc_wire_get_u8(struct perc_wire *w)
{
	return (uint8_t)get_uint(w, 1);
}

uint16_t
perc_wire_get_u16(struct perc_wire *w)
{
	return (uint16_t)get_uint(w, 2);
}

uint32_t
perc_wire_get_u24(struct perc_wire *w)
{
	return (uint32_t)get_uint(w, 3);
}

uint32_t
perc_wire_get_u32(struct perc_wire *w)
{
	return (uint32_t)get_uint(w, 4);
}

uint64_t
perc_wire_get_u64(struct perc_wire *w)
{
	return get_uint(w, 8);
}

const uint8_t *
perc_wire_get_bytes(struct perc_wire *w, size_t n)
{
	static const uint8_t nothing[1];

	if (w->err == 0 && w->in == NULL && w->len != 0)
		w->err = PERC_ERR_INVAL; /* a writer */
	if (!take(w, n))
		return NULL;
	return w->in != NULL ? w->in + w->pos - n : nothing;
}

static const uint8_t *
get_blob(struct perc_wire *w, size_t n, size_t *lenp)
{
	const uint8_t *p = perc_wire_get_bytes(w, n);

	*lenp = p != NULL ? n : 0;
	return p;
}

const uint8_t *
perc_wire_get_blob16(struct perc_wire *w, size_t *lenp)
{
	return get_blob(w, perc_wire_get_u16(w), lenp);
}

const uint8_t *
perc_wire_get_blob32(struct perc_wire *w, size_t *lenp)
{
	return get_blob(w, perc_wire_get_u32(w), lenp);
}

const char *
perc_wire_get_str(struct perc_wire *w)
{
	size_t n;
	const uint8_t *p = perc_wire_get_blob32(w, &n);

	if (p == NULL || n == 0)
		return "";
	if (p[n - 1] != '\0' || memchr(p, '\0', n - 1) != NULL) {
		w->err = PERC_ERR_FORMAT;
		return "";
	}
	return (const char *)p;
}

static void
put_uint(struct perc_wire *w, uint64_t v, size_t n)
{
	if (w->out == NULL)
		perc_wire_fail(w, PERC_ERR_SHORT);
	if (!take(w, n))
		return;
	for (size_t i = 0; i < n; i++)
		w->out[w->pos - 1 - i] = (uint8_t)(v >> (8 * i));
}

void
perc_wire_put_u8(struct perc_wire *w, uint8_t v)
{
	put_uint(w, v, 1);
}

void
perc_wire_put_u16(struct perc_wire *w, uint16_t v)
{
	put_uint(w, v, 2);
}

void
perc_wire_put_u24(struct perc_wire *w, uint32_t v)
{
	put_uint(w, v, 3);
}

void
perc_wire_put_u32(struct perc_wire *w, uint32_t v)
{
	put_uint(w, v, 4);
}

void
perc_wire_put_u64(struct perc_wire *w, uint64_t v)
{
	put_uint(w, v, 8);
}

void
perc_wire_put_bytes(struct perc_wire *w, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (w->out == NULL)
		perc_wire_fail(w, PERC_ERR_SHORT);
	if (take(w, n))
		memcpy(w->out + w->pos - n, p, n);
}

void
perc_wire_put_blob16(struct perc_wire *w, const void *p, size_t n)
{
	if (n > UINT16_MAX)
		perc_wire_fail(w, PERC_ERR_SHORT);
	perc_wire_put_u16(w, (uint16_t)n);
	perc_wire_put_bytes(w, p, n);
}

void
perc_wire_put_blob32(struct perc_wire *w, const void *p, size_t n)
{
	if (n > UINT32_MAX)
		perc_wire_fail(w, PERC_ERR_SHORT);
	perc_wire_put_u32(w, (uint32_t)n);
	perc_wire_put_bytes(w, p, n);
}

void
perc_wire_put_str(struct perc_wire *w, const char *s)
{
	perc_wire_put_blob32(w, s, s != NULL ? strlen(s) + 1 : 0);
}

int
perc_wire_end(const struct perc_wire *w)
{
	if (w->err != 0)
		return w->err;
	return w->out == NULL && w->pos != w->len ? PERC_ERR_FORMAT : 0;
}
