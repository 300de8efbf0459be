/* SPDX-License-Identifier: Apache-2.0 */
/* The relays that the front asked for (agent/turnmsg.h). */
#pragma once

#include "agent/turn.h"

/* Begin one; takes fd over. */
void turn_relay_open(struct turn *t, const struct turn_open *o, int fd);
void turn_relays_close(struct turn *t);
