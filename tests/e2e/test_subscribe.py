#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Real agents and a real distributor: Bob does not want to hear Alice, keys
# change meanwhile, he wants to again. From then on he has every frame, each
# one opens, and the numbers that he sees have no gap that he would ask for.
import json
import pathlib
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import meeting                                              # noqa: E402
from people import Exact, Loud, ask, state                       # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

TROUBLE = ("inner_auth_failed", "no_key", "unknown_spi", "malformed",
           "replayed")


def subscribe(agent, wanted):
    return ask(agent, cmd="subscribe", subscriptions=wanted)


def trouble(agent):
    counters = state(agent)["vault"]["counters"]
    return {k: counters[k] for k in TROUBLE}


class Two(meeting.Meeting):
    def __init__(self, w):
        super().__init__(w, "Subscriptions")
        self.alice, self.bob = (self.enter(n) for n in ("Alice", "Bob"))

    def talk(self):
        self.stream = meeting.stream(self.bob, "Alice")
        self.ear = Exact(self.stream["port"])
        self.voice = Loud(meeting.into(self.alice)["port"])
        world.wait_for(lambda: len(self.ear.heard) > 30, 10, say="media")

    def off(self):
        r = subscribe(self.bob, {"rules": [
            {"member": self.stream["member"], "audio": False,
             "video": False}]})
        tap.ok(r.get("result", {}).get("subscribed") is True,
               "the distributor takes the subscription", r)
        tap.ok(self.ear.falls_silent(),
               "no frame of Alice arrives any more")

    def change_keys(self):
        before = state(self.bob)["epoch"]
        self.rekey()
        world.wait_for(lambda: state(self.bob)["epoch"] > before, 5,
                       say="the new epoch")
        time.sleep(0.6)         # the old one is no longer sent under

    def on(self, what):
        n, was = len(self.ear.seqs), trouble(self.bob)
        subscribe(self.bob, {})
        world.wait_for(lambda: len(self.ear.seqs) > n, 5, say="Alice again")
        first = self.ear.seqs[n][0]
        time.sleep(1.5)
        last = self.ear.seqs[-1][0]
        lost = self.ear.missing(first, last)
        tap.ok(not lost and last - first > 40,
               f"{what}: all of {last - first} frames from the first on",
               lost)
        steps = [(b[1] - a[1]) & 0xffff for a, b in
                 zip(self.ear.seqs, self.ear.seqs[1:])]
        tap.ok(set(steps) == {1}, f"{what}: the numbers go on by one, from "
               "before", [s for s in steps if s != 1])
        now = trouble(self.bob)
        tap.ok(now == was, f"{what}: every packet opens", was, now)

    def refusals(self):
        r = subscribe(self.bob, {"audio": 3})
        tap.ok(r.get("error", {}).get("code") == "refused" and
               "audio" in r["error"]["text"],
               "what the distributor refuses is told in its words", r)
        r = ask(self.bob, cmd="subscribe")
        tap.ok(r.get("error", {}).get("code") == "usage",
               "without subscriptions it is no such command", r)

    def flows(self, yes, *args):
        """Bob's command, and whether Alice's sound arrives from then on."""
        said = self.bob.perch(*args).stdout
        n = len(self.ear.seqs)
        if yes:
            came = world.wait_for(lambda: len(self.ear.seqs) > n + 10, 5,
                                  say="more of Alice")
        else:
            came = not self.ear.falls_silent()
        told = " ".join(args).replace(self.stream["member"], "ID")
        told = told.replace(self.conf["id"], "CONFERENCE")
        tap.ok("Done" in said and came == yes,
               f"perch {told}: Alice is "
               f"{'' if yes else 'not '}heard", said, came)

    def fails(self, words, *args):
        r = self.bob.perch("subscribe", *args, check=False)
        tap.ok(r.returncode == 2 and words in r.stderr,
               f"perch subscribe {' '.join(args)} tells what to do", r)

    def commands(self):
        alice = self.stream["member"]
        self.flows(False, "unsubscribe")
        self.flows(True, "subscribe", self.conf["id"], "--member", "Alice")
        self.flows(False, "unsubscribe", "--member", alice, "--audio")
        self.flows(True, "unsubscribe", "--member", "Alice", "--video")
        self.flows(False, "subscribe", "--video", "--last-n", "5")
        self.flows(True, "subscribe", "--member", alice, "--audio")
        self.flows(False, "subscribe", "--member", "Bob")
        self.fails("nobody is called", "--member", "Mallory")
        self.fails("1 to 255", "--last-n", "0")
        self.fails("1 to 255", "--last-n", "5x")
        self.fails("0 to 254", "--max-layer", "255")
        self.fails("0 to 254", "--member", alice, "--max-layer", "-1")
        r = self.bob.json("subscribe")
        tap.ok(r == {"conference": self.conf["id"], "subscribed": True},
               "perch subscribe --json prints the agent's answer", r)
        self.flows(True, "subscribe")

    def run(self):
        self.talk()
        self.commands()
        for what in ("again", "once more"):
            self.off()
            self.on(what)
        self.off()
        self.change_keys()
        self.on("after a rekey")
        self.refusals()
        self.voice.stop()


with world.World("perch-subscribe-") as w:
    try:
        Two(w).run()
    except Exception as e:
        tap.ok(False, f"all of it happens: {e!r}")
        w.tell()
        raise
tap.done()
