/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent says of a conference, as structures, and the sockets that it
 * names. A list is one block of memory: structures first, then the strings,
 * so that a caller has one thing to free.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/perchclient.h"

#define RECEIVE_BUFFER (1 << 20) /* octets: a burst of video */

/* Where the next structure and the next string go; without at, only counted. */
struct block {
	struct perch_stream *stream;
	char *at;
	size_t strings, streams;
};

static const char *
text_of(struct block *b, const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	size_t n = s == NULL ? 1 : strlen(s) + 1;
	char *to = b->at;

	b->strings += n;
	if (to == NULL)
		return NULL;
	memcpy(to, s == NULL ? "" : s, n);
	b->at += n;
	return to;
}

static int64_t
number_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static bool
speaks(const json_t *conf, int64_t ssrc)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(conf, "speaking"), i, one)
	{
		if (number_of(one, "ssrc") == ssrc)
			return true;
	}
	return false;
}

static void
stream_read(struct block *b, const json_t *conf, const json_t *o)
{
	struct perch_stream s = {
		.media = text_of(b, o, "media"),
		.codec = text_of(b, o, "codec"),
		.member = text_of(b, o, "member"),
		.name = text_of(b, o, "name"),
		.sdp = text_of(b, o, "sdp"),
		.ssrc = (uint32_t)number_of(o, "ssrc"),
		.pt = (uint8_t)number_of(o, "pt"),
		.port = (uint16_t)number_of(o, "port"),
		.rtcp_port = (uint16_t)number_of(o, "rtcp_port"),
		.speaking = speaks(conf, number_of(o, "ssrc")),
	};

	b->streams++;
	if (b->stream != NULL)
		*b->stream++ = s;
}

static const struct perch_stream *
streams_read(
    struct block *b, const json_t *conf, const char *name, size_t *count)
{
	const struct perch_stream *first = b->stream;
	const json_t *list = json_object_get(conf, name), *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		stream_read(b, conf, o);
	}
	*count = json_array_size(list);
	return first;
}

static bool
verified(const json_t *roster)
{
	return json_is_true(json_object_get(roster, "fresh")) &&
	    json_is_true(json_object_get(roster, "listed")) &&
	    !json_is_true(json_object_get(roster, "forked"));
}

static void
conf_read(struct block *b, struct perch_conference *c, const json_t *o)
{
	const json_t *roster = json_object_get(o, "roster"), *leg, *vault;
	const char *kmf = json_string_value(json_object_get(o, "kmf_trouble"));

	c->id = text_of(b, o, "conference");
	c->uri = text_of(b, o, "uri");
	c->title = text_of(b, o, "title");
	c->state = text_of(b, o, "state");
	c->words = text_of(b, o, "words");
	c->trouble = text_of(b, o,
	    kmf != NULL && kmf[0] != '\0' ? "kmf_trouble" : "mdd_trouble");
	c->name = text_of(b, o, "name");
	c->code = text_of(b, o, "code");
	c->epoch = number_of(o, "epoch");
	c->members = (int)number_of(roster, "members");
	leg = json_object_get(o, "leg");
	vault = json_object_get(json_object_get(o, "vault"), "counters");
	c->sent = number_of(leg, "sent");
	c->received = number_of(leg, "received");
	c->lost =
	    json_object_get(leg, "lost") == NULL ? -1 : number_of(leg, "lost");
	c->unopened = number_of(vault, "inner_auth_failed") +
	    number_of(vault, "no_key") + number_of(vault, "unknown_spi");
	c->verified = verified(roster);
	c->in = streams_read(b, o, "in", &c->nin);
	c->out = streams_read(b, o, "out", &c->nout);
}

static void
list_read(struct block *b, struct perch_conference *to, const json_t *list)
{
	struct perch_conference one;
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		conf_read(b, to == NULL ? &one : &to[i], o);
	}
}

int
perch_conferences_read(
    struct perch_conference **list, size_t *n, const char *json)
{
	struct block size = { 0 }, b = { 0 };
	struct perch_conference *c = NULL;
	json_t *o = json_loads(json, 0, NULL), *all;

	all = json_incref(json_object_get(o, "conferences"));
	if (all == NULL && json_object_get(o, "conference") != NULL)
		all = json_pack("[O]", o);
	if (!json_is_array(all)) {
		errno = EINVAL;
		goto out;
	}
	*n = json_array_size(all);
	list_read(&size, NULL, all);
	c = malloc(*n * sizeof(*c) + size.streams * sizeof(*b.stream) +
	    size.strings + 1);
	if (c == NULL)
		goto out;
	b.stream = (struct perch_stream *)(c + *n);
	b.at = (char *)(b.stream + size.streams);
	list_read(&b, c, all);
out:
	json_decref(all);
	json_decref(o);
	*list = c;
	return c == NULL ? -1 : 0;
}

void
perch_conferences_free(struct perch_conference *list)
{
	free(list);
}

/* ---- sockets ------------------------------------------------------------- */

static int
udp(uint16_t port, int (*attach)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), e;

	if (fd < 0)
		return -1;
	if (attach(fd, (const struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

int
perch_media_send(const struct perch_stream *in)
{
	return udp(in->port, connect);
}

int
perch_media_receive(const struct perch_stream *out)
{
	int fd = udp(out->port, bind), size = RECEIVE_BUFFER;

	if (fd >= 0)
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}
