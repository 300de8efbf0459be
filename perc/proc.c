/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between fork and exec only system calls are made: the environment and the
 * descriptor list are ready before. The descriptors first move above all
 * targets, since 3.. may be in use by one of themselves. Two things forget
 * PR_SET_PDEATHSIG: a parent that died before it was set (hence the getppid)
 * and a change of uid (hence again after the drop).
 */
#include "perc/proc.h"

#include "perc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENV_MAX 64 /* variables that a child gets */

static const char *const env_kept[] = { "PATH=", "LANG=", "TZ=", "HOME=",
	"XDG_RUNTIME_DIR=", "CREDENTIALS_DIRECTORY=", "ASAN_OPTIONS=",
	"UBSAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS=", "MSAN_OPTIONS=",
	"PERCH_", NULL };

static void
env_cut(char *out[ENV_MAX + 1])
{
	size_t n = 0;

	for (char **e = environ; *e != NULL && n < ENV_MAX; e++)
		for (const char *const *k = env_kept; *k != NULL; k++)
			if (strncmp(*e, *k, strlen(*k)) == 0) {
				out[n++] = *e;
				break;
			}
	out[n] = NULL;
}

/* fds to 3.., errfd right behind them, the rest closed. */
static int
fds_place(const int *fds, int nfds, int *errfd)
{
	int up[PERC_PROC_FD_MAX + 1];

	for (int i = 0; i <= nfds; i++) {
		up[i] = fcntl(i < nfds ? fds[i] : *errfd, F_DUPFD_CLOEXEC,
		    PERC_PROC_FD + PERC_PROC_FD_MAX + 1);
		if (up[i] < 0)
			return -1;
	}
	for (int i = 0; i < nfds; i++)
		if (dup2(up[i], PERC_PROC_FD + i) < 0)
			return -1;
	*errfd = PERC_PROC_FD + nfds;
	if (dup3(up[nfds], *errfd, O_CLOEXEC) < 0)
		return -1;
	return (int)syscall(SYS_close_range, *errfd + 1, ~0u, 0);
}

static void
child(const char *path, char *const argv[], char *const env[], const int *fds,
    int nfds, pid_t parent, int errfd)
{
	sigset_t none;
	int e;

	sigemptyset(&none);
	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
	    sigprocmask(SIG_SETMASK, &none, NULL) == 0 &&
	    fds_place(fds, nfds, &errfd) == 0)
		execve(path, argv, env);
	e = errno;
	if (write(errfd, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

int
perc_proc_spawn(
    pid_t *pidp, const char *path, char *const argv[], const int *fds, int nfds)
{
	char *env[ENV_MAX + 1];
	int told[2], e = 0;
	pid_t pid, parent = getpid();

	if (nfds < 0 || nfds > PERC_PROC_FD_MAX)
		return PERC_ERR_INVAL;
	env_cut(env);
	if (pipe2(told, O_CLOEXEC) != 0)
		return PERC_ERR_SYS;
	if ((pid = fork()) == 0)
		child(path != NULL ? path : "/proc/self/exe", argv, env, fds,
		    nfds, parent, told[1]);
	close(told[1]);
	if (pid < 0) {
		close(told[0]);
		return PERC_ERR_SYS;
	}
	/* End of file: exec closed the pipe, the child is itself now. */
	if (read(told[0], &e, sizeof(e)) == (ssize_t)sizeof(e)) {
		close(told[0]);
		(void)waitpid(pid, NULL, 0);
		errno = e;
		return PERC_ERR_SYS;
	}
	close(told[0]);
	*pidp = pid;
	return 0;
}

int
perc_proc_pair(int sv[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		   0, sv) != 0
	    ? PERC_ERR_SYS
	    : 0;
}

int
perc_proc_drop(const char *user, const char *dir)
{
	struct passwd *pw = NULL;
	int death = 0;

	if (geteuid() != 0)
		return 0;
	if (user != NULL && (pw = getpwnam(user)) == NULL)
		return PERC_ERR_NOTFOUND;
	if (dir != NULL && (chroot(dir) != 0 || chdir("/") != 0))
		return PERC_ERR_SYS;
	if (pw == NULL)
		return 0;
	(void)prctl(PR_GET_PDEATHSIG, &death);
	if (setgroups(1, &pw->pw_gid) != 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
		return PERC_ERR_SYS;
	if (death != 0 && prctl(PR_SET_PDEATHSIG, death) != 0)
		return PERC_ERR_SYS;
	/* For good: the way back must be shut. */
	if (pw->pw_uid != 0 && setuid(0) == 0)
		fatalx("proc.drop user=%s still-root=yes", user);
	return 0;
}

void
perc_proc_notify(const char *state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *to = getenv("NOTIFY_SOCKET");
	size_t n = to != NULL ? strlen(to) : 0;
	int fd;

	if (n < 2 || n >= sizeof(sa.sun_path) || (*to != '/' && *to != '@'))
		return;
	memcpy(sa.sun_path, to, n);
	if (*to == '@')
		sa.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		(struct sockaddr *)&sa,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_warn("proc.notify");
	close(fd);
}
