/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One phrase for each reason, so that a log line reads the same wherever
 * the failure was first noticed.
 */
#include "perc/err.h"

#include <stddef.h>

static const char *const phrases[] = {
	[PERC_OK] = "ok",
	[-PERC_ERR_NOMEM] = "out of memory",
	[-PERC_ERR_INVAL] = "invalid argument",
	[-PERC_ERR_SYS] = "system error",
	[-PERC_ERR_SHORT] = "too short",
	[-PERC_ERR_FORMAT] = "malformed",
	[-PERC_ERR_AUTH] = "authentication failed",
	[-PERC_ERR_REPLAY] = "replayed or too old",
	[-PERC_ERR_EXPIRED] = "expired",
	[-PERC_ERR_DENIED] = "denied",
	[-PERC_ERR_NOTFOUND] = "not found",
	[-PERC_ERR_EXISTS] = "already exists",
	[-PERC_ERR_LIMIT] = "limit reached",
	[-PERC_ERR_STATE] = "not allowed in this state",
	[-PERC_ERR_UNSUPPORTED] = "unsupported",
	[-PERC_ERR_CRYPTO] = "crypto library failure",
	[-PERC_ERR_AGAIN] = "try again",
	[-PERC_ERR_CLOSED] = "closed by peer",
	[-PERC_ERR_TIMEOUT] = "timed out",
	[-PERC_ERR_CONFLICT] = "conflict",
	[-PERC_ERR_UNKNOWN_KEY] = "unknown key",
};

const char *
perc_strerror(int err)
{
	size_t i = (size_t) - (long)err;

	if (err > 0 || i >= sizeof(phrases) / sizeof(phrases[0]) ||
	    phrases[i] == NULL)
		return "unknown error";
	return phrases[i];
}
