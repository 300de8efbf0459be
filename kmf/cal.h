/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Calendars: when a recurrence rule says that something happens, and the
 * text/calendar that tells people (ics.c). libical is behind it and nowhere
 * else. Instants are milliseconds since 1970; a rule counts in the wall-clock
 * time of a zone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define KMF_RRULE_MAX	    256	 /* characters, with NUL */
#define KMF_OCCURRENCES_MAX 1000 /* of one rule */
#define KMF_RULE_SPAN_MS    (5LL * 366 * 24 * 3600 * 1000)

/* An IANA name that this machine has data of. */
bool kmf_zone_known(const char *tzid);

/*
 * The starts of all occurrences, in order, malloc()ed; the first is starts_ms.
 * PERC_ERR_FORMAT: why says what is wrong with the rule, in words for whoever
 * wrote it. Work is bounded whatever the rule says.
 */
PERC_MUST int kmf_rrule_expand(int64_t **listp, size_t *np, const char *rrule,
    const char *tzid, int64_t starts_ms, int64_t lasts_ms, char *why,
    size_t cap);

/* --- ics.c ------------------------------------------------------------- */

enum kmf_ics_method { /* RFC 5546 */
	KMF_ICS_REQUEST, /* an invitation, or a change of one */
	KMF_ICS_PUBLISH, /* to somebody without an address */
	KMF_ICS_CANCEL,
};

struct kmf_ics_guest { /* "" for what is not known; no email: nobody */
	const char *email, *name, *kind, *role;
};

/* One VEVENT; texts are borrowed and never NULL, "" when absent. */
struct kmf_ics_event {
	enum kmf_ics_method method;
	const char *uid, *title, *uri, *organizer; /* an e-mail address */
	struct kmf_ics_guest guest;
	const char *tzid, *rrule;
	int64_t starts_ms, ends_ms, stamp_ms;
	int64_t recur_ms; /* which occurrence this is; 0: not one */
	int64_t sequence;
	const int64_t *left_out;
	size_t nleft_out;
};

/* A VCALENDAR; method and zone are those of the first. */
PERC_MUST int kmf_ics(char **textp, const struct kmf_ics_event *list,
    size_t n);
void kmf_ics_free(char *text);
/* The same with one more attendee in each event; free() it. */
PERC_MUST int kmf_ics_address(
    char **textp, const char *sheet, const struct kmf_ics_guest *g);
