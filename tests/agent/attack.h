/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks of test_attack.c's table that stand in files of their own: true when
 * one succeeded. */
#pragma once

#include "vaultproc.h"

#define ATTACK_CONF "c_real"

/* attack_machine.c */
bool try_swap(struct proc *p, struct kit_conf *c);
bool try_argv(struct proc *p, struct kit_conf *c);
bool try_other_user(struct proc *p, struct kit_conf *c);
/* While we are root; without it there is no other user to be had. */
void attack_other_start(void);
bool attack_other_there(void);

/* attack_order.c */
bool try_disorder(struct proc *p, struct kit_conf *c);
