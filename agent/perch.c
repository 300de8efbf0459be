/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's main; all else is in libagent, where tests reach it. */
#include "agent/cli.h"

int
main(int argc, char *argv[])
{
	return cli_main(argc, argv);
}
