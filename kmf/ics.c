/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * text/calendar (RFC 5545) by libical. One attendee per file: who else is
 * invited is nobody's business. libical names its zones by a prefix of its
 * own; calendars know them by their IANA names, so the copy that goes out is
 * renamed.
 */
#include "kmf/cal.h"

#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRODID "-//Perch//perch-kmf//EN"

static bool
in_utc(const struct kmf_ics_event *e)
{
	return strcmp(e->tzid, "UTC") == 0;
}

/* An instant as the event's zone shows it. */
static struct icaltimetype
time_of(const struct kmf_ics_event *e, int64_t ms)
{
	icaltimezone *utc = icaltimezone_get_utc_timezone();
	icaltimezone *zone =
	    in_utc(e) ? utc : icaltimezone_get_builtin_timezone(e->tzid);
	struct icaltimetype t;

	t = icaltime_from_timet_with_zone((time_t)(ms / 1000), 0, zone);
	t.zone = in_utc(e) ? utc : NULL;
	return t;
}

static void
add_time(icalcomponent *v, const struct kmf_ics_event *e,
    icalproperty *(*make)(struct icaltimetype), int64_t ms)
{
	icalproperty *p = make(time_of(e, ms));

	if (!in_utc(e))
		icalproperty_add_parameter(p, icalparameter_new_tzid(e->tzid));
	icalcomponent_add_property(v, p);
}

static void
add_exdate(icalcomponent *v, const struct kmf_ics_event *e, int64_t ms)
{
	icalproperty *p = icalproperty_new_exdate(time_of(e, ms));

	if (!in_utc(e))
		icalproperty_add_parameter(p, icalparameter_new_tzid(e->tzid));
	icalcomponent_add_property(v, p);
}

/* RFC 6068: what is not plain is percent-encoded. */
static void
mailto(char *out, size_t cap, const char *email)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-_~!$'*+@";
	size_t n;

	n = (size_t)snprintf(out, cap, "mailto:");
	for (; *email != '\0' && n + 4 < cap; email++)
		if (strchr(plain, *email) != NULL)
			out[n++] = *email;
		else
			n += (size_t)snprintf(out + n, cap - n, "%%%02X",
			    (unsigned)(unsigned char)*email);
	out[n] = '\0';
}

/* RFC 5545, 3.2: a quoted parameter has no way to hold a quote. */
static icalparameter *
common_name(const char *name)
{
	char text[256];
	char *p;

	snprintf(text, sizeof(text), "%s", name);
	while ((p = strchr(text, '"')) != NULL)
		*p = '\'';
	return icalparameter_new_cn(text);
}

static icalproperty *
attendee(const struct kmf_ics_guest *e)
{
	char uri[1024];
	icalproperty *p;

	mailto(uri, sizeof(uri), e->email);
	p = icalproperty_new_attendee(uri);
	if (e->name[0] != '\0')
		icalproperty_add_parameter(p, common_name(e->name));
	if (strcmp(e->kind, "room") == 0)
		icalproperty_add_parameter(
		    p, icalparameter_new_cutype(ICAL_CUTYPE_ROOM));
	icalproperty_add_parameter(p,
	    icalparameter_new_role(strcmp(e->role, "host") == 0
		    ? ICAL_ROLE_CHAIR
		    : ICAL_ROLE_REQPARTICIPANT));
	icalproperty_add_parameter(
	    p, icalparameter_new_partstat(ICAL_PARTSTAT_NEEDSACTION));
	icalproperty_add_parameter(p, icalparameter_new_rsvp(ICAL_RSVP_FALSE));
	return p;
}

static void
add_people(icalcomponent *v, const struct kmf_ics_event *e)
{
	char uri[1024];

	mailto(uri, sizeof(uri), e->organizer);
	icalcomponent_add_property(v, icalproperty_new_organizer(uri));
	if (e->guest.email[0] != '\0')
		icalcomponent_add_property(v, attendee(&e->guest));
}

static void
add_recurrence(icalcomponent *v, const struct kmf_ics_event *e)
{
	size_t i;

	if (e->recur_ms != 0)
		add_time(v, e, icalproperty_new_recurrenceid, e->recur_ms);
	if (e->rrule[0] == '\0')
		return;
	icalcomponent_add_property(v,
	    icalproperty_new_rrule(icalrecurrencetype_from_string(e->rrule)));
	for (i = 0; i < e->nleft_out; i++)
		add_exdate(v, e, e->left_out[i]);
}

