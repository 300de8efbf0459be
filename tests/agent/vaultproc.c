/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts perch-vault as its supervisor does: descriptors at their places,
 * nothing else inherited, standard error in a pipe.
 */
#include "vaultproc.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/json.h"
#include "perc/proc.h"

void
proc_file_write(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

int
proc_setup(void **state)
{
	struct proc *p = calloc(1, sizeof(*p));
	char *pub, text[1024];

	snprintf(p->dir, sizeof(p->dir), "/tmp/vaultXXXXXX");
	assert_non_null(mkdtemp(p->dir));
	assert_int_equal(chmod(p->dir, 0755), 0);
	snprintf(p->conf, sizeof(p->conf), "%s/vault.conf", p->dir);
	snprintf(p->keys, sizeof(p->keys), "%s/kmf-keys.json", p->dir);
	kit_kmf_open(&p->kmf);
	assert_int_equal(perc_jwk_public_json(&pub, p->kmf.key), 0);
	snprintf(text, sizeof(text), "{\"keys\":[%s]}\n", pub);
	perc_json_free(pub);
	proc_file_write(p->keys, text);
	proc_file_write(p->conf,
	    "require_protection = no\n[kmf test]\nurl = " KIT_KMF
	    "\nkeys = kmf-keys.json\n");
	assert_int_equal(perc_loop_new(&p->loop), 0);
	p->err = p->word = -1;
	*state = p;
	return 0;
}

int
proc_teardown(void **state)
{
	struct proc *p = *state;
	unsigned i;

	if (p->pid > 0) {
		(void)kill(p->pid, SIGKILL);
		(void)waitpid(p->pid, NULL, 0);
	}
	if (p->err >= 0)
		close(p->err);
	if (p->word >= 0)
		close(p->word);
	perc_chan_free(p->k.chan);
	for (i = 0; i < p->k.nq; i++)
		free(p->k.q[i].data);
	perc_loop_free(p->loop);
	kit_kmf_close(&p->kmf);
	(void)unlink(p->conf);
	(void)unlink(p->keys);
	(void)rmdir(p->dir);
	free(p);
	return 0;
}

static int
udp(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

const char *
proc_binary(void)
{
	static char path[512];
	const char *top = getenv("top_builddir");

	snprintf(path, sizeof(path), "%s/perch-vault", top ? top : ".");
	return path;
}

void
proc_program(struct proc *p, const char *name)
{
	p->program = name;
}

static int
on_msg(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kit *k = arg;
	struct kit_msg *q = &k->q[k->nq++];

	*q = (struct kit_msg){ m->type, m->id, malloc(m->len + 1), m->len };
	memcpy(q->data, m->data, m->len);
	return 0;
}

static void
on_gone(struct perc_chan *c, int why, void *arg)
{
	((struct kit *)arg)->closed = true;
}

static const struct perc_chan_rule rules[] = {
	{ VAULT_READY, ~0u, 65536, on_msg },
	{ VAULT_DONE, ~0u, 65536, on_msg },
	{ VAULT_ERASED, ~0u, 65536, on_msg },
	{ VAULT_STREAMS, ~0u, 65536, on_msg },
	{ VAULT_SPEAKING, ~0u, 65536, on_msg },
	{ VAULT_PROOF_IS, ~0u, 65536, on_msg },
	{ VAULT_STATUS_IS, ~0u, 65536, on_msg },
	{ VAULT_MEDIA_OUT, ~0u, 4096, on_msg },
};

void
proc_start(struct proc *p, const char *option)
{
	char *argv[] = { (char *)(uintptr_t) "perch-vault",
		(char *)(uintptr_t) "-c", p->conf,
		(char *)(uintptr_t) "-o20000", (char *)(uintptr_t)option,
		NULL };
	int fds[VAULT_FDS], sv[2], word[2], e[2], saved, i, r;
	char path[512];

	assert_int_equal(perc_proc_pair(sv), 0);
	assert_int_equal(pipe2(e, O_CLOEXEC), 0);
	assert_int_equal(perc_proc_pair(word), 0);
	fds[0] = sv[1];
	for (i = 1; i < VAULT_FD_DIAG - PERC_PROC_FD; i++)
		fds[i] = udp();
	fds[i] = p->no_diag
	    ? udp()
	    : socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	assert_true(fds[i] >= 0);
	fds[++i] = word[1];
	p->word = word[0];
	/* LeakSanitizer attaches to its own process: the cage forbids that. */
	assert_int_equal(setenv("ASAN_OPTIONS", "detect_leaks=0", 1), 0);
	saved = fcntl(2, F_DUPFD_CLOEXEC, 10);
	assert_true(dup2(e[1], 2) >= 0);
	snprintf(path, sizeof(path), "%s", proc_binary());
	if (p->program != NULL)
		strcpy(strrchr(path, '/') + 1, p->program);
	r = perc_proc_spawn(&p->pid, path, argv, fds, VAULT_FDS);
	assert_true(dup2(saved, 2) >= 0);
	close(saved);
	assert_int_equal(r, 0);
	for (i = 0; i < VAULT_FDS; i++)
		close(fds[i]);
	close(e[1]);
	p->err = e[0];
	p->k.loop = p->loop;
	assert_int_equal(perc_chan_new(&p->k.chan, p->loop, sv[0], rules,
			     sizeof(rules) / sizeof(rules[0]), on_gone, &p->k),
	    0);
}

int
proc_end(struct proc *p, char *text, size_t cap)
{
	int status;
	size_t n = 0;
	ssize_t got;

	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	p->pid = 0;
	while (n + 1 < cap && (got = read(p->err, text + n, cap - n - 1)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

json_t *
proc_ready(struct proc *p)
{
	uint32_t id = kit_send(&p->k, VAULT_HELLO, 0);
	struct kit_msg m;
	struct perc_wire w;
	const char *seal;
	json_t *report;

	assert_true(kit_wait(&p->k, VAULT_READY, id, &m));
	perc_wire_reader(&w, m.data, m.len);
	perc_wire_get_str(&w);
	seal = perc_wire_get_str(&w);
	assert_null(strstr(seal, "\"d\""));
	assert_int_equal(
	    perc_jwk_from_json(&p->k.seal, seal, strlen(seal), true), 0);
	perc_wire_get_str(&w);
	report = json_loads(perc_wire_get_str(&w), 0, NULL);
	assert_int_equal(perc_wire_end(&w), 0);
	kit_msg_clear(&m);
	p->in = (uint16_t)json_integer_value(json_object_get(
	    json_array_get(json_object_get(report, "in"), 0), "port"));
	return report;
}

/* Joins behind the cage: every system call and algorithm it needs is there. */
void
proc_join(struct proc *p, struct kit_conf *c)
{
	proc_enter(p, c, 16);
	perc_jwk_free(p->k.seal);
}

void
proc_enter(struct proc *p, struct kit_conf *c, size_t keylen)
{
	kit_conf_init(c, "c_real");
	c->keylen = keylen;
	snprintf(p->k.member, sizeof(p->k.member), "m_x");
	p->k.ssrc[0] = 1;
	p->k.ssrc[1] = 2;
	json_decref(proc_ready(p));
	kit_join(&p->k, &p->kmf, c);
	kit_conf_rekey(c);
	kit_push(&p->k, &p->kmf, c);
}
