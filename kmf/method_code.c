/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invitation codes, for guests without an account. The code is the identity;
 * what it opens, and for whom it was spent, only the keeper knows.
 */
#include "config.h"

#include <string.h>

#include "kmf/front.h"

#define CODE_MAX 256

static bool
takes(const struct front_req *q)
{
	return q->cred.kind == KMF_CRED_CODE;
}

static void
run(struct front_req *q)
{
	if (strlen(q->cred.text) > CODE_MAX) {
		kmf_method_end(q, PERC_ERR_DENIED, "code too long");
		return;
	}
	q->who.who = KMF_WHO_CODE;
	q->who.code = q->cred.text;
	kmf_method_end(q, 0, "");
}

const struct kmf_method kmf_method_code = {
	.name = "code",
	.takes = takes,
	.run = run,
};
