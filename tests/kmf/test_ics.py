#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Calendars of a real perch-kmf in its sandbox, where time zones must still be
# readable, read by a parser that is not ours (python3-icalendar).
import datetime
import io
import os
import sys

import kmfworld as kw
import world

try:
    import dateutil.tz
    import icalendar
except ImportError:
    DEBIAN = "/usr/bin/python3"         # has what its packages brought
    if sys.executable != DEBIAN and os.access(DEBIAN, os.X_OK):
        os.execv(DEBIAN, [DEBIAN, *sys.argv])
    print("1..0 # SKIP no python3-icalendar")
    sys.exit(0)

UTC = datetime.timezone.utc
TITLE = "Vorstand; Grüße, \\ and a very long title: " + "äöü " * 12


def ics(admin, path):
    text = admin.call("GET", path).raw.decode()
    return icalendar.Calendar.from_ical(text), text


def events(cal):
    return [c for c in cal.walk() if c.name == "VEVENT"]


def one(cal):
    (e,) = events(cal)
    return e


def make(k, title="Plain", **more):
    admin = k.admin()
    c = admin.call("POST", "/v1/conferences", {
        "title": title, "starts_at": "2027-03-22T09:00:00Z",
        "ends_at": "2027-03-22T10:00:00Z",
        "invitees": [{"email": "ann@x.example", "role": "host"},
                     {"email": "hall@x.example", "kind": "room"}],
        **more}).body
    return admin, c


def test_the_text_is_well_formed(k):
    admin, c = make(k, TITLE)
    v = c["invitees"][0]["id"]
    cal, text = ics(admin, f"/v1/conferences/{c['id']}/invitees/{v}.ics")
    e = one(cal)
    assert str(e["SUMMARY"]) == TITLE.rstrip() or str(e["SUMMARY"]) == TITLE
    raw = text.encode()
    assert raw.endswith(b"\r\n")
    for line in raw.split(b"\r\n"):
        assert len(line) <= 75, line
        line.decode()                   # folded between characters
        assert b"\n" not in line
    assert str(cal["VERSION"]) == "2.0" and "Perch" in str(cal["PRODID"])


def test_what_an_invitee_gets(k):
    admin, c = make(k)
    v = c["invitees"][0]["id"]
    cal, text = ics(admin, f"/v1/conferences/{c['id']}/invitees/{v}.ics")
    e = one(cal)
    assert str(cal["METHOD"]) == "REQUEST"
    assert str(e["UID"]) == c["id"] + "@localhost"
    assert str(e["URL"]) == c["uri"]
    assert int(e["SEQUENCE"]) == 0
    assert e["DTSTART"].dt == datetime.datetime(2027, 3, 22, 9, tzinfo=UTC)
    assert e["DTEND"].dt == datetime.datetime(2027, 3, 22, 10, tzinfo=UTC)
    assert str(e["ATTENDEE"]) == "mailto:ann@x.example"
    assert e["ATTENDEE"].params["ROLE"] == "CHAIR"
    assert str(e["ORGANIZER"]).startswith("mailto:")
    assert "DTSTAMP" in e and "VTIMEZONE" not in text
    assert "hall@" not in text          # nobody learns who else is invited
    v = c["invitees"][1]["id"]
    cal, _ = ics(admin, f"/v1/conferences/{c['id']}/invitees/{v}.ics")
    assert one(cal)["ATTENDEE"].params["CUTYPE"] == "ROOM"


def test_changes_grow_the_sequence(k):
    admin, c = make(k)
    path = f"/v1/conferences/{c['id']}"
    v = c["invitees"][0]["id"]
    first = one(ics(admin, f"{path}/invitees/{v}.ics")[0])
    admin.call("PATCH", path, {"title": "Second"}, If_Match="*")
    second = one(ics(admin, f"{path}/invitees/{v}.ics")[0])
    admin.call("POST", f"{path}/cancel", {})
    cal, _ = ics(admin, f"{path}/invitees/{v}.ics")
    third = one(cal)
    assert first["UID"] == second["UID"] == third["UID"]
    assert first["SEQUENCE"] < second["SEQUENCE"] < third["SEQUENCE"]
    assert str(cal["METHOD"]) == "CANCEL"
    assert str(third["STATUS"]) == "CANCELLED"


