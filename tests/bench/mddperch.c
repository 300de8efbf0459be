/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real perch-mdd with one worker: members join by HTTPS with tokens of a
 * KMF that is a key in this program, prove their address, shake hands by
 * DTLS, and only then send.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/b64.h"
#include "perc/httpc.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/loop.h"
#include "tests/bench/mddrig.h"
#include "tests/mdd/peer.h"

#define KMF	 "https://kmf.example"
#define CHECK_MS 8000
#define BODY	 "{\"ufrag\": \"mine\", \"pwd\": \"0123456789012345678901\"}"

static pid_t daemon_pid;
static struct perc_jwk *kmf_key;
static char base[64];

struct answer {
	int status;
	json_t *json;
};

static void
on_answer(const struct perc_httpc_answer *h, void *arg)
{
	struct answer *a = arg;

	a->status = h->err != 0 ? 0 : h->status;
	a->json = h->body == NULL ? NULL : json_loads(h->body, 0, NULL);
}

static struct answer
http(const struct rig *r, const char *path, const char *token)
{
	char url[128], ca[96], auth[4096];
	const char *headers[] = { auth, "Content-Type: application/json",
		NULL };
	struct perc_httpc_conf conf = { .ca_file = ca };
	struct answer a = { 0 };

	(void)snprintf(url, sizeof(url), "%s%s", base, path);
	(void)snprintf(ca, sizeof(ca), "%s/tls.crt", r->dir);
	(void)snprintf(auth, sizeof(auth), "Authorization: Bearer %s",
	    token == NULL ? "none" : token);
	(void)!perc_httpc_once(&conf, token == NULL ? "GET" : "POST", url,
	    headers, token == NULL ? NULL : BODY,
	    token == NULL ? 0 : strlen(BODY), on_answer, &a);
	return a;
}

static void
put_file(const struct rig *r, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	need((f = fopen(path, "w")) != NULL && fputs(text, f) >= 0 &&
	    fclose(f) == 0);
}

static unsigned
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(bind(fd, (struct sockaddr *)&a, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

static void
files_make(const struct rig *r)
{
	char text[2048], cmd[512], *jwk = NULL;
	unsigned port = free_port();

	(void)snprintf(cmd, sizeof(cmd),
	    "cd '%s' && openssl req -x509 -newkey ec -pkeyopt "
	    "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mdd -addext "
	    "subjectAltName=DNS:localhost -keyout tls.key -out tls.crt "
	    "2>openssl.log",
	    r->dir);
	need(system(cmd) == 0);
	need(perc_jwk_generate(&kmf_key) == 0 &&
	    perc_jwk_public_json(&jwk, kmf_key) == 0);
	(void)snprintf(text, sizeof(text), "{\"keys\": [%s]}", jwk);
	perc_json_free(jwk);
	put_file(r, "keys.json", text);
	(void)snprintf(base, sizeof(base), "https://localhost:%u", port);
	(void)snprintf(text, sizeof(text),
	    "base_url = %s\nlisten = 127.0.0.1:%u\ntls_cert = tls.crt\n"
	    "tls_key = tls.key\nmedia_port = 0\nworkers = 1\n"
	    "max_leg_pps = %u\nmax_leg_kbps = 10000000\n"
	    "max_conference_legs = %u\nsegments = %s\n"
	    "[kmf bench]\nurl = " KMF "\nkeys = keys.json\n",
	    base, port, r->leg_pps != 0 ? r->leg_pps : 1000000, RIG_MEMBERS,
	    r->no_segments ? "no" : "yes");
	put_file(r, "mdd.conf", text);
}

/* The process that forwards: the one of the daemon's children with "worker"
 * in its arguments. */
static pid_t
worker_find(void)
{
	char path[64], args[256] = "";
	int pid, found = 0;
	FILE *list, *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)daemon_pid, (int)daemon_pid);
	need((list = fopen(path, "r")) != NULL);
	while (fscanf(list, "%d", &pid) == 1) {
		(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
		need((f = fopen(path, "r")) != NULL);
		need(fread(args, 1, sizeof(args) - 1, f) > 0);
		(void)fclose(f);
		if (strcmp(args + strlen(args) + 1, "worker") == 0)
			found = pid;
	}
	(void)fclose(list);
	need(found != 0);
	return found;
}

static void
daemon_start(struct rig *r)
{
	char conf[96], log[96];
	struct answer a = { 0 };
	int i, fd;

	(void)snprintf(conf, sizeof(conf), "%s/mdd.conf", r->dir);
	(void)snprintf(log, sizeof(log), "%s/mdd.log", r->dir);
	need((fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600)) >= 0);
	daemon_pid = fork();
	need(daemon_pid >= 0);
	if (daemon_pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		(void)dup2(fd, 1);
		(void)dup2(fd, 2);
		(void)execl(r->mdd, r->mdd, "serve", "-c", conf, (char *)NULL);
		_exit(127);
	}
	(void)close(fd);
	for (i = 0; i < 200 && a.status != 200; i++) {
		(void)usleep(50000);
		a = http(r, "/readyz", NULL);
		json_decref(a.json);
	}
	need(a.status == 200);
	r->pid = worker_find();
}

