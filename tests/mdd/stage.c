/* SPDX-License-Identifier: Apache-2.0 */
/* The world of stage.h. What goes wrong here fails the running test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/httpc.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/loop.h"
#include "tests/mdd/stage.h"
#include "tests/tools/port.h"

static char dir[] = "/tmp/perch-mdd-XXXXXX";
static struct {
	pid_t pid; /* 0: does not run */
	char base[64];
	unsigned port;
} mdds[STAGE_MDDS];
static struct perc_jwk *kmf_key;
char base[64];
const char *stage_more;

/* ---- the daemon ------------------------------------------------------- */

void
path_of(char out[128], const char *name)
{
	(void)snprintf(out, 128, "%s/%s", dir, name);
}

static void
put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	path_of(path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void
file_of(char out[128], unsigned i, const char *suffix)
{
	char name[32];

	if (i == 0)
		(void)snprintf(name, sizeof(name), "mdd.%s", suffix);
	else
		(void)snprintf(name, sizeof(name), "mdd%u.%s", i, suffix);
	path_of(out, name);
}

static void
daemon_start(unsigned i)
{
	char bin[512], conf[128], log[128];
	const char *build = getenv("top_builddir");
	int fd;

	(void)snprintf(
	    bin, sizeof(bin), "%s/perch-mdd", build == NULL ? "." : build);
	file_of(conf, i, "conf");
	file_of(log, i, "log");
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_true(fd >= 0);
	/* A leak check needs ptrace, which the cage forbids. */
	(void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	mdds[i].pid = fork();
	if (mdds[i].pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		(void)dup2(fd, 1);
		(void)dup2(fd, 2);
		(void)execl(bin, bin, "serve", "-c", conf, (char *)NULL);
		_exit(127);
	}
	(void)close(fd);
	assert_true(mdds[i].pid > 0);
}

pid_t
stage_pid(void)
{
	return mdds[0].pid;
}

int
stage_wait(int ms)
{
	int64_t end = perc_now_ms() + ms;
	int status = -1;

	while (waitpid(mdds[0].pid, &status, WNOHANG) == 0) {
		assert_true(perc_now_ms() < end);
		(void)usleep(20000);
	}
	mdds[0].pid = 0;
	return status;
}

/* Children of the supervisor with "worker" for their first argument. */
unsigned
stage_workers_of(unsigned i, pid_t *pid, unsigned max)
{
	char path[64], args[256] = "";
	unsigned n = 0;
	FILE *list, *f;
	int child;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)mdds[i].pid, (int)mdds[i].pid);
	list = fopen(path, "r");
	assert_non_null(list);
	while (fscanf(list, "%d", &child) == 1) {
		(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", child);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		memset(args, 0, sizeof(args));
		(void)!fread(args, 1, sizeof(args) - 1, f);
		(void)fclose(f);
		if (strcmp(args + strlen(args) + 1, "worker") == 0 && n < max)
			pid[n++] = child;
	}
	(void)fclose(list);
	return n;
}

unsigned
stage_workers(pid_t *pid, unsigned max)
{
	return stage_workers_of(0, pid, max);
}

/* ---- HTTP ------------------------------------------------------------- */

static struct answer last; /* owns the JSON that http() gave out */

static void
on_answer(const struct perc_httpc_answer *h, void *arg)
{
	struct answer *a = arg;

	a->err = h->err;
	a->status = h->status;
	(void)snprintf(
	    a->text, sizeof(a->text), "%s", h->body == NULL ? "" : h->body);
	a->json = json_loads(a->text, 0, NULL);
}

struct answer
http(const char *method, const char *path, const char *token, const char *body)
{
	char url[256], ca[128], *auth = NULL;
	const char *headers[3] = { NULL };
	struct perc_httpc_conf conf = { .ca_file = ca };

	json_decref(last.json);
	memset(&last, 0, sizeof(last));
	path_of(ca, "tls.crt");
	(void)snprintf(url, sizeof(url), "%s%s", base, path);
	if (token != NULL) {
		auth = malloc(strlen(token) + 32);
		assert_non_null(auth);
		(void)sprintf(auth, "Authorization: Bearer %s", token);
		headers[0] = auth;
		headers[1] = body != NULL && strncmp(body, "v=0", 3) == 0
		    ? "Content-Type: application/sdp"
		    : "Content-Type: application/json";
	}
	last.err = perc_httpc_once(&conf, method, url, headers, body,
	    body == NULL ? 0 : strlen(body), on_answer, &last);
	free(auth);
	return last;
}

void
expect(struct answer a, int status, const char *code)
{
	if (a.err != 0 || a.status != status)
		fail_msg("err %d status %d, not %d: %s", a.err, a.status,
		    status, a.text);
	if (code != NULL)
		assert_string_equal(perc_json_str(a.json, "code"), code);
	if (status >= 400)
		assert_non_null(perc_json_str(a.json, "request_id"));
}

/* A counter's sum over both workers. */
uint64_t
metric(const char *name, const char *label)
{
	struct answer a = http("GET", "/metrics", NULL, NULL);
	uint64_t sum = 0;
	char *line, *save = NULL;

	expect(a, 200, NULL);
	for (line = strtok_r(a.text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, name, strlen(name)) == 0 &&
		    line[strlen(name)] == '{' &&
		    (label == NULL || strstr(line, label) != NULL))
			sum += strtoull(strrchr(line, ' ') + 1, NULL, 10);
	return sum;
}

/* Workers tell once a second. */
void
metric_reaches(const char *name, const char *label, uint64_t want)
{
	uint64_t got = 0;
	int i;

	for (i = 0; i < 200; i++) {
		if ((got = metric(name, label)) >= want)
			return;
		(void)usleep(100000);
	}
	fail_msg("%s{%s} is %llu, not %llu", name, label,
	    (unsigned long long)got, (unsigned long long)want);
}

/* ---- members ---------------------------------------------------------- */

const char *stage_cascade; /* the claim of that name */
uint32_t stage_second;

json_t *
claims(const struct member *m)
{
	char pin[64];
	int64_t now = perc_wall_ms() / 1000;
	json_t *c;

	perc_b64_put(pin, m->p.fp, sizeof(m->p.fp));
	c = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[I], s:{s:s}, s:I,"
		      " s:I, s:s}",
	    "iss", KMF, "aud", base, "sub", m->name, "client_id", "perch-agent",
	    "scope", "join", "conference", m->conference, "ssrcs",
	    (json_int_t)m->ssrc, "cnf", "x5t#S256", pin, "iat", (json_int_t)now,
	    "exp", (json_int_t)now + 600, "jti", "j");
	if (stage_second != 0)
		json_array_append_new(json_object_get(c, "ssrcs"),
		    json_integer((json_int_t)m->ssrc + stage_second));
	if (stage_cascade != NULL)
		json_object_set_new(
		    c, "cascade", json_pack("[s]", stage_cascade));
	return c;
}

