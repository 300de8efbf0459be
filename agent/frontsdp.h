/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SDP files that tell an ordinary media program where on loopback to hear
 * each remote stream (RFC 8866), and beside each a media link by which VLC
 * opens it. Written from the vault's STREAMS, kept in step with it, removed at
 * the end.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "perc/err.h"

#define FRONT_SDP_STREAMS_MAX 256 /* files of one conference */
#define FRONT_SDP_TEXT_MAX    1024

/* The text for one member of STREAMS' "out". PERC_ERR_FORMAT: something is
 * missing or absurd. */
PERC_MUST int
front_sdp_text(char out[static FRONT_SDP_TEXT_MAX], const json_t *stream);
/* The media link to the SDP file at path, which is absolute; text_free. */
PERC_MUST int front_sdp_link(char **out, const char *path);
/*
 * Make dir/conf hold exactly one SDP file and one link per stream of `out`, and
 * add to each its paths as "sdp" and "vlc". Failures are logged; the conference
 * goes on.
 */
void front_sdp_write(const char *dir, const char *conf, json_t *out);
/* Remove dir/conf with what we wrote there. */
void front_sdp_remove(const char *dir, const char *conf);
