/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conference as it goes on. On a terminal a page that is drawn anew at each
 * change, on the alternate screen, so that nothing of it stays behind; else a
 * line for each change. Looking away ends the command, not the conference.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent/clitalk.h"
#include "agent/text.h"

#define SCREEN_ON    "\033[?1049h\033[?25l"
#define SCREEN_OFF   "\033[?25h\033[?1049l"
#define HOME	     "\033[H"
#define LINE_END     "\033[K\r\n"
#define REST_CLEAR   "\033[J"
#define ROWS_MAX     200
#define LOSS_PACKETS 500 /* judged at once */
#define ROWS_HEAD    7	 /* lines that are not a member's */

struct watch {
	const struct cli *cli;
	const char *name; /* id or URI; NULL: the only one */
	struct perch_client *client;
	bool live, over, leaving;
	int status;
	struct perch_conference *list, *now; /* the newest; now is in list */
	struct {
		int64_t lost, received; /* up to there it was told */
		bool told;
	} loss;
	struct termios was;
};

static volatile sig_atomic_t stopped;

static void
on_signal(int signo)
{
	(void)signo;
	stopped = 1;
}

/* ---- the page ------------------------------------------------------------ */

static unsigned
rows_of_terminal(void)
{
	struct winsize w;

	if (ioctl(1, TIOCGWINSZ, &w) != 0 || w.ws_row < ROWS_HEAD + 2)
		return 24;
	return w.ws_row < ROWS_MAX ? w.ws_row : ROWS_MAX;
}

/* The first of several streams of one member tells of the member. */
static bool
is_first(const struct perch_conference *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(c->out[k].member, c->out[i].member) == 0)
			return false;
	return true;
}

static bool
member_speaks(const struct perch_conference *c, const char *member)
{
	for (size_t k = 0; k < c->nout; k++)
		if (strcmp(c->out[k].member, member) == 0 && c->out[k].speaking)
			return true;
	return false;
}

static void
members_draw(const struct perch_conference *c, struct text *t)
{
	unsigned room = rows_of_terminal() - ROWS_HEAD, shown = 0, more = 0;

	for (size_t i = 0; i < c->nout; i++) {
		if (!is_first(c, i))
			continue;
		if (shown + 1 >= room) {
			more++;
			continue;
		}
		text_addf(t, "  %s %s" LINE_END,
		    member_speaks(c, c->out[i].member) ? "*" : " ",
		    cli_clean(c->out[i].name));
		shown++;
	}
	if (more > 0)
		text_addf(t, "    and %u more" LINE_END, more);
	if (shown == 0)
		text_add(t, "    nobody else yet" LINE_END);
}

static void
loss_draw(const struct perch_conference *c, struct text *t)
{
	int64_t all = c->received + (c->lost > 0 ? c->lost : 0);

	text_addf(t, "  packets: %lld sent, %lld received", (long long)c->sent,
	    (long long)c->received);
	if (c->lost >= 0)
		text_addf(t, ", %.1f %% lost",
		    all > 0 ? 100.0 * (double)c->lost / (double)all : 0.0);
	if (c->unopened > 0)
		text_addf(t, ", %lld not opened", (long long)c->unopened);
	text_add(t, LINE_END);
}

static void
page_draw(const struct watch *w)
{
	const struct perch_conference *c = w->now;
	struct text t = { 0 };

	text_addf(&t, HOME "%s: %s" LINE_END,
	    cli_clean(c->title[0] != '\0' ? c->title : c->id),
	    cli_clean(c->words));
	text_addf(&t, "  you are %s; epoch %lld; %d in it" LINE_END,
	    cli_clean(c->name), (long long)c->epoch, c->members);
	text_addf(&t, "  %s%s%s" LINE_END,
	    c->verified ? "VERIFIED: the roster is the key server's word"
			: "NOT VERIFIED: the roster is old, forked or missing",
	    c->code[0] != '\0' ? "; compare by voice: " : "",
	    cli_clean(c->code));
	text_addf(&t, "  %s%s" LINE_END,
	    c->trouble[0] != '\0' ? "trouble: " : "", cli_clean(c->trouble));
	members_draw(c, &t);
	loss_draw(c, &t);
	text_addf(&t, "%s" REST_CLEAR,
	    w->leaving ? "  leaving..."
		       : "  q: look away   l: leave the conference");
	if (!t.failed)
		fputs(t.p, stdout);
	fflush(stdout);
	text_clear(&t);
}

