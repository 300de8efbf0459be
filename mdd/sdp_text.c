/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The letters of SDP: lines, words, numbers, without a copy. And the short form
 * in which a WHIP client tells later what its offer did not say.
 */
#include "mdd/sdp.h"

#include <ctype.h>
#include <string.h>

bool
mdd_str_is(struct mdd_str s, const char *text)
{
	return s.p != NULL && s.n == strlen(text) &&
	    memcmp(s.p, text, s.n) == 0;
}

struct mdd_str
mdd_str_cut(struct mdd_str *rest, char sep)
{
	const char *at = rest->n == 0 ? NULL : memchr(rest->p, sep, rest->n);
	struct mdd_str head = *rest;

	if (at != NULL)
		head.n = (size_t)(at - rest->p);
	rest->p += head.n + (at != NULL);
	rest->n -= head.n + (at != NULL);
	return head;
}

bool
mdd_str_number(struct mdd_str s, uint64_t max, uint64_t *v)
{
	size_t i;

	*v = 0;
	if (s.n == 0 || s.n > 10)
		return false;
	for (i = 0; i < s.n; i++) {
		if (!isdigit((unsigned char)s.p[i]))
			return false;
		*v = *v * 10 + (uint64_t)(s.p[i] - '0');
	}
	return *v <= max;
}

bool
mdd_sdp_next(struct mdd_str *text, struct mdd_str *line, bool *ok)
{
	size_t i;

	if (text->n == 0)
		return false;
	*line = mdd_str_cut(text, '\n');
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	*ok = line->n >= 2 && line->n <= MDD_SDP_LINE && line->p[1] == '=' &&
	    islower((unsigned char)line->p[0]);
	for (i = 0; *ok && i < line->n; i++)
		*ok = (unsigned char)line->p[i] >= ' ' || line->p[i] == '\t';
	return *ok;
}

bool
mdd_sdp_ice_ok(struct mdd_str s, size_t min)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) &&
		    strchr("+/-_", s.p[i]) == NULL)
			return false;
	return s.n >= min && s.n <= MDD_SDP_ICE;
}

/*
 * RFC 8840 section 9.2, as RFC 9725 sections 4.3.1 and 4.3.3 use it. Candidates
 * are counted and no more: an ICE-lite agent learns addresses from checks.
 */
int
mdd_sdp_frag(struct mdd_frag *f, const char *text, size_t n)
{
	struct mdd_str rest = { text, n }, line, name;
	bool ok = true;

	memset(f, 0, sizeof(*f));
	while (mdd_sdp_next(&rest, &line, &ok)) {
		if (line.p[0] == 'm')
			continue;
		if (line.p[0] != 'a')
			return PERC_ERR_FORMAT;
		line.p += 2;
		line.n -= 2;
		name = mdd_str_cut(&line, ':');
		if (mdd_str_is(name, "ice-ufrag"))
			f->ufrag = line;
		else if (mdd_str_is(name, "ice-pwd"))
			f->pwd = line;
		else if (mdd_str_is(name, "candidate"))
			f->candidates++;
	}
	if (!ok || !mdd_sdp_ice_ok(f->ufrag, 4) || !mdd_sdp_ice_ok(f->pwd, 22))
		return PERC_ERR_FORMAT;
	return 0;
}
