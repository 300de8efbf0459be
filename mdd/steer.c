/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF has neither tables nor loops: the bitmap stands in the program
 * itself, as the leaves of a tree of jumps. A jump reaches 255 instructions,
 * so high up in the tree a second one carries it further. The reuseport hook
 * shows the payload; IP and UDP headers are below it, at SKF_NET_OFF.
 *
 * Sockets connected to one leg each would do without a program, but then a
 * system call gives the datagrams of one leg only, and the batches are gone.
 */
#include "mdd/steer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "perc/crypto.h"

#define STEER_SPARE 32 /* bits for each address */
#define STEER_LEAST 32 /* words */

#define V4_SOURCE 12
#define V6_SOURCE 8
#define V6_HEADER 40

void
mdd_steer_init(struct mdd_steer *s, size_t n, size_t words_max)
{
	memset(s, 0, sizeof(*s));
	perc_random(s->mul, sizeof(s->mul));
	s->mul[0] |= 1;
	s->mul[1] |= 1;
	s->words = 1;
	while (s->words < words_max && s->words < MDD_STEER_WORDS_MAX &&
	    (s->words < STEER_LEAST || s->words * 32u < n * STEER_SPARE))
		s->words *= 2;
}

/* Its upper bits are the good ones. */
static uint32_t
steer_hash(const struct mdd_steer *s, const struct mdd_addr *a)
{
	const uint8_t *p = a->u.in6.sin6_addr.s6_addr;
	uint32_t h = 0, w;
	uint16_t port;
	unsigned i;

	if (a->u.sa.sa_family == AF_INET) {
		h = ntohl(a->u.in.sin_addr.s_addr) * s->mul[0];
		port = ntohs(a->u.in.sin_port);
		return (h + port) * s->mul[1];
	}
	port = ntohs(a->u.in6.sin6_port);
	for (i = 0; i < 4; i++) {
		/* what a socket of IPv6 sees of IPv4 came as IPv4 */
		if (i < 3 && IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr))
			continue;
		memcpy(&w, p + 4 * i, sizeof(w));
		h = (h + ntohl(w)) * s->mul[0];
	}
	return (h + port) * s->mul[1];
}

static unsigned
steer_bits(const struct mdd_steer *s)
{
	return (unsigned)__builtin_ctz(s->words);
}

static uint32_t *
steer_place(const struct mdd_steer *s, uint32_t hash, uint32_t *bit)
{
	uint32_t at = hash >> (32 - 5 - steer_bits(s));

	*bit = 1u << (at & 31);
	return (uint32_t *)(uintptr_t)&s->map[at >> 5];
}

void
mdd_steer_add(struct mdd_steer *s, const struct mdd_addr *a)
{
	uint32_t bit, *w = steer_place(s, steer_hash(s, a), &bit);

	*w |= bit;
}

bool
mdd_steer_has(const struct mdd_steer *s, const struct mdd_addr *a)
{
	uint32_t bit, *w = steer_place(s, steer_hash(s, a), &bit);

	return (*w & bit) != 0;
}

/* ---- the program ------------------------------------------------------ */

struct steer_prog {
	struct sock_filter *at;
	size_t n;
};

static void
put(struct steer_prog *p, unsigned code, uint32_t k)
{
	p->at[p->n++] = (struct sock_filter){ .code = (uint16_t)code, .k = k };
}

static void
jump(struct steer_prog *p, unsigned code, uint32_t k, size_t yes, size_t no)
{
	p->at[p->n++] = (struct sock_filter){ (uint16_t)code, (uint8_t)yes,
		(uint8_t)no, k };
}

/* A = (A + M[0]) * mul, kept in M[0]. */
static void
put_mix(struct steer_prog *p, uint32_t mul)
{
	put(p, BPF_LDX | BPF_MEM, 0);
	put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	put(p, BPF_ALU | BPF_MUL | BPF_K, mul);
	put(p, BPF_ST, 0);
}

