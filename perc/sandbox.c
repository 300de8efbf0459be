/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of allowed system calls per cage. What is not on it answers EPERM,
 * because a libc update that tries a new call must degrade, not die; calls
 * that only an attacker makes (exec, ptrace, in the vault also new sockets)
 * kill the process, so that the attempt is seen. Landlock narrows the open()
 * that the seccomp list of the keeper has to allow.
 */
#include "perc/sandbox.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc, OpenSSL, jansson, our loop: memory, time, what is open already. */
static const int common[] = { SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write),
	SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(close_range),
	SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg),
	SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_create1), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(signalfd4),
	SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime), SCMP_SYS(pipe2), SCMP_SYS(dup),
	SCMP_SYS(dup3), SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(lseek),
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
	SCMP_SYS(mprotect), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(futex),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(uname),
	SCMP_SYS(prlimit64), SCMP_SYS(getrlimit), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigpending), SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall), SCMP_SYS(tgkill), SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq), SCMP_SYS(exit), SCMP_SYS(exit_group) };

/* What SQLite and our own state files need; Landlock says where. */
static const int files[] = { SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(stat),
	SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(fstatfs), SCMP_SYS(statfs), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(flock),
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(link), SCMP_SYS(linkat),
	SCMP_SYS(fchmod), SCMP_SYS(chmod), SCMP_SYS(fchmodat), SCMP_SYS(fchown),
	SCMP_SYS(umask), SCMP_SYS(utimensat), SCMP_SYS(getdents64),
	SCMP_SYS(msync) };

/* INET sockets come by a rule of their own; threads for resolvers. */
static const int net[] = { SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept),
	SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(socketpair),
	SCMP_SYS(ioctl), SCMP_SYS(clone), SCMP_SYS(clone3),
	SCMP_SYS(set_tid_address), SCMP_SYS(kill) };

/* A client: sockets that connect, what resolvers and OpenSSL read. */
static const int dial[] = { SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(ioctl),
	SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(set_tid_address) };
static const int reading[] = { SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(stat),
	SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd), SCMP_SYS(pread64), SCMP_SYS(getdents64) };

/* Nobody calls these by accident. */
static const int deadly[] = { SCMP_SYS(execve), SCMP_SYS(execveat),
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(init_module),
	SCMP_SYS(finit_module), SCMP_SYS(kexec_load), SCMP_SYS(mount),
	SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(bpf) };
static const int deadly_vault[] = { SCMP_SYS(socket), SCMP_SYS(socketpair),
	SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept),
	SCMP_SYS(accept4) };
static const int deadly_dial[] = { SCMP_SYS(listen), SCMP_SYS(accept),
	SCMP_SYS(accept4), SCMP_SYS(socketpair) };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int
rules_add(scmp_filter_ctx ctx, uint32_t action, const int *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] != __NR_SCMP_ERROR &&
		    seccomp_rule_add(ctx, action, list[i], 0) != 0)
			return PERC_ERR_SYS;
	return 0;
}

/* Allow nr when its first argument is one of these. */
static int
first_args_add(scmp_filter_ctx ctx, int nr, const int *args, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct scmp_arg_cmp first = { .arg = 0,
			.op = SCMP_CMP_EQ,
			.datum_a = (scmp_datum_t)args[i] };

		if (seccomp_rule_add_array(
			ctx, SCMP_ACT_ALLOW, nr, 1, &first) != 0)
			return PERC_ERR_SYS;
	}
	return 0;
}

/* Sockets of these families only; netlink is what getaddrinfo asks. */
static int
sockets_add(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX,
		AF_NETLINK };

	return first_args_add(ctx, SCMP_SYS(socket), families, COUNT(families));
}

/* prctl only for names and death, and to be undumpable: never the way back. */
static int
narrow_add(scmp_filter_ctx ctx)
{
	static const int options[] = { PR_SET_NAME, PR_GET_NAME,
		PR_GET_DUMPABLE, PR_SET_PDEATHSIG };
	static const struct scmp_arg_cmp undumpable[] = {
		{ .arg = 0, .op = SCMP_CMP_EQ, .datum_a = PR_SET_DUMPABLE },
		{ .arg = 1, .op = SCMP_CMP_EQ, .datum_a = 0 }
	};

	if (seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl),
		COUNT(undumpable), undumpable) != 0)
		return PERC_ERR_SYS;
	return first_args_add(ctx, SCMP_SYS(prctl), options, COUNT(options));
}

