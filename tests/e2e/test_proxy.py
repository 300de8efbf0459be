#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# REQ-WC-4.8c where a proxy ends TLS and keeps streams to itself: epochs and
# rosters still arrive within a bound, and no media is lost for it. Then the
# stream comes back, and with Last-Event-ID what was missed.
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import proxy                                                # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

POLL = 3.0      # s: a poll every 0.75 to 1.25 s, the fetch, a slow machine


def state(agent, conf=None):
    return next(c for c in agent.json("status")["conferences"]
                if conf is None or c["conference"] == conf)


class Behind:
    def __init__(self, w):
        self.w = w
        self.mdd = stack.Mdd(w)
        self.kmf = stack.Kmf(w, None, None, self.mdd.url)
        inner = world.free_port()
        text = self.kmf.conf.read_text()
        w.write(self.kmf.conf, text.replace(
            f"listen = 127.0.0.1:{self.kmf.port}",
            f"listen = 127.0.0.1:{inner}"))
        self.box = proxy.Proxy(self.kmf.port, inner,
                               self.kmf.state / "tls.crt",
                               self.kmf.state / "tls.key", self.kmf.ca)
        w.closers.append(self.box.close)
        self.kmf.serve()
        self.mdd.configure(self.kmf).serve()
        self.env = dict(os.environ, PERCH_CA=str(self.kmf.ca),
                        PERCH_CLIENT=str(self.kmf.state /
                                         "admin-client.jwk"))
        self.admin("create", "--title", "Behind a proxy", "--policy",
                   '{"join_window_ms":0}')
        self.conf = json.loads(
            self.admin("list", "--json").stdout)["items"][0]["id"]

    def admin(self, *args):
        return self.w.run([self.w.bin("perch"), "conference", *args],
                          env=self.env)

    def join(self, name):
        a = stack.Agent(self.w, name, None, self.kmf, self.mdd).start()
        code = json.loads(self.admin("invite", self.conf, "--name", name,
                                     "--json").stdout)["code"]
        a.perch("join", f"{self.kmf.url}/c/{self.conf}", "--code", code)
        return a

    def follows(self, agent, bound, what):
        """A new epoch reaches the agent, roster and all, within bound."""
        at = time.monotonic()
        for _ in range(3):      # how long a command takes here and now
            before = state(agent)["epoch"]
        bound += 2 * (time.monotonic() - at)
        at = time.monotonic()
        self.admin("rekey", self.conf)
        world.wait_for(lambda: state(agent)["epoch"] > before, bound + 10,
                       say="the new epoch")
        took = time.monotonic() - at
        tap.ok(took < bound, f"{what}: the epoch is there after "
               f"{took:.1f} s (bound {bound:.1f} s)")
        s = world.wait_for(
            lambda: (lambda s: s["roster"]["epoch"] == s["epoch"] and s)(
                state(agent)), 5, say="its roster")
        tap.ok(s["roster"]["fresh"], f"{what}: and its roster", s["roster"])

    def eaten(self):
        """Not one octet of a stream comes through, from the beginning."""
        self.box.mode = "eat"
        self.alice = self.join("Alice")
        s = world.wait_for(lambda: (lambda s: s["follows"] == "polling" and
                                    s)(state(self.alice)), 5,
                           say="polling")
        tap.ok(self.box.opened >= 1 and not s["events"] and
               s["state"] == "up",
               "a proxy that eats the stream: up, and polling", s)
        time.sleep(2.5)         # the first look at the lease
        self.follows(self.alice, POLL, "REQ-WC-4.8c, stream eaten")
        self.bob = self.join("Bob")
        names = world.wait_for(
            lambda: (lambda n: len(n) == 2 and n)(
                {m["name"] for m in
                 self.alice.json("roster").get("members") or []}),
            POLL, say="Bob on Alice's roster")
        tap.ok(names == {"Alice", "Bob"},
               "a polling endpoint sees who comes", names)
        n = len(self.box.asked)
        time.sleep(4)
        polls = sum(p.endswith("/lease") for _, _, p in self.box.asked[n:])
        tap.ok(4 <= polls <= 14, "two endpoints poll once a second each, "
               f"and not more ({polls} in 4 s)")

    def evicted(self):
        """REQ-WC-4.9: who polls is put out with the KMF's signed word."""
        dora = self.join("Dora")
        world.wait_for(lambda: state(dora)["follows"] == "polling", 5,
                       say="polling")
        self.admin("evict", self.conf, state(dora)["member"])
        s = world.wait_for(lambda: (lambda s: s["state"] == "over" and s)(
            state(dora)), 10, say="Dora to be out")
        rows = world.wait_for(lambda: [r["detail"]["reason"] for r in
                                       json.loads(self.w.run(
                                           [self.w.bin("perch"), "audit",
                                            "list", "--json"],
                                           env=self.env).stdout)
                                       if r["kind"] == "receipt"], 5,
                              say="the receipt")
        tap.ok(s["epochs_held"] == 0 and rows == ["evicted"],
               "REQ-WC-4.9: a polling endpoint signs that it was evicted",
               (s, rows))
        dora.proc.stop()

    def first(self):
        """The first buffer comes through and nothing after it."""
        self.box.mode = "first"
        carol = self.join("Carol")
        world.wait_for(lambda: state(carol)["events"], 10,
                       say="the stream's first octets")
        self.follows(carol, 5.0 + 1.0 + POLL,
                     "a stream that falls silent after its beginning")
        tap.ok(state(carol)["follows"] == "polling",
               "and from then on it polls")
        self.follows(carol, POLL, "the next one")
        carol.proc.stop()

    def back(self):
        """The proxy is taken away: what was missed is told."""
        self.box.mode = "cut"
        world.wait_for(lambda: self.box.streams == 0, 5, say="the cut")
        self.admin("update", self.conf, "--title", "Seen after all")
        self.box.mode = "pass"
        world.wait_for(lambda: all(state(a)["events"] for a in
                                   (self.alice, self.bob)), 20,
                       say="the stream to come back")
        world.wait_for(lambda: state(self.alice)["follows"] == "stream", 30,
                       say="the stream to be trusted again")
        tap.ok(True, "a stream that lives through a heart beat is trusted "
               "again, and polling ends")
        self.follows(self.alice, 1.5, "over the stream")

    def resume(self):
        """Cut for a moment: Last-Event-ID, and the title that changed."""
        self.box.mode = "cut"
        world.wait_for(lambda: self.box.streams == 0, 5, say="the cut")
        self.admin("update", self.conf, "--title", "Changed meanwhile")
        self.box.mode = "pass"
        s = world.wait_for(
            lambda: (lambda s: s.get("title") == "Changed meanwhile" and s)(
                state(self.alice)), 15, say="the new title")
        tap.ok(s["events"], "what was missed is told on the resumed stream")

    def overtaken(self):
        """Who lost the lease gets another delivery key, and what is sealed
        with that overtakes the answer that brings it."""
        self.admin("create", "--title", "Short leases", "--policy",
                   '{"join_window_ms":0,"lease_s":2}')
        short = next(c["id"] for c in json.loads(
            self.admin("list", "--json").stdout)["items"]
            if c["title"] == "Short leases")
        code = json.loads(self.admin("invite", short, "--name", "Alice",
                                     "--json").stdout)["code"]
        self.alice.perch("join", f"{self.kmf.url}/c/{short}", "--code", code)
        world.wait_for(lambda: state(self.alice, short)["events"], 10,
                       say="the stream")

        def keys():
            return sum(m == "POST" and p.endswith(f"{short}/keys")
                       for m, p in self.box.answered)

        before, opened = keys(), self.box.opened
        self.box.held = f"{short}/keys"
        self.box.stopped = f"{short}/lease"
        world.wait_for(lambda: self.box.opened > opened, 20,
                       say="the lease to end, and a new stream")
        self.box.stopped = None
        world.wait_for(lambda: keys() > before, 20, say="the keys' answer")
        self.admin("rekey", short)
        log = self.alice.proc.text
        world.wait_for(lambda: f"epoch_early conf={short}" in log(),
                       10, say="the event that overtook it")
        held = state(self.alice, short)["epoch"]
        self.box.held = None
        world.wait_for(lambda: state(self.alice, short)["epoch"] >= held + 2,
                       10, say="the epoch")
        tap.ok(keys() == before + 1 and
               f"epoch_refused conf={short}" not in log(),
               "REQ-WC-4.8d: an epoch that overtakes the answer with its "
               "delivery key is opened, and nothing is asked for again",
               keys() - before)

    def run(self):
        self.eaten()
        self.evicted()
        self.first()
        self.back()
        self.resume()
        self.overtaken()


with world.World("perch-proxy-") as w:
    try:
        Behind(w).run()
    except Exception as e:
        tap.ok(False, f"the proxy's tale is told to its end: {e!r}")
        w.tell()
        raise
tap.done()
