/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Two configurations side by side: what a running program cannot take over,
 * and whether what is done outside is still the same.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/conf_hook.h"
#include "kmf/conf_table.h"
#include "kmf/kmf.h"

void
kmf_conf_frozen(
    struct kmf_frozen *f, const struct kmf_conf *a, const struct kmf_conf *b)
{
	const struct perc_conf_item *i;

	f->n = 0;
	for (i = kmf_main_items; i->name != NULL; i++)
		if (i->fixed && !perc_conf_equal(a, b, i) &&
		    f->n < KMF_FROZEN_MAX)
			f->name[f->n++] = i->name;
}

void
kmf_conf_print_good(const struct kmf_conf *c)
{
	const struct perc_conf_item *i;

	printf("%s: good; SIGHUP takes all but a change of", c->file);
	for (i = kmf_main_items; i->name != NULL; i++)
		if (i->fixed)
			printf(" %s", i->name);
	printf("\n");
}

static bool
same(const void *a, const void *b, const struct perc_conf_item *i)
{
	for (; i->name != NULL; i++)
		if (!perc_conf_equal(a, b, i))
			return false;
	return true;
}

bool
kmf_conf_same_issuers(const struct kmf_conf *a, const struct kmf_conf *b)
{
	size_t n;

	if (a->nissuers != b->nissuers)
		return false;
	for (n = 0; n < a->nissuers; n++)
		if (strcmp(a->issuers[n].label, b->issuers[n].label) != 0 ||
		    !same(&a->issuers[n], &b->issuers[n], kmf_issuer_items))
			return false;
	return true;
}

bool
kmf_conf_same_mail(const struct kmf_conf *a, const struct kmf_conf *b)
{
	return same(a, b, kmf_mail_items);
}

bool
kmf_conf_same_hooks(const struct kmf_conf *a, const struct kmf_conf *b)
{
	size_t n;

	if (a->nhooks != b->nhooks)
		return false;
	for (n = 0; n < a->nhooks; n++)
		if (strcmp(a->hooks[n].label, b->hooks[n].label) != 0 ||
		    !same(&a->hooks[n], &b->hooks[n], kmf_hook_items))
			return false;
	return true;
}