/* Out and nothing in: what a client of strangers needs. */
static int
dial_fill(scmp_filter_ctx ctx)
{
	int r;

	if ((r = rules_add(ctx, SCMP_ACT_KILL_PROCESS, deadly_dial,
		 COUNT(deadly_dial))) != 0 ||
	    (r = rules_add(ctx, SCMP_ACT_ALLOW, reading, COUNT(reading))) !=
		0 ||
	    (r = rules_add(ctx, SCMP_ACT_ALLOW, dial, COUNT(dial))) != 0)
		return r;
	return sockets_add(ctx);
}

static int
cage_fill(scmp_filter_ctx ctx, enum perc_cage cage)
{
	int r;

	if ((r = rules_add(ctx, SCMP_ACT_ALLOW, common, COUNT(common))) != 0 ||
	    (r = narrow_add(ctx)) != 0 ||
	    (r = rules_add(
		 ctx, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly))) != 0)
		return r;
	if (cage == PERC_CAGE_VAULT)
		return rules_add(ctx, SCMP_ACT_KILL_PROCESS, deadly_vault,
		    COUNT(deadly_vault));
	if (cage == PERC_CAGE_DIAL)
		return dial_fill(ctx);
	if ((r = rules_add(ctx, SCMP_ACT_ALLOW, files, COUNT(files))) != 0 ||
	    cage == PERC_CAGE_KEEPER)
		return r;
	if ((r = rules_add(ctx, SCMP_ACT_ALLOW, net, COUNT(net))) != 0)
		return r;
	return sockets_add(ctx);
}

/* libseccomp has one word for all that a system can lack, so the kernel is
 * asked: without the call it has no filters, or none that kills a process. */
static bool
kernel_filters(void)
{
	uint32_t kill = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill) == 0;
}

static int
seccomp_enter(enum perc_cage cage)
{
	scmp_filter_ctx ctx;
	int r;

	if (!kernel_filters())
		return PERC_ERR_UNSUPPORTED;
	if ((ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM))) == NULL)
		return PERC_ERR_NOMEM;
	if ((r = seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1)) == 0 &&
	    (r = cage_fill(ctx, cage)) == 0 && (r = seccomp_load(ctx)) != 0) {
		errno = -r;
		r = PERC_ERR_SYS;
	}
	seccomp_release(ctx);
	return r;
}

/* --- Landlock ----------------------------------------------------------- */

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_ABI1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_NEVER                                                               \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |           \
	    LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define FS_OF_FILE                                                             \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |        \
	    (1ULL << 14))

/* Rights by ABI: 2 brought REFER (bit 13), 3 TRUNCATE (bit 14). */
static uint64_t
fs_rights(int abi)
{
	return FS_ABI1 | (abi >= 2 ? 1ULL << 13 : 0) |
	    (abi >= 3 ? 1ULL << 14 : 0);
}

static int
path_allow(int ruleset, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr beneath = { .parent_fd = -1 };
	struct stat st;
	int r = PERC_ERR_SYS;

	beneath.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (beneath.parent_fd < 0)
		return r;
	if (fstat(beneath.parent_fd, &st) == 0) {
		beneath.allowed_access =
		    S_ISDIR(st.st_mode) ? rights : rights & FS_OF_FILE;
		if (syscall(SYS_landlock_add_rule, ruleset,
			LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0)
			r = 0;
	}
	close(beneath.parent_fd);
	return r;
}

static int
paths_allow(int ruleset, const char *const paths[], uint64_t rights)
{
	int r = 0;

	for (; r == 0 && paths != NULL && *paths != NULL; paths++)
		r = path_allow(ruleset, *paths, rights);
	return r;
}

static int
landlock_enter(const char *const rw[], const char *const ro[], int abi)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs =
						  fs_rights(abi) };
	int fd =
	    (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	int r;

	if (fd < 0)
		return PERC_ERR_SYS;
	if ((r = paths_allow(fd, rw, fs_rights(abi) & ~(uint64_t)FS_NEVER)) ==
		0 &&
	    (r = paths_allow(fd, ro, FS_READ)) == 0 &&
	    syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		r = PERC_ERR_SYS;
	close(fd);
	return r;
}

int
perc_sandbox(enum perc_cage cage, const char *const rw[],
    const char *const ro[], struct perc_cage_report *report)
{
	int abi, r;

	*report = (struct perc_cage_report){ 0 };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return PERC_ERR_SYS;
	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (abi > 0) {
		if ((r = landlock_enter(rw, ro, abi)) != 0)
			return r;
		report->landlock = true;
		report->landlock_abi = abi;
	}
	r = seccomp_enter(cage);
	if (r != 0 && r != PERC_ERR_UNSUPPORTED)
		return r;
	report->seccomp = r == 0;
	return report->seccomp || report->landlock ? 0 : PERC_ERR_UNSUPPORTED;
}
