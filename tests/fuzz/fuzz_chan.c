/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that writes whatever it likes; the first octet says how much at a
 * time. The channel must end or be open, never in between. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/chan.h"
#include "perc/proc.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int
on_msg(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	unsigned sum = 0;

	for (size_t i = 0; i < m->len; i++)
		sum += m->data[i];
	perc_chan_state_set(c, m->flags);
	if (m->type == 3) {
		perc_chan_free(c);
		*(struct perc_chan **)arg = NULL;
		return 0;
	}
	if (perc_chan_send(c, 1, m->id, m->data, m->len) != 0)
		return PERC_ERR_LIMIT;
	return sum % 251 == 250 ? PERC_ERR_FORMAT : 0;
}

static void
on_close(struct perc_chan *c, int why, void *arg)
{
	if (why == 0)
		abort();
	perc_chan_free(c);
	*(struct perc_chan **)arg = NULL;
}

static const struct perc_chan_rule rules[] = { { 1, ~0u, 300, on_msg },
	{ 2, 2, 1 << 20, on_msg }, { 3, 4, 10, on_msg } };

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct perc_loop *l;
	struct perc_chan *c = NULL;
	size_t step = n > 0 ? (size_t)p[0] + 1 : 1;
	uint8_t sink[4096];
	int sv[2];

	if ((l == NULL && perc_loop_new(&l) != 0) || perc_proc_pair(sv) != 0 ||
	    perc_chan_new(&c, l, sv[0], rules, 3, on_close, &c) != 0)
		abort();
	for (size_t at = 1; at < n && c != NULL; at += step) {
		size_t k = n - at < step ? n - at : step;

		if (send(sv[1], p + at, k, MSG_NOSIGNAL) < 0)
			break;
		if (perc_loop_turn(l, 0) != 0)
			abort();
		while (recv(sv[1], sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
	perc_chan_free(c);
	close(sv[1]);
	return 0;
}
