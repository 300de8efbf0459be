/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the administrator's key and the trust anchors are: named on the
 * command line, by the environment, or in the user's configuration directory.
 */
#include "agent/cli.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/conf.h"
#include "perc/json.h"
#include "perc/secret.h"

#define FILE_MAX_LEN 16384

static char *
home_file(const char *name)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config != NULL && config[0] == '/')
		return text_new("%s/perch/%s", config, name);
	return text_new("%s/.config/perch/%s", home != NULL ? home : "", name);
}

static char *
choose_file(
    const struct cli *c, enum cli_opt o, const char *variable, const char *name)
{
	if (c->opt[o] != NULL)
		return text_dup(c->opt[o]);
	if (getenv(variable) != NULL)
		return text_dup(getenv(variable));
	return home_file(name);
}

static int
client_parse(json_t **out, const char *path, const char *text, size_t len)
{
	json_t *j = NULL;

	if (perc_json_parse(&j, text, len, FILE_MAX_LEN, NULL, 0) == 0 &&
	    perc_json_str(j, "kmf") != NULL &&
	    perc_json_str(j, "client_id") != NULL &&
	    json_is_object(json_object_get(j, "key"))) {
		*out = j;
		return CLI_OK;
	}
	cli_complain("%s is not a client file of perch-kmf init", path);
	json_decref(j);
	return CLI_USAGE;
}

bool
cli_client_there(const struct cli *c)
{
	char *path = choose_file(c, CLI_CLIENT, "PERCH_CLIENT", "client.jwk");
	bool there = c->opt[CLI_CLIENT] != NULL ||
	    getenv("PERCH_CLIENT") != NULL ||
	    (path != NULL && access(path, F_OK) == 0);

	free(path);
	return there;
}

int
cli_client_read(json_t **out, const struct cli *c)
{
	char *path = choose_file(c, CLI_CLIENT, "PERCH_CLIENT", "client.jwk");
	struct perc_conf_error e = { "" };
	struct perc_secret *s = NULL;
	int r = CLI_USAGE;

	if (path == NULL)
		return CLI_FAILED;
	if (perc_conf_read_secret(&s, path, PERC_SECRET_MAX, &e) != 0)
		cli_complain("client file: %s (see --client)",
		    e.text[0] != '\0' ? e.text : path);
	else
		r = client_parse(out, path, (char *)s->data, s->len);
	perc_secret_free(s);
	free(path);
	return r;
}

/* Only a file that was asked for must be there. */
char *
cli_ca_file(const struct cli *c)
{
	char *file = choose_file(c, CLI_CA, "PERCH_CA", "ca.pem");
	struct perc_conf_error e;
	char *text = NULL;
	size_t len;

	if (c->opt[CLI_CA] == NULL && getenv("PERCH_CA") == NULL &&
	    (file == NULL ||
		perc_conf_read_file(&text, &len, file, 1 << 20, &e) != 0)) {
		free(file);
		file = NULL;
	}
	perc_secmem_free(text);
	return file;
}
