/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another program of the same user, and a front that was taken over, try
 * against the real perch-vault: REQ-W-1 to W-3, REQ-WS-6.3b. Each attack is
 * run twice, and must fail against perch-vault and succeed against
 * perch-vault-weak with the guards named beside it taken out (weaken.py): an
 * attack that nothing stops and that fails all the same would prove nothing.
 *
 * Root may do anything, so the program becomes nobody first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"
#include "config.h"
#include "tests/tools/skip.h"

#define NOBODY 65534
#define CONF   ATTACK_CONF

static char home[] = "/tmp/attackXXXXXX"; /* the programs, readable */

/* ---- what a neighbour tries --------------------------------------------- */

static bool
in_memory(const uint8_t *hay, size_t n, const struct kit_conf *c)
{
	return memmem(hay, n, c->key, c->keylen) != NULL;
}

/* A page that cannot be read must not hide those behind it. */
static size_t
pages_read(int mem, uint8_t *buf, size_t n, off_t at)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), i = 0, all = 0;
	ssize_t got;

	while (i < n) {
		got = pread(mem, buf + i, n - i, at + (off_t)i);
		all += got > 0 ? (size_t)got : 0;
		i += got > 0 ? (size_t)got : page - i % page;
	}
	return all;
}

/* Does any readable page of the process hold the EKT key? */
static bool
memory_read(pid_t pid, const struct kit_conf *c)
{
	char path[64], line[512];
	unsigned long a, b;
	bool found = false;
	uint8_t *buf;
	FILE *maps;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	if ((maps = fopen(path, "r")) == NULL)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY);
	while (mem >= 0 && !found && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx rw", &a, &b) != 2 ||
		    b - a > (64u << 20))
			continue;
		buf = calloc(1, b - a);
		assert_non_null(buf);
		found = pages_read(mem, buf, b - a, (off_t)a) > 0 &&
		    in_memory(buf, b - a, c);
		free(buf);
	}
	if (mem >= 0)
		close(mem);
	fclose(maps);
	return found;
}

static bool
try_ptrace(struct proc *p, struct kit_conf *c)
{
	if (ptrace(PTRACE_SEIZE, p->pid, NULL, NULL) != 0)
		return false;
	(void)ptrace(PTRACE_DETACH, p->pid, NULL, NULL);
	return true;
}

static bool
try_memory(struct proc *p, struct kit_conf *c)
{
	return memory_read(p->pid, c);
}

static bool
try_vm_readv(struct proc *p, struct kit_conf *c)
{
	char buf[16];
	struct iovec l = { buf, sizeof(buf) }, r = { &l, sizeof(buf) };

	return process_vm_readv(p->pid, &l, 1, &r, 1, 0) >= 0 ||
	    errno == EFAULT; /* allowed, and only our guess was wrong */
}

static bool
try_descriptors(struct proc *p, struct kit_conf *c)
{
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", p->pid);
	if ((d = opendir(path)) == NULL)
		return false;
	closedir(d);
	return true;
}

static bool
try_environment(struct proc *p, struct kit_conf *c)
{
	char path[64], buf[4096];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", p->pid);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, buf, sizeof(buf)) < 0)
		return false;
	close(fd);
	return true;
}

/* A core file in the directory where it was started. */
static bool
try_core(struct proc *p, struct kit_conf *c)
{
	bool found = false;
	struct dirent *e;
	char path[320];
	struct stat st;
	uint8_t *buf;
	DIR *d;
	int fd;

	(void)kill(p->pid, SIGABRT);
	(void)waitpid(p->pid, NULL, 0);
	p->pid = 0;
	d = opendir(".");
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "core", 4) != 0)
			continue;
		fd = open(e->d_name, O_RDONLY);
		if (fd >= 0 && fstat(fd, &st) == 0) {
			buf = malloc((size_t)st.st_size);
			found = read(fd, buf, (size_t)st.st_size) > 0 &&
			    in_memory(buf, (size_t)st.st_size, c);
			free(buf);
		}
		close(fd);
		snprintf(path, sizeof(path), "%s", e->d_name);
		(void)unlink(path);
	}
	closedir(d);
	return found;
}

