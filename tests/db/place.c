/* SPDX-License-Identifier: Apache-2.0 */
/* Globals, because every helper of these tests speaks of the one file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/db/place.h"

char dir[64], path[96], why[512];

int
setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/perch-db.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/perch.db", dir);
	*state = NULL;
	return 0;
}

int
teardown(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

struct db *
open_db(void)
{
	struct db *db = NULL;

	if (db_open(&db, path, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	return db;
}