char *
sign(json_t *c)
{
	char *text = NULL;

	assert_int_equal(perc_jws_sign(&text, kmf_key, "at+jwt", c, false), 0);
	json_decref(c);
	return text;
}

void
member_join(
    struct member *m, const char *name, const char *conference, uint32_t ssrc)
{
	struct answer a;
	const char *fp;

	memset(m, 0, sizeof(*m));
	m->name = name;
	m->conference = conference;
	m->ssrc = ssrc;
	peer_open(&m->p);
	m->token = sign(claims(m));
	a = http("POST", "/v1/join", m->token, BODY);
	expect(a, 201, NULL);
	(void)snprintf(
	    m->leg, sizeof(m->leg), "%s", perc_json_str(a.json, "leg"));
	(void)snprintf(m->p.ufrag, sizeof(m->p.ufrag), "%s",
	    perc_json_str(a.json, "ufrag"));
	(void)snprintf(
	    m->p.pwd, sizeof(m->p.pwd), "%s", perc_json_str(a.json, "pwd"));
	fp = perc_json_str(a.json, "fingerprint");
	assert_int_equal(perc_fingerprint_get(m->p.mdd_fp, fp), 0);
	m->port = (unsigned)json_integer_value(json_object_get(a.json, "port"));
	assert_string_equal(perc_json_str(a.json, "host"), "127.0.0.1");
	assert_in_range(
	    json_integer_value(json_object_get(a.json, "expires_in")), 590,
	    600);
	m->p.mdd.sin_family = AF_INET;
	m->p.mdd.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	m->p.mdd.sin_port = htons((uint16_t)m->port);
}

