/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What an administrator at the machine asks of the running keeper. The
 * keeper has no socket to be spoken to and nobody else may open its
 * database, so the request is a file in the state directory: who can put one
 * there could have replaced the database as well. It is taken away before it
 * is carried out, so that a crash does nothing twice.
 */
#include "kmf/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmf/keeper_int.h"

#define REQUEST_MAX 4096
#define LOOK_MS	    1000

static int
rotate_keys(struct kmf_keeper *k, const json_t *args, char *text, size_t cap)
{
	int64_t after_s = 0;

	if (perc_json_int(&after_s, args, "after_s", 0, KMF_OVERLAP_MAX_S) !=
	    0) {
		snprintf(text, cap, "after_s: 0 to %d", KMF_OVERLAP_MAX_S);
		return PERC_ERR_FORMAT;
	}
	return kmf_keys_rotate(k, after_s * 1000, text, cap);
}

static int
rewrap(struct kmf_keeper *k, const json_t *args, char *text, size_t cap)
{
	return kmf_rewrap_begin(k, text, cap);
}

static const struct {
	const char *name;
	int (*fn)(
	    struct kmf_keeper *k, const json_t *args, char *text, size_t cap);
} verbs[] = { { "rotate-keys", rotate_keys }, { "rewrap", rewrap },
	{ "client", kmf_client_change } };

int
kmf_control_path(char *out, size_t cap, const char *dir, const char *file)
{
	int n = snprintf(out, cap, "%s/%s", dir, file);

	return n > 0 && (size_t)n < cap ? 0 : PERC_ERR_LIMIT;
}

int
kmf_control_put(
    const char *dir, const char *file, mode_t mode, const char *text)
{
	char path[KMF_CONTROL_PATH], tmp[KMF_CONTROL_PATH + 8];
	size_t len = strlen(text);
	struct stat st;
	int fd = -1, r;

	if ((r = kmf_control_path(path, sizeof(path), dir, file)) != 0)
		return r;
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	(void)unlink(tmp);
	fd = open(
	    tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = PERC_ERR_SYS;
	/* Root asks, another user's keeper reads: the directory's owner. */
	if (fd < 0 || fchmod(fd, mode) != 0 || stat(dir, &st) != 0 ||
	    (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) != 0) ||
	    write(fd, text, len) != (ssize_t)len || fsync(fd) != 0 ||
	    rename(tmp, path) != 0)
		goto out;
	r = 0;
out:
	if (fd >= 0)
		close(fd);
	if (r != 0)
		(void)unlink(tmp);
	return r;
}

int
kmf_control_get(char *out, size_t cap, const char *dir, const char *file)
{
	char path[KMF_CONTROL_PATH];
	struct stat st;
	ssize_t n;
	int fd, r;

	if ((r = kmf_control_path(path, sizeof(path), dir, file)) != 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? PERC_ERR_NOTFOUND : PERC_ERR_SYS;
	r = PERC_ERR_DENIED;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    (st.st_mode & 022) != 0 ||
	    (st.st_uid != geteuid() && st.st_uid != 0))
		goto out;
	r = PERC_ERR_FORMAT;
	n = read(fd, out, cap - 1);
	if (n <= 0 || (size_t)n == cap - 1)
		goto out;
	out[n] = '\0';
	r = 0;
out:
	close(fd);
	return r;
}

void
kmf_control_drop(const char *dir, const char *file)
{
	char path[KMF_CONTROL_PATH];

	if (kmf_control_path(path, sizeof(path), dir, file) == 0)
		(void)unlink(path);
}

static void
answer(struct kmf_keeper *k, const char *id, int r, const char *text)
{
	json_t *v = json_pack("{s:s, s:b, s:s}", "id", id, "ok", (int)(r == 0),
	    "text", text[0] != '\0' ? text : perc_strerror(r));
	char *out = v != NULL ? perc_json_text(v) : NULL;

	if (out == NULL ||
	    kmf_control_put(k->dir, KMF_CONTROL_ANSWER, 0600, out))
		log_warnx("control.answer_lost");
	perc_json_free(out);
	json_decref(v);
}

static void
carry_out(struct kmf_keeper *k, const char *request)
{
	char text[256] = "there is no such request";
	int r = PERC_ERR_UNSUPPORTED;
	const char *id, *verb;
	json_t *v = NULL;
	size_t i;

	if (perc_json_parse(
		&v, request, strlen(request), REQUEST_MAX, NULL, 0) != 0 ||
	    (id = perc_json_str(v, "id")) == NULL ||
	    (verb = perc_json_str(v, "do")) == NULL) {
		log_warnx("control.refused why=form");
		goto out;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verb, verbs[i].name) == 0) {
			text[0] = '\0';
			r = verbs[i].fn(k, v, text, sizeof(text));
		}
	log_info("control.done do=%s result=\"%s\"", verb,
	    r == 0 ? "ok" : perc_strerror(r));
	answer(k, id, r, text);
out:
	json_decref(v);
}

/* Called between turns, when no transaction is open. */
void
kmf_control_look(struct kmf_keeper *k)
{
	char text[REQUEST_MAX];
	int r;

	r = kmf_control_get(text, sizeof(text), k->dir, KMF_CONTROL_REQUEST);
	if (r == PERC_ERR_NOTFOUND)
		return;
	kmf_control_drop(k->dir, KMF_CONTROL_REQUEST);
	if (r != 0)
		log_warnx("control.refused why=\"%s\"", perc_strerror(r));
	else
		carry_out(k, text);
}

static void
look_fire(void *arg)
{
	struct kmf_keeper *k = arg;

	k->look_due = true; /* the turn's end sees to it */
	if (perc_timer_set(k->loop, &k->look, LOOK_MS, look_fire, k) != 0)
		log_warnx("timer.failed");
}

void
kmf_control_turn(struct kmf_keeper *k)
{
	int r;

	if (!k->look_due || db_in_transaction(k->db))
		return;
	k->look_due = false;
	if ((r = kmf_keys_tick(k)) != 0)
		log_warnx("keys.tick_failed why=\"%s\"", perc_strerror(r));
	kmf_control_look(k);
}

int
kmf_control_start(struct kmf_keeper *k)
{
	return perc_timer_set(k->loop, &k->look, 0, look_fire, k);
}
