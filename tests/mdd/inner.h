/* SPDX-License-Identifier: Apache-2.0 */
/* The inner layer of members, of which the MDD sees nothing. */
#pragma once

#include "perc/ekt.h"

/* The conference's EKT key; perc_ekt_free it. */
struct perc_ekt *inner_ekt(void);
