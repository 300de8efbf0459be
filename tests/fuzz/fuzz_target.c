/* SPDX-License-Identifier: Apache-2.0 */
/* The target of a request line, as it came: what passes means one path. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/httpd_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text = malloc(n + 1);
	const char *query, *c;

	if (text == NULL)
		return 0;
	if (n != 0)
		memcpy(text, p, n);
	text[n] = '\0';
	if (httpd_target_take(text, &query)) {
		if (text[0] != '/' || strstr(text, "..") != NULL ||
		    strstr(text, "//") != NULL ||
		    strpbrk(text, "%?#\\ ") != NULL)
			abort();
		for (c = text; *c != '\0'; c++)
			if ((unsigned char)*c <= ' ' ||
			    (unsigned char)*c >= 0x7f)
				abort();
		if (query != NULL && strstr(query, "%00") != NULL)
			abort();
	}
	free(text);
	return 0;
}