def test_a_zone_comes_along(k):
    admin, c = make(k, tzid="Europe/Berlin")
    v = c["invitees"][0]["id"]
    cal, text = ics(admin, f"/v1/conferences/{c['id']}/invitees/{v}.ics")
    e = one(cal)
    assert e["DTSTART"].params["TZID"] == "Europe/Berlin"
    assert e["DTSTART"].dt.strftime("%H:%M") == "10:00"
    zones = [z for z in cal.walk() if z.name == "VTIMEZONE"]
    assert [str(z["TZID"]) for z in zones] == ["Europe/Berlin"]
    assert "freeassociation" not in text
    # the zone's own words, worked out by yet another library
    tz = dateutil.tz.tzical(io.StringIO(text)).get("Europe/Berlin")
    for day, hours in ((22, 1), (29, 2)):
        t = datetime.datetime(2027, 3, day, 10, tzinfo=tz)
        assert t.utcoffset() == datetime.timedelta(hours=hours), t


def test_series(k):
    admin, s = make(k, tzid="Europe/Berlin",
                    rrule="FREQ=WEEKLY;BYDAY=MO;COUNT=5",
                    exdates=["2027-04-05T08:00:00Z"])
    path = f"/v1/series/{s['id']}"
    v = s["invitees"][0]["id"]
    assert s["occurrences"][1]["starts_at"] == "2027-03-29T08:00:00Z"
    moved = admin.call("POST", f"{path}/occurrences", {
        "recurrence_id": "2027-03-29T08:00:00Z"}).body
    admin.call("PATCH", f"/v1/conferences/{moved['id']}", {
        "starts_at": "2027-03-29T12:00:00Z",
        "ends_at": "2027-03-29T13:00:00Z"}, If_Match="*")
    cal, _ = ics(admin, f"{path}/invitees/{v}.ics")
    whole, part = events(cal)
    assert whole["RRULE"].to_ical() == b"FREQ=WEEKLY;COUNT=5;BYDAY=MO"
    assert str(whole["UID"]) == str(part["UID"]) == s["id"] + "@localhost"
    assert str(whole["URL"]) == s["uri"]
    assert str(part["URL"]) == moved["uri"]
    (out,) = whole["EXDATE"].dts
    assert out.dt.strftime("%m-%d %H:%M") == "04-05 10:00"
    assert "RECURRENCE-ID" not in whole
    assert part["RECURRENCE-ID"].dt.strftime("%m-%d %H:%M") == "03-29 10:00"
    assert part["DTSTART"].dt.strftime("%m-%d %H:%M") == "03-29 14:00"
    # by itself, the occurrence says whose it is
    mine = moved["invitees"][0]["id"]
    cal, _ = ics(admin, f"/v1/conferences/{moved['id']}/invitees/{mine}.ics")
    e = one(cal)
    assert str(e["UID"]) == s["id"] + "@localhost" and "RRULE" not in e
    assert e["RECURRENCE-ID"].dt == part["RECURRENCE-ID"].dt


def test_guests(k):
    admin, c = make(k)
    path = f"/v1/conferences/{c['id']}/invitations"
    i = admin.call("POST", path, {"name": 'Eve "the" \\ Guest',
                                  "email": "o'eve+x@x.example"}).body
    cal, text = ics(admin, f"{path}/{i['id']}.ics")
    e = one(cal)
    assert str(e["ATTENDEE"]) == "mailto:o'eve+x@x.example"
    assert e["ATTENDEE"].params["CN"] == "Eve 'the' \\ Guest"
    assert i["code"] not in text
    nobody = admin.call("POST", path, {"name": "Nobody"}).body
    cal, text = ics(admin, f"{path}/{nobody['id']}.ics")
    assert str(cal["METHOD"]) == "PUBLISH" and "ATTENDEE" not in text
    admin.call("DELETE", f"{path}/{i['id']}", If_Match="*")
    cal, _ = ics(admin, f"{path}/{i['id']}.ics")
    assert str(cal["METHOD"]) == "CANCEL"


def test_the_descriptor_of_a_series(k):
    admin, s = make(k, rrule="FREQ=DAILY;COUNT=3")
    anyone = kw.endpoint(k)
    d = anyone.call("GET", f"/c/{s['id']}").body
    assert d["series"] == s["id"] and d["conference"] == s["next"]
    assert d["resource"].endswith("/v1/conferences/" + s["next"])
    hole = anyone.call("GET", "/c/s_AAAAAAAAAAAAAAAAAAAAAA").body
    assert set(hole) == set(d) and hole["conference"].startswith("c_")


if __name__ == "__main__":
    with world.World("ics") as w:
        kw.run(globals(), kw.kmf(w))
