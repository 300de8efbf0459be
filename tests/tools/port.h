/* SPDX-License-Identifier: Apache-2.0 */
/* TCP ports for the daemons that a test starts. */
#pragma once

/* A port of 127.0.0.1 that nobody has and no other test of this machine gets
 * before we end; 0: none. */
unsigned port_take(void);
