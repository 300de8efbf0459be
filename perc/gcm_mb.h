/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faster AES-GCM, for processes that hold hop keys only.
 */
#pragma once

#include "perc/err.h"

/* Contexts made from now on use it. PERC_ERR_UNSUPPORTED: this build, this
 * processor or this library has it not; all stays as it was. Before a
 * sandbox. */
PERC_MUST int perc_gcm_mb_use(void);