static void
screen_enter(struct watch *w)
{
	struct termios raw;

	if (tcgetattr(0, &w->was) != 0)
		return;
	raw = w->was;
	raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	(void)tcsetattr(0, TCSANOW, &raw);
	fputs(SCREEN_ON, stdout);
}

static void
screen_leave(struct watch *w)
{
	fputs(SCREEN_OFF, stdout);
	fflush(stdout);
	(void)tcsetattr(0, TCSANOW, &w->was);
}

/* ---- lines --------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void
line(const char *fmt, ...)
{
	time_t now = time(NULL);
	struct tm tm;
	char at[16] = "", text[512];
	va_list ap;

	if (localtime_r(&now, &tm) != NULL)
		strftime(at, sizeof(at), "%H:%M:%S", &tm);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cli_say("%s %s", at, text);
}

static bool
has_member(const struct perch_conference *c, const char *member)
{
	for (size_t i = 0; c != NULL && i < c->nout; i++)
		if (strcmp(c->out[i].member, member) == 0)
			return true;
	return false;
}

/* Who is in a and not in b. */
static void
members_tell(const struct perch_conference *a, const struct perch_conference *b,
    const char *what)
{
	for (size_t i = 0; a != NULL && i < a->nout; i++)
		if (is_first(a, i) && !has_member(b, a->out[i].member))
			line("%s %s", cli_clean(a->out[i].name), what);
}

static void
speakers_tell(
    const struct perch_conference *was, const struct perch_conference *c)
{
	for (size_t i = 0; i < c->nout; i++)
		if (is_first(c, i) && member_speaks(c, c->out[i].member) &&
		    (was == NULL || !member_speaks(was, c->out[i].member)))
			line("%s speaks", cli_clean(c->out[i].name));
}

static void
changes_tell(
    const struct perch_conference *was, const struct perch_conference *c)
{
	if (was == NULL || strcmp(was->words, c->words) != 0)
		line("%s: %s", c->state, cli_clean(c->words));
	if (was == NULL || was->epoch != c->epoch)
		line("epoch %lld", (long long)c->epoch);
	if (was == NULL || was->verified != c->verified)
		line("roster %s", c->verified ? "verified" : "NOT verified");
	if (c->trouble[0] != '\0' &&
	    (was == NULL || strcmp(was->trouble, c->trouble) != 0))
		line("trouble: %s", cli_clean(c->trouble));
	members_tell(c, was, "is in");
	members_tell(was, c, "is out");
	speakers_tell(was, c);
	fflush(stdout);
}

/* Each LOSS_PACKETS while one of a hundred is lost, and once when that ends. */
static void
loss_tell(struct watch *w, const struct perch_conference *c)
{
	int64_t lost = c->lost - w->loss.lost,
		all = c->received - w->loss.received + lost;
	bool lossy = lost * 100 >= all;

	if (lost < 0 || c->received < w->loss.received) /* a new leg */
		lossy = w->loss.told = false;
	else if (all < LOSS_PACKETS)
		return;
	if (lossy || w->loss.told)
		line("%.1f %% of packets lost",
		    100.0 * (double)lost / (double)all);
	w->loss.told = lossy;
	w->loss.lost = c->lost > 0 ? c->lost : 0;
	w->loss.received = c->received;
}

/* ---- following ----------------------------------------------------------- */

