/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration and pinned keys. Whoever can write these files can name a
 * KMF of his own and so read every conference that follows, which is why the
 * whole way to them is checked (agent/vaultpath.c), as sshd does it for
 * authorized_keys: a safe file in a directory that others may rename is not
 * safe.
 */
#include "agent/vaultconf.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/vaultmsg.h"
#include "agent/vaultpath.h"

static const struct perc_conf_item items_top[] = {
	{ .name = "require_protection",
	    .type = PERC_CONF_BOOL,
	    .offset = offsetof(struct vault_config, require_protection),
	    .def = "yes",
	    .help = "refuse to start where no memory can be locked, or "
		    "without seccomp or Landlock" },
	{ .name = "local_any_user",
	    .type = PERC_CONF_BOOL,
	    .offset = offsetof(struct vault_config, local_any_user),
	    .def = "no",
	    .help = "let programs of every user of this machine send and hear "
		    "plain media; no: of this user and root" },
	{ .name = "local_out_base",
	    .type = PERC_CONF_INT,
	    .offset = offsetof(struct vault_config, local_out_base),
	    .def = "0",
	    .min = 0,
	    .max = 65536 - VAULT_OUT_PORTS,
	    .help = "first loopback port for remote streams (2048 are used); "
		    "0: perch-agent finds a range of its own" },
	{ .name = "ext_audio_level",
	    .type = PERC_CONF_INT,
	    .offset = offsetof(struct vault_config, ext.level),
	    .def = "1",
	    .min = 0,
	    .max = 14,
	    .help = "the application's id of the audio level that leaves with "
		    "sound, readable for the forwarder; 0: none does" },
	{ .name = "ext_dependency_descriptor",
	    .type = PERC_CONF_INT,
	    .offset = offsetof(struct vault_config, ext.descriptor),
	    .def = "0",
	    .min = 0,
	    .max = 14,
	    .help = "the same for the dependency descriptor of pictures" },
	{ .name = "ext_frame_marking",
	    .type = PERC_CONF_INT,
	    .offset = offsetof(struct vault_config, ext.marking),
	    .def = "0",
	    .min = 0,
	    .max = 14,
	    .help = "the same for frame marking" },
	{ .name = "ext_mid",
	    .type = PERC_CONF_INT,
	    .offset = offsetof(struct vault_config, ext.mid),
	    .def = "0",
	    .min = 0,
	    .max = 14,
	    .help = "the same for the media identification" },
	{ .name = "ext_rid",
	    .type = PERC_CONF_INT,
	    .offset = offsetof(struct vault_config, ext.rid),
	    .def = "0",
	    .min = 0,
	    .max = 14,
	    .help = "the same for the stream id of a layer" },
	{ .name = "ext_deliver",
	    .type = PERC_CONF_BOOL,
	    .offset = offsetof(struct vault_config, ext.deliver),
	    .def = "no",
	    .help = "give those that arrive to the application too" },
	{ 0 },
};

static const struct perc_conf_item items_kmf[] = {
	{ .name = "url",
	    .type = PERC_CONF_URL,
	    .offset = offsetof(struct vault_kmf, url),
	    .required = true,
	    .help = "BASE URL of the KMF" },
	{ .name = "keys",
	    .type = PERC_CONF_PATH,
	    .offset = offsetof(struct vault_kmf, keys),
	    .required = true,
	    .help = "its kmf-keys.json, as `perch-kmf init` wrote it" },
	{ 0 },
};

static int
kmf_open(void *conf, const char *label, void **targetp)
{
	struct vault_config *c = conf;
	struct vault_kmf *k;

	if (c->nkmf == VAULT_KMFS_MAX)
		return PERC_ERR_LIMIT;
	k = &c->kmf[c->nkmf++];
	snprintf(k->label, sizeof(k->label), "%s", label);
	*targetp = k;
	return 0;
}

const struct perc_conf_section vault_conf_sections[] = {
	{ .name = NULL, .items = items_top },
	{ .name = "kmf", .items = items_kmf, .open = kmf_open },
	{ 0 },
};

static int
file_read(char **textp, size_t *np, const char *path, size_t max, uid_t uid,
    struct perc_conf_error *e)
{
	int fd, r;

	if ((r = vault_path_open(&fd, path, uid, e)) != 0)
		return r;
	r = perc_conf_read_fd(textp, np, fd, path, max, e);
	close(fd);
	return r;
}

static int
keys_load(struct vault_kmf *k, uid_t uid, struct perc_conf_error *e)
{
	char *text = NULL;
	size_t n;
	int r;

	if ((r = file_read(&text, &n, k->keys, VAULT_KEYS_FILE_MAX, uid, e)) !=
	    0)
		goto out;
	if ((r = perc_jwks_from_json(&k->set, text, n)) != 0)
		snprintf(e->text, sizeof(e->text),
		    "%.400s: no usable key; copy the KMF's kmf-keys.json",
		    k->keys);
out:
	free(text);
	return r;
}

int
vault_config_load(struct vault_config *c, const char *file, bool user_owned,
    struct perc_conf_error *e)
{
	uid_t uid = user_owned ? geteuid() : 0;
	char *text = NULL;
	unsigned i;
	size_t n;
	int r;

	memset(c, 0, sizeof(*c));
	if ((r = file_read(&text, &n, file, VAULT_CONF_FILE_MAX, uid, e)) == 0)
		r = perc_conf_load_text(
		    c, file, text, n, vault_conf_sections, e);
	free(text);
	if (r != 0)
		return r;
	if (c->nkmf == 0) {
		snprintf(e->text, sizeof(e->text),
		    "%.400s: no [kmf NAME]; nobody could be believed", file);
		return PERC_ERR_NOTFOUND;
	}
	if (c->local_out_base % 2 != 0 ||
	    (c->local_out_base != 0 && c->local_out_base < 1024)) {
		snprintf(e->text, sizeof(e->text),
		    "%.400s: local_out_base must be even (RTP), 1024 or more",
		    file);
		return PERC_ERR_INVAL;
	}
	for (i = 0; i < c->nkmf; i++)
		if ((r = keys_load(&c->kmf[i], uid, e)) != 0)
			return r;
	return 0;
}

void
vault_config_clear(struct vault_config *c)
{
	unsigned i;

	for (i = 0; i < c->nkmf; i++) {
		perc_jwks_free(c->kmf[i].set);
		perc_conf_clear(&c->kmf[i], items_kmf);
	}
	perc_conf_clear(c, items_top);
	memset(c, 0, sizeof(*c));
}

const struct vault_kmf *
vault_config_find(const struct vault_config *c, const char *url)
{
	unsigned i;

	for (i = 0; i < c->nkmf; i++)
		if (strcmp(c->kmf[i].url, url) == 0)
			return &c->kmf[i];
	return NULL;
}
