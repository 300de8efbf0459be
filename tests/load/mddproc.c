/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A perch-mdd of our own beside the KMF, for the seats that have media. It
 * has to be named in the KMF's configuration, which has to be there before
 * the KMF's keys are, which the MDD's configuration names: so its port and
 * certificate come first, and the process last.
 */
#include "tests/load/load.h"
#include "tests/load/media.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/text.h"
#include "tests/tools/port.h"

int
load_mdd_prepare(struct load *l)
{
	char key[600], cert[600];
	const char *const argv[] = { "openssl", "req", "-x509", "-newkey", "ec",
		"-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
		"2", "-subj", "/CN=mdd", "-addext",
		"subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
		"-out", cert, NULL };
	int status = 0;

	text_put(l->mdd_base, sizeof(l->mdd_base), "https://localhost:%u",
	    port_take());
	text_put(key, sizeof(key), "%s/mdd.key", l->dir);
	text_put(cert, sizeof(cert), "%s/mdd.crt", l->dir);
	if (waitpid(load_run(l, "openssl", argv), &status, 0) < 0 ||
	    status != 0)
		return PERC_ERR_SYS;
	return 0;
}

static int
conf_write(struct load *l)
{
	char path[600];
	FILE *f;

	text_put(path, sizeof(path), "%s/mdd.conf", l->dir);
	if ((f = fopen(path, "we")) == NULL)
		return PERC_ERR_SYS;
	fprintf(f,
	    "base_url = %s\nlisten = 127.0.0.1:%s\ntls_cert = %s/mdd.crt\n"
	    "tls_key = %s/mdd.key\nmedia_host = 127.0.0.1\nmedia_port = 0\n"
	    "workers = 1\nmax_conns_per_ip = 0\nrate_address = 0\nlog_level = "
	    "warn\n"
	    "[kmf load]\nurl = %s\nkeys = %s/state/kmf-keys.json\n",
	    l->mdd_base, strrchr(l->mdd_base, ':') + 1, l->dir, l->dir, l->base,
	    l->dir);
	return fclose(f) == 0 ? 0 : PERC_ERR_SYS;
}

static bool
append(FILE *to, const char *path)
{
	FILE *f = fopen(path, "re");
	int c;

	while (f != NULL && (c = getc(f)) != EOF)
		putc(c, to);
	return f != NULL && fclose(f) == 0;
}

/* Seats speak to both, and have one list of whom they trust. */
static int
trust_write(struct load *l)
{
	char path[600], mdd[600];
	FILE *f;
	bool good;

	text_put(path, sizeof(path), "%s/ca.pem", l->dir);
	text_put(mdd, sizeof(mdd), "%s/mdd.crt", l->dir);
	if ((f = fopen(path, "we")) == NULL)
		return PERC_ERR_SYS;
	good = append(f, l->ca) && append(f, mdd);
	text_put(l->trust, sizeof(l->trust), "%s", path);
	return fclose(f) == 0 && good ? 0 : PERC_ERR_SYS;
}

int
load_mdd_serve(struct load *l)
{
	char conf[600];
	const char *const argv[] = { l->mdd, "serve", "-c", conf, NULL };
	int r;

	text_put(conf, sizeof(conf), "%s/mdd.conf", l->dir);
	if ((r = conf_write(l)) != 0 || (r = trust_write(l)) != 0)
		return r;
	if ((l->mdd_pid = load_run(l, "mdd", argv)) < 0)
		return PERC_ERR_SYS;
	return load_listens(l->mdd_base, l->mdd_pid);
}

void
load_mdd_stop(struct load *l)
{
	if (l->mdd_pid <= 0)
		return;
	(void)kill(l->mdd_pid, SIGTERM);
	(void)waitpid(l->mdd_pid, NULL, 0);
	l->mdd_pid = 0;
}
