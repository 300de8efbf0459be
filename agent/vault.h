/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault's own structures, for agent/vault*.c and their tests alone. One
 * struct vault per process, one struct vault_slot per conference. Everything
 * a slot holds is sized when it is made; nothing is allocated per packet.
 *
 * All times are CLOCK_BOOTTIME milliseconds (a key's time goes on while the
 * machine sleeps), but for a roster's end, which the KMF tells in UTC.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "agent/vaultclaims.h"
#include "agent/vaultconf.h"
#include "agent/vaultmsg.h"
#include "perc/chan.h"
#include "perc/crypto.h"
#include "perc/double.h"
#include "perc/ekt.h"
#include "perc/jose.h"
#include "perc/loop.h"
#include "perc/rtp.h"
#include "perc/secret.h"
#include "perc/wire.h"

#define VAULT_BATCH	 32 /* datagrams of one system call */
#define VAULT_EPOCHS_MAX 64 /* remembered, held or not, per conference */
/* Sealed answers remembered against replay: they live 61 s, and the front asks
 * once a second for each conference. */
#define VAULT_ANSWERS_MAX (VAULT_SLOTS * 64)
#define VAULT_WINDOW	  512  /* end-to-end replay window, packets */
#define VAULT_TICK_MS	  1000 /* how late an end of time may be noticed */
#define VAULT_DAMP_MS	  500  /* least time between two key frame requests */
#define VAULT_CODE_LEN	  17   /* three times five digits, two blanks */
#define VAULT_HOLD_MAX	  4096 /* packets waiting for their key: 8.5 MB */
#define VAULT_WANTED_MS	  1000 /* between two KEY_WANTED of one SPI */
#define VAULT_WANTED_MAX  4    /* SPIs asked for within that time */
#define VAULT_QUEUE_MAX	  (8u << 20) /* octets waiting for the front */

/* The channel's states, a bit each. */
#define VAULT_STATE_START 1u /* HELLO is awaited */
#define VAULT_STATE_READY 2u

enum vault_slot_state {
	VAULT_SLOT_FREE,   /* no conference */
	VAULT_SLOT_OPEN,   /* named, no key yet */
	VAULT_SLOT_LIVE,   /* holds a key */
	VAULT_SLOT_ERASED, /* held one; all is wiped */
};

struct vault_epoch { /* one EKT key that came, for as long as we remember */
	uint64_t epoch;
	uint16_t spi;
	bool held;
	char keyid[PERC_ENCKEY_KEYID_MAX + 1];
	uint8_t hash[PERC_SHA256_LEN]; /* of key || salt */
	int64_t expires_ms;
	int64_t drop_ms; /* superseded: wiped then; 0 while current */
};

struct vault_peer { /* a local program that we have heard */
	struct sockaddr_in addr; /* family 0: none yet */
	int64_t until_ms;	 /* so long it is known to be ours */
};

struct vault_listener { /* whoever would hear at a port */
	bool ours;
	int64_t until_ms; /* so long that is known */
};

struct vault_local { /* what the local application sends */
	struct vault_slot *slot;
	enum vault_media media;
	uint8_t layer; /* of the picture; 0 the worst */
	bool layered;  /* the KMF gave it an SSRC for more than one */
	int rtp_fd, rtcp_fd; /* -1: none */
	uint16_t port, rtcp_port;
	struct perc_io *rtp_io, *rtcp_io;
	uint32_t ssrc; /* assigned by the KMF; 0 none */
	struct perc_double_tx *tx;
	/* The application's numbering and ours; see vaultlocal.c. */
	bool started;
	uint32_t app_ssrc, app_ts, ts_off, ts;
	uint16_t app_seq, seq_off, seq;
	int64_t last_ms;
	struct vault_peer rtp_peer, rtcp_peer;
	int64_t key_frame_ms;			/* last request passed on */
	struct { /* the frame that is on its way; of a layer */
		uint32_t ts;
		bool have, started, key;
	} frame;
};

