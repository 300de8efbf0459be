#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# People of one conference at two media distributors that nobody trusts: the
# KMF spreads them, the distributors link, and everybody hears everybody. Then
# one of the two drains, then dies: who was there goes to the other.
import json
import os
import pathlib
import sys
import time
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

from people import Ear, Voice, state, up                    # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

PEOPLE = ["Alice", *(f"Bob{n}" for n in range(30))]


class Cascade:
    def __init__(self, w):
        self.w = w
        self.mdds = [stack.Mdd(w), stack.Mdd(w, name="mdd2")]
        self.kmf = stack.Kmf(w, None, None,
                             ", ".join(m.url for m in self.mdds),
                             extra="cascade = yes").serve()
        keys = [self.link_key(m) for m in self.mdds]
        for m, peer, key in zip(self.mdds, self.mdds[::-1], keys[::-1]):
            m.configure(self.kmf, "\n".join([
                f"link_key = {m.link}", "[peer other]", f"url = {peer.url}",
                f"key = {key}", f"ca = {peer.ca}",
                "conferences = token"])).serve()
        self.env = dict(os.environ, PERCH_CA=str(self.kmf.ca),
                        PERCH_CLIENT=str(self.kmf.state /
                                         "admin-client.jwk"))

    def link_key(self, m):
        m.link = self.w.dir / f"{m.name}.jwk"
        argv = [self.w.bin("perch-mdd"), "link-key", m.link]
        first = self.w.run(argv).stdout.strip()
        tap.ok(len(first) == 43 and m.link.stat().st_mode & 0o777 == 0o600
               and self.w.run(argv).stdout.strip() == first,
               "perch-mdd link-key makes a key, and prints it again", first)
        return first

    def admin(self, *args):
        return json.loads(self.w.run(
            [self.w.bin("perch"), "conference", *args, "--json"],
            env=self.env).stdout)

    def join(self, name):
        code = self.admin("invite", self.conf["id"], "--name", name,
                          "--email", f"{name.lower()}@guests.example")["code"]
        agent = stack.Agent(self.w, name, None, self.kmf, self.mdds[0],
                            types.SimpleNamespace(cert=self.mdds[1].ca))
        agent.start().perch("join", self.conf["uri"], "--code", code)
        agent.mdd = state(agent)["mdd"]
        return agent

    def gather(self):
        """Two who are not at the same distributor."""
        self.admin("create", "--title", "Two distributors")
        self.conf = self.admin("list")["items"][0]
        first = self.join(PEOPLE[0])
        for name in PEOPLE[1:]:
            other = self.join(name)
            if other.mdd != first.mdd:
                break
            other.gone()
        tap.ok({first.mdd, other.mdd} == {m.url for m in self.mdds},
               "the KMF spreads members over both", first.mdd, other.mdd)
        return first, other

    def stream(self, at, of):
        def seen():
            return next((s for s in state(at).get("out", [])
                         if s["name"] == of.name and s["media"] == "audio"
                         and s.get("sdp")), None)
        return world.wait_for(seen, 15, say=f"{of.name} at {at.name}")

    def hears(self, at, of, how="over the link"):
        ear = Ear(self.stream(at, of)["port"])
        into = next(i for i in state(of)["in"] if i["media"] == "audio")
        voice = Voice(into["port"])
        try:
            world.wait_for(lambda: len(ear.heard) > 50, 15, say="media")
            first = voice.n
            time.sleep(1)
            last = voice.n
            time.sleep(0.5)
            lost = ear.missing(first, last)
            tap.ok(not lost and last - first > 20,
                   f"{at.name} hears {of.name} {how}, every one of "
                   f"{last - first} frames", lost)
        finally:
            voice.stop()
            ear.running = False

    def drains(self, a, b):
        """The distributor of a takes nobody new (503): who is sent there by
        the KMF comes up at b's."""
        mine = next(m for m in self.mdds if m.url == a.mdd)
        self.w.run([self.w.bin("perch-mdd"), "drain", "-c", mine.conf])
        for n in range(30):     # each is sent there with even chances
            late = self.join(f"Late{n}")
            if "mdd_next" in late.proc.text():
                break
            late.gone()         # ranges of ports are few
        log = late.proc.text()
        tap.ok(f"from={a.mdd} to={b.mdd}" in log and "about to end" in log and
               late.mdd == b.mdd and state(a)["mdd"] == a.mdd and up(a),
               "who comes while a distributor drains goes to the other",
               log[-500:])

    def dies(self, a, b):
        """The distributor of a is killed, for good."""
        mine = next(m for m in self.mdds if m.url == a.mdd)
        mine.proc.kill()
        s = world.wait_for(lambda: state(a)["mdd"] == b.mdd and up(a), 25,
                           say=f"{a.name} at the other distributor")
        tap.ok(s["mdd"] == b.mdd and s["mdd_trouble"] == "",
               f"{a.name} comes up at the other distributor", s)


with world.World("perch-cascade-") as w:
    c = Cascade(w)
    a, b = c.gather()
    world.wait_for(lambda: up(a) and up(b), 10, say="both legs")
    c.hears(b, a)
    c.hears(a, b)
    c.drains(a, b)
    c.dies(a, b)
    c.hears(b, a, "again")
    c.hears(a, b, "again")
tap.done()
