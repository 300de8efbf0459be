/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a forwarder can be: recvmmsg, one AES-GCM operation to open,
 * one for each receiver to close, sendmmsg. It knows its members from the
 * start, checks no replay, no SSRC and no rate, and has no state but the
 * ciphers. Its OpenSSL contexts are kept, as a good one would.
 */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/gcm.h"
#include "tests/bench/mddrig.h"

#define BATCH 64
#define HEAD  12
#define TAG   16
#define TAIL  1

struct plain {
	int fd;
	unsigned n;
	uint16_t by_port[65536]; /* member + 1 */
	struct {
		struct sockaddr_in at;
		EVP_CIPHER_CTX *rx, *tx;
		uint8_t rx_salt[12], tx_salt[12];
		uint32_t roc;
		uint16_t top;
	} m[RIG_MEMBERS];
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct sockaddr_in from[BATCH];
	uint8_t in_buf[BATCH][2048], out_buf[BATCH][2048];
	unsigned nout;
};

static EVP_CIPHER_CTX *
cipher(const uint8_t *master, const uint8_t *salt, uint8_t session_salt[12])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	struct perc_session_keys k;

	need(c != NULL && perc_srtp_kdf(&k, master, 16, salt) == 0);
	memcpy(session_salt, k.rtp_salt, 12);
	need(EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, k.rtp_key, NULL) ==
	    1);
	return c;
}

static void
nonce(uint8_t iv[12], const uint8_t *salt, const uint8_t *p, uint32_t roc)
{
	int i;

	memcpy(iv, salt, 12);
	for (i = 0; i < 4; i++) {
		iv[2 + i] ^= p[8 + i];
		iv[6 + i] ^= (uint8_t)(roc >> (24 - 8 * i));
	}
	iv[10] ^= p[2];
	iv[11] ^= p[3];
}

static void
out_flush(struct plain *f)
{
	unsigned done = 0;
	int n;

	while (done < f->nout) {
		n = sendmmsg(f->fd, f->out + done, f->nout - done, 0);
		done += n > 0 ? (unsigned)n : 1;
	}
	f->nout = 0;
}

static void
forward(struct plain *f, unsigned to, const uint8_t *p, size_t n, uint32_t roc)
{
	uint8_t iv[12], *o;
	int len;

	if (f->nout == BATCH)
		out_flush(f);
	o = f->out_buf[f->nout];
	memcpy(o, p, HEAD);
	nonce(iv, f->m[to].tx_salt, p, roc);
	need(EVP_EncryptInit_ex(f->m[to].tx, NULL, NULL, NULL, iv) == 1 &&
	    EVP_EncryptUpdate(f->m[to].tx, NULL, &len, o, HEAD) == 1 &&
	    EVP_EncryptUpdate(
		f->m[to].tx, o + HEAD, &len, p + HEAD, (int)n - HEAD) == 1 &&
	    EVP_EncryptFinal_ex(f->m[to].tx, o + n, &len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(
		f->m[to].tx, EVP_CTRL_GCM_GET_TAG, TAG, o + n) == 1);
	o[n + TAG] = 0;
	f->out_iov[f->nout].iov_len = n + TAG + TAIL;
	f->out[f->nout].msg_hdr.msg_name = &f->m[to].at;
	f->nout++;
}

static void
take(struct plain *f, unsigned i)
{
	unsigned who = f->by_port[f->from[i].sin_port], to;
	uint8_t *p = f->in_buf[i], iv[12], tag[TAG];
	size_t n = f->in[i].msg_len - TAIL - TAG;
	uint16_t seq = (uint16_t)(p[2] << 8 | p[3]);
	int len;

	if (who-- == 0 || f->in[i].msg_len < HEAD + TAG + TAIL)
		return;
	if (seq < 0x1000 && f->m[who].top > 0xf000)
		f->m[who].roc++;
	f->m[who].top = seq;
	nonce(iv, f->m[who].rx_salt, p, f->m[who].roc);
	memcpy(tag, p + n, TAG);
	if (EVP_DecryptInit_ex(f->m[who].rx, NULL, NULL, NULL, iv) != 1 ||
	    EVP_CIPHER_CTX_ctrl(f->m[who].rx, EVP_CTRL_GCM_SET_TAG, TAG, tag) !=
		1 ||
	    EVP_DecryptUpdate(f->m[who].rx, NULL, &len, p, HEAD) != 1 ||
	    EVP_DecryptUpdate(
		f->m[who].rx, p + HEAD, &len, p + HEAD, (int)n - HEAD) != 1 ||
	    EVP_DecryptFinal_ex(f->m[who].rx, p + n, &len) != 1)
		return;
	for (to = 0; to < f->n; to++)
		if (to != who)
			forward(f, to, p, n, f->m[who].roc);
}

static void
serve(struct plain *f)
{
	unsigned i;
	int n;

	for (i = 0; i < BATCH; i++) {
		f->in_iov[i] = (struct iovec){ f->in_buf[i], 2048 };
		f->out_iov[i].iov_base = f->out_buf[i];
		f->in[i].msg_hdr = (struct msghdr){ .msg_iov = &f->in_iov[i],
			.msg_iovlen = 1,
			.msg_name = &f->from[i] };
		f->out[i].msg_hdr = (struct msghdr){ .msg_iov = &f->out_iov[i],
			.msg_iovlen = 1,
			.msg_namelen = sizeof(f->m[0].at) };
	}
	for (;;) {
		for (i = 0; i < BATCH; i++)
			f->in[i].msg_hdr.msg_namelen = sizeof(f->from[i]);
		n = recvmmsg(f->fd, f->in, BATCH, MSG_WAITFORONE, NULL);
		for (i = 0; n > 0 && i < (unsigned)n; i++)
			take(f, i);
		out_flush(f);
	}
}

static bool
plain_start(struct rig *r)
{
	struct plain *f = calloc(1, sizeof(*f));
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int size = 4 << 20;
	unsigned i;

	need(f != NULL);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->n = r->n;
	f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	need(f->fd >= 0 && bind(f->fd, (struct sockaddr *)&at, len) == 0 &&
	    getsockname(f->fd, (struct sockaddr *)&at, &len) == 0);
	(void)setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (i = 0; i < r->n; i++) {
		uint8_t key[16], salt[12];

		rig_random(key, sizeof(key));
		rig_random(salt, sizeof(salt));
		f->m[i].at = r->m[i].self;
		f->by_port[r->m[i].self.sin_port] = (uint16_t)(i + 1);
		f->m[i].rx = cipher(r->m[i].key, r->m[i].salt, f->m[i].rx_salt);
		f->m[i].tx = cipher(key, salt, f->m[i].tx_salt);
		r->m[i].to = at;
		need(perc_srtp_new(&r->m[i].tx, PERC_AEAD_AES_128_GCM,
			 r->m[i].key, r->m[i].salt, 1, 64) == 0);
	}
	r->pid = fork();
	need(r->pid >= 0);
	if (r->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(f);
	}
	(void)close(f->fd);
	for (i = 0; i < r->n; i++) {
		EVP_CIPHER_CTX_free(f->m[i].rx);
		EVP_CIPHER_CTX_free(f->m[i].tx);
	}
	free(f);
	return true;
}

static void
plain_stop(struct rig *r)
{
	(void)kill(r->pid, SIGKILL);
	(void)waitpid(r->pid, NULL, 0);
}

const struct sut sut_plain = { "plain", true, plain_start, plain_stop, NULL,
	NULL };