static icalcomponent *
vevent(const struct kmf_ics_event *e)
{
	icalcomponent *v = icalcomponent_new(ICAL_VEVENT_COMPONENT);
	struct icaltimetype stamp;
	char text[1024];

	if (v == NULL)
		return NULL;
	stamp = icaltime_from_timet_with_zone(
	    (time_t)(e->stamp_ms / 1000), 0, icaltimezone_get_utc_timezone());
	stamp.zone = icaltimezone_get_utc_timezone();
	icalcomponent_add_property(v, icalproperty_new_uid(e->uid));
	icalcomponent_add_property(v, icalproperty_new_dtstamp(stamp));
	add_time(v, e, icalproperty_new_dtstart, e->starts_ms);
	add_time(v, e, icalproperty_new_dtend, e->ends_ms);
	add_recurrence(v, e);
	icalcomponent_add_property(v, icalproperty_new_summary(e->title));
	snprintf(text, sizeof(text), "Join with: perch join %s", e->uri);
	icalcomponent_add_property(v, icalproperty_new_description(text));
	icalcomponent_add_property(v, icalproperty_new_url(e->uri));
	icalcomponent_add_property(
	    v, icalproperty_new_sequence((int)e->sequence));
	icalcomponent_add_property(v,
	    icalproperty_new_status(e->method == KMF_ICS_CANCEL
		    ? ICAL_STATUS_CANCELLED
		    : ICAL_STATUS_CONFIRMED));
	add_people(v, e);
	return v;
}

static int
add_zone(icalcomponent *cal, const char *tzid)
{
	icaltimezone *zone = icaltimezone_get_builtin_timezone(tzid);
	icalcomponent *c;
	icalproperty *p;

	if (zone == NULL || (c = icaltimezone_get_component(zone)) == NULL ||
	    (c = icalcomponent_new_clone(c)) == NULL)
		return PERC_ERR_NOTFOUND;
	if ((p = icalcomponent_get_first_property(c, ICAL_TZID_PROPERTY)) !=
	    NULL)
		icalproperty_set_tzid(p, tzid);
	p = icalcomponent_get_first_property(c, ICAL_X_PROPERTY);
	if (p != NULL) {
		icalcomponent_remove_property(c, p);
		icalproperty_free(p);
	}
	icalcomponent_add_component(cal, c);
	return 0;
}

int
kmf_ics(char **textp, const struct kmf_ics_event *list, size_t n)
{
	static const icalproperty_method methods[] = { ICAL_METHOD_REQUEST,
		ICAL_METHOD_PUBLISH, ICAL_METHOD_CANCEL };
	icalcomponent *cal, *v;
	char *text = NULL;
	size_t i;
	int r = 0;

	icalerror_set_errors_are_fatal(false);
	cal = icalcomponent_vanew(ICAL_VCALENDAR_COMPONENT,
	    icalproperty_new_version("2.0"), icalproperty_new_prodid(PRODID),
	    icalproperty_new_method(methods[list[0].method]), NULL);
	if (cal == NULL)
		return PERC_ERR_NOMEM;
	if (!in_utc(&list[0]))
		r = add_zone(cal, list[0].tzid);
	for (i = 0; r == 0 && i < n; i++) {
		if ((v = vevent(&list[i])) == NULL)
			r = PERC_ERR_NOMEM;
		else
			icalcomponent_add_component(cal, v);
	}
	if (r == 0 && (text = icalcomponent_as_ical_string_r(cal)) == NULL)
		r = PERC_ERR_NOMEM;
	icalcomponent_free(cal);
	if (r == 0)
		*textp = text;
	return r;
}

/* A line of a text folded by RFC 5545, 3.1 begins with a blank, so this is
 * the end of an event wherever it stands behind a line's end. */
#define EVENT_END "\r\nEND:VEVENT\r\n"

int
kmf_ics_address(char **textp, const char *sheet, const struct kmf_ics_guest *g)
{
	icalproperty *p = attendee(g);
	char *who = p != NULL ? icalproperty_as_ical_string_r(p) : NULL;
	char *text = NULL;
	const char *end;
	size_t n = 0;
	FILE *f = NULL;
	int r = PERC_ERR_NOMEM;

	if (who == NULL || (f = open_memstream(&text, &n)) == NULL)
		goto out;
	for (; (end = strstr(sheet, EVENT_END)) != NULL;
	     sheet = end + sizeof(EVENT_END) - 1)
		fprintf(f, "%.*s\r\n%s%s", (int)(end - sheet), sheet, who,
		    &EVENT_END[2]);
	fputs(sheet, f);
	r = ferror(f) ? PERC_ERR_NOMEM : 0;
out:
	if (f != NULL && fclose(f) != 0)
		r = PERC_ERR_NOMEM;
	if (r == 0)
		*textp = text;
	else
		free(text);
	icalmemory_free_buffer(who);
	if (p != NULL)
		icalproperty_free(p);
	return r;
}

void
kmf_ics_free(char *text)
{
	icalmemory_free_buffer(text);
}
