/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-load: arguments, one conference, one scenario after the other.
 */
#include "tests/load/load.h"
#include "tests/load/media.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/log.h"

static const char usage[] =
    "perch-load [-n SEATS] [-t SECONDS] [-k PERCH-KMF] [-l MS] [--json] [-v]\n"
    "           [--media SEATS] [--mdd PERCH-MDD] [--quick] [--together]\n"
    "           [--whole-rosters] [--no-rosters]\n"
    "           [--url BASE --client FILE --ca FILE]\n"
    "           SCENARIO...\n"
    "scenarios, in the order given; join comes first:\n"
    "  join        all seats, spread over SECONDS (10)\n"
    "  rekey       what a new key costs the KMF, beside the floor\n"
    "  evict       five, one after the other\n"
    "  leave       100, or a fifth, at random times\n"
    "  mass-leave  half of them at once\n"
    "  flap        one in twenty leaves and comes back, five times\n"
    "  lag         five rekeys; with -l, bad lines are told apart\n"
    "  kill        SIGKILL in the middle of a rekey, then start again\n"
    "-l MS: one seat in twenty has a line with that round trip and 2 % loss, "
    "in\n"
    "a network namespace of its own if we are root.\n"
    "--media: so many of the seats send 50 packets a second and receive, by a\n"
    "perch-mdd (default ./perch-mdd); after each scenario it is told what of\n"
    "that could not be opened, and until when by those who are out. They have "
    "a\n"
    "process of their own; --together: they have not, to see what that does.\n"
    "--quick: fewer rounds of evict and lag.\n"
    "--whole-rosters: seats ask for no differences, as plain clients do.\n"
    "--no-rosters: seats do not fetch the rosters that are too large for the\n"
    "event stream. Without --url it makes and starts a KMF of its own (-k, "
    "default\n"
    "./perch-kmf) in a temporary directory; rekey's costs and kill need "
    "that.\n";

bool
load_until(struct load *l, bool (*fn)(struct load *), int64_t ms)
{
	int64_t until = perc_now_ms() + ms;

	while (perc_now_ms() < until) {
		if (fn != NULL && fn(l))
			return true;
		if (perc_loop_turn(l->loop, 20) != 0)
			return false;
	}
	return fn != NULL && fn(l);
}

void
load_pause(struct load *l, int64_t ms)
{
	(void)load_until(l, NULL, ms);
}

unsigned
load_live(const struct load *l)
{
	unsigned i, n = 0;

	for (i = 0; i < l->n; i++)
		n += l->seats[i].state == SEAT_LIVE && !l->seats[i].evicted;
	return n;
}

bool
load_settled(struct load *l)
{
	unsigned i;

	for (i = 0; i < l->n; i++) {
		const struct load_seat *s = &l->seats[i];

		if (s->state == SEAT_LIVE && !s->evicted &&
		    (s->epoch != l->board->epoch || !s->stream_open ||
			(i < l->nmedia && !s->hears)))
			return false;
	}
	return true;
}

static int
bad_usage(void)
{
	fputs(usage, stderr);
	return 2;
}