/* After the conference was left: in the heap, in freed pages, anywhere. */
static bool
try_after_leave(struct proc *p, struct kit_conf *c)
{
	assert_int_equal(kit_err(kit_call(&p->k, VAULT_LEAVE, 1, CONF)), 0);
	return memory_read(p->pid, c);
}

/* ---- what a front tries: true when the vault took it -------------------- */

static bool
taken(struct proc *p, uint16_t type, const char *text)
{
	return kit_err(kit_call(&p->k, type, 2, CONF, text)) == 0;
}

static bool
answer_try(
    struct proc *p, struct kit_conf *c, const struct kit_kmf *kmf, json_t *over)
{
	char *jwe = kit_answer(kmf, c, &p->k, over);
	bool r = taken(p, VAULT_KEY, jwe);

	free(jwe);
	return r;
}

/* The pinned key's name, another's signature. */
static bool
try_foreign_key(struct proc *p, struct kit_conf *c)
{
	struct kit_kmf other;
	bool r;

	kit_kmf_open(&other);
	kit_conf_rekey(c);
	r = answer_try(p, c, &other, NULL);
	kit_kmf_close(&other);
	return r;
}

/* One that the front held back until a newer was there: the evicted have it. */
static bool
try_older_epoch(struct proc *p, struct kit_conf *c)
{
	struct kit_conf old;
	char *st, *box;
	bool r;

	kit_conf_rekey(c);
	old = *c;
	kit_conf_rekey(c);
	kit_push(&p->k, &p->kmf, c);
	kit_settle(&p->k, 1100); /* its overlap, had it come in time */
	st = kit_statement(p->kmf.key, &old, NULL);
	box = kit_sealed(&old, &p->k);
	r = kit_err(kit_call(&p->k, VAULT_EPOCH, 3, CONF, st, box)) == 0;
	free(st);
	free(box);
	return r;
}

static bool
try_other_conference(struct proc *p, struct kit_conf *c)
{
	struct kit_conf other = *c;

	other.id = "c_other";
	kit_conf_rekey(&other);
	return answer_try(p, &other, &p->kmf, NULL);
}

