#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Mail from a real perch-kmf to a real MTA, Debian's exim: STARTTLS, smtps and
# login; what goes wrong and what is said of it; a server and a KMF that were
# away; and that nothing people write becomes a header.
import os
import sys
import urllib.parse

import kmfworld as kw
import mta
import tap
import world

try:
    import icalendar
except ImportError:
    DEBIAN = "/usr/bin/python3"         # has what its packages brought
    if sys.executable != DEBIAN and os.access(DEBIAN, os.X_OK):
        os.execv(DEBIAN, [DEBIAN, *sys.argv])
    print("1..0 # SKIP no python3-icalendar")
    sys.exit(0)

WRONG = "wrong-battery-staple"
HEADERS = ["From", "To", "Date", "Message-ID", "Auto-Submitted",
           "MIME-Version", "Subject", "Content-Type"]


class House:
    """A KMF that sends mail; .again() with other settings, same state."""

    def __init__(self, w, m, **kw_):
        self.w, self.m = w, m
        self.k = kw.stack.Kmf(w, mdd_url=kw.MDD)
        self.plain = self.k.conf.read_text()
        self.configure(**kw_)
        self.k.serve()
        self.admin = self.k.admin()
        self.conf = kw.conference(self.admin)["id"]
        self.path = f"/v1/conferences/{self.conf}/invitations"

    def configure(self, url=None, ca=None, password=mta.PASSWORD):
        word = self.w.write(self.w.dir / "mail-password", password + "\n")
        url = url or f"smtp://localhost:{self.m.port}"
        self.w.write(self.k.conf, self.plain + "\n".join([
            "[mail]", f"url = {url}", "from = perch@kmf.example",
            f"user = {mta.USER}", f"password_file = {word}",
            f"ca_file = {ca or self.m.ca}", ""]))

    def again(self, **kw_):
        self.k.proc.stop()
        self.configure(**kw_)
        self.k.serve()
        self.admin = self.k.admin()

    def killed(self):
        self.k.proc.kill()
        self.k.serve()
        self.admin = self.k.admin()

    def invite(self, address, **more):
        return self.admin.call("POST", self.path,
                               {"email": address, **more}).body

    def mail(self, i):
        return self.admin.call("GET", f"{self.path}/{i['id']}").body["mail"]

    def tried(self, i):
        """What is said of it once it was tried."""
        return world.wait_for(
            lambda: (a := self.mail(i)) and
            ("reason" in a or a["state"] != "queued") and a, 10,
            say="a try")


def parts(m):
    """Text and calendar of a message that is one, and whole."""
    text, cal = m.iter_parts()
    for p in (m, text, cal):
        bad = [*p.defects, *(d for v in p.values() for d in v.defects)]
        # RFC 6532 allows what that library still calls a defect
        assert all(type(d).__name__ == "NonASCIILocalPartDefect"
                   for d in bad), bad
    assert text.get_content_type() == "text/plain"
    assert cal.get_content_type() == "text/calendar"
    raw = cal.get_payload(decode=True)
    return text.get_content(), icalendar.Calendar.from_ical(raw), cal


def event(cal):
    (e,) = [e for e in cal.walk() if e.name == "VEVENT"]
    return e


def test_starttls_and_login(s):
    i = s.house.invite("eve@x.example", name="Eve")
    m = s.m.take("eve@x.example")
    assert i["code"] in parts(m)[0]
    world.wait_for(lambda: s.house.mail(i)["state"] == "sent", say="sent")
    line = [n for n in s.m.log().splitlines() if "<= perch@kmf" in n][-1]
    assert "P=esmtpsa" in line and "A=plain:perch" in line, line


def test_nobody_there_is_for_good(s):
    a = s.house.tried(s.house.invite("never@x.example"))
    assert a["state"] == "failed", a
    assert a["reason"] == "the mail server refused it: 550", a


TITLES = ['Dinner "for two"; \\q, and <b>all</b>', "Räte 会議 😀 " * 9,
          "x" * 200, "=?UTF-8?Q?Free?= Bcc: a@b", "-- .", "a\u2028b\u0085c",
          "SUMMARY:METHOD:CANCEL"]


def test_titles_stay_titles(s):
    for n, title in enumerate(TITLES):
        address = f"t{n}@x.example"
        kw.conference(s.house.admin, title, invitees=[{"email": address}])
        m = s.m.take(address)
        added = {"Envelope-to", "Received"}
        assert [h for h in m.keys() if h not in added] == HEADERS, m.keys()
        assert m["Subject"].rstrip() == f"Invitation: {title}".rstrip(), \
            m["Subject"]
        assert m["To"].addresses[0].addr_spec == address
        assert m.as_bytes().isascii()
        text, cal, part = parts(m)
        assert text.startswith(title), text
        assert part.get_param("method") == "REQUEST"
        if n != 5:              # that library takes them for ends of lines
            summary = str(event(cal)["SUMMARY"])
            assert summary.strip() == title.strip(), \
                part.get_payload(decode=True)
        long = max(len(x) for x in m.as_bytes().splitlines())
        assert long <= 78 or n == 5, long


