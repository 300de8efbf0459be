/* SPDX-License-Identifier: Apache-2.0 */
/* A front that says the right things at the wrong time, to the process as it
 * runs; every order of every message is test_attack_order's. */
#include "attack.h"

#include <stdlib.h>

#define CONF ATTACK_CONF

static int
key_try(struct proc *p, const struct kit_conf *c)
{
	char *jwe = kit_answer(&p->kmf, c, &p->k, NULL);
	int err = kit_err(kit_call(&p->k, VAULT_KEY, 2, CONF, jwe));

	free(jwe);
	return err;
}

static int
epoch_try(struct proc *p, const struct kit_conf *c)
{
	char *st = kit_statement(p->kmf.key, c, NULL);
	char *box = kit_sealed(c, &p->k);
	int err = kit_err(kit_call(&p->k, VAULT_EPOCH, 3, CONF, st, box));

	free(st);
	free(box);
	return err;
}

/*
 * Good messages, each where the state does not permit it: a key that was
 * kept for after the end, and all the others; then what only a conference
 * that has a key may be told, before it has one, which ends the channel.
 */
bool
try_disorder(struct proc *p, struct kit_conf *c)
{
	struct kit *const members[] = { &p->k };
	struct kit_conf next = *c;
	char *jws;

	kit_conf_rekey(&next);
	assert_int_equal(kit_err(kit_call(&p->k, VAULT_LEAVE, 1, CONF)), 0);
	if (key_try(p, &next) != PERC_ERR_STATE ||
	    epoch_try(p, &next) != PERC_ERR_STATE)
		return true;
	jws = kit_roster(p->kmf.key, &next, members, 1, NULL);
	assert_int_equal(kit_err(kit_call(&p->k, VAULT_ROSTER, 2, CONF, jws)),
	    PERC_ERR_STATE);
	free(jws);
	jws = kit_notice(p->kmf.key, CONF, "ended", NULL);
	assert_int_equal(kit_err(kit_call(&p->k, VAULT_NOTICE, 2, CONF, jws)),
	    PERC_ERR_STATE);
	free(jws);
	assert_int_equal(
	    kit_err(kit_call(&p->k, VAULT_OPEN, 2, CONF, KIT_KMF)), 0);
	return epoch_try(p, &next) != PERC_ERR_CLOSED || !p->k.closed;
}
