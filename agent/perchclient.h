/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libperchclient: a program joins encrypted conferences through the user's
 * perch-agent. Keys stay in the agent's vault: what the program sends and
 * hears is plain RTP on loopback, and nothing in this interface can reach a
 * key. The perch command is built on it. perchclient(3) is the manual,
 * docs/perchclient-example.c a whole program.
 *
 * One descriptor stands for everything: wait until it is readable (poll,
 * select, any event loop), then call perch_client_dispatch(), which calls
 * back. Nothing here blocks except perch_client_wait(). A client belongs to
 * one thread. Functions return 0 or, on error, -1 with errno set and words
 * in perch_client_error().
 */
#ifndef PERCHCLIENT_H
#define PERCHCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct perch_client;

/* ---- the connection ------------------------------------------------------ */

/*
 * Connect to the agent at path; NULL: $PERCH_SOCKET, then
 * $XDG_RUNTIME_DIR/perch/agent.sock. *cp is set also on error, for
 * perch_client_error(); close it in any case. It is NULL only without memory.
 */
int perch_client_open(struct perch_client **cp, const char *path);
/* NULL is fine. Requests under way are forgotten; a conference is not left,
 * a login is given up. */
void perch_client_close(struct perch_client *c);
/* Readable when perch_client_dispatch() has something to do. */
int perch_client_fd(const struct perch_client *c);
/* Take what is there and call back. EPIPE: the agent went away, and every
 * request was answered with PERCH_FAILED. */
int perch_client_dispatch(struct perch_client *c);
/* Dispatch until request `id` is answered. timeout_ms -1: no limit; ETIMEDOUT:
 * it is still under way. */
int perch_client_wait(struct perch_client *c, int id, int timeout_ms);
/* What went wrong last, for people; never NULL. */
const char *perch_client_error(const struct perch_client *c);

/* ---- requests ------------------------------------------------------------ */

enum perch_event {
	PERCH_PROGRESS, /* text is for people */
	PERCH_LOGIN,	/* json: "device" or "open", as the agent's local.md */
	PERCH_STATUS,	/* of a watch: json is what `status` says */
	PERCH_DONE,	/* the end: json is the result */
	PERCH_FAILED,	/* the end: code is stable, text for people */
};

/* Strings are valid during the call; those that an event lacks are NULL. */
struct perch_answer {
	enum perch_event event;
	int id;
	const char *json; /* one object */
	const char *code; /* "not_invited", "unreachable", ... */
	const char *text;
};
typedef void (*perch_answer_fn)(
    struct perch_client *c, const struct perch_answer *a, void *arg);

/*
 * Each starts a request and returns its id, above 0, or -1: EINVAL (members
 * is no JSON object), EAGAIN (8 are under way), EPIPE. fn is called any number
 * of times and last with PERCH_DONE or PERCH_FAILED; it may start more
 * requests, but neither close the client nor dispatch.
 *
 * request: any command of the agent's socket, with members as JSON text (NULL:
 *   none). join: uri as in the invitation; code NULL: the login counts; done
 *   when media is up. leave: conference an id or URI, NULL: the only one; done
 *   when all keys are erased. watch: PERCH_STATUS at once and after each
 *   change, without end; every_ms 0: half a second.
 */
int perch_client_request(struct perch_client *c, const char *cmd,
    const char *members, perch_answer_fn fn, void *arg);
int perch_client_join(struct perch_client *c, const char *uri, const char *code,
    perch_answer_fn fn, void *arg);
int perch_client_leave(struct perch_client *c, const char *conference,
    perch_answer_fn fn, void *arg);
int perch_client_watch(
    struct perch_client *c, int every_ms, perch_answer_fn fn, void *arg);

/* ---- conferences --------------------------------------------------------- */

struct perch_stream {
	const char *media;	   /* "audio", "video" */
	const char *codec;	   /* "opus/48000/2"; "" unknown */
	const char *member, *name; /* whose; "" for what we send */
	const char *sdp;	   /* a file for players; "" none */
	uint32_t ssrc;		   /* in the conference */
	uint8_t pt;		   /* payload type */
	uint16_t port, rtcp_port;  /* of 127.0.0.1 */
	bool speaking;
};

struct perch_conference {
	const char *id, *uri, *title;
	const char *state; /* "entering", "connecting", "up", "leaving",
			    * "over" */
	const char *words; /* the same for people */
	const char *trouble; /* "" when all is well */
	const char *name;    /* what we are called in it */
	const char *code;    /* digits to compare by voice, "" none */
	int64_t epoch;
	int members;
	int64_t sent, received; /* packets, at the distributor's leg */
	int64_t lost;		/* that never came; -1: not known */
	int64_t unopened;	/* that came, and no key opened */
	bool verified; /* the roster is signed, fresh and not forked */
	const struct perch_stream *in;	/* what we may send */
	const struct perch_stream *out; /* what can be heard */
	size_t nin, nout;
};

/*
 * Read the json of PERCH_STATUS, or of PERCH_DONE to "status" (any number of
 * conferences) or to join (one). *list and all it points to is one block:
 * perch_conferences_free(). EINVAL, ENOMEM.
 */
int perch_conferences_read(
    struct perch_conference **list, size_t *n, const char *json);
void perch_conferences_free(struct perch_conference *list);

/* ---- media: by descriptor, or by callback -------------------------------- */

/*
 * A UDP socket, connected: write(2) one RTP packet each, of any SSRC, with the
 * stream's payload type; the agent puts in the conference's numbers and seals
 * it. read(2) gives RTCP: key frame requests. The caller closes it.
 */
int perch_media_send(const struct perch_stream *in);
/* A UDP socket, bound: read(2) gives one RTP packet each, from other members,
 * opened. EADDRINUSE: another program hears this stream. The caller closes. */
int perch_media_receive(const struct perch_stream *out);

/* p is borrowed; RTP as sent, with the conference's SSRC. */
typedef void (*perch_packet_fn)(
    struct perch_client *c, const uint8_t *p, size_t n, void *arg);
/* The same by callback, from perch_client_dispatch(). Returns a handle, above
 * 0, or -1: as perch_media_receive; EAGAIN: 64 are heard already. */
int perch_client_hear(struct perch_client *c, const struct perch_stream *out,
    perch_packet_fn fn, void *arg);
void perch_client_deaf(struct perch_client *c, int handle);

#ifdef __cplusplus
}
#endif
#endif
