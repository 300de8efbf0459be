#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A mail server that thinks as long as the test likes before it answers a
# message: nothing but mail waits for it, and what has its messages may die, be
# replaced or be told to end meanwhile.
import contextlib
import os
import pathlib
import signal
import socket
import socketserver
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import providers                                            # noqa: E402
import test_hooks as hooks                                  # noqa: E402
from test_start import children                             # noqa: E402

PATIENCE = 25   # seconds for what must not wait; libcurl waits up to 60


class Smtp(socketserver.ThreadingTCPServer):
    """Takes everything; `go` cleared, it answers no message."""
    allow_reuse_address = daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Talk)
        self.go, self.lock = threading.Event(), threading.Lock()
        self.began, self.taken = [], []     # (address, Message-ID)
        self.go.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def section(self):
        return (f"[mail]\nurl = smtp://127.0.0.1:{self.server_address[1]}\n"
                "from = perch@kmf.example\nstarttls = no\n")

    @contextlib.contextmanager
    def slow(self):
        self.go.clear()
        try:
            yield
        finally:
            self.go.set()

    def ids(self, address, box=None):
        with self.lock:
            return [i for a, i in (self.taken if box is None else box)
                    if a == address]

    def begun(self, address, n=1):
        world.wait_for(lambda: len(self.ids(address, self.began)) >= n,
                       PATIENCE, say=f"{address} to be handed over")

    def handle_error(self, request, address):
        pass    # who hung up on us was killed on purpose


