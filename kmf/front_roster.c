/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Large rosters. A thousand members who hear of a new one ask for it within a
 * second, and all want the same half megabyte: it crosses the channel once,
 * while the keeper still decides for each of them (kmf/msg.h, ROSTER).
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"

int
front_on_roster(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front *f = arg;
	struct front_roster *p;
	struct kmf_event e;
	char *text;
	int r;

	if ((r = kmf_event_decode(&e, m->data, m->len)) != 0)
		return r;
	if (strlen(e.name) >= sizeof(p->conf))
		return PERC_ERR_LIMIT;
	if ((text = strdup(e.data)) == NULL)
		return PERC_ERR_NOMEM;
	p = &f->rosters[kmf_roster_place(e.name)];
	free(p->text);
	p->text = text;
	p->len = strlen(text);
	p->seq = e.event_id;
	snprintf(p->conf, sizeof(p->conf), "%s", e.name);
	return 0;
}

const struct front_roster *
front_roster_find(const struct front_req *q, const struct kmf_reply *a)
{
	const struct front_roster *p =
	    &q->f->rosters[kmf_roster_place(q->par.conf)];
	char seq[24];

	snprintf(seq, sizeof(seq), "%" PRIu64, p->seq);
	if (p->text == NULL || strcmp(p->conf, q->par.conf) != 0 ||
	    strcmp(seq, a->etag) != 0)
		return NULL;
	return p;
}

void
front_rosters_clear(struct front *f)
{
	unsigned i;

	for (i = 0; i < KMF_ROSTER_PLACES; i++) {
		free(f->rosters[i].text);
		f->rosters[i].text = NULL;
	}
}