static char *
token(const struct rig *r, const struct peer *p, unsigned i, uint32_t ssrc)
{
	int64_t now = perc_wall_ms() / 1000;
	char pin[64], name[16], conf[16], *text = NULL;
	json_t *c;

	perc_b64_put(pin, p->fp, sizeof(p->fp));
	(void)snprintf(name, sizeof(name), "m_%u", i);
	(void)snprintf(conf, sizeof(conf), "c_%u",
	    r->conferences > 1 ? i % r->conferences : 0);
	c = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[I], s:{s:s}, s:I, s:I,"
		      " s:s}",
	    "iss", KMF, "aud", base, "sub", name, "client_id", "perch-agent",
	    "scope", "join", "conference", conf, "ssrcs", (json_int_t)ssrc,
	    "cnf", "x5t#S256", pin, "iat", (json_int_t)now, "exp",
	    (json_int_t)now + 600, "jti", "j");
	need(perc_jws_sign(&text, kmf_key, "at+jwt", c, false) == 0);
	json_decref(c);
	return text;
}

/* Over the member's own socket; what remains of it is the sending hop. */
static void
member_join(struct rig *r, unsigned i)
{
	struct rig_member *m = &r->m[i];
	struct peer p;
	struct answer a;
	char *t;

	memset(&p, 0, sizeof(p));
	need(perc_dtls_id_generate(&p.id, "peer", 2) == 0);
	perc_dtls_id_fingerprint(p.id, p.fp);
	p.fd = m->fd;
	p.self = m->self;
	t = token(r, &p, i, m->ssrc);
	a = http(r, "/v1/join", t);
	need(a.status == 201);
	(void)snprintf(
	    p.ufrag, sizeof(p.ufrag), "%s", perc_json_str(a.json, "ufrag"));
	(void)snprintf(
	    p.pwd, sizeof(p.pwd), "%s", perc_json_str(a.json, "pwd"));
	memcpy(m->ufrag, p.ufrag, sizeof(m->ufrag));
	memcpy(m->pwd, p.pwd, sizeof(m->pwd));
	m->checked_ms = perc_now_ms();
	need(perc_fingerprint_get(
		 p.mdd_fp, perc_json_str(a.json, "fingerprint")) == 0);
	p.mdd.sin_family = AF_INET;
	p.mdd.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p.mdd.sin_port = htons(
	    (uint16_t)json_integer_value(json_object_get(a.json, "port")));
	json_decref(a.json);
	perc_json_free(t);
	need(peer_connect(&p, 5000));
	m->to = p.mdd;
	m->tx = p.tx;
	p.tx = NULL;
	p.fd = -1; /* the rig's */
	peer_close(&p);
}

/* Consent, or the legs end (RFC 7675). */
static void
perch_keep(struct rig *r)
{
	struct rig_member *m;
	struct peer p;

	for (m = r->m; m < r->m + r->n; m++) {
		if (perc_now_ms() - m->checked_ms < CHECK_MS)
			continue;
		memset(&p, 0, sizeof(p));
		p.fd = m->fd;
		p.mdd = m->to;
		memcpy(p.ufrag, m->ufrag, sizeof(p.ufrag));
		memcpy(p.pwd, m->pwd, sizeof(p.pwd));
		need(peer_keep(&p));
		m->checked_ms = perc_now_ms();
	}
}

static bool
perch_start(struct rig *r)
{
	unsigned i;

	need(perc_srtcp_warm_up() == 0);
	files_make(r);
	daemon_start(r);
	for (i = 0; i < r->n; i++)
		member_join(r, i);
	return true;
}

static void
perch_stop(struct rig *r)
{
	(void)kill(daemon_pid, SIGTERM);
	(void)waitpid(daemon_pid, NULL, 0);
	perc_jwk_free(kmf_key);
	kmf_key = NULL;
}

const struct sut sut_perch = { "perch-mdd", true, perch_start, perch_stop, NULL,
	perch_keep };
