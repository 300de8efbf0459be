#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Mail from a real perch-kmf to a real SMTP server (python3-aiosmtpd), which
# takes, defers and refuses.
import base64
import email
import email.header
import os
import sys
import threading
import time

import kmfworld as kw
import world

try:
    import aiosmtpd.controller
    import icalendar
except ImportError:
    DEBIAN = "/usr/bin/python3"         # has what its packages brought
    if sys.executable != DEBIAN and os.access(DEBIAN, os.X_OK):
        os.execv(DEBIAN, [DEBIAN, *sys.argv])
    print("1..0 # SKIP no python3-aiosmtpd or no python3-icalendar")
    sys.exit(0)


class Server:
    def __init__(self):
        self.mails, self.new = [], threading.Condition()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("never@"):
            return "550 5.1.1 there is nobody of that name"
        if address.startswith("later@"):
            return "451 4.3.0 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        with self.new:
            self.mails.append((envelope.mail_from, envelope.rcpt_tos,
                               email.message_from_bytes(envelope.content)))
            self.new.notify_all()
        return "250 OK"

    def take(self, address, seconds=10):
        """The oldest mail to that address, taken off."""
        end = time.monotonic() + seconds * world.PATIENCE
        with self.new:
            while True:
                for m in self.mails:
                    if m[1] == [address]:
                        self.mails.remove(m)
                        return m[2]
                if not self.new.wait(end - time.monotonic()):
                    raise AssertionError(f"no mail to {address}")


def parts(m):
    text, cal = m.get_payload()
    return (text.get_payload(decode=True).decode(),
            icalendar.Calendar.from_ical(cal.get_payload(decode=True)), cal)


def until(fn, seconds=10):
    end = time.monotonic() + seconds
    while not fn():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


def test_invitees_are_told(s):
    title = "Rat\u00e4 \r\nBcc: x@y"
    title = title.replace("\r\n", " ") + " " + "lang " * 20
    c = kw.conference(s.admin, title, invitees=[
        {"email": "ann@x.example"}, {"group": "board"}])
    m = s.mail.take("ann@x.example")
    assert m["From"] == "<perch@kmf.example>" and m["To"] == "<ann@x.example>"
    subject = str(email.header.make_header(
        email.header.decode_header(m["Subject"])))
    assert subject.strip() == "Invitation: " + title.strip(), subject
    assert m["Bcc"] is None and m["Message-ID"].startswith("<e_")
    text, cal, part = parts(m)
    assert f"perch join {c['uri']}" in text and "code" not in text
    assert part.get_param("method") == "REQUEST"
    (event,) = [e for e in cal.walk() if e.name == "VEVENT"]
    assert str(event["ATTENDEE"]) == "mailto:ann@x.example"
    path = f"/v1/conferences/{c['id']}"
    s.admin.call("PATCH", path, {"title": "Moved"}, If_Match="*")
    later = parts(s.mail.take("ann@x.example"))[1]
    (change,) = [e for e in later.walk() if e.name == "VEVENT"]
    assert change["UID"] == event["UID"]
    assert change["SEQUENCE"] > event["SEQUENCE"]
    s.admin.call("PATCH", path, {"title": "Hush", "notify": False},
                 If_Match="*")
    s.admin.call("DELETE", path, If_Match="*")
    m = s.mail.take("ann@x.example")
    assert parts(m)[2].get_param("method") == "CANCEL"
    assert m["Subject"].startswith("=?UTF-8?B?")
    assert not s.mail.mails


def test_a_guest_gets_the_code(s):
    c = kw.conference(s.admin)
    path = f"/v1/conferences/{c['id']}/invitations"
    i = s.admin.call("POST", path, {"email": "eve@x.example",
                                    "name": "Eve"}).body
    text, cal, _ = parts(s.mail.take("eve@x.example"))
    assert i["code"] in text and i["code"] not in cal.to_ical().decode()
    until(lambda: s.admin.call(
        "GET", f"{path}/{i['id']}").body["mail"]["state"] == "sent")
    # the code is nowhere in the house any more, so a new one is made
    a = s.admin.call("POST", f"{path}/{i['id']}/send")
    assert a.status == 202 and "code" not in a.body
    text, _, _ = parts(s.mail.take("eve@x.example"))
    new = text.split("device:")[1].split()[0]
    assert new != i["code"]
    e = kw.endpoint(s.k)
    assert kw.refused(e.enter, c["id"], i["code"])[0] == 400
    e.enter(c["id"], new)
    s.admin.call("DELETE", f"{path}/{i['id']}", If_Match="*")
    m = s.mail.take("eve@x.example")
    assert parts(m)[2].get_param("method") == "CANCEL"


