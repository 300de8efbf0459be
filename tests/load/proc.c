/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs that a run starts, and the temporary directory where their
 * files and their words are.
 */
#include "tests/load/load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/text.h"

#define START_MS 20000

pid_t
load_run(struct load *l, const char *name, const char *const argv[])
{
	char log[512];
	pid_t pid = fork();
	int fd;

	if (pid != 0)
		return pid;
	text_put(log, sizeof(log), "%s/%s.log", l->dir, name);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd >= 0) {
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
	}
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

bool
load_answers(const char *base)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)atoi(strrchr(base, ':') + 1));
	yes = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (fd >= 0)
		close(fd);
	return yes;
}

int
load_listens(const char *base, pid_t pid)
{
	int64_t until = perc_now_ms() + START_MS;

	while (!load_answers(base)) {
		if (perc_now_ms() > until || waitpid(pid, NULL, WNOHANG) != 0)
			return PERC_ERR_TIMEOUT;
		usleep(20000);
	}
	return 0;
}

int
load_dir_make(struct load *l)
{
	text_put(l->dir, sizeof(l->dir), "%s/perch-load.XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(l->dir) != NULL ? 0 : PERC_ERR_SYS;
}

void
load_dir_remove(struct load *l)
{
	const char *const argv[] = { "/bin/rm", "-rf", l->dir, NULL };

	if (l->dir[0] != '\0')
		(void)waitpid(load_run(l, "rm", argv), NULL, 0);
}