class Talk(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.say("220 slow.example")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"RCPT":
                self.to = line.split(b"<")[1].split(b">")[0].decode()
            if verb == b"DATA":
                self.take()
            else:
                self.say("221 bye" if verb == b"QUIT" else "250 good")

    def take(self):
        self.say("354 go on")
        text = b""
        while not text.endswith(b"\r\n.\r\n"):
            text += self.rfile.readline()
        mail = (self.to, text.split(b"Message-ID:")[1].split()[0])
        with self.server.lock:
            self.server.began.append(mail)
        self.server.go.wait(120)
        with self.server.lock:
            self.server.taken.append(mail)
        self.say("250 taken")


def ask(s, who):
    return s.admin.call("POST", s.path, {"email": who}).body["id"]


def sent(s, i):
    world.wait_for(lambda: s.admin.call("GET", f"{s.path}/{i}").body["mail"][
        "state"] == "sent", 60, say="the mail to be sent")


def kids(s, role):
    return children(s.k.proc.p.pid).get(role, [])


def check(s, name):
    return Raw(s.k, "GET", "/readyz").json()["checks"].get(name)


def metric(s, name):
    text = Raw(s.k, "GET", "/metrics").body.decode()
    return int(text.split(f"\n{name} ")[1].split()[0])


def test_nothing_but_mail_waits(s):
    """Four are handed over, and none is answered."""
    failed = metric(s, "perch_kmf_mail_tries_failed_total")
    with s.smtp.slow():
        began = time.monotonic()
        who = [f"slow{i}@x.example" for i in range(4)]
        waiting = [ask(s, w) for w in who]
        world.wait_for(lambda: any(s.smtp.ids(w, s.smtp.began) for w in who),
                       PATIENCE, say="one to be handed over")
        i = invite(s.admin, s.conf, "Hook")["id"]
        world.wait_for(lambda: any(e["data"].get("invitation") == i
                                   for e in s.hook.taken()), PATIENCE,
                       say="the webhook")
        # the provider's keys by the clock, each 5 s, and for a new kid
        new = jose.Key()
        s.p.publish([providers.jwk(s.key, "one"), providers.jwk(new, "new")])
        token = providers.at(s, new, {"kid": "new"})

        def lets_in():
            try:
                return endpoint(s.k).enter(s.conf, token, rest.ACCESS)
            except rest.Refused:
                return None     # it has asked a moment ago
        world.wait_for(lets_in, PATIENCE, every=.5, say="the new key")
        hits = len(s.p.hits)
        world.wait_for(lambda: len(s.p.hits) > hits, PATIENCE,
                       say="keys by the clock")
        assert not any(s.smtp.ids(w) for w in who)
        assert check(s, "mailer") == {"ok": True}
        long = time.monotonic() - began > 15
    for i in waiting:
        sent(s, i)
    # those behind the first did not fail by waiting for it
    assert long or \
        metric(s, "perch_kmf_mail_tries_failed_total") == failed


def test_a_dead_mailer_is_replaced(s):
    """Alone, and what it had is given again, as the same message."""
    was = {r: kids(s, r) for r in ("front", "fetcher", "mailer")}
    with s.smtp.slow():
        i = ask(s, "twice@x.example")
        s.smtp.begun("twice@x.example")
        os.kill(was["mailer"][0], signal.SIGKILL)
        s.smtp.begun("twice@x.example", 2)
    sent(s, i)
    assert len(set(s.smtp.ids("twice@x.example"))) == 1
    assert s.k.proc.text().count("kmf.mailer_died") == 1
    assert kids(s, "mailer") != was["mailer"]
    assert {r: kids(s, r) for r in ("front", "fetcher")} == {
        r: was[r] for r in ("front", "fetcher")}


def test_mail_outlives_a_dead_fetcher(s):
    with s.smtp.slow():
        i = ask(s, "alone@x.example")
        s.smtp.begun("alone@x.example")
        was = kids(s, "mailer")
        old = kids(s, "fetcher")
        os.kill(old[0], signal.SIGKILL)
        world.wait_for(lambda: kids(s, "fetcher") not in ([], old), PATIENCE,
                       say="a new fetcher")
    sent(s, i)
    assert kids(s, "mailer") == was
    assert len(s.smtp.ids("alone@x.example")) == 1
    world.wait_for(lambda: endpoint(s.k).enter(
        s.conf, invite(s.admin, s.conf)["code"]), PATIENCE)


def reload(s, text):
    s.k.conf.write_text(text)
    end = time.monotonic() + PATIENCE
    while True:
        at = len(s.k.proc.text())
        s.k.proc.p.send_signal(signal.SIGHUP)
        world.wait_for(lambda: "\n" in s.k.proc.text()[at:] and any(
            w in s.k.proc.text()[at:] for w in
            ("kmf.reloaded", "another is under way")), PATIENCE)
        if "kmf.reloaded" in s.k.proc.text()[at:]:
            return
        assert time.monotonic() < end, s.k.proc.text()[at:]
        time.sleep(.2)  # fronts are renewed, after a fetcher that died


def test_it_comes_and_goes_with_the_configuration(s):
    full = s.k.conf.read_text()
    fetcher = kids(s, "fetcher")
    with s.smtp.slow():
        i = ask(s, "under-way@x.example")
        s.smtp.begun("under-way@x.example")
        was = kids(s, "mailer")
        reload(s, full.replace(s.smtp.section(), ""))
        assert kids(s, "mailer") == was     # it has something to finish
        assert check(s, "mailer") is None
        none = ask(s, "none@x.example")
    world.wait_for(lambda: not kids(s, "mailer"), PATIENCE, say="its end")
    sent(s, i)
    assert len(s.smtp.ids("under-way@x.example")) == 1
    reload(s, full)
    world.wait_for(lambda: len(kids(s, "mailer")) == 1, PATIENCE)
    sent(s, ask(s, "again@x.example"))
    assert kids(s, "fetcher") == fetcher
    assert s.admin.call("GET", f"{s.path}/{none}").body["mail"][
        "state"] == "none"


def test_the_end_waits_for_nobody(s):
    with s.smtp.slow():
        i = ask(s, "end@x.example")
        s.smtp.begun("end@x.example")
        assert s.k.proc.stop(30) == 0
        assert "too_slow" not in s.k.proc.text()
        s.k.serve()
    s.admin = s.k.admin()
    sent(s, i)
    assert len(set(s.smtp.ids("end@x.example"))) == 1


def main():
    s = providers.Scene()
    with world.World("perch-slow-") as w:
        s.smtp, s.hook = Smtp(), hooks.Receiver(w, "hook")
        s.p, s.key = providers.Provider(w, "idp"), jose.Key()
        s.p.publish([providers.jwk(s.key, "one")])
        file = w.write(w.dir / "hook.secret", hooks.SECRET)
        s.k = kmf(w, extra="fronts = 1\n" + s.smtp.section() + s.p.config(
            "idp", "keys_max_age_s = 15\n") + "[webhook main]\n"
            f"url = {s.hook.url}\nsecret_file = {file}\n"
            f"ca_file = {s.hook.cert}\n")
        s.admin = s.k.admin()
        s.conf = conference(s.admin, invitees=[
            {"email": "alice@example.org"}])["id"]
        s.path = f"/v1/conferences/{s.conf}/invitations"
        world.wait_for(lambda: s.smtp.ids("alice@example.org"), PATIENCE)
        run(globals(), s)


if __name__ == "__main__":
    main()
