#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SIGHUP and what the key server holds itself: mail, webhooks, limits, how long
# things are kept, distributors. An event stream is open over all of it, and
# what was under way outside is neither lost nor done twice.
import asyncio
import pathlib
import signal
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import world                                                # noqa: E402
import test_hooks as hooks                                  # noqa: E402
import test_mail as mailing                                 # noqa: E402

ONE, TWO = "first secret 0123456789", "second secret 987654321"


class Scene:
    pass


class Mta(mailing.Server):
    """`hold`: it takes no message meanwhile, and `holds` says when it has
    one; `picky`: defers later@."""

    def __init__(self, w, picky):
        super().__init__()
        self.picky, self.port = picky, world.free_port()
        self.hold = self.holds = False
        c = mailing.aiosmtpd.controller.Controller(
            self, hostname="127.0.0.1", port=self.port)
        c.start()
        w.closers.append(c.stop)

    async def handle_RCPT(self, server, session, envelope, address, options):
        while self.hold:
            self.holds = True
            await asyncio.sleep(.05)
        if self.picky:
            return await super().handle_RCPT(server, session, envelope,
                                             address, options)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def section(self):
        return (f"[mail]\nurl = smtp://127.0.0.1:{self.port}\n"
                "from = perch@kmf.example\nstarttls = no\n")


def reload(s, extra, needle="kmf.reloaded", mdds=MDD):
    """With these lines more; the log from then on, once it has the needle."""
    s.k.conf.write_text(s.plain.replace(MDD, mdds) + extra)
    at = len(s.k.proc.text())
    s.watcher.keys()                    # renews its lease
    s.k.proc.p.send_signal(signal.SIGHUP)
    world.wait_for(lambda: needle in s.k.proc.text()[at:], 10, say=needle)
    out = s.k.proc.text()[at:]
    assert "kept=" not in out, out
    return out


def still_streams(s):
    """The stream that was opened at first hears of now."""
    s.admin.call("POST", f"/v1/conferences/{s.conf}/rekey")
    read_until(s.sock, b"event: epoch", 5)


def mail_of(s, i):
    return s.admin.call("GET", s.path + "/" + i).body["mail"]


def ask(s, who):
    return s.admin.call("POST", s.path, {"email": who}).body["id"]


def command_lines():
    for p in pathlib.Path("/proc").iterdir():
        try:
            if p.name.isdigit():
                yield int(p.name), (p / "cmdline").read_bytes()
        except OSError:
            pass                        # it has gone meanwhile


def roles(s, name):
    """Pids of our processes of that role."""
    return sorted(n for n, line in command_lines()
                  if line.split(b"\0")[1:3] == [b"role", name]
                  and str(s.k.conf).encode() in line)


def test_mail_moves(s):
    a, b = Mta(s.w, picky=True), Mta(s.w, picky=False)
    i = ask(s, "early@x.example")
    assert mail_of(s, i)["state"] == "none"     # there is no [mail] yet
    reload(s, a.section())
    ask(s, "one@x.example")
    a.take("one@x.example")
    # one is deferred for half a minute, one is under way as the server moves
    later = ask(s, "later@x.example")
    world.wait_for(lambda: "reason" in mail_of(s, later), 5)
    a.hold = True
    slow = ask(s, "slow@x.example")
    world.wait_for(lambda: a.holds, 10, say="the slow one to be under way")
    reload(s, b.section())
    ask(s, "two@x.example")
    b.take("two@x.example")                     # does not wait for the slow
    b.take("later@x.example", 5)                # at once, and elsewhere
    assert mail_of(s, slow)["state"] == "queued"
    a.hold = False
    a.take("slow@x.example")
    for i in (slow, later):
        world.wait_for(lambda: mail_of(s, i)["state"] == "sent", 5)
    time.sleep(.5)
    assert not a.mails and not b.mails, (a.mails, b.mails)
    world.wait_for(lambda: len(roles(s, b"mailer")) == 1, 5)
    reload(s, "")
    world.wait_for(lambda: not roles(s, b"mailer"), 5)
    assert mail_of(s, ask(s, "nobody@x.example"))["state"] == "none"
    still_streams(s)


