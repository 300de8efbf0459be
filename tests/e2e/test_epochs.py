#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Epochs with real servers, agents and recorded packets: who joins cannot read
# what came before, who left cannot read what comes after (by the keys that
# these endpoints really held), and a KMF that is killed costs nobody a packet
# while its keys live, and nothing more after.
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import jose                                                 # noqa: E402
import media                                                # noqa: E402
from people import Ear, Voice, state                        # noqa: E402
import plain                                                # noqa: E402
import rest                                                 # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

TTL = 6         # s, of the conference whose KMF dies


class Home:
    """A member that records what its leg is sent and keeps its key."""

    def __init__(self, e, name):
        self.e = e
        self.end = rest.Endpoint(e.kmf.url, e.kmf.ca, jose.Key())
        self.end.enter(e.conf, e.invite(name))
        self.ekt = self.end.keys()
        cert, key = e.w.certificate(f"{name}-dtls")
        self.leg = plain.Leg(cert, key, e.w.logs / f"{name}.log")
        e.w.closers.append(self.leg.stop)
        token2 = self.end.token2(e.mdd.url, self.leg.x5t)
        m = rest.Client(e.mdd.url, e.mdd.ca, self.end.key)
        m.documented = False
        r = m.send("POST", e.mdd.url + "/v1/join", {
            "Authorization": f"Bearer {token2}",
            "Content-Type": "application/json"}, jose.compact(
                {"ufrag": self.leg.ufrag, "pwd": self.leg.pwd}))
        self.leg.connect(r.body)

    def got(self, after=0.0, before=1e18):
        return [p for p in list(self.leg.packets)
                if after <= p.at < before and media.rtp(p.data)]

    def opens(self, packets, ekts, recorder=None, also=()):
        """How many of these open with EKT keys that were held, each tried
        under its own SPI and under every label seen (it is only a label),
        and with all sender keys that they give, of `also` too. The hop keys
        are the recorder's: the forwarder could give them away."""
        seen, best = [*packets, *also], 0
        for ekt in ekts:
            o = plain.Opener(self.e.core, (recorder or self).leg, ekt)
            keys = {}
            spis = {int(ekt["spi"])} | {
                int.from_bytes(p.data[-7:-5], "big") for p in seen
                if plain.tail_length(p.data) > 7}
            for spi in spis:
                keys.update(o.learn(seen, [dict(o.sets[0], spi=spi)]))
            best = max(best, sum(o.open(p, keys) is not None
                                 for p in packets))
        return best