/*
 * A picture that comes in layers, each an SSRC of its own, and leaves as one
 * stream: in the record of its worst layer, which is the stream that the
 * application knows. vaultlayer.c.
 */
struct vault_merge {
	uint32_t shown; /* SSRC of the layer that goes out; 0: none yet */
	uint16_t seq_off, seq; /* out = in + off; newest that went out */
	uint32_t ts_off, ts;
	uint16_t begin; /* where the layer begins, as it came */
	uint32_t since; /* packets that went out since then */
	int64_t last_ms, asked_ms;
};

struct vault_stream { /* one SSRC of the roster that is not ours */
	uint32_t ssrc;
	enum vault_media media;
	uint16_t port; /* RTP; RTCP one above; 0: none left */
	uint8_t pt;    /* of the newest packet; 0: none came yet */
	int64_t pt_ms; /* since then */
	size_t member; /* index in the roster's members */
	uint8_t layer; /* of a picture; 0 the worst */
	size_t head;   /* index of its worst layer; itself when it is none */
	bool layered;  /* there are others of its picture */
	bool has_top;
	uint16_t top; /* newest sequence number that came, of a layer */
	struct vault_merge merge;
	struct vault_listener rtp_ear, rtcp_ear;
	int64_t begin_ms; /* a player waits for a key frame, asked for then */
	int64_t heard_ms;
	bool speaking;
};

struct vault_member {
	char *id, *name;
	uint8_t digest[PERC_SHA256_LEN]; /* of all that the roster says */
	uint8_t leaf[PERC_SHA256_LEN]; /* perc/roster.h */
};

struct vault_roster {
	bool have, forked, gap, listed;
	bool unsigned_seen; /* somebody offers rosters that are not the KMF's */
	uint64_t seq, epoch;
	int64_t exp_s; /* UTC */
	uint8_t hash[PERC_SHA256_LEN]; /* its head: all that have it agree */
	bool whole;		       /* it came as a text of its own */
	uint8_t text[PERC_SHA256_LEN]; /* whose hash this is */
	struct vault_member *members;
	struct vault_stream *streams; /* sorted by SSRC */
	size_t nmembers, nstreams;
};

struct vault_counters {
	uint64_t sent, send_refused, local_dropped, delivered, not_delivered,
	    pt_refused, key_wanted, rtcp_in, rtcp_out, rtcp_dropped, key_frames,
	    key_frames_damped, local_strangers, layer_switches;
	uint64_t held, held_late, held_lost; /* kept; opened then; given up */
};

struct vault_wanted {
	uint16_t spi;
	int64_t asked_ms; /* 0: never */
};

struct vault_held;
struct vault_hold { /* vaulthold.c: packets that came before their key */
	struct vault_held *all; /* VAULT_HOLD_MAX of them */
	uint16_t order[VAULT_HOLD_MAX]; /* oldest first */
	unsigned n;
	int64_t missing_ms; /* when an unknown SPI was seen last */
	bool lacks;	    /* the packet tried last names such a one */
	bool busy;
};

struct vault_slot {
	struct vault *v;
	unsigned index;
	enum vault_slot_state state;
	char conf[VAULT_ID_MAX];
	const struct vault_kmf *kmf;
	char member[VAULT_ID_MAX];
	char name[VAULT_NAME_MAX];