def test_a_password_changes_in_its_file(s):
    """The configuration is the same: the mailer is another all the same, and
    it alone."""
    a = Mta(s.w, picky=False)
    file = s.w.write(s.k.dir / "mail.password", "one")
    file.chmod(0o600)
    reload(s, a.section() + "user = perch\npassword_file = mail.password\n")
    was, fetcher = roles(s, b"mailer"), roles(s, b"fetcher")
    reload(s, a.section() + "user = perch\npassword_file = mail.password\n")
    assert roles(s, b"mailer") == was
    file.write_text("two")
    reload(s, a.section() + "user = perch\npassword_file = mail.password\n")
    world.wait_for(lambda: len(roles(s, b"mailer")) == 1 and
                   roles(s, b"mailer") != was, 5)
    assert roles(s, b"fetcher") == fetcher


def hook_section(s, r, file, more=""):
    return (f"[webhook main]\nurl = {r.url}/hook\nsecret_file = {file}\n"
            f"ca_file = {r.cert}\n{more}")


def happen(s, name):
    return invite(s.admin, s.conf, name)["id"]


def names(r):
    return [e["data"]["invitation"] for e in r.taken()
            if e["type"] == "invitation.created"]


def test_a_webhook_moves(s):
    a, b = (hooks.Receiver(s.w, n) for n in ("hook-a", "hook-b"))
    one, two = (s.w.write(s.k.dir / n, text) for n, text in
                (("one.secret", ONE), ("two.secret", TWO)))
    happen(s, "before there is one")
    reload(s, hook_section(s, a, one))
    first = happen(s, "first")
    world.wait_for(lambda: names(a) == [first], 5, say="first")
    # the next is under way while it moves, and fails: it comes elsewhere
    a.script = ["late"]
    second = happen(s, "second")
    world.wait_for(lambda: len(a.posts) >= 2 and a.posts[-1][0] == "503", 5)
    reload(s, hook_section(s, b, two))
    third = happen(s, "third")
    time.sleep(.5)
    assert not b.posts                  # in order: it waits for the second
    a.hanging.set()
    world.wait_for(lambda: names(b) == [second, third], 8, say="both")
    assert names(a) == [first]
    for _, headers, body, _ in b.posts:
        assert hooks.signed(headers, body, TWO)
        assert not hooks.signed(headers, body, ONE)
    # one that is under way as its webhook goes has been delivered: when it
    # comes back it does not come again
    b.script = ["slow"]
    fourth = happen(s, "fourth")
    world.wait_for(lambda: "fourth" in str(b.posts[-1]), 5)
    reload(s, "")
    world.wait_for(lambda: len(roles(s, b"fetcher")) == 1, 5)
    reload(s, hook_section(s, b, two))
    fifth = happen(s, "fifth")
    world.wait_for(lambda: fifth in names(b), 5)
    assert names(b) == [second, third, fourth, fifth]
    # and the secret alone: its file holds another, its name is the same
    two.write_text(ONE)
    reload(s, hook_section(s, b, two))
    sixth = happen(s, "sixth")
    world.wait_for(lambda: sixth in names(b), 5)
    assert hooks.signed(b.posts[-1][1], b.posts[-1][2], ONE)
    still_streams(s)


def test_a_limit_is_lowered(s):
    body = {"title": "Many", "starts_at": when(5), "ends_at": when(60),
            "invitees": [{"email": f"a{i}@x.example"} for i in range(3)]}
    s.admin.call("POST", "/v1/conferences", body)
    reload(s, "limit_invitees = 2\n")
    try:
        s.admin.call("POST", "/v1/conferences", body)
    except rest.Refused as e:
        assert (e.status, e.code) == (403, "limit_reached"), e
        assert "limit_invitees: a conference has 2" in str(e), e
    else:
        raise AssertionError("was granted")
    reload(s, "limit_conferences = 1\n")
    assert refused(conference, s.admin)[0] == 403
    reload(s, "limit_invitations = 1\n")
    assert refused(invite, s.admin, s.conf)[0] in (403, 409)
    reload(s, "")
    s.admin.call("POST", "/v1/conferences", body)
    still_streams(s)


