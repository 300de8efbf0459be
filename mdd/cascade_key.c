/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command that makes the link key, or reads it: the one line it prints is
 * what the peers' configuration needs. The file is born private.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mdd/conf.h"
#include "mdd/role.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

static int
key_write(int fd, const struct perc_jwk *k)
{
	char *text = NULL;
	size_t len;
	int r;

	if ((r = perc_jwk_private_json(&text, k)) != 0)
		return r;
	len = strlen(text);
	if (write(fd, text, len) != (ssize_t)len || fsync(fd) != 0)
		r = PERC_ERR_SYS;
	perc_json_free(text);
	return r;
}

/* A new one, unless the file is there. */
static int
key_make(const char *file, struct perc_jwk **kp)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r;

	if (fd < 0)
		return errno == EEXIST ? PERC_ERR_EXISTS : PERC_ERR_SYS;
	if ((r = perc_jwk_generate(kp)) == 0)
		r = key_write(fd, *kp);
	if (close(fd) != 0 && r == 0)
		r = PERC_ERR_SYS;
	if (r != 0)
		(void)unlink(file); /* half a key is none */
	return r;
}

static int
key_read(const char *file, struct perc_jwk **kp)
{
	struct perc_conf_error e = { "" };
	char *text = NULL;
	size_t len = 0;
	int r;

	if ((r = perc_conf_read_file(&text, &len, file, MDD_JWKS_MAX, &e)) == 0)
		r = perc_jwk_from_json(kp, text, len, false);
	if (r == 0 && !perc_jwk_is_private(*kp))
		r = PERC_ERR_FORMAT;
	perc_wipe(text, len);
	free(text);
	return r;
}

int
mdd_link_key(const char *file)
{
	char jkt[PERC_JKT_LEN + 1];
	struct perc_jwk *k = NULL;
	int r = key_make(file, &k);

	if (r == PERC_ERR_EXISTS)
		r = key_read(file, &k);
	if (r == 0)
		r = perc_jwk_thumbprint(jkt, k);
	perc_jwk_free(k);
	if (r != 0)
		fatalx("%s: %s", file,
		    r == PERC_ERR_SYS ? strerror(errno) : perc_strerror(r));
	(void)printf("%s\n", jkt);
	return 0;
}
