/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one vocabulary of failure. Every function that can fail returns 0 or
 * one negative enum perc_err, unchanged through all layers; bool only answers
 * questions. perc_strerror() gives a phrase fit for a log line.
 */
#pragma once

#define PERC_MUST __attribute__((warn_unused_result))
#define PERC_PRINTF(f, a) __attribute__((format(printf, f, a)))

enum perc_err {
	PERC_OK = 0,
	PERC_ERR_NOMEM = -1,	   /* no memory, or a pool is exhausted */
	PERC_ERR_INVAL = -2,	   /* the caller broke the contract */
	PERC_ERR_SYS = -3,	   /* a system call failed; errno is kept */
	PERC_ERR_SHORT = -4,	   /* input ends too early, output too small */
	PERC_ERR_FORMAT = -5,	   /* input is not of its form */
	PERC_ERR_AUTH = -6,	   /* a tag, signature or proof does not verify */
	PERC_ERR_REPLAY = -7,	   /* seen before, or older than the window */
	PERC_ERR_EXPIRED = -8,	   /* its time is over */
	PERC_ERR_DENIED = -9,	   /* known, but not allowed to */
	PERC_ERR_NOTFOUND = -10,   /* no such thing */
	PERC_ERR_EXISTS = -11,	   /* it is already there */
	PERC_ERR_LIMIT = -12,	   /* a named maximum is reached */
	PERC_ERR_STATE = -13,	   /* not now: the state forbids it */
	PERC_ERR_UNSUPPORTED = -14, /* well-formed, but not done here */
	PERC_ERR_CRYPTO = -15,	   /* the crypto library refused */
	PERC_ERR_AGAIN = -16,	   /* would block; try later */
	PERC_ERR_CLOSED = -17,	   /* the peer is gone */
	PERC_ERR_TIMEOUT = -18,	   /* no answer in time */
	PERC_ERR_CONFLICT = -19,   /* changed meanwhile, or differs */
	PERC_ERR_UNKNOWN_KEY = -20, /* no key at hand for this SPI or kid */
	PERC_ERR_LAST = -21
};

/* Never NULL; static storage. Accepts any int. */
const char *perc_strerror(int err);