def test_what_is_over_is_forgotten_sooner(s):
    c = conference(s.admin)["id"]
    path = f"/v1/conferences/{c}"
    s.admin.call("POST", path + "/end")
    with sqlite3.connect(s.k.state / "perch.db", timeout=5) as db:
        db.execute("UPDATE conference SET ended_ms = ended_ms - ? "
                   "WHERE id = ?", (2 * 86400000, c))
    db.close()
    time.sleep(11)                      # it is looked for every ten seconds
    assert s.admin.call("GET", path).status == 200
    reload(s, "keep_ended_days = 1\n")
    world.wait_for(lambda: refused_or(s.admin, path) == 404, 12,
                   say="the conference to be forgotten")
    still_streams(s)


def refused_or(admin, path):
    try:
        return admin.call("GET", path).status
    except rest.Refused as e:
        return e.status


def test_distributors_change(s):
    """A conference keeps the one that it has; with cascade there is more."""
    conf = conference(s.admin)["id"]
    new = "https://new.invalid:8444"
    reload(s, "", mdds=new)
    assert guest(s.k, s.admin, conf).descriptor()["mdd"] == MDD
    other = conference(s.admin)["id"]
    assert guest(s.k, s.admin, other).descriptor()["mdd"] == new
    reload(s, "cascade = yes\n", mdds=f"{new}, {MDD}")
    seen = guest(s.k, s.admin, conf).descriptor()["mdds"]
    assert sorted(seen) == sorted([new, MDD]), seen
    reload(s, "")
    still_streams(s)


def test_a_faulty_one_changes_nothing(s):
    r = hooks.Receiver(s.w, "hook-c")
    good = s.w.write(s.k.dir / "good.secret", ONE)
    short = s.w.write(s.k.dir / "short.secret", "short")
    was = roles(s, b"fetcher")
    body = {"title": "Many", "starts_at": when(5), "ends_at": when(60),
            "invitees": [{"email": f"a{i}@x.example"} for i in range(3)]}
    n = len(s.plain.splitlines())
    for extra, needle in (
            ("limit_invitees = 0\n", f"conf:{n + 1}: 'limit_invitees'"),
            ("limit_invitees = 2\n[mail]\nurl = http://x\n", "'url' of"),
            ("limit_invitees = 2\n[mail]\nurl = smtp://x\nfrom = a@b\n"
             "password_file = /nowhere\n", "fault=\"/nowhere: No such file"),
            ("limit_invitees = 2\n" + hook_section(s, r, short),
         "fault=\"{}".format(s.k.dir / "short.secret")),
            ("limit_invitees = 2\n" + hook_section(s, r, good) +
             "give_up_s = x\n", f"conf:{n + 6}: 'give_up_s'")):
        out = reload(s, extra, "settings=the_old_ones")
        assert needle in out and "kmf.reloaded" not in out, (needle, out)
        s.admin.call("POST", "/v1/conferences", body)
    assert roles(s, b"fetcher") == was
    assert s.admin.call("GET", "/v1/webhooks").body["items"] == []
    reload(s, "")
    still_streams(s)


def main():
    s = Scene()
    with world.World("perch-live-") as w:
        s.w = w
        s.k = kmf(w, extra="fronts = 1")
        s.k.proc.wait_log("kmf.ready")
        s.plain = s.k.conf.read_text()
        s.admin = s.k.admin()
        s.conf = conference(s.admin)["id"]
        s.path = f"/v1/conferences/{s.conf}/invitations"
        s.watcher = guest(s.k, s.admin, s.conf, "Watcher")
        s.sock, _ = stream(s.k, s.watcher, s.conf)
        run(globals(), s)


if __name__ == "__main__":
    main()
