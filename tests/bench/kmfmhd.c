/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KMF's own HTTPS stack with nothing above it: libmicrohttpd in epoll
 * mode on GnuTLS reads whole requests and answers each at once. Beside
 * kmftls.c this tells what HTTP costs there; nobody waits for a keeper, so
 * suspending and resuming are not in it.
 */
#include "tests/bench/kmf.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRIORITY "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define POOL	 12800 /* as perc/httpd.c */
#define HEAD	 150   /* octets before the body, about */
#define PEM_MAX	 16384

struct server {
	const size_t *octets;
	unsigned left; /* connections that have not ended */
};

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *mc, const char *url,
    const char *method, const char *version, const char *upload,
    size_t *upload_len, void **ctx)
{
	struct server *s = cls;
	struct MHD_Response *resp;
	enum MHD_Result ok;
	char *body;

	if (*ctx == NULL) { /* the head */
		*ctx = s;
		return MHD_YES;
	}
	if (*upload_len != 0) {
		*upload_len = 0;
		return MHD_YES;
	}
	if ((body = calloc(1, *s->octets)) == NULL)
		return MHD_NO;
	resp = MHD_create_response_from_buffer(
	    *s->octets > HEAD ? *s->octets - HEAD : 0, body,
	    MHD_RESPMEM_MUST_FREE);
	if (resp == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(resp, "Cache-Control", "no-store");
	ok = MHD_queue_response(mc, 200, resp);
	MHD_destroy_response(resp);
	return ok;
}

static void
on_conn(void *cls, struct MHD_Connection *mc, void **ctx,
    enum MHD_ConnectionNotificationCode what)
{
	struct server *s = cls;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED)
		s->left--;
}

static bool
pem_read(char out[static PEM_MAX], const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n = f != NULL ? fread(out, 1, PEM_MAX - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	out[n] = '\0';
	return n != 0;
}

int
bench_mhd_serve(
    int ls, unsigned n, const size_t *octets, const char *cert, const char *key)
{
	static char cert_pem[PEM_MAX], key_pem[PEM_MAX];
	struct server s = { octets, n };
	struct MHD_Daemon *d;

	if (!pem_read(cert_pem, cert) || !pem_read(key_pem, key))
		return PERC_ERR_SYS;
	d = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TLS, 0, NULL, NULL,
	    on_request, &s, MHD_OPTION_LISTEN_SOCKET, ls,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL,
	    MHD_OPTION_HTTPS_PRIORITIES, PRIORITY, MHD_OPTION_HTTPS_MEM_CERT,
	    cert_pem, MHD_OPTION_HTTPS_MEM_KEY, key_pem,
	    MHD_OPTION_NOTIFY_CONNECTION, on_conn, &s, MHD_OPTION_END);
	if (d == NULL)
		return PERC_ERR_SYS;
	while (s.left != 0)
		(void)MHD_run_wait(d, -1);
	MHD_stop_daemon(d);
	return 0;
}
