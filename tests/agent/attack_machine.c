/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine gives away by itself: to swap, to ps(1), and at its ports
 * to another user, who is a process that was root's and never ours.
 */
#include "attack.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/b64.h"

#define OTHER 65533 /* not who we become */

static bool
in_memory(const uint8_t *hay, size_t n, const struct kit_conf *c)
{
	return memmem(hay, n, c->key, c->keylen) != NULL;
}

/* Does this part of its memory hold the EKT key? */
static bool
mapping_has(
    pid_t pid, unsigned long a, unsigned long b, const struct kit_conf *c)
{
	char path[64];
	bool found = false;
	uint8_t *buf;
	ssize_t n;
	int mem;

	if (b - a > (64u << 20))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	if ((mem = open(path, O_RDONLY)) < 0)
		return false;
	buf = malloc(b - a);
	n = pread(mem, buf, b - a, (off_t)a);
	found = n > 0 && in_memory(buf, (size_t)n, c);
	free(buf);
	close(mem);
	return found;
}

/* Does this line of smaps begin a mapping? Then *a and *b are its place. */
static bool
mapping_begins(const char *line, unsigned long *a, unsigned long *b)
{
	unsigned long from, to;

	if (sscanf(line, "%lx-%lx r", &from, &to) != 2)
		return false; /* "Anonymous:" begins like a number */
	*a = from;
	*b = to;
	return true;
}

/* Does the key stand in pages that may be written to swap: without "lo" in
 * their VmFlags (proc_pid_smaps(5))? Secret memory can be neither swapped nor
 * read by this. */
bool
try_swap(struct proc *p, struct kit_conf *c)
{
	unsigned long a = 0, b = 0;
	char path[64], line[512];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/smaps", p->pid);
	maps = fopen(path, "r");
	assert_non_null(maps);
	while (!found && fgets(line, sizeof(line), maps) != NULL)
		if (!mapping_begins(line, &a, &b) &&
		    strncmp(line, "VmFlags:", 8) == 0 &&
		    strstr(line, " wr ") != NULL &&
		    strstr(line, " lo ") == NULL)
			found = mapping_has(p->pid, a, b, c);
	fclose(maps);
	return found;
}

/* ps(1) shows it to everybody: any process's command line, and what it was
 * given as environment where that may be read. */
static bool
file_has(pid_t pid, const char *name, const struct kit_conf *c)
{
	char path[64], hex[2 * 32 + 1], b64[PERC_B64_LEN(32) + 1];
	static char text[1 << 20];
	ssize_t n = 0, got;
	int fd;

	perc_hex_put(hex, c->key, c->keylen);
	perc_b64_put(b64, c->key, c->keylen);
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	if ((fd = open(path, O_RDONLY)) < 0)
		return false;
	while ((got = read(fd, text + n, sizeof(text) - (size_t)n)) > 0)
		n += got;
	close(fd);
	return n > 0 &&
	    (in_memory((uint8_t *)text, (size_t)n, c) ||
		memmem(text, (size_t)n, hex, strlen(hex)) != NULL ||
		memmem(text, (size_t)n, b64, strlen(b64)) != NULL);
}

bool
try_argv(struct proc *p, struct kit_conf *c)
{
	DIR *d = opendir("/proc");
	bool found = false;
	struct dirent *e;
	pid_t pid;

	assert_non_null(d);
	while (!found && (e = readdir(d)) != NULL)
		if ((pid = (pid_t)atoi(e->d_name)) > 0 && pid != getpid())
			found = file_has(pid, "cmdline", c) ||
			    file_has(pid, "environ", c);
	closedir(d);
	return found;
}

/* ---- another user ------------------------------------------------------ */

static int other = -1; /* to a process of that user's; -1: we are not root */

/* Each port that comes is sent a packet, from a socket that stays open until
 * the next, because the question is whose it is. */
static void
other_run(int fd)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint8_t packet[32] = { 0x80, 111, 0, 1 };
	int s = -1;

	while (read(fd, &to.sin_port, sizeof(to.sin_port)) ==
	    sizeof(to.sin_port)) {
		if (s >= 0)
			close(s);
		s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (sendto(s, packet, sizeof(packet), 0, (struct sockaddr *)&to,
			sizeof(to)) < 0 ||
		    write(fd, "", 1) != 1)
			return;
	}
}

void
attack_other_start(void)
{
	int sv[2];

	if (getuid() != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0)
		return;
	if (fork() == 0) {
		close(sv[0]);
		if (setgroups(0, NULL) == 0 &&
		    setresgid(OTHER, OTHER, OTHER) == 0 &&
		    setresuid(OTHER, OTHER, OTHER) == 0)
			other_run(sv[1]);
		_exit(0);
	}
	close(sv[1]);
	other = sv[0];
}

/* Does the vault say to the conference what a stranger says to its port? */
bool
try_other_user(struct proc *p, struct kit_conf *c)
{
	uint16_t port = htons(p->in);
	int64_t sent = 0, strangers = 0;
	char done;

	assert_int_equal(write(other, &port, sizeof(port)), sizeof(port));
	assert_int_equal(read(other, &done, 1), 1);
	for (int i = 0; i < 1000 && sent + strangers == 0; i++) {
		kit_settle(&p->k, 10);
		sent = kit_counter(&p->k, ATTACK_CONF, "sent");
		strangers = kit_counter(&p->k, ATTACK_CONF, "local_strangers");
	}
	assert_int_equal(sent + strangers, 1);
	return sent == 1;
}

bool
attack_other_there(void)
{
	return other >= 0;
}