	struct perc_ekt *ekt;
	struct perc_double_rx *rx;
	struct perc_secret *delivery; /* opens pushed epochs */
	struct vault_epoch epochs[VAULT_EPOCHS_MAX];
	unsigned nepochs; /* ever; the ring's next place is modulo */
	uint64_t epoch;	  /* newest */
	uint16_t spi;
	enum perc_ekt_cipher cipher;
	enum perc_double_profile profile;
	int64_t overlap_ms;
	int64_t epoch_ms; /* when it came */
	uint64_t roster_min; /* least roster sequence, told with the key */
	struct vault_codec codecs[VAULT_CODECS_MAX];
	unsigned ncodecs;
	struct vault_local local[VAULT_LOCAL_STREAMS];
	struct vault_roster roster;
	uint8_t port_used[VAULT_OUT_STREAMS];
	uint32_t port_ssrc[VAULT_OUT_STREAMS]; /* whose each was last */
	unsigned port_next;
	struct vault_wanted wanted[VAULT_WANTED_MAX];
	struct vault_counters count;
	struct { /* to compare by voice; of this content */
		uint8_t base[PERC_SHA256_LEN];
		char text[VAULT_CODE_LEN + 1];
	} code;
	struct vault_hold hold;
	bool speak_new; /* somebody began to speak, not told yet */
	struct perc_timer timer, speak_timer;
	int64_t due_ms; /* when the next held epoch is over */
};

struct vault_seen { /* a sealed answer that was taken */
	uint8_t hash[PERC_SHA256_LEN];
	int64_t until_s;
};

struct vault {
	struct perc_loop *loop;
	struct perc_chan *chan; /* NULL once the front is gone */
	const struct vault_config *config;
	struct perc_jwk *sign, *seal;
	char seal_jkt[PERC_JKT_LEN + 1];
	char *report; /* JSON of READY */
	int out_fd;
	struct perc_io *out_io;
	uint16_t out_base, out_port;
	struct {
		int fd; /* sock_diag; not above 0: the system has none */
		uint32_t uid, seq;
		unsigned strangers; /* asked about since strangers_ms */
		int64_t strangers_ms;
	} owner;
	struct vault_slot slots[VAULT_SLOTS];
	struct vault_seen seen[VAULT_ANSWERS_MAX];
	const char *why; /* words of the DONE being made */

	/* Packets on their way; wiped with the keys. */
	struct mmsghdr in_msg[VAULT_BATCH], out_msg[VAULT_BATCH];
	struct iovec in_iov[VAULT_BATCH], out_iov[VAULT_BATCH];
	struct sockaddr_in in_from[VAULT_BATCH], out_to[VAULT_BATCH];
	uint8_t in[VAULT_BATCH][VAULT_PACKET_MAX];
	uint8_t out[VAULT_BATCH][VAULT_PACKET_MAX];
	unsigned nout;
	struct perc_defer flush;
	uint8_t work[VAULT_PACKET_MAX + PERC_DOUBLE_ROOM];
};

/* What the outside knows of the process; main fills it. */
struct vault_setup {
	const struct vault_config *config; /* must outlive the vault */
	int chan_fd;
	int local_fd[VAULT_SLOTS][VAULT_LOCAL_STREAMS][2]; /* -1: none */
	int out_fd;
	int diag_fd; /* a netlink socket for sock_diag; not above 0: none */
	uint16_t out_base;
	const char *report; /* JSON object; members are added to it */
};

/* ---- vaultlife.c -------------------------------------------------------- */
/* Makes both keys; takes over the descriptors. The loop stops when the front
 * goes away, after everything was wiped. */
PERC_MUST int vault_new(
    struct vault **vp, struct perc_loop *l, const struct vault_setup *setup);
void vault_free(struct vault *v); /* wipes everything */
/* Wipe every conference and tell the front, receipts and all. */
void vault_stop(struct vault *v, const char *reason);

/* ---- vault.c: messages --------------------------------------------------- */
/* One message, as from the channel; non-zero: the channel must end. */
PERC_MUST int vault_input(struct vault *v, const struct perc_chan_msg *m);
/* Set the words of the coming DONE; returns err. */
int vault_refuse(struct vault *v, int err, const char *why);

/* ---- vaultsend.c -------------------------------------------------------- */
/* A frame of strings, after an optional i32. Lost when the front is gone. */
void vault_send(struct vault *v, uint16_t type, uint32_t id,
    const int32_t *code, const char *const *strs, unsigned n);
