/* SPDX-License-Identifier: Apache-2.0 */
/* A line to perc-packet: one well-formed answer, whatever it says. */
#include <stdint.h>
#include <stdlib.h>

#include "perc/srtp.h"
#include "tests/tools/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const json_t *ok;
	json_t *j;
	char *text;

	if (perc_srtcp_warm_up() != 0)
		abort();
	text = packet_line((const char *)p, n);
	j = text == NULL ? NULL : json_loads(text, 0, NULL);
	ok = json_object_get(j, "ok");
	if (!json_is_boolean(ok) ||
	    (json_is_false(ok) &&
		!json_is_string(json_object_get(j, "reason"))))
		abort();
	json_decref(j);
	free(text);
	return 0;
}
