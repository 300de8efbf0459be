/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Requests of an administrator at the machine to the running keeper, as
 * files in the state directory. JSON: {"id", "do", ...} and, as the answer,
 * {"id", "ok", "text"}.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "perc/err.h"

#define KMF_CONTROL_REQUEST "control.request"
#define KMF_CONTROL_ANSWER  "control.answer"
#define KMF_CONTROL_PATH    4096
#define KMF_OVERLAP_MAX_S   (30 * 86400)

PERC_MUST int
kmf_control_path(char *out, size_t cap, const char *dir, const char *file);
/* Whole or not at all; it belongs to the directory's owner. */
PERC_MUST int kmf_control_put(
    const char *dir, const char *file, mode_t mode, const char *text);
/* PERC_ERR_NOTFOUND: none; DENIED: not of us or root; FORMAT: too long. */
PERC_MUST int
kmf_control_get(char *out, size_t cap, const char *dir, const char *file);
void kmf_control_drop(const char *dir, const char *file);
/* ask.c: put the request (taken over; "id" and "do" are added) and print the
 * answer; an exit code, 3 when nobody answered. */
struct kmf_conf;
int kmf_control_ask(
    const struct kmf_conf *c, const char *command, json_t *request);