void vault_send_packet(
    struct vault_slot *s, uint16_t type, const uint8_t *p, size_t n);
void vault_send_wanted(struct vault_slot *s, uint16_t spi);
void vault_send_streams(struct vault_slot *s);
/* The texts; the caller frees with perc_json_free. NULL: no memory. */
char *vault_status_text(struct vault *v, const char *conf);
char *vault_key_text(const struct vault_slot *s);
char *vault_roster_text(const struct vault_slot *s);
char *vault_report_text(const struct vault *v, const char *base);

/* ---- vaultproof.c ------------------------------------------------------- */
/* *proofp: free() it. PERC_ERR_DENIED: not a request to a pinned KMF. */
PERC_MUST int vault_proof(struct vault *v, struct perc_wire *w, char **proofp);

/* ---- vaultkey.c, vaultepoch.c: words by vault_refuse --------------------- */
PERC_MUST int vault_key_take(struct vault_slot *s, const char *jwe);
/* Take the set into use. The slot has its table, receiver and senders. */
PERC_MUST int vault_epoch_install(struct vault_slot *s, uint64_t epoch,
    const struct perc_enckey *k, int64_t life_ms);
PERC_MUST int vault_epoch_take(
    struct vault_slot *s, const char *statement, const char *sealed);
/* The epoch's record if it is held; NULL. */
const struct vault_epoch *
vault_epoch_held(const struct vault_slot *s, uint16_t spi);
bool vault_epoch_known(const struct vault_slot *s, uint16_t spi);
/* Drop what is over; erases the slot with the last key. */
void vault_slot_tick(struct vault_slot *s);

/* ---- vaultroster.c ------------------------------------------------------ */
PERC_MUST int vault_roster_take(struct vault_slot *s, const char *jws);
/* *reason: "ended" or "evicted". */
PERC_MUST int
vault_notice_take(struct vault_slot *s, const char *jws, const char **reason);
bool vault_roster_stale(const struct vault_slot *s);
struct vault_stream *
vault_stream_find(const struct vault_slot *s, uint32_t ssrc);
void vault_roster_clear(struct vault_slot *s);

/* ---- vaultcode.c -------------------------------------------------------- */
PERC_MUST int vault_member_digest(
    uint8_t h[static PERC_SHA256_LEN], const json_t *entry);
/* Of the roster held and its epoch; "" when there is none. Costs some
 * milliseconds when they changed. */
const char *vault_code_text(struct vault_slot *s);
json_t *vault_roster_warnings(const struct vault_slot *s); /* words */

/* ---- vaulthold.c -------------------------------------------------------- */
PERC_MUST int vault_hold_init(struct vault_hold *h);
void vault_hold_clear(struct vault_hold *h);
/* This packet ended with err, and that SPI (0: none) is missing: keep it if a
 * key may come that opens it. */
void vault_hold_put(struct vault_slot *s, int64_t now_ms, const uint8_t *p,
    size_t n, int err, uint16_t missing);
/* A key came: try what waits of this SSRC; 0: of all. */
void vault_hold_try(struct vault_slot *s, uint32_t ssrc);

/* ---- vaultlayer.c: several layers of a picture are one stream ------------ */
/* Does t, or the picture that it is of, have a port? The stream that has it. */
struct vault_stream *
vault_layer_head(const struct vault_slot *s, const struct vault_stream *t);
/* The layer that is seen of head, or head. */
const struct vault_stream *
vault_layer_shown(const struct vault_slot *s, const struct vault_stream *head);
/* The opened packet p (info) of layer t goes out, its header now being that of
 * the one stream. False: another layer is shown. */
bool vault_layer_follow(struct vault_slot *s, struct vault_stream *t,
    const struct perc_double_in *info, uint8_t *p, int64_t now);
