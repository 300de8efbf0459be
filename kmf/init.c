/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `perch-kmf init DIR`: a KMF from nothing. Every file is made with O_EXCL
 * and its final mode; what one run made is taken away again when a later
 * step fails, so that init can simply be run again.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmf/keeper.h"
#include "kmf/kmf.h"
#include "perc/httpd.h"

#define CONF_FILE "perch-kmf.conf"

static const char *const made[] = { CONF_FILE, "tls.crt", "tls.key",
	KMF_ROOT_FILE, KMF_DB_FILE, KMF_KEYS_FILE, KMF_ADMIN_FILE };

struct init {
	const struct kmf_init_opts *o;
	char url[512], host[256], mdd[512], listen[280];
	char path[4096];
};

static const char *
at(struct init *i, const char *name)
{
	snprintf(i->path, sizeof(i->path), "%s/%s", i->o->dir, name);
	return i->path;
}

static int
fail(const char *fmt, const char *what)
{
	fprintf(stderr, "perch-kmf: init: ");
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	return 1;
}

/* https://host[:port], no trailing slash; host without brackets. */
static int
url_take(struct init *i)
{
	const char *url =
	    i->o->url == NULL ? "https://localhost:8443" : i->o->url;
	size_t n = strlen(url), h;
	const char *p;

	while (n > 0 && url[n - 1] == '/')
		n--;
	if (strncmp(url, "https://", 8) != 0 || n <= 8 || n >= sizeof(i->url) ||
	    strpbrk(url, " \"?#@\\\n") != NULL)
		return PERC_ERR_FORMAT;
	snprintf(i->url, sizeof(i->url), "%.*s", (int)n, url);
	p = i->url + 8;
	if (strchr(p, '/') != NULL)
		return PERC_ERR_FORMAT;
	if (*p == '[') {
		p++;
		h = strcspn(p, "]");
	} else
		h = strcspn(p, ":/");
	if (h == 0 || h >= sizeof(i->host))
		return PERC_ERR_FORMAT;
	snprintf(i->host, sizeof(i->host), "%.*s", (int)h, p);
	return 0;
}

static void
defaults_take(struct init *i)
{
	const char *slash = strchr(i->url + 8, '/'), *colon;
	size_t n = slash == NULL ? strlen(i->url) : (size_t)(slash - i->url);
	const char *port = "443";
	bool v6 = strchr(i->host, ':') != NULL;

	colon = strrchr(i->url + 8, ':');
	if (colon != NULL && colon < i->url + n && strchr(colon, ']') == NULL)
		port = colon + 1;
	if (i->o->listen != NULL)
		snprintf(i->listen, sizeof(i->listen), "%s", i->o->listen);
	else
		snprintf(
		    i->listen, sizeof(i->listen), "0.0.0.0:%d", atoi(port));
	if (i->o->mdd != NULL)
		snprintf(i->mdd, sizeof(i->mdd), "%s", i->o->mdd);
	else
		snprintf(i->mdd, sizeof(i->mdd), "https://%s%s%s:8444",
		    v6 ? "[" : "", i->host, v6 ? "]" : "");
}

static int
dir_make(struct init *i)
{
	struct stat st;
	size_t n;

	if (mkdir(i->o->dir, 0700) != 0 && errno != EEXIST) {
		fprintf(stderr, "perch-kmf: init: %s: %s\n", i->o->dir,
		    strerror(errno));
		return 1;
	}
	for (n = 0; n < sizeof(made) / sizeof(made[0]); n++)
		if (lstat(at(i, made[n]), &st) == 0)
			return fail("%s is there already; nothing was changed",
			    i->path);
	if (stat(i->o->dir, &st) != 0 || !S_ISDIR(st.st_mode))
		return fail("%s is not a directory", i->o->dir);
	if ((st.st_mode & 077) != 0)
		return fail(
		    "%s may be read by others; chmod 700 it first", i->o->dir);
	return 0;
}

static int
conf_write(struct init *i)
{
	int fd = open(
	    at(i, CONF_FILE), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	const struct kmf_init_opts *o = i->o;

	if (f == NULL)
		return fail("cannot write %s", i->path);
	fprintf(f,
	    "# perch-kmf.conf; perch-kmf.conf(5) names every setting\n"
	    "base_url = %s\nlisten = %s\nmdds = %s\n",
	    i->url, i->listen, i->mdd);
	if (o->cert != NULL)
		fprintf(f, "tls_cert = %s\ntls_key = %s\n", o->cert, o->key);
	fprintf(f,
	    "\n# where people log in; without one, guests come by code\n"
	    "#[issuer corp]\n#url = https://sso.example/realms/corp\n"
	    "#client_id = perch\n");
	return fclose(f) == 0 ? 0 : fail("cannot write %s", i->path);
}

static int
cert_take(struct init *i)
{
	char why[512] = "", cert[4096], key[4096];
	int r;

	if (i->o->cert != NULL) {
		if (perc_httpd_check_cert(
			i->o->cert, i->o->key, why, sizeof(why)) != 0)
			return fail("%s", why);
		return 0;
	}
	snprintf(cert, sizeof(cert), "%s", at(i, "tls.crt"));
	snprintf(key, sizeof(key), "%s", at(i, "tls.key"));
	if ((r = kmf_selfsigned(cert, key, i->host)) != 0)
		return fail("cannot make a certificate: %s", perc_strerror(r));
	return 0;
}

static void
undo(struct init *i)
{
	size_t n;

	for (n = 0; n < sizeof(made) / sizeof(made[0]); n++)
		(void)unlink(at(i, made[n]));
	(void)rmdir(i->o->dir);
}

static void
tell(struct init *i)
{
	const char *d = i->o->dir;

	printf("%s is ready to be the KMF of %s\n\n", d, i->url);
	printf("start it:\n  perch-kmf serve -c %s/%s\n", d, CONF_FILE);
	printf("schedule, with the administrator's key (keep it secret):\n"
	       "  perch --client %s/%s",
	    d, KMF_ADMIN_FILE);
	if (i->o->cert == NULL)
		printf(" --ca %s/tls.crt", d);
	printf(" conference create --title Test\n");
	printf("give to MDDs and users' machines, it holds public keys:\n"
	       "  %s/%s\n",
	    d, KMF_KEYS_FILE);
	printf("back up %s/%s apart from the database: who has both has every "
	       "live conference.\n",
	    d, KMF_ROOT_FILE);
}

int
kmf_init(const struct kmf_init_opts *o)
{
	struct init i = { .o = o };
	char why[512] = "";

	(void)umask(077);
	if (url_take(&i) != 0)
		return fail("%s", "--url must be https://HOST[:PORT]");
	defaults_take(&i);
	if (dir_make(&i) != 0)
		return 1;
	if (cert_take(&i) != 0 || conf_write(&i) != 0)
		goto bad;
	if (kmf_keeper_init(o->dir, i.url,
		o->admin != NULL ? o->admin : "admin", why, sizeof(why)) != 0) {
		(void)fail("%s", why);
		goto bad;
	}
	tell(&i);
	return 0;
bad:
	undo(&i);
	return 1;
}
