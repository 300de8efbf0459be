/* SPDX-License-Identifier: Apache-2.0 */
/* A QR code for people before a terminal, so that a telephone's camera can
 * take a URL over. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * New text, columns wide at most, a line for two rows of modules: dark on
 * light whatever the terminal's colours are, with the quiet zone of four
 * modules. NULL: it does not fit, or is no https URL. text_free it.
 */
char *cli_qr(const char *url, size_t columns);
/* Draw it on standard output if that is a terminal that can show it. */
void cli_qr_show(const char *url);