/* A player has just come (fresh), or waits: ask for a key frame until this
 * packet (p, n octets, plain) begins one. */
void vault_layer_begin(struct vault_slot *s, struct vault_stream *t, bool fresh,
    const struct vault_codec *c, const uint8_t *p, size_t n, int64_t now);
/* RTCP between a player, who knows one stream with its own numbers, and the
 * hop, which knows the layer that comes: a report block, what NACKs name, the
 * body of an SR (as the application gets it). */
#define VAULT_REPORT_LEN 24
void vault_layer_report(const struct vault_slot *s,
    const struct vault_stream *head, struct perc_wire *out,
    const uint8_t block[static VAULT_REPORT_LEN]);
void vault_layer_nacks(const struct vault_stream *head, struct perc_wire *out,
    const uint8_t *p, size_t n);
void vault_layer_sender(const struct vault_stream *head, struct perc_wire *out,
    const uint8_t body[static 24]);
/* What leaves with a packet of a layer besides: its frame marking. */
uint8_t vault_layer_mark(struct vault_local *l, const char *codec,
    const struct perc_rtp *h, const uint8_t *p, size_t n, bool *key);

/* ---- vaultspeak.c ------------------------------------------------------- */
/* A packet of this stream opened. */
void vault_speak_heard(
    struct vault_slot *s, struct vault_stream *t, size_t payload);
json_t *vault_speak_json(const struct vault_slot *s); /* who speaks now */

/* ---- vaulterase.c ------------------------------------------------------- */
/* Wipe the slot, send ERASED with a receipt, leave it ERASED. */
void vault_slot_erase(struct vault_slot *s, const char *reason);
/* Wipe without a word. */
void vault_slot_wipe(struct vault_slot *s);
unsigned vault_keys_held(const struct vault_slot *s);

/* ---- vaultowner.c: whose is the socket over there? ----------------------- */
void vault_owner_init(struct vault *v, int diag_fd); /* takes it over */
void vault_owner_clear(struct vault *v);
bool vault_owner_known(const struct vault *v); /* can the system tell? */
/* Does from, which sends to our port, belong to this user? k remembers. */
bool vault_sender_ours(struct vault *v, struct vault_peer *k, uint16_t port,
    const struct sockaddr_in *from, int64_t now);
/* Would this user's program hear what goes to port of 127.0.0.1? */
bool vault_listener_ours(
    struct vault *v, struct vault_listener *k, uint16_t port, int64_t now);

/* ---- vaultlocal.c, vaultmedia.c ----------------------------------------- */
void vault_local_rtp(int fd, uint32_t events, void *arg);  /* vault_local */
void vault_local_rtcp(int fd, uint32_t events, void *arg); /* vault_local */
void vault_local_report(struct vault_local *l, const uint8_t *p, size_t n);
void vault_out_rtcp(int fd, uint32_t events, void *arg); /* vault */
/* Read a batch from 127/8; returns how many; lengths in in_msg[].msg_len. */
unsigned vault_batch_read(struct vault *v, int fd);
void vault_media_in(struct vault_slot *s, const uint8_t *p, size_t n);
/* One look at a packet; what it would not open is not kept. */
PERC_MUST int vault_media_open(
    struct vault_slot *s, int64_t now_ms, const uint8_t *p, size_t n);
void vault_rtcp_in(struct vault_slot *s, const uint8_t *p, size_t n);
/* Ask whoever sends t for a key frame. */
void vault_key_frame_ask(struct vault_slot *s, const struct vault_stream *t);
/* Queue one datagram for 127.0.0.1; sent at the end of the turn. */
void vault_out_put(
    struct vault *v, const struct sockaddr_in *to, const uint8_t *p, size_t n);
void vault_out_flush(void *vault);
const struct vault_codec *vault_codec_find(const struct vault_slot *s,
    enum vault_media media, int pt); /* pt below 1: the first */
