#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A machine that goes from one network to another in the middle of a
# conference, loses its network for a while, or sleeps without a word: with
# real interfaces, and nobody does anything about it.
import os
import pathlib
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import meeting                                              # noqa: E402
import netns                                                # noqa: E402
from people import Ear, Voice, state, up                    # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402


class Travel:
    """Alice's machine has two cables; Bob is where the servers are."""

    def __init__(self, w):
        self.w = w
        self.m = meeting.Meeting(
            w, "On the road", mdd=stack.Mdd(w, host=netns.SERVICE,
                                            media_host=netns.MEDIA),
            host=netns.SERVICE)
        self.far = netns.Machine(w)
        self.far.cable(0)
        self.far.cable(1)
        self.far.route(0)
        self.bob = self.m.enter("Bob")
        self.alice = self.m.agent("Alice")
        self.alice.prefix = self.far.prefix
        self.m.join(self.alice.start())
        with self.far.inside():
            self.voice = Voice(meeting.into(self.alice)["port"])
        self.ear = None
        self.listen()
        self.heard("media")

    def listen(self):
        """Where Bob's agent puts her now: who was out of the roster comes
        back as another stream."""
        port = meeting.stream(self.bob, "Alice")["port"]
        if self.ear:
            self.ear.running = False
            self.ear.join()
            self.ear.sock.close()
        self.ear = Ear(port)

    def heard(self, say, seconds=15):
        """Frames that are spoken from now on reach Bob; after how long."""
        at, began = self.voice.n, time.monotonic()
        world.wait_for(lambda: any(n > at for n in list(self.ear.heard)),
                       seconds, every=0.01, say=say)
        return time.monotonic() - began

    def steady(self, seconds=1.0):
        first = self.voice.n
        time.sleep(seconds)
        last = self.voice.n
        time.sleep(0.4)
        return self.ear.missing(first, last), last - first

    def legs(self):
        """How many the MDD has made for Alice so far."""
        return self.alice.proc.text().count("leg_up")

    def events(self):
        world.wait_for(lambda: state(self.alice)["events"] and
                       not state(self.alice)["kmf_trouble"], 10,
                       say="Alice's event stream")
        before = state(self.bob)["epoch"]
        self.m.rekey()
        world.wait_for(lambda: state(self.alice)["epoch"] > before, 2,
                       every=0.02, say="the new epoch by the stream")

    def change(self, what, doing, within):
        legs = self.legs()
        doing()
        took = self.heard(what)
        lost, n = self.steady()
        tap.ok(took < within and not lost and n > 30,
               f"{what}: heard again after {took:.2f} s, then none of {n} "
               "frames is lost", took, lost)
        tap.ok(self.legs() == legs, f"{what}: on the same leg", self.legs())
        began = time.monotonic()
        self.events()
        tap.ok(True, f"{what}: the event stream is back and brings an epoch "
               f"({time.monotonic() - began:.1f} s)")

    def end(self):
        self.voice.stop()
        self.ear.running = False
        self.ear.join()


def to_other_cable(t):
    t.far.unplug(0)
    t.far.route(1)


def new_address(t):
    t.far.ip("address", "flush", "dev", "there1")
    t.far.ip("address", "add", "10.77.1.77/24", "dev", "there1")
    t.far.route(1)


def away_for_a_while(t):
    t.far.unplug(1)
    time.sleep(7)       # longer than the leg waits where there is a way
    t.far.ip("link", "set", "there0", "up")
    t.far.ip("address", "add", "10.77.0.2/24", "dev", "there0")
    t.far.route(0)


def frozen(t, seconds):
    """The whole machine stands still, as in a suspend that nobody told."""
    pids = [t.alice.proc.p.pid] + [
        int(d.name) for d in pathlib.Path("/proc").iterdir()
        if d.name.isdigit() and parent(d) == t.alice.proc.p.pid]
    for p in pids:
        os.kill(p, signal.SIGSTOP)
    time.sleep(seconds)
    for p in pids:
        os.kill(p, signal.SIGCONT)
    began = time.monotonic()
    world.wait_for(lambda: up(t.alice) and "Alice" in {
        s["name"] for s in state(t.bob)["out"]} and t.legs() > 1, 30,
        say="Alice to come back")
    t.listen()
    t.heard("media after the sleep", 30)
    took = time.monotonic() - began
    lost, n = t.steady()
    tap.ok(took < 10 and not lost, f"stopped for {seconds} s: heard again "
           f"after {took:.1f} s by itself, then none of {n} frames is lost",
           took, lost)
    t.events()
    tap.ok(up(t.alice) and up(t.bob), "and both are well")


def parent(d):
    try:
        return int((d / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def main():
    try:
        netns.enter()
    except tap.Skip as e:
        tap.skip("changes of networks", e)
        tap.done()
    with world.World() as w:
        t = Travel(w)
        t.change("another interface", lambda: to_other_cable(t), 6)
        t.change("another address", lambda: new_address(t), 6)
        t.change("no network for 7 s", lambda: away_for_a_while(t), 9)
        frozen(t, 32)       # consent is over after 30 (RFC 7675)
        t.end()
    tap.done()


if __name__ == "__main__":
    main()
