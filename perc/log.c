/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line, one write(2): lines of several processes that share stderr never
 * mix. Control characters of a finished line are made visible even where the
 * caller forgot perc_log_escape, so nobody forges a second line; the target
 * is the one global this program allows itself.
 */
#include "perc/log.h"

#include "perc/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 2048

static struct {
	const char *program, *role;
	bool use_syslog;
	enum perc_log_level level;
} target = { "perch", NULL, false, PERC_LOG_INFO };

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[PERC_LOG_ERROR] = { "error", LOG_ERR },
	[PERC_LOG_WARN] = { "warn", LOG_WARNING },
	[PERC_LOG_INFO] = { "info", LOG_INFO },
	[PERC_LOG_DEBUG] = { "debug", LOG_DEBUG },
};

void
perc_log_init(const char *program, const char *role, int use_syslog,
    enum perc_log_level level)
{
	target.program = program;
	target.role = role;
	target.use_syslog = use_syslog != 0;
	target.level = level;
	(void)signal(SIGPIPE, SIG_IGN);
	if (target.use_syslog)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
perc_log_level_set(enum perc_log_level level)
{
	target.level = level;
}

/* "2026-11-21T09:30:00.123Z perch-kmf[keeper] info " */
static size_t
put_prefix(char *out, size_t cap, enum perc_log_level level)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(out + n, cap - n, ".%03ldZ %.32s%s%.32s%s %s ",
	    now.tv_nsec / 1000000, target.program,
	    target.role != NULL ? "[" : "",
	    target.role != NULL ? target.role : "",
	    target.role != NULL ? "]" : "", levels[level].name);
	return n;
}

static void
emit(enum perc_log_level level, int err, const char *fmt, va_list ap)
{
	char line[LINE_MAX_LEN];
	size_t head = 0, n, room;
	int len;

	if (!target.use_syslog)
		head = put_prefix(line, sizeof(line) / 2, level);
	n = head;
	room = sizeof(line) - n - 1; /* one octet for the newline */
	if ((len = vsnprintf(line + n, room, fmt, ap)) < 0)
		len = 0;
	n += (size_t)len < room ? (size_t)len : room - 1;
	if (err != 0) {
		room = sizeof(line) - n - 1;
		len = snprintf(line + n, room, " errno=\"%s\"", strerror(err));
		n += (size_t)len < room ? (size_t)len : room - 1;
	}
	for (size_t i = head; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	if (target.use_syslog) {
		line[n] = '\0';
		if (target.role != NULL)
			syslog(levels[level].priority, "[%s] %s", target.role,
			    line);
		else
			syslog(levels[level].priority, "%s", line);
		return;
	}
	line[n++] = '\n';
	/* Nowhere is left to tell that stderr is gone. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

#define EMIT(lv, err)                                                          \
	do {                                                                   \
		int saved = errno;                                             \
		va_list ap;                                                    \
		if ((lv) <= target.level) {                                    \
			va_start(ap, fmt);                                     \
			emit((lv), (err), fmt, ap);                            \
			va_end(ap);                                            \
		}                                                              \
		errno = saved;                                                 \
	} while (0)

void
log_debug(const char *fmt, ...)
{
	EMIT(PERC_LOG_DEBUG, 0);
}

void
log_info(const char *fmt, ...)
{
	EMIT(PERC_LOG_INFO, 0);
}

void
log_warn(const char *fmt, ...)
{
	EMIT(PERC_LOG_WARN, saved);
}

void
log_warnx(const char *fmt, ...)
{
	EMIT(PERC_LOG_WARN, 0);
}

void
fatal(const char *fmt, ...)
{
	EMIT(PERC_LOG_ERROR, saved);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	EMIT(PERC_LOG_ERROR, 0);
	exit(1);
}

const char *
perc_log_escape(char *out, size_t cap, const char *s, size_t max)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	if (cap == 0)
		return out;
	for (size_t i = 0; i < max && s[i] != '\0'; i++) {
		unsigned char c = (unsigned char)s[i];
		bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';

		if (n + (plain ? 1 : 4) >= cap)
			break;
		if (plain) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	out[n] = '\0';
	return out;
}

int
perc_log_allow(struct perc_log_limit *l)
{
	long long now = perc_now_ms();

	if (l->start_ms == 0 || now - l->start_ms >= (long long)l->per_ms) {
		if (l->suppressed > 0)
			log_info("log.suppressed lines=%u", l->suppressed);
		l->start_ms = now > 0 ? now : 1;
		l->count = l->suppressed = 0;
	}
	if (l->count < l->burst) {
		l->count++;
		return 1;
	}
	l->suppressed++;
	return 0;
}
