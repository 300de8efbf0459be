/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The message: what to do, in words, and the calendar. Everything that came
 * from people travels in base64, so that no title can become a header, nor
 * end a part.
 */
#include "kmf/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perc/b64.h"

#define LINE 57 /* octets in a line of 76 characters */
#define WORD 39 /* in an encoded word behind "Subject: " */

/* RFC 2045, 6.8: the other alphabet, and padded. */
static void
base64_put(char out[static LINE / 3 * 4 + 1], const char *in, size_t n)
{
	char *p;

	perc_b64_put(out, in, n);
	for (p = out; *p != '\0'; p++)
		*p = (char)(*p == '-' ? '+' : *p == '_' ? '/' : *p);
	while ((p - out) % 4 != 0)
		*p++ = '=';
	*p = '\0';
}

static void
base64(FILE *f, const char *in, size_t n)
{
	char out[LINE / 3 * 4 + 1];
	size_t part;

	for (; n > 0; in += part, n -= part) {
		part = n < LINE ? n : LINE;
		base64_put(out, in, part);
		fprintf(f, "%s\r\n", out);
	}
	perc_wipe(out, sizeof(out));
}

/* The value of a property of the calendar, unfolded and unescaped. */
static void
value_get(char *out, size_t cap, const char *calendar, const char *name)
{
	const char *p = strstr(calendar, name);
	size_t n = 0;

	out[0] = '\0';
	if (p == NULL)
		return;
	for (p += strlen(name); *p != '\0' && n + 1 < cap; p++) {
		if (strncmp(p, "\r\n ", 3) == 0) {
			p += 2;
			continue;
		}
		if (*p == '\r')
			break;
		if (*p == '\\' && p[1] != '\0')
			p++;
		out[n++] = *p;
	}
	out[n] = '\0';
}

static void
headers(FILE *f, const struct kmf_keeper *k, const struct db_mail *m,
    const char *title, bool cancelled)
{
	const char *at = strchr(k->mail_from, '@');
	char subject[512], date[64];
	time_t now = (time_t)(m->at_ms / 1000);
	char b64[LINE / 3 * 4 + 1];
	struct tm tm;
	size_t n, o;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	fprintf(f,
	    "From: <%s>\r\nTo: <%s>\r\nDate: %s\r\nMessage-ID: <%s%s>\r\n"
	    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
	    k->mail_from, m->address, date, m->id, at != NULL ? at : "@perch");
	snprintf(subject, sizeof(subject), "%s: %s",
	    cancelled ? "Cancelled" : "Invitation", title);
	/* RFC 2047, 2: lines of at most 76, cut between letters. */
	fprintf(f, "Subject:");
	for (o = 0; subject[o] != '\0'; o += n) {
		n = strlen(subject + o);
		n = n < WORD ? n : WORD;
		while (n > WORD - 4 && (subject[o + n] & 0xc0) == 0x80)
			n--;
		base64_put(b64, subject + o, n);
		fprintf(f, " =?UTF-8?B?%s?=\r\n", b64);
	}
}

static void
words(FILE *f, const char *calendar, const char *title, const char *code,
    bool cancelled)
{
	char uri[512], *text = NULL;
	size_t n = 0;
	FILE *m = open_memstream(&text, &n);

	if (m == NULL)
		return;
	value_get(uri, sizeof(uri), calendar, "\r\nURL:");
	if (uri[0] == '\0')
		value_get(uri, sizeof(uri), calendar, "\r\nURL;VALUE=URI:");
	fprintf(m, "%s\n\n", title);
	if (cancelled)
		fprintf(m, "This conference will not take place.\n");
	else
		fprintf(m,
		    "You are invited to a conference. Join it with:\n\n"
		    "    perch join %s\n",
		    uri);
	if (code != NULL)
		fprintf(m,
		    "\nYour invitation code, for you alone and good for one "
		    "device:\n\n    %s\n",
		    code);
	fclose(m);
	base64(f, text, n);
	perc_wipe(text, n);
	free(text);
}

/* An address stands between angle brackets in a header of its own, as it is;
 * whoever let it in saw to that, but here is where it would matter. */
static bool
fits_header(const char *address)
{
	for (; *address != '\0'; address++)
		if ((unsigned char)*address <= ' ' || *address == '<' ||
		    *address == '>' || *address == 0x7f)
			return false;
	return true;
}

int
kmf_mail_text(char **textp, const struct kmf_keeper *k, const struct db_mail *m,
    const char *calendar, const char *code)
{
	bool cancelled = strstr(calendar, "\r\nMETHOD:CANCEL\r\n") != NULL;
	bool publish = strstr(calendar, "\r\nMETHOD:PUBLISH\r\n") != NULL;
	char title[DB_TITLE_MAX], *text = NULL;
	size_t n = 0;
	FILE *f;

	if (!fits_header(m->address) ||
	    strstr(calendar, "\r\nSUMMARY:") == NULL)
		return PERC_ERR_FORMAT;
	if ((f = open_memstream(&text, &n)) == NULL)
		return PERC_ERR_NOMEM;
	value_get(title, sizeof(title), calendar, "\r\nSUMMARY:");
	headers(f, k, m, title, cancelled);
	fprintf(f,
	    "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n"
	    "--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n",
	    m->id, m->id);
	words(f, calendar, title, code, cancelled);
	fprintf(f,
	    "--%s\r\nContent-Type: text/calendar; charset=utf-8; method=%s\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n",
	    m->id,
	    cancelled	  ? "CANCEL"
		: publish ? "PUBLISH"
			  : "REQUEST");
	base64(f, calendar, strlen(calendar));
	fprintf(f, "--%s--\r\n", m->id);
	if (fclose(f) != 0) {
		free(text);
		return PERC_ERR_NOMEM;
	}
	*textp = text;
	return 0;
}