static int
args_get(struct load *l, int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL,
						     'j' },
		{ "url", required_argument, NULL, 'u' },
		{ "client", required_argument, NULL, 'c' },
		{ "ca", required_argument, NULL, 'a' },
		{ "no-rosters", no_argument, NULL, 'r' },
		{ "whole-rosters", no_argument, NULL, 'w' },
		{ "quick", no_argument, NULL, 'q' },
		{ "together", no_argument, NULL, 'T' },
		{ "media", required_argument, NULL, 'M' },
		{ "mdd", required_argument, NULL, 'm' }, { 0 } };
	int c;

	while (
	    (c = getopt_long(argc, argv, "n:t:k:l:v", options, NULL)) != -1) {
		if (c == 'n')
			l->n = (unsigned)atoi(optarg);
		else if (c == 't')
			l->spread_s = (unsigned)atoi(optarg);
		else if (c == 'k')
			text_put(l->kmf, sizeof(l->kmf), "%s", optarg);
		else if (c == 'v')
			l->verbose = true;
		else if (c == 'r')
			l->no_rosters = true;
		else if (c == 'l')
			l->lag_ms = (unsigned)atoi(optarg);
		else if (c == 'q')
			l->quick = true;
		else if (c == 'T')
			l->together = true;
		else if (c == 'M')
			l->nmedia = (unsigned)atoi(optarg);
		else if (c == 'm')
			text_put(l->mdd, sizeof(l->mdd), "%s", optarg);
		else if (c == 'w')
			l->whole_rosters = true;
		else if (c == 'j')
			l->json = true;
		else if (c == 'u')
			text_put(l->base, sizeof(l->base), "%s", optarg);
		else if (c == 'c')
			text_put(l->client, sizeof(l->client), "%s", optarg);
		else if (c == 'a')
			text_put(l->ca, sizeof(l->ca), "%s", optarg);
		else
			return -1;
	}
	l->own = l->base[0] == '\0';
	for (c = optind; c < argc; c++)
		l->costs = l->costs || strcmp(argv[c], "rekey") == 0;
	if (l->n < 2 || l->n > LOAD_SEATS_MAX || l->spread_s > 3600 ||
	    optind == argc || strcmp(argv[optind], "join") != 0 ||
	    (!l->own && (l->ca[0] == '\0' || l->client[0] == '\0')) ||
	    l->nmedia > LOAD_MEDIA_MAX || l->nmedia > l->n ||
	    (!l->own && l->nmedia > 0))
		return -1;
	return 0;
}

/* Three descriptors per seat here, two per seat there. */
static void
fds_allow(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int
servers_start(struct load *l)
{
	int r;

	if (!l->own)
		return 0;
	if ((r = load_dir_make(l)) != 0 ||
	    (l->nmedia > 0 && (r = load_mdd_prepare(l)) != 0) ||
	    (r = load_kmf_init(l)) != 0 || (r = load_kmf_serve(l)) != 0)
		return r;
	return l->nmedia > 0 ? load_mdd_serve(l) : 0;
}

static int
prepare(struct load *l)
{
	int r;

	if ((r = servers_start(l)) != 0 || (r = load_aside_open(l)) != 0 ||
	    (r = load_part_open(l)) != 0 ||
	    (l->own && l->costs && (r = load_floor(l)) != 0) ||
	    (r = load_admin_login(l)) != 0 ||
	    (r = load_admin_conference(l)) != 0 ||
	    (r = load_admin_invite(l)) != 0)
		return r;
	return load_aside_begin(l);
}

static bool
all_well(const struct load *l)
{
	struct load_count c = load_counted(l);

	return c.bad_keys == 0 && c.bad_rosters == 0 && c.undecryptable == 0 &&
	    c.new_undecryptable == 0 && c.deaf == 0 && c.mixed_up == 0;
}

static void
clear(struct load *l)
{
	load_aside_close(l);
	load_part_close(l);
	load_peer_clear(&l->admin);
	load_mdd_stop(l);
	load_kmf_remove(l);
}

int
main(int argc, char **argv)
{
	struct load l = { .n = 50, .spread_s = 10 };
	const char *what = "start";
	int r;

	text_put(l.mdd, sizeof(l.mdd), "./perch-mdd");
	text_put(l.kmf, sizeof(l.kmf), "./perch-kmf");
	perc_log_init("perch-load", "", 0, PERC_LOG_WARN);
	if (args_get(&l, argc, argv) != 0)
		return bad_usage();
	fds_allow();
	if ((r = load_board_make(&l)) != 0) {
		fprintf(stderr, "perch-load: %s\n", perc_strerror(r));
		return 1;
	}
	l.notes = json_array();
	r = prepare(&l);
	for (; r == 0 && optind < argc; optind++) {
		what = argv[optind];
		/* a scheduler's token lives 300 s */
		if ((r = load_admin_login(&l)) == 0)
			r = load_scenario(&l, what);
		if (r == 0)
			load_order_report(&l, what);
	}
	if (r != 0)
		fprintf(stderr, "perch-load: %s: %s\n", what, perc_strerror(r));
	load_report(&l);
	clear(&l);
	return r == 0 && all_well(&l) ? 0 : 1;
}
