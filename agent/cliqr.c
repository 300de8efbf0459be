/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two modules, one above the other, make one character cell about square:
 * the half blocks of Unicode. The colours are set explicitly, because a
 * camera needs dark modules on light ground, and half of the world's
 * terminals are light on dark. White is asked for as one of the 256 colours:
 * the eighth of the basic ones is grey in most palettes.
 */
#include "agent/cliqr.h"

#include <langinfo.h>
#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/text.h"

#define QUIET	       4 /* modules around, ISO/IEC 18004 section 9.1 */
#define URL_MAX	       512
#define COLUMNS	       80
#define BLACK_ON_WHITE "\033[38;5;16;48;5;231m"
#define RESET	       "\033[0m"

static bool
is_dark(const QRcode *q, int x, int y)
{
	return x >= 0 && y >= 0 && x < q->width && y < q->width &&
	    (q->data[y * q->width + x] & 1) != 0;
}

static void
draw(struct text *t, const QRcode *q)
{
	/* upper dark? lower dark? */
	static const char *const cells[2][2] = { { " ", "\342\226\204" },
		{ "\342\226\200", "\342\226\210" } };

	for (int y = -QUIET; y < q->width + QUIET; y += 2) {
		text_add(t, BLACK_ON_WHITE);
		for (int x = -QUIET; x < q->width + QUIET; x++)
			text_add(
			    t, cells[is_dark(q, x, y)][is_dark(q, x, y + 1)]);
		text_add(t, RESET "\n");
	}
}

char *
cli_qr(const char *url, size_t columns)
{
	struct text t = { 0 };
	QRcode *q;

	/* Nothing but what a browser would call a link, in plain ASCII. */
	if (strncasecmp(url, "https://", 8) != 0 || strlen(url) > URL_MAX)
		return NULL;
	for (const char *p = url; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return NULL;
	if ((q = QRcode_encodeString8bit(url, 0, QR_ECLEVEL_L)) == NULL)
		return NULL;
	if ((size_t)q->width + 2 * QUIET <= columns)
		draw(&t, q);
	QRcode_free(q);
	if (t.failed)
		text_clear(&t);
	return t.p;
}

void
cli_qr_show(const char *url)
{
	struct winsize size = { 0 };
	const char *term = getenv("TERM");
	char *text;

	if (!isatty(1) || term == NULL || strcmp(term, "dumb") == 0 ||
	    strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		return;
	if (ioctl(1, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		size.ws_col = COLUMNS;
	if ((text = cli_qr(url, size.ws_col)) != NULL)
		fputs(text, stdout);
	text_free(text);
}