static struct perch_conference *
conf_find(const struct watch *w, struct perch_conference *list, size_t n)
{
	const char *slash = w->name == NULL ? NULL : strrchr(w->name, '/');
	const char *id = slash != NULL ? slash + 1 : w->name;
	const char *had = w->now != NULL ? w->now->id : id;
	struct perch_conference *found = NULL;

	for (size_t i = 0; i < n; i++) {
		if (had != NULL && strcmp(list[i].id, had) == 0)
			return &list[i];
		if (had == NULL && found == NULL)
			found = &list[i];
	}
	return found;
}

static void
status_take(struct watch *w, const char *json)
{
	struct perch_conference *list, *c;
	size_t n;

	if (perch_conferences_read(&list, &n, json) != 0)
		return;
	if ((c = conf_find(w, list, n)) == NULL) {
		perch_conferences_free(list);
		w->over = true;
		if (w->now == NULL) {
			cli_complain("not in that conference");
			w->status = CLI_FAILED;
		}
		return;
	}
	if (!w->live && !cli_json(w->cli)) {
		loss_tell(w, c);
		changes_tell(w->now, c);
	}
	perch_conferences_free(w->list);
	w->list = list;
	w->now = c;
	w->over = strcmp(c->state, "over") == 0;
	if (w->live)
		page_draw(w);
}

static void
on_status(struct perch_client *client, const struct perch_answer *a, void *arg)
{
	struct watch *w = arg;

	if (a->event == PERCH_STATUS && cli_json(w->cli))
		cli_say("%s", a->json); /* JSON escapes controls */
	if (a->event == PERCH_STATUS)
		status_take(w, a->json);
	if (a->event != PERCH_FAILED)
		return;
	w->over = true;
	w->status = CLI_UNREACHABLE;
}

static void
on_left(struct perch_client *client, const struct perch_answer *a, void *arg)
{
	struct watch *w = arg;

	if (a->event == PERCH_DONE || a->event == PERCH_FAILED)
		w->over = true;
}

static void
key_take(struct watch *w)
{
	char key;

	if (read(0, &key, 1) != 1 || key == 'q') {
		stopped = 1;
	} else if (key == 'l' && !w->leaving && w->now != NULL) {
		w->leaving =
		    perch_client_leave(w->client, w->now->id, on_left, w) > 0;
		page_draw(w);
	}
}

static void
follow(struct watch *w)
{
	struct pollfd p[2] = { { .fd = perch_client_fd(w->client),
				   .events = POLLIN },
		{ .fd = w->live ? 0 : -1, .events = POLLIN } };

	while (!w->over && !stopped) {
		if (poll(p, 2, -1) < 0)
			continue; /* a signal: stopped tells, or the size */
		if (p[1].revents != 0)
			key_take(w);
		if (p[0].revents != 0 && perch_client_dispatch(w->client) != 0)
			w->over = true;
	}
}

int
cli_watch_run(const struct cli *c, const char *conference, bool live)
{
	struct sigaction stop = { .sa_handler = on_signal };
	struct watch w = { .cli = c, .name = conference, .live = live };
	struct talk t;

	if ((w.status = talk_open(&t, c)) != CLI_OK) {
		talk_close(&t);
		return w.status;
	}
	w.client = t.client;
	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(
	    SIGWINCH, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	if (live)
		screen_enter(&w);
	if (perch_client_watch(w.client, 0, on_status, &w) > 0)
		follow(&w);
	if (live)
		screen_leave(&w);
	if (w.status == CLI_UNREACHABLE)
		cli_complain("%s", cli_clean(perch_client_error(w.client)));
	else if (live && w.now != NULL)
		cli_say("%s",
		    w.over ? cli_clean(w.now->words)
			   : "The conference goes on; perch watch "
			     "shows it again, perch leave leaves.");
	talk_close(&t);
	perch_conferences_free(w.list);
	return w.status;
}

int
cli_watch(const struct cli *c)
{
	return cli_watch_run(c, c->nargs > 0 ? c->arg[0] : NULL,
	    !cli_json(c) && c->opt[CLI_NO_TTY] == NULL && isatty(0) &&
		isatty(1));
}
