/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-vault: started by perch-agent's supervisor, never by hand. The order
 * is the point: secret memory before the first library call, so that no key
 * ever lies in an ordinary page; hardening before anything is read; every
 * library warm before the cage shuts; READY only behind the cage.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/vault.h"
#include "config.h"
#include "perc/keywrap.h"
#include "perc/log.h"
#include "perc/sandbox.h"

#define VAULT_CONF PERCH_SYSCONFDIR "/vault.conf"

struct options {
	const char *file;
	long out_base; /* where the configuration names none */
	bool user_config;
};

static void
usage(FILE *to)
{
	fputs("usage: perch-vault [-c FILE] [-o PORT] [--user-config]\n"
	      "       perch-vault --help-config | --help | --version\n"
	      "\n"
	      "Holds the end-to-end keys of this machine's user. Started by "
	      "perch-agent,\n"
	      "from which it has its descriptors, and never by hand.\n"
	      "\n"
	      "  -c FILE         configuration (default " VAULT_CONF ")\n"
	      "  -o PORT         first port for remote streams, where FILE "
	      "names none\n"
	      "  --user-config   FILE and the keys that it names may be this "
	      "user's own\n"
	      "  --help-config   every setting with its default\n"
	      "  --version       what this is\n",
	    to);
}

static void
options_read(struct options *o, int argc, char *argv[])
{
	static const struct option longs[] = {
		{ "user-config", no_argument, NULL, 'u' },
		{ "help-config", no_argument, NULL, 'H' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "c:o:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'o':
			o->out_base = strtol(optarg, &end, 10);
			if (*end != '\0' || o->out_base < 1024 ||
			    o->out_base > 65536 - VAULT_OUT_PORTS ||
			    o->out_base % 2 != 0)
				fatalx("-o wants an even port, 1024 to %d",
				    65536 - VAULT_OUT_PORTS);
			break;
		case 'u':
			o->user_config = true;
			break;
		case 'H':
			perc_conf_print_help(vault_conf_sections);
			exit(0);
		case 'V':
			puts(PACKAGE_STRING);
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind != argc) {
		usage(stderr);
		exit(2);
	}
}

/* As much as the memory lock limit gives: Debian's default is 8 MiB. */
static void
secmem_start(void)
{
	static const size_t sizes[] = { 16u << 20, 7u << 20, 4u << 20,
		1u << 20 };
	size_t i;
	int r = PERC_ERR_SYS;

	for (i = 0; r != 0 && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		r = perc_secmem_init(sizes[i]);
}

static int
socket_at(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
		return -1;
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

static void
descriptors_take(struct vault_setup *s)
{
	unsigned i, k;

	s->chan_fd = socket_at(PERC_PROC_FD);
	s->out_fd = socket_at(VAULT_FD_OUT);
	s->diag_fd = socket_at(VAULT_FD_DIAG);
	if (s->chan_fd < 0 || s->out_fd < 0) {
		usage(stderr);
		exit(2);
	}
	for (i = 0; i < VAULT_SLOTS; i++)
		for (k = 0; k < VAULT_LOCAL_STREAMS; k++) {
			s->local_fd[i][k][0] =
			    socket_at(VAULT_FD_LOCAL(i, k, 0));
			s->local_fd[i][k][1] =
			    socket_at(VAULT_FD_LOCAL(i, k, 1));
		}
}

/*
 * Once through every algorithm that the vault will use, because OpenSSL
 * reads files and fetches code at the first use of each.
 */
static int
warm_up(void)
{
	uint8_t key[32] = { 1 }, in[64] = { 2 }, out[128], tag[32];
	struct perc_jwk *k = NULL;
	struct perc_jws j = { 0 };
	char *jws = NULL, *jwe = NULL, *open = NULL;
	json_t *claims = json_pack("{s:s}", "a", "b");
	struct perc_ekt *ekt = NULL;
	struct perc_double_tx *tx = NULL;
	struct perc_enckey set = { .keyid = "warm",
		.keylen = 32,
		.cipher = PERC_AESKW256,
		.profile = PERC_DOUBLE_256,
		.spi = 1,
		.ttl_s = 1 };
	size_t n;
	int r;

	in[0] = 0x80;
	if ((r = perc_jwk_generate(&k)) != 0 ||
	    (r = perc_jws_sign(&jws, k, "warm+jwt", claims, true)) != 0 ||
	    (r = perc_jws_verify(&j, jws, strlen(jws), PERC_JOSE_BIG_MAX, k,
		 "warm+jwt")) != 0 ||
	    (r = perc_jwe_seal(&jwe, k, "warm+jwt", jws, strlen(jws))) != 0 ||
	    (r = perc_jwe_open(
		 &open, &n, k, jwe, strlen(jwe), PERC_JOSE_BIG_MAX)) != 0 ||
	    (r = perc_sha256(tag, in, sizeof(in))) != 0 ||
	    (r = perc_seal(out, key, "a", 1, in, sizeof(in))) != 0 ||
	    (r = perc_kwp_wrap(out, key, 16, in, 25)) != 0 ||
	    (r = perc_ekt_new(&ekt)) != 0 ||
	    (r = perc_ekt_add(ekt, &set, INT64_MAX)) != 0 ||
	    (r = perc_double_tx_new(&tx, ekt, 0, PERC_FULL_AUDIO)) != 0 ||
	    (r = perc_double_tx_switch(tx, 1, 0)) != 0 ||
	    (r = perc_double_tx_seal(tx, 0, in, 12, out, sizeof(out), &n)) != 0)
		goto out;
	perc_wall_ms();
out:
	perc_double_tx_free(tx);
	perc_ekt_free(ekt);
	perc_jws_clear(&j);
	perc_jwk_free(k);
	json_decref(claims);
	perc_secmem_free(open);
	free(jws);
	free(jwe);
	return r;
}

static void
protection_check(
    const struct vault_config *c, const struct perc_cage_report *cage)
{
	const char *lack = NULL;

	if (perc_secmem_level() == PERC_SECMEM_NONE)
		lack = "no memory can be locked; raise LimitMEMLOCK";
	else if (!cage->seccomp)
		lack = "the kernel has no seccomp";
	else if (!cage->landlock)
		lack = "the kernel has no Landlock";
	if (lack == NULL)
		return;
	if (c->require_protection)
		fatalx("protection missing: %s; or set require_protection = no",
		    lack);
	perc_secmem_tolerate();
	log_warnx("vault protection=incomplete reason=\"%s\"", lack);
}

static void
report_make(char *out, size_t cap, const struct options *o,
    const struct perc_cage_report *cage, bool undumpable)
{
	static const char *const names[] = { "none", "locked", "secret" };

	snprintf(out, cap,
	    "{\"secret_memory\":\"%s\",\"seccomp\":%s,\"landlock\":%s,"
	    "\"landlock_abi\":%d,\"undumpable\":%s,\"user_config\":%s}",
	    names[perc_secmem_level()], cage->seccomp ? "true" : "false",
	    cage->landlock ? "true" : "false", cage->landlock_abi,
	    undumpable ? "true" : "false", o->user_config ? "true" : "false");
}

static void
on_signal(int signo, void *arg)
{
	struct vault *v = arg;

	log_info("stopping signal=%d", signo);
	vault_stop(v, "stopped");
	perc_loop_stop(v->loop);
}

/* The supervisor's word, for what it alone hears of. It keeps the machine
 * awake until it has ours. */
static void
on_erase(int signo, void *arg)
{
	struct vault *v = arg;

	vault_stop(v, signo == SIGUSR1 ? "suspended" : "locked");
	if (signo == SIGUSR1 && send(VAULT_FD_WORD, "", 1, MSG_NOSIGNAL) != 1)
		log_warn("erased unsaid");
}

static void
owner_check(const struct vault *v)
{
	const struct vault_config *c = v->config;

	if (vault_owner_known(v) || c->local_any_user)
		return;
	if (c->require_protection)
		fatalx("protection missing: no udp_diag, by which the kernel "
		       "tells whose a local socket is, so other users of this "
		       "machine could hear; load it, or set local_any_user = "
		       "yes where there are none");
	log_warnx("vault protection=incomplete reason=\"no udp_diag\"");
}

static void
serve(struct vault_setup *setup)
{
	struct perc_loop *loop = NULL;
	struct vault *v = NULL;
	int r;

	if ((r = perc_loop_new(&loop)) != 0 ||
	    (r = vault_new(&v, loop, setup)) != 0 ||
	    (r = perc_loop_signal(loop, SIGTERM, on_signal, v)) != 0 ||
	    (r = perc_loop_signal(loop, SIGINT, on_signal, v)) != 0 ||
	    (r = perc_loop_signal(loop, SIGUSR1, on_erase, v)) != 0 ||
	    (r = perc_loop_signal(loop, SIGUSR2, on_erase, v)) != 0)
		fatalx("start: %s", perc_strerror(r));
	owner_check(v);
	if ((r = perc_loop_run(loop)) != 0)
		log_warn("loop reason=\"%s\"", perc_strerror(r));
	vault_free(v);
	perc_loop_free(loop);
}

int
main(int argc, char *argv[])
{
	struct options o = { .file = VAULT_CONF };
	struct vault_config config;
	struct perc_conf_error e;
	struct perc_cage_report cage = { 0 };
	struct vault_setup setup = { .config = &config };
	char report[256];
	bool undumpable;
	int r;

	secmem_start();
	perc_log_init("perch-vault", "vault", 0, PERC_LOG_INFO);
	if (perc_process_harden() != 0)
		fatal("cannot harden the process");
	options_read(&o, argc, argv);
	descriptors_take(&setup);
	if (vault_config_load(&config, o.file, o.user_config, &e) != 0)
		fatalx("%s", e.text);
	if ((r = warm_up()) != 0)
		fatalx("warm up: %s", perc_strerror(r));
	undumpable = prctl(PR_GET_DUMPABLE) == 0; /* a caged one cannot ask */
	r = perc_sandbox(PERC_CAGE_VAULT, NULL, NULL, &cage);
	if (r != 0 && r != PERC_ERR_UNSUPPORTED)
		fatal("sandbox: %s", perc_strerror(r));
	protection_check(&config, &cage);
	report_make(report, sizeof(report), &o, &cage, undumpable);
	setup.report = report;
	setup.out_base =
	    (uint16_t)(config.local_out_base != 0 ? config.local_out_base
						  : o.out_base);
	if (setup.out_base == 0)
		fatalx("no ports for remote streams; set local_out_base in %s",
		    o.file);
	serve(&setup);
	vault_config_clear(&config);
	return 0;
}