def test_names_and_addresses(s):
    long = "l" * 60 + "@" + ".".join(["d" * 60] * 3)
    for n, (address, name) in enumerate([
            ("quote@x.example", 'Eve "Q" \\ <a@b>; x=y:z'),
            ("jörg@x.example", "Jörg 会 " * 10), (long, "n" * 120)]):
        s.house.invite(address, name=name)
        m = s.m.take(address)
        text, cal, _ = parts(m)
        assert m["To"].addresses[0].addr_spec == address, m["To"]
        assert len(m["To"].addresses) == 1
        assert [h for h in m.keys()
                if h not in ("Envelope-to", "Received")] == HEADERS
        to = urllib.parse.unquote(str(event(cal)["ATTENDEE"]))
        assert to == f"mailto:{address}"


def test_lines_are_refused(s):
    bad = "a@x.example\r\nBcc: b@x.example"
    for body in ({"email": bad}, {"email": "a@x.example\n"},
                 {"email": "a@x.example> SIZE=1"}, {"email": "@"},
                 {"email": "a" * 300 + "@x.example"},
                 {"email": "a@x.example", "name": "E\r\nBcc: b@x.example"}):
        status, _ = kw.refused(s.house.admin.call, "POST", s.house.path, body)
        assert status == 400, body
    status, _ = kw.refused(kw.conference, s.house.admin, "a\r\nBcc: b@x")
    assert status == 400


def test_smtps(s):
    s.other.again(url=f"smtps://localhost:{s.m.tls_port}")
    i = s.other.invite("tls@x.example")
    assert i["code"] in parts(s.m.take("tls@x.example"))[0]


def test_a_wrong_password(s):
    s.other.again(password=WRONG)
    i = s.other.invite("wp@x.example")
    a = s.other.tried(i)
    assert a["state"] == "failed" and "login" in a["reason"].lower(), a
    log = s.other.k.proc.text()
    for secret in (WRONG, mta.PASSWORD, i["code"]):
        assert secret not in log and secret not in str(a)
    assert not s.m.mails("wp@x.example")


def test_a_certificate_not_trusted(s):
    stranger, _ = s.other.w.certificate("stranger")
    for url in (f"smtp://localhost:{s.m.port}",
                f"smtps://localhost:{s.m.tls_port}"):
        s.other.again(url=url, ca=stranger)
        a = s.other.tried(s.other.invite("ca@x.example"))
        assert "not to be trusted" in a["reason"], a
        assert a["state"] == "queued"       # an administrator can mend that
    assert not s.m.mails("ca@x.example")


def test_a_name_not_in_the_certificate(s):
    s.other.again(url=f"smtps://127.0.0.1:{s.m.tls_port}")
    a = s.other.tried(s.other.invite("ip@x.example"))
    assert a["state"] == "queued" and "not to be trusted" in a["reason"], a


def test_sent_after_server_and_kmf_were_away(s):
    """Queued before the MTA ran, over kill -9: once. A crash between the
    server's 250 and our commit would send it twice, never not at all."""
    try:
        m = s.m.take("down@x.example", seconds=40)
    except world.Broken:
        tap.say(s.house.mail(s.waits), s.m.log(), s.house.k.proc.text())
        raise
    assert s.waits["code"] in parts(m)[0]
    world.wait_for(lambda: s.house.mail(s.waits)["state"] == "sent", 5)
    assert len(s.m.mails("down@x.example")) == 1


def test_revoked_is_not_sent(s):
    m = s.m.take("gone@x.example", seconds=40)
    text, _, part = parts(m)
    assert part.get_param("method") == "CANCEL"
    assert s.gone["code"] not in text
    assert len(s.m.mails("gone@x.example")) == 1


def test_sent_again_is_sent_once(s):
    """The code that a later mail replaced opens nothing, and stays here."""
    m = s.m.take("twice@x.example", seconds=40)
    assert s.twice["code"] not in parts(m)[0]
    assert "code" in parts(m)[0]
    assert len(s.m.mails("twice@x.example")) == 1


def away(s):
    """Before the MTA runs: three to wait; then the KMF is killed."""
    s.waits = s.house.invite("down@x.example")
    s.gone = s.house.invite("gone@x.example")
    s.twice = s.house.invite("twice@x.example")
    for i in (s.waits, s.gone, s.twice):
        a = s.house.tried(i)
        if a["state"] != "queued" or "cannot connect" not in a["reason"]:
            raise world.Broken(f"not waiting: {a}")
    s.house.admin.call("DELETE", f"{s.house.path}/{s.gone['id']}",
                       If_Match="*")
    s.house.admin.call("POST", f"{s.house.path}/{s.twice['id']}/send")
    s.house.killed()


class Stage:
    pass


if __name__ == "__main__":
    if mta.missing():
        print(f"1..0 # SKIP {mta.missing()}")
        sys.exit(0)
    with world.World("mail-") as w, world.World("mail-other-") as w2:
        s = Stage()
        s.m = mta.Mta(w)
        s.house = House(w, s.m)
        away(s)
        s.m.start()
        s.other = House(w2, s.m)
        kw.run(globals(), s)
