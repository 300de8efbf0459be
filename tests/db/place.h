/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for each test, and the database file in it. */
#pragma once

#include "db/db.h"

extern char dir[64], path[96], why[512];

/* cmocka's set-up and tear-down */
int setup(void **state);
int teardown(void **state);
/* The database at path, brought forward; fails the test. db_close it. */
struct db *open_db(void);
