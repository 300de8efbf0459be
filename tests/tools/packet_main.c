/* SPDX-License-Identifier: Apache-2.0 */
/* Lines in, lines out, in order, each flushed. */
#include "tests/tools/packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/srtp.h"

int
main(void)
{
	static const char out_of_memory[] =
	    "{\"ok\":false,\"reason\":\"internal\"}";
	char *line = NULL, *answer;
	size_t cap = 0;
	ssize_t n;

	if (perc_srtcp_warm_up() != 0)
		return 1;
	while ((n = getline(&line, &cap, stdin)) >= 0) {
		if (n > 0 && line[n - 1] == '\n')
			n--;
		answer = packet_line(line, (size_t)n);
		if (puts(answer == NULL ? out_of_memory : answer) < 0 ||
		    fflush(stdout) != 0)
			return 1; /* nobody reads any more */
		free(answer);
	}
	free(line);
	return 0;
}
