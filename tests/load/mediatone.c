/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local application of each seat with media: 50 packets a second, each of
 * which says whose it is, which one, and when it was sent.
 */
#include "tests/load/media.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "perc/wire.h"

#define PACKET_LEN 172 /* 20 ms of G.711 */

static struct perc_timer tone;

int
load_tone_open(struct load_media *m, int *vault_fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*vault_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	m->app_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*vault_fd < 0 || m->app_fd < 0 ||
	    bind(*vault_fd, (struct sockaddr *)&a, n) != 0 ||
	    getsockname(*vault_fd, (struct sockaddr *)&a, &n) != 0 ||
	    connect(m->app_fd, (struct sockaddr *)&a, n) != 0)
		return PERC_ERR_SYS;
	return 0;
}

static void
packet_say(struct load_media *m)
{
	uint8_t p[PACKET_LEN] = { 0 };
	struct perc_wire w;

	if (m->next == LOAD_PACKETS_MAX)
		return;
	perc_wire_writer(&w, p, sizeof(p));
	perc_wire_put_u8(&w, 0x80);
	perc_wire_put_u8(&w, 0);
	perc_wire_put_u16(&w, (uint16_t)m->next);
	perc_wire_put_u32(&w, m->next * 160);
	perc_wire_put_u32(&w, 1 + m->index);
	perc_wire_put_u32(&w, m->index);
	perc_wire_put_u32(&w, m->next);
	perc_wire_put_u64(&w, (uint64_t)load_us());
	if (send(m->app_fd, p, sizeof(p), MSG_DONTWAIT) < 0)
		return; /* the vault is behind: as with any application */
	m->sent_us[m->next++] = load_us();
	if (m->first_us == 0)
		m->first_us = load_us();
}

static void
on_tone(void *arg)
{
	static int64_t due;
	struct load *l = arg;
	int64_t now = perc_now_ms();
	unsigned i;

	due = due == 0 || now - due > 1000 ? now : due;
	for (i = 0; i < l->nmedia; i++) {
		struct load_media *m = l->seats[i].media;

		if (load_media_hears(m) && !m->spying && !l->seats[i].evicted)
			packet_say(m);
	}
	due += LOAD_FRAME_MS;
	if (perc_timer_set(
		l->loop, &tone, due > now ? due - now : 0, on_tone, l) != 0)
		exit(1);
}

int
load_tone_run(struct load *l)
{
	return perc_timer_set(l->loop, &tone, 0, on_tone, l);
}