void
member_end(struct member *m)
{
	peer_close(&m->p);
	free(m->token);
	memset(m, 0, sizeof(*m));
}

void
two(struct member *a, struct member *b, const char *conference)
{
	member_join(a, "m_a", conference, SSRC_A);
	member_join(b, "m_b", conference, SSRC_B);
	assert_int_equal(a->port, b->port); /* one worker has it */
	assert_true(peer_connect(&a->p, 30000));
	assert_true(peer_connect(&b->p, 30000));
}

/* ---- set-up ----------------------------------------------------------- */

void
stage_use(unsigned i)
{
	memcpy(base, mdds[i].base, sizeof(base));
}

const char *
stage_base(unsigned i)
{
	if (mdds[i].port == 0) {
		mdds[i].port = port_take();
		assert_int_not_equal(mdds[i].port, 0);
		(void)snprintf(mdds[i].base, sizeof(mdds[i].base),
		    "https://localhost:%u", mdds[i].port);
	}
	return mdds[i].base;
}

void
stage_conf(unsigned i, const char *settings, const char *sections)
{
	const char *url = stage_base(i); /* which chooses the port */
	char text[4096], path[128];

	(void)snprintf(text, sizeof(text),
	    "base_url = %s\nlisten = 127.0.0.1:%u\ntls_cert = tls.crt\n"
	    "tls_key = tls.key\nmedia_port = 0\n%s"
	    "[kmf test]\nurl = " KMF "\nkeys = keys.json\n%s",
	    url, mdds[i].port, settings, sections);
	file_of(path, i, "conf");
	put_file(strrchr(path, '/') + 1, text);
}

int
stage_start(unsigned i)
{
	int n;

	daemon_start(i);
	stage_use(i);
	for (n = 0; n < 200; n++) {
		if (http("GET", "/readyz", NULL, NULL).status == 200)
			return 0;
		assert_int_equal(waitpid(mdds[i].pid, NULL, WNOHANG), 0);
		(void)usleep(50000);
	}
	return -1;
}

int
stage_stop(unsigned i, int signo)
{
	int status = -1;

	if (mdds[i].pid == 0)
		return 0;
	(void)kill(mdds[i].pid, signo);
	(void)waitpid(mdds[i].pid, &status, 0);
	mdds[i].pid = 0;
	return status;
}

void
stage_setup(void)
{
	char cmd[600], text[2048], *jwk = NULL;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(perc_srtcp_warm_up(), 0);
	assert_non_null(mkdtemp(dir));
	(void)umask(077);
	(void)snprintf(cmd, sizeof(cmd),
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:"
	    "prime256v1 -nodes -days 2 -subj /CN=mdd -addext "
	    "subjectAltName=DNS:localhost -keyout %s/tls.key -out %s/tls.crt "
	    "2>%s/openssl.log",
	    dir, dir, dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(perc_jwk_generate(&kmf_key), 0);
	assert_int_equal(perc_jwk_public_json(&jwk, kmf_key), 0);
	(void)snprintf(text, sizeof(text), "{\"keys\": [%s]}", jwk);
	perc_json_free(jwk);
	put_file("keys.json", text);
}

int
stage_open(void **state)
{
	char settings[1024];

	stage_setup();
	(void)snprintf(settings, sizeof(settings), "workers = 2\n%s",
	    stage_more == NULL ? "" : stage_more);
	stage_conf(0, settings, "");
	return stage_start(0);
}

int
stage_close(void **state)
{
	int status = 0, bad = -1;
	char cmd[256], log[128];
	unsigned i;

	for (i = 0; i < STAGE_MDDS; i++)
		if ((status = stage_stop(i, SIGTERM)) != 0)
			bad = (int)i;
	perc_jwk_free(kmf_key);
	json_decref(last.json);
	memset(&last, 0, sizeof(last));
	if (bad >= 0) {
		file_of(log, (unsigned)bad, "log");
		(void)snprintf(cmd, sizeof(cmd), "sed 's/^/# /' '%s'", log);
	} else {
		(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	}
	(void)!system(cmd);
	return bad >= 0 ? -1 : 0;
}