static bool
try_other_endpoint(struct proc *p, struct kit_conf *c)
{
	kit_conf_rekey(c);
	return answer_try(p, c, &p->kmf,
	    json_pack(
		"{s:s}", "aud", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

/* An answer that the front kept, shown again after the call. */
static bool
try_replay(struct proc *p, struct kit_conf *c)
{
	char *jwe;
	bool r;

	kit_conf_rekey(c);
	jwe = kit_answer(&p->kmf, c, &p->k, NULL);
	assert_true(taken(p, VAULT_KEY, jwe));
	assert_int_equal(kit_err(kit_call(&p->k, VAULT_LEAVE, 1, CONF)), 0);
	assert_int_equal(
	    kit_err(kit_call(&p->k, VAULT_OPEN, 2, CONF, KIT_KMF)), 0);
	r = taken(p, VAULT_KEY, jwe);
	free(jwe);
	return r;
}

/* Somebody who is in no roster of the KMF's. */
static bool
try_forged_roster(struct proc *p, struct kit_conf *c)
{
	struct kit *const members[] = { &p->k };
	struct kit_kmf other;
	char *jws;
	bool r;

	kit_kmf_open(&other);
	jws = kit_roster(other.key, c, members, 1, NULL);
	r = taken(p, VAULT_ROSTER, jws);
	free(jws);
	kit_kmf_close(&other);
	return r;
}

/* A lesser cipher in the name of a newer epoch, signed by a careless KMF. */
static bool
try_downgrade(struct proc *p, struct kit_conf *c)
{
	kit_conf_rekey(c);
	c->keylen = 16; /* 32 before */
	return answer_try(p, c, &p->kmf, NULL);
}

/* ---- media without the inner layer --------------------------------------- */

#define PLAIN "this is what I say"

static size_t
rtp_fill(uint8_t *p, uint32_t ssrc)
{
	memset(p, 0, 12);
	p[0] = 0x80;
	p[1] = 111;
	p[11] = (uint8_t)ssrc;
	memcpy(p + 12, PLAIN, sizeof(PLAIN));
	return 12 + sizeof(PLAIN);
}

/* The front says it is a plain SRTP call: does the vault send in the clear? */
static bool
try_plain_out(struct proc *p, struct kit_conf *c)
{
	uint8_t packet[64];
	struct kit_msg m;
	bool r;

	p->k.app = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	kit_app_send_to(&p->k, p->in, packet, rtp_fill(packet, 9));
	assert_true(kit_wait(&p->k, VAULT_MEDIA_OUT, 0, &m));
	r = memmem(m.data, m.len, PLAIN, sizeof(PLAIN)) != NULL;
	kit_msg_clear(&m);
	close(p->k.app);
	return r;
}

/* And does it play what was never sealed, of a member's SSRC? */
static bool
try_plain_in(struct proc *p, struct kit_conf *c)
{
	struct kit other = {
		.name = "other", .member = "m_other", .ssrc = { 77, 78 }
	};
	struct kit *const members[] = { &p->k, &other };
	uint8_t packet[65] = { 0 }, got[2048];
	char *jws;
	bool r;

	jws = kit_roster(p->kmf.key, c, members, 2, NULL);
	assert_true(taken(p, VAULT_ROSTER, jws));
	free(jws);
	p->k.rx = -1;
	kit_listen(&p->k, kit_port(&p->k, 77));
	kit_send_raw(
	    &p->k, VAULT_MEDIA_IN, packet, 1 + rtp_fill(packet + 1, 77));
	kit_settle(&p->k, 50);
	r = kit_recv(&p->k, got, sizeof(got)) > 0;
	close(p->k.rx);
	return r;
}

/* ---- running them -------------------------------------------------------- */

static const struct attack {
	const char *name, *guards; /* that stand against it */
	bool (*run)(struct proc *p, struct kit_conf *c);
	size_t keylen;
	bool process; /* means nothing under a sanitizer, which opens it */
} attacks[] = {
	{ "ptrace", "harden", try_ptrace, 16, true },
	{ "/proc/PID/mem", "harden secmem", try_memory, 16, true },
	{ "process_vm_readv", "harden", try_vm_readv, 16, true },
	{ "/proc/PID/fd", "harden", try_descriptors, 16, true },
	{ "/proc/PID/environ", "harden", try_environment, 16, true },
	{ "core file", "harden secmem cage", try_core, 16, true },
	{ "swap", "harden secmem", try_swap, 16, true },
	{ "a key on a command line", "argv", try_argv, 16, false },
	{ "another user at our port", "owner", try_other_user, 16, false },
	{ "messages out of their order", "state", try_disorder, 16, false },
	{ "memory after leave", "harden secmem wipe", try_after_leave, 16,
	    true },
	{ "a key of a foreign KMF", "signature", try_foreign_key, 16, false },
	{ "an older epoch", "older", try_older_epoch, 16, false },
	{ "another conference's key", "conference", try_other_conference, 16,
	    false },
	{ "another endpoint's key", "audience", try_other_endpoint, 16, false },
	{ "an answer shown again", "replay", try_replay, 16, false },
	{ "a forged roster", "signature", try_forged_roster, 16, false },
	{ "a weaker cipher", "downgrade", try_downgrade, 32, false },
	{ "media sent unsealed", "plain", try_plain_out, 16, false },
	{ "unsealed media played", "plain", try_plain_in, 16, false },
};

#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

static void
attack_text(char *out, size_t cap, const char *path, const char *text)
{
	snprintf(out, cap, "%s/%s", home, path);
	proc_file_write(out, text);
}

static bool
attack_run(void **state, const struct attack *a, const char *guards)
{
	struct proc *p;
	struct kit_conf c;
	char path[64];
	bool r;

	attack_text(path, sizeof(path), "weak", guards);
	assert_int_equal(proc_setup(state), 0);
	p = *state;
	proc_program(p, *guards != '\0' ? "perch-vault-weak" : "perch-vault");
	proc_start(p, "--user-config");
	proc_enter(p, &c, a->keylen);
	r = a->run(p, &c);
	perc_jwk_free(p->k.seal);
	assert_int_equal(proc_teardown(state), 0);
	return r;
}

/* To see whether pages are locked we must be let in to look. */
static const char *
guards_out(const struct attack *a)
{
	return a->run == try_swap ? "harden" : "";
}

static void
test_attack(void **state)
{
	const struct attack *a = *state;
	void *world;

#ifdef PERCH_SANITIZED
	if (a->process)
		skip_because(
		    "a sanitizer needs a process that can be looked into");
#endif
	if (attack_run(&world, a, guards_out(a)))
		fail_msg("%s succeeds against perch-vault", a->name);
	if (!attack_run(&world, a, a->guards))
		fail_msg("%s fails even without %s", a->name, a->guards);
}

/* Wiping is a guard of its own: where anybody may read the memory, nothing
 * is left in it after a leave. */
static void
test_nothing_is_left(void **state)
{
	static const struct attack a = { "memory after leave", "",
		try_after_leave, 16, true };
	void *world;

#ifdef PERCH_SANITIZED
	skip_because("a sanitizer needs a process that can be looked into");
#endif
	if (attack_run(&world, &a, "harden secmem"))
		fail_msg("the EKT key is still in memory after a leave");
}

/* ---- becoming nobody ----------------------------------------------------- */

static void
program_copy(const char *name)
{
	const char *top = getenv("top_builddir");
	char cmd[1024];

	snprintf(cmd, sizeof(cmd), "cp %s/%s%s %s/", top ? top : ".",
	    strcmp(name, "perch-vault") == 0 ? "" : "tests/agent/", name, home);
	if (system(cmd) != 0) {
		printf("Bail out! cannot copy %s\n", name);
		exit(1);
	}
}

static void
become_nobody(void)
{
	if (mkdtemp(home) == NULL || chmod(home, 0755) != 0)
		exit(1);
	program_copy("perch-vault");
	program_copy("perch-vault-weak");
	if (getuid() == 0 &&
	    (chown(home, NOBODY, NOBODY) != 0 || setgroups(0, NULL) != 0 ||
		setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
		setresuid(NOBODY, NOBODY, NOBODY) != 0))
		exit(1);
	/* ids that changed make a process undumpable, also for its children */
	(void)prctl(PR_SET_DUMPABLE, 1);
	if (setenv("top_builddir", home, 1) != 0 || chdir(home) != 0)
		exit(1);
}

static int
home_remove(void **state)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", home);
	return chdir("/") != 0 || system(cmd) != 0;
}

/* Core files are the kernel's affair: elsewhere a program takes them. */
static bool
cores_are_files(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char pattern[128] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);

	if (fd < 0 || read(fd, pattern, sizeof(pattern) - 1) <= 0)
		return false;
	close(fd);
	return strncmp(pattern, "core", 4) == 0 &&
	    setrlimit(RLIMIT_CORE, &all) == 0;
}

int
main(void)
{
	struct CMUnitTest tests[ATTACKS + 1] = { 0 };
	bool cores = cores_are_files();
	size_t n = 0;

	attack_other_start();
	become_nobody();
	for (size_t i = 0; i < ATTACKS; i++)
		if ((cores || attacks[i].run != try_core) &&
		    (attack_other_there() || attacks[i].run != try_other_user))
			tests[n++] = (struct CMUnitTest){
				.name = attacks[i].name,
				.test_func = test_attack,
				.initial_state = (void *)(uintptr_t)&attacks[i],
			};
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_nothing_is_left);
	return _cmocka_run_group_tests("attack", tests, n, NULL, home_remove);
}
