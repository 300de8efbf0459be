/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line, one write(2): lines of several processes that share stderr never
 * mix. Control characters of a finished line are made visible even where the
 * caller forgot perc_log_escape, so nobody forges a second line; the target
 * is the one global this program allows itself.
 */
#include "perc/log.h"

#include "perc/log_json.h"
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

#define LINE_MAX_LEN 2048		  /* a pipe takes so much whole */
#define TEXT_MAX_LEN (LINE_MAX_LEN - 128) /* without time and names */

static struct {
	const char *program, *role;
	bool use_syslog, json;
	enum perc_log_level level;
} target = { "perch", NULL, false, false, PERC_LOG_INFO };

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

/* "2026-11-21T09:30:00.123Z" */
static void
time_put(char *out, size_t cap)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, cap - n, ".%03ldZ", now.tv_nsec / 1000000);
}

/* "event key=value ... errno="..."", without control characters. */
static void
text_put(char out[TEXT_MAX_LEN], int err, const char *fmt, va_list ap)
{
	size_t n, room = TEXT_MAX_LEN;
	int len;

	if ((len = vsnprintf(out, room, fmt, ap)) < 0)
		len = 0;
	n = (size_t)len < room ? (size_t)len : room - 1;
	out[n] = '\0';
	if (err != 0)
		(void)snprintf(
		    out + n, room - n, " errno=\"%s\"", strerror(err));
	for (; *out != '\0'; out++)
		if ((unsigned char)*out < 0x20 || *out == 0x7f)
			*out = '?';
}

static void
to_syslog(enum perc_log_level level, const char *text)
{
	const char *role = target.role;

	if (role != NULL && !target.json)
		syslog(levels[level].priority, "[%s] %s", role, text);
	else
		syslog(levels[level].priority, "%s", text);
}

static void
to_stderr(enum perc_log_level level, const char *text)
{
	char line[LINE_MAX_LEN + 1], at[32];
	const char *role = target.role;
	int n;

	time_put(at, sizeof(at));
	if (target.json)
		n = snprintf(line, sizeof(line), "%s\n", text);
	else
		n = snprintf(line, sizeof(line), "%s %.32s%s%.32s%s %s %s\n",
		    at, target.program, role != NULL ? "[" : "",
		    role != NULL ? role : "", role != NULL ? "]" : "",
		    levels[level].name, text);
	/* Nowhere is left to tell that stderr is gone. */
	if (n > 0 &&
	    write(STDERR_FILENO, line,
		(size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1) < 0)
		return;
}

static void
emit(enum perc_log_level level, int err, const char *fmt, va_list ap)
{
	char text[TEXT_MAX_LEN], json[LINE_MAX_LEN], at[32];
	struct perc_log_line l = { .time = at,
		.level = levels[level].name,
		.program = target.program,
		.role = target.role,
		.text = text };

	text_put(text, err, fmt, ap);
	if (target.json) {
		time_put(at, sizeof(at));
		json[perc_log_json(json, sizeof(json) - 2, &l)] = '\0';
	}
	if (target.use_syslog)
		to_syslog(level, target.json ? json : text);
	else
		to_stderr(level, target.json ? json : text);
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
perc_log_json_set(bool json)
{
	target.json = json;
}

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