class Epochs:
    def __init__(self, w):
        self.w = w
        self.mdd = stack.Mdd(w)
        self.kmf = stack.Kmf(w, None, None, self.mdd.url)
        self.kmf.serve()
        self.mdd.configure(self.kmf).serve()
        self.env = dict(os.environ, PERCH_CA=str(self.kmf.ca),
                        PERCH_CLIENT=str(self.kmf.state /
                                         "admin-client.jwk"))
        self.core = media.Core(w.bin("tests/tools/perc-packet"))
        w.closers.append(self.core.close)
        self.agents = {}

    def admin(self, *args, check=True):
        return self.w.run([self.w.bin("perch"), *args], env=self.env,
                          check=check)

    def schedule(self, title, policy="{}"):
        self.admin("conference", "create", "--title", title, "--policy",
                   policy)
        self.conf = next(
            c["id"] for c in json.loads(self.admin(
                "conference", "list", "--json").stdout)["items"]
            if c["title"] == title)

    def invite(self, name):
        return json.loads(self.admin("conference", "invite", self.conf,
                                     "--name", name, "--json").stdout)["code"]

    def agent(self, name):
        if name not in self.agents:
            self.agents[name] = stack.Agent(self.w, name, None, self.kmf,
                                            self.mdd).start()
        a = self.agents[name]
        a.perch("join", f"{self.kmf.url}/c/{self.conf}", "--code",
                self.invite(name))
        return a

    def epoch(self):
        return json.loads(self.admin("conference", "members", self.conf,
                                     "--json").stdout)["epoch"]

    def talk(self, speaker, listener):
        def stream():
            return next((s for s in state(listener).get("out", [])
                         if s["name"] == speaker.name and
                         s["media"] == "audio"), None)
        port = world.wait_for(stream, 10, say="the stream")["port"]
        into = next(i["port"] for i in state(speaker)["in"]
                    if i["media"] == "audio")
        self.ear, self.voice = Ear(port), Voice(into)
        world.wait_for(lambda: len(self.ear.heard) > 30, 10, say="media")

    def hush(self):
        self.voice.stop()
        self.ear.running = False
        self.ear.join(2)
        self.ear.sock.close()

    def receipts(self):
        """What endpoints signed that they erased, in order: reasons."""
        return [r["detail"]["reason"] for r in json.loads(self.admin(
            "audit", "list", "--json").stdout) if r["kind"] ==
            "receipt"]

    # --- who may read what ---------------------------------------------

    def past_and_future(self):
        """REQ-W-5, on recorded packets."""
        self.schedule("Past and future")
        alice = self.agent("Alice")
        early = Home(self, "Early")
        bob = self.agent("Bob")
        early.ekt = early.end.keys()    # the epoch that all three share
        self.talk(alice, bob)
        time.sleep(2.2)                 # the join window
        past = early.got(after=time.time() - 1.0)
        own = early.opens(past, [early.ekt])
        tap.ok(len(past) > 30 and own == len(past),
               f"a member who keeps his key opens all {own} packets "
               "recorded, so this method can open something")
        late = Home(self, "Late")
        world.wait_for(lambda: late.opens(
            late.got(after=time.time() - 0.3), [late.ekt]) > 5, 5,
            every=0.3, say="what Late may hear")
        time.sleep(0.8)
        present = late.got(after=time.time() - 0.6)
        own = late.opens(present, [late.ekt])
        tap.ok(len(present) > 15 and own == len(present),
               f"REQ-WC-4.8h: who joined late opens what is said now ({own})")
        n = late.opens(past, [late.ekt], early, also=present)
        tap.ok(n == 0, "REQ-W-5: and of what was said before, recorded, "
               f"with his key and the recorder's hop keys: {n} of "
               f"{len(past)}")
        early.ekt2 = early.end.keys()   # the last one before he goes
        before = self.epoch()
        early.end.call("DELETE", early.end.path + "/lease")
        left = time.time()
        world.wait_for(lambda: self.epoch() > before, 3,
                       say="the epoch without him")
        switched = max(time.time(), left + 0.25) + 1.0
        future = world.wait_for(lambda: (lambda f: len(f) > 20 and f)(
            early.got(after=switched)), 5, say="packets after the switch")
        n = early.opens(future, [early.ekt, early.ekt2], also=past)
        tap.ok(len(future) > 5 and n == 0,
               f"REQ-W-5: who left is still sent {len(future)} packets and "
               f"opens {n} with all the keys that he ever held")
        late.ekt = late.end.keys()
        own = late.opens(future, [late.ekt], early)
        tap.ok(own > 0, "which a member, from the same recording, can "
               f"({own})")
        self.hush()

    def code(self):
        a, b = (json.loads(self.agents[n].perch("code", "--json").stdout)
                for n in ("Alice", "Bob"))
        tap.ok(a["code"] == b["code"] and len(a["code"]) == 17 and
               a["warnings"] == [],
               "perch code: the same digits at both ends", a, b)
        self.talk(self.agents["Alice"], self.agents["Bob"])
        s = world.wait_for(lambda: state(self.agents["Bob"]).get("speaking"),
                           5, say="somebody to speak")
        text = self.agents["Bob"].perch("status").stdout
        tap.ok([x["name"] for x in s] == ["Alice"] and
               "speaking: Alice" in text and a["code"] in text,
               "REQ-W-6: perch status says who is speaking, and the code",
               s, text)
        self.hush()
        world.wait_for(lambda: not state(self.agents["Bob"])["speaking"], 5,
                       say="silence")

    # --- the end ---------------------------------------------------------

    def evicted(self):
        """REQ-WC-4.9: evicted, and ended: erased at once, with receipts."""
        m = state(self.agents["Bob"])["member"]
        n = len(self.receipts())
        at = time.monotonic()
        self.admin("conference", "evict", self.conf, m)
        s = world.wait_for(
            lambda: (lambda s: s["state"] == "over" and s)(
                state(self.agents["Bob"])), 5, say="Bob to be out")
        tap.ok(s["epochs_held"] == 0 and "removed" in s["words"],
               "REQ-WC-4.9: evicted, the vault holds nothing "
               f"({time.monotonic() - at:.2f} s)", s)
        self.admin("conference", "end", self.conf)
        s = world.wait_for(
            lambda: (lambda s: s["state"] == "over" and s)(
                state(self.agents["Alice"])), 5, say="the end")
        tap.ok(s["epochs_held"] == 0, "REQ-WC-4.9: ended, neither does "
               "Alice's", s)
        got = world.wait_for(lambda: (lambda r: len(r) >= n + 2 and r[n:])(
            self.receipts()), 5, say="the receipts")
        tap.ok(set(got) == {"evicted", "ended"},
               "and both signed for it", got)

    # --- the KMF dies ----------------------------------------------------

    def kill(self):
        self.kmf.proc.kill()

    def killed_in_a_rekey(self):
        """SIGKILL in the middle of a rekey, and back after three seconds."""
        self.schedule("Killed")
        alice, bob = self.agent("Alice"), self.agent("Bob")
        self.talk(alice, bob)
        time.sleep(0.5)
        first, before = self.voice.n, self.epoch()
        p = self.w.spawn("rekey", [self.w.bin("perch"), "conference",
                                   "rekey", self.conf], env=self.env)
        time.sleep(0.03)
        self.kill()
        p.p.wait(60)
        time.sleep(3)
        self.kmf.serve()
        world.wait_for(lambda: all(
            (lambda s: s["events"] and not s["kmf_trouble"])(state(a))
            for a in (alice, bob)), 25, say="both back at the KMF")
        time.sleep(2.5)
        last = self.voice.n
        time.sleep(0.5)
        lost = self.ear.missing(first, last)
        tap.ok(not lost and last - first > 200,
               f"KMF killed in a rekey: none of {last - first} frames is "
               "lost", lost)
        after = self.epoch()
        tap.ok(before <= after <= before + 2,
               f"no rekey storm: epoch {before} before, {after} after "
               "(one was asked for)")
        def confirmed():
            r = json.loads(self.admin("conference", "members", self.conf,
                                      "--json").stdout)
            return r["live"] == r["current"] == 2 and r
        rows = world.wait_for(confirmed, 5, say="both on the newest epoch")
        tap.ok(rows["live"] == rows["current"] == 2 and
               "2 of 2 on epoch" in self.admin(
                   "conference", "members", self.conf).stdout,
               "both leases are as before, both on the newest epoch", rows)
        self.hush()
        for a in (alice, bob):
            a.perch("leave")

    def dead(self):
        """A dead KMF: media until ttl, then none; then both come back."""
        self.schedule("Dead", '{"max_epoch_age_s":%d}' % TTL)
        alice, bob = self.agent("Alice"), self.agent("Bob")
        self.talk(alice, bob)
        n = len(self.receipts())
        self.kill()
        at = time.monotonic()
        world.wait_for(lambda: all(state(a)["state"] == "entering"
                                   for a in (alice, bob)), TTL + 4,
                       say="the key's end")
        gone = time.monotonic() - at
        last = max(t for t in list(self.ear.heard.values())) - at
        # its age at the kill was 0 to 9/10 of ttl
        tap.ok(TTL / 10 - 0.5 < last < TTL + 1.5,
               f"REQ-WC-4.4: media went on for {last:.1f} s of at most "
               f"{TTL} s that the key had")
        heard = len(self.ear.heard)
        time.sleep(1.0)
        tap.ok(len(self.ear.heard) == heard and all(
            state(a)["epochs_held"] == 0 for a in (alice, bob)),
            f"then it stopped, keys erased, with no network ({gone:.1f} s)")
        self.kmf.serve()
        world.wait_for(lambda: all(state(a)["state"] == "up"
                                   for a in (alice, bob)), 30,
                       say="both to be back")
        self.hush()
        self.talk(alice, bob)   # at another port, after a new beginning
        tap.ok(True, "the KMF back: so are both, and media")
        got = world.wait_for(lambda: (lambda r: len(r) >= n + 2 and r[n:])(
            self.receipts()), 10, say="the receipts of what ran out")
        tap.ok(got == ["expired", "expired"],
               "and the receipts of the keys that ran out arrive", got)
        self.hush()

    def run(self):
        self.past_and_future()
        self.code()
        self.evicted()
        self.killed_in_a_rekey()
        self.dead()


with world.World("perch-epochs-") as w:
    try:
        Epochs(w).run()
    except Exception as e:
        tap.ok(False, f"the epochs go by to their end: {e!r}")
        w.tell()
        raise
tap.done()