def test_a_series_is_sent_again(s):
    """And each /send can be repeated by its key."""
    c = s.admin.call("POST", "/v1/conferences", {
        "title": "Weekly", "starts_at": kw.when(10), "ends_at": kw.when(20),
        "rrule": "FREQ=WEEKLY;COUNT=3",
        "invitees": [{"email": "sue@x.example"}, {"group": "g"}]}).body
    s.mail.take("sue@x.example")
    path = f"/v1/series/{c['id']}/invitees"
    sue = [v for v in c["invitees"] if "email" in v][0]["id"]
    for _ in range(2):
        a = s.admin.call("POST", f"{path}/{sue}/send", Idempotency_Key="sue")
        assert a.status == 202 and a.body["email"] == "sue@x.example"
    text, cal, part = parts(s.mail.take("sue@x.example"))
    assert part.get_param("method") == "REQUEST"
    assert "RRULE" in cal.to_ical().decode()
    group = [v for v in c["invitees"] if "group" in v][0]["id"]
    assert kw.refused(s.admin.call, "POST", f"{path}/{group}/send") == (
        409, "no_mail")
    assert kw.refused(s.admin.call, "POST", f"{path}/v_{'A' * 22}/send"
                      )[0] == 404
    one = f"/v1/conferences/{c['next']}"
    v = s.admin.call("GET", one).body["invitees"][0]["id"]
    i = s.admin.call("POST", one + "/invitations", {
        "email": "sue@x.example"}).body["id"]
    s.mail.take("sue@x.example")
    for send in (f"{one}/invitees/{v}/send", f"{one}/invitations/{i}/send"):
        for _ in range(2):
            s.admin.call("POST", send, Idempotency_Key=send)
        s.mail.take("sue@x.example")
    time.sleep(.5)
    assert not s.mail.mails
    s.admin.call("POST", f"/v1/series/{c['id']}/cancel", {"notify": False})
    assert s.admin.call("POST", f"{path}/{sue}/send").status == 202
    assert parts(s.mail.take("sue@x.example"))[2].get_param(
        "method") == "CANCEL"


def test_what_became_of_it(s):
    c = kw.conference(s.admin)
    path = f"/v1/conferences/{c['id']}/invitations"
    one = s.admin.call("POST", path, {"email": "never@x.example"}).body["id"]
    two = s.admin.call("POST", path, {"email": "later@x.example"}).body["id"]
    quiet = s.admin.call("POST", path, {"email": "q@x.example",
                                        "notify": False}).body["id"]

    def mail(i):
        return s.admin.call("GET", f"{path}/{i}").body["mail"]
    until(lambda: mail(one)["state"] == "failed")
    assert "reason" in mail(one)
    until(lambda: "reason" in mail(two))
    assert mail(two)["state"] == "queued"
    assert mail(quiet)["state"] == "none"
    nobody = s.admin.call("POST", path, {}).body["id"]
    assert kw.refused(s.admin.call, "POST", f"{path}/{nobody}/send") == (
        409, "no_mail")


class Stage:
    pass


if __name__ == "__main__":
    with world.World("mail") as w:
        s = Stage()
        s.mail = Server()
        port = world.free_port()
        server = aiosmtpd.controller.Controller(
            s.mail, hostname="127.0.0.1", port=port)
        server.start()
        s.k = kw.kmf(w, extra=f"[mail]\nurl = smtp://127.0.0.1:{port}\n"
                     "from = perch@kmf.example\nstarttls = no\n")
        s.admin = s.k.admin()
        try:
            kw.run(globals(), s)
        finally:
            server.stop()