static void
put_hash(struct steer_prog *p, const struct mdd_steer *s)
{
	const uint32_t net = (uint32_t)SKF_NET_OFF;
	size_t i, fork, join;

	put(p, BPF_LD | BPF_IMM, 0);
	put(p, BPF_ST, 0);
	put(p, BPF_LD | BPF_B | BPF_ABS, net);
	put(p, BPF_ALU | BPF_RSH | BPF_K, 4);
	fork = p->n;
	jump(p, BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 0);
	for (i = 0; i < 4; i++) {
		put(p, BPF_LD | BPF_W | BPF_ABS,
		    net + V6_SOURCE + 4 * (uint32_t)i);
		put_mix(p, s->mul[0]);
	}
	put(p, BPF_LD | BPF_H | BPF_ABS, net + V6_HEADER);
	join = p->n;
	put(p, BPF_JMP | BPF_JA, 0);
	p->at[fork].jf = (uint8_t)(p->n - fork - 1);
	put(p, BPF_LD | BPF_W | BPF_ABS, net + V4_SOURCE);
	put_mix(p, s->mul[0]);
	put(p, BPF_LDX | BPF_B | BPF_MSH, net);
	put(p, BPF_LD | BPF_H | BPF_IND, net);
	p->at[join].k = (uint32_t)(p->n - join - 1);
	put_mix(p, s->mul[1]);
}

/* Instructions of a tree with that many leaves. */
static size_t
tree_len(unsigned leaves)
{
	size_t half;

	if (leaves == 1)
		return 2;
	half = tree_len(leaves / 2);
	return 2 * half + (half > 255 ? 2 : 1);
}

/* Leaves from `first` on, A being the hash; the last jumps go to `end`. */
static void
put_tree(struct steer_prog *p, const struct mdd_steer *s, unsigned first,
    unsigned leaves, size_t end)
{
	uint32_t bit;
	size_t half;

	if (leaves == 1) {
		put(p, BPF_LD | BPF_IMM, s->map[first]);
		put(p, BPF_JMP | BPF_JA, (uint32_t)(end - p->n - 1));
		return;
	}
	half = tree_len(leaves / 2);
	bit = (leaves / 2) << (32 - steer_bits(s));
	if (half > 255) {
		jump(p, BPF_JMP | BPF_JSET | BPF_K, bit, 0, 1);
		put(p, BPF_JMP | BPF_JA, (uint32_t)half);
	} else
		jump(p, BPF_JMP | BPF_JSET | BPF_K, bit, half, 0);
	put_tree(p, s, first, leaves / 2, end);
	put_tree(p, s, first + leaves / 2, leaves / 2, end);
}

size_t
mdd_steer_compile(const struct mdd_steer *s,
    struct sock_filter out[static MDD_STEER_PROG_MAX])
{
	struct steer_prog p = { out, 0 };

	put_hash(&p, s);
	/* X: which bit of a leaf; A: the hash again */
	put(&p, BPF_ALU | BPF_RSH | BPF_K, 32 - 5 - steer_bits(s));
	put(&p, BPF_ALU | BPF_AND | BPF_K, 31);
	put(&p, BPF_MISC | BPF_TAX, 0);
	put(&p, BPF_LD | BPF_MEM, 0);
	put_tree(&p, s, 0, s->words, p.n + tree_len(s->words));
	put(&p, BPF_ALU | BPF_RSH | BPF_X, 0);
	put(&p, BPF_ALU | BPF_AND | BPF_K, 1);
	put(&p, BPF_ALU | BPF_XOR | BPF_K, MDD_STEER_LOBBY);
	put(&p, BPF_RET | BPF_A, 0);
	return p.n;
}

int
mdd_steer_attach(const struct mdd_steer *s, int fd)
{
	struct sock_filter code[MDD_STEER_PROG_MAX];
	struct sock_fprog prog = { .filter = code };

	prog.len = (unsigned short)mdd_steer_compile(s, code);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog,
		sizeof(prog)) == 0)
		return 0;
	return errno == ENOMEM ? PERC_ERR_LIMIT : PERC_ERR_UNSUPPORTED;
}
