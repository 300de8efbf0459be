/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that joins a conference by libperchclient, speaks into it and
 * counts what it hears from everybody:
 *
 *	cc example.c $(pkg-config --static --cflags --libs perchclient)
 *	./a.out URI SECONDS < invitation-code
 *
 * It sees plain RTP only; keys never leave the vault of perch-agent.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <perchclient.h>

#define STREAMS 32

struct program {
	bool joined;
	int speak_fd; /* -1: not yet */
	struct perch_stream speak;
	struct {
		uint32_t ssrc;
		int handle;
		unsigned long packets;
	} heard[STREAMS];
	int nheard;
};

static void
on_packet(struct perch_client *c, const uint8_t *p, size_t n, void *arg)
{
	unsigned long *packets = arg;

	(void)c;
	if (n >= 12 && p[0] >> 6 == 2)
		++*packets;
}

/* Hear whoever is not heard yet. */
static void
hear(struct perch_client *c, struct program *g, const struct perch_stream *s)
{
	for (int i = 0; i < g->nheard; i++)
		if (g->heard[i].ssrc == s->ssrc)
			return;
	if (g->nheard == STREAMS || strcmp(s->media, "audio") != 0)
		return;
	g->heard[g->nheard].ssrc = s->ssrc;
	g->heard[g->nheard].handle =
	    perch_client_hear(c, s, on_packet, &g->heard[g->nheard].packets);
	if (g->heard[g->nheard].handle < 0) {
		fprintf(stderr, "%s\n", perch_client_error(c));
		return;
	}
	printf("hearing %s\n", s->name);
	g->nheard++;
}

static void
on_conferences(struct perch_client *c, struct program *g, const char *json)
{
	struct perch_conference *list;
	size_t n;

	if (perch_conferences_read(&list, &n, json) != 0)
		return;
	if (n > 0 && strcmp(list[0].state, "up") == 0) {
		for (size_t i = 0; i < list[0].nin && g->speak_fd < 0; i++)
			if (strcmp(list[0].in[i].media, "audio") == 0) {
				g->speak = list[0].in[i];
				g->speak_fd = perch_media_send(&g->speak);
			}
		for (size_t i = 0; i < list[0].nout; i++)
			hear(c, g, &list[0].out[i]);
	}
	perch_conferences_free(list);
}

static void
on_answer(struct perch_client *c, const struct perch_answer *a, void *arg)
{
	struct program *g = arg;

	if (a->event == PERCH_PROGRESS)
		printf("%s\n", a->text);
	else if (a->event == PERCH_STATUS)
		on_conferences(c, g, a->json);
	else if (a->event == PERCH_DONE)
		g->joined = true;
	else if (a->event == PERCH_FAILED)
		fprintf(stderr, "%s: %s\n", a->code, a->text);
}

/* One packet of 20 ms; what stands in it is a codec's business. */
static void
speak(const struct program *g, unsigned n)
{
	uint8_t p[12 + 40] = { 0x80, g->speak.pt, (uint8_t)(n >> 8),
		(uint8_t)n };
	uint32_t ts = n * 960;

	for (int i = 0; i < 4; i++)
		p[4 + i] = (uint8_t)(ts >> (24 - 8 * i));
	p[11] = 1; /* the agent puts in the conference's SSRC */
	if (g->speak_fd >= 0 && write(g->speak_fd, p, sizeof(p)) < 0 &&
	    errno != ECONNREFUSED)
		perror("write");
}

static void
run(struct perch_client *c, struct program *g, int seconds)
{
	struct pollfd p = { .fd = perch_client_fd(c), .events = POLLIN };
	time_t end = time(NULL) + seconds;

	for (unsigned n = 0; time(NULL) < end; n++) {
		if (poll(&p, 1, 20) > 0 && perch_client_dispatch(c) != 0)
			return;
		speak(g, n);
	}
}

int
main(int argc, char **argv)
{
	struct program g = { .speak_fd = -1 };
	struct perch_client *c;
	char code[256] = "";
	int id, r = 1;

	if (argc != 3) {
		fprintf(stderr, "usage: example URI SECONDS < code\n");
		return 2;
	}
	setvbuf(stdin, NULL, _IONBF, 0); /* no copy of the code in a buffer */
	if (fgets(code, sizeof(code), stdin) != NULL)
		code[strcspn(code, "\r\n")] = '\0';
	if (perch_client_open(&c, NULL) != 0)
		goto out;
	id = perch_client_join(
	    c, argv[1], code[0] != '\0' ? code : NULL, on_answer, &g);
	explicit_bzero(code, sizeof(code));
	if (perch_client_wait(c, id, 30000) != 0 || !g.joined)
		goto out;
	if (perch_client_watch(c, 0, on_answer, &g) < 0)
		goto out;
	run(c, &g, atoi(argv[2]));
	for (int i = 0; i < g.nheard; i++)
		printf("ssrc %u: %lu packets\n", g.heard[i].ssrc,
		    g.heard[i].packets);
	id = perch_client_leave(c, argv[1], on_answer, &g);
	r = perch_client_wait(c, id, 10000) == 0 ? 0 : 1;
out:
	if (r != 0)
		fprintf(stderr, "%s\n", perch_client_error(c));
	perch_client_close(c);
	if (g.speak_fd >= 0)
		close(g.speak_fd);
	return r;
}
