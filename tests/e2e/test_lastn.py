#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Five real agents at a distributor that forwards the two who spoke last, by
# the audio levels that their packets tell (RFC 6464). Who is not among them is
# not forwarded at all; who begins to speak is heard at once; a cough, or two
# who are about as loud, change nothing; and whoever comes back does so without
# a gap in the numbers and without a packet that does not open.
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import meeting                                              # noqa: E402
from people import Exact, Loud, state                       # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

NAMES = ("Alice", "Bob", "Carol", "Dave")
QUIET, USUAL, LOUD = 70, 25, 8          # -dBov
TROUBLE = ("inner_auth_failed", "no_key", "unknown_spi", "malformed",
           "replayed")
GST = """gst-launch-1.0 -q audiotestsrc is-live=true volume=0.9 !
    level audio-level-meta=true ! audioconvert ! opusenc !
    rtpopuspay pt=111 auto-header-extension=true !
    application/x-rtp,extmap-1=(string)<"","urn:ietf:params:rtp-hdrext:\
ssrc-audio-level","vad=on"> ! udpsink host=127.0.0.1 port={port} async=false"""
STAY = 2.2              # seconds that who got in stays, and a little more


class Five:
    def __init__(self, w):
        self.w = w
        self.m = meeting.Meeting(w, "Last N", mdd_extra="last_n = 2")
        self.agent = {n: self.m.enter(n) for n in NAMES + ("Eve",)}
        self.eve = self.agent["Eve"]

    def begin(self):
        """Everybody sends, Alice and Bob speak; Eve listens to all."""
        self.ear = {n: Exact(meeting.stream(self.eve, n)["port"])
                    for n in NAMES}
        self.far = Exact(meeting.stream(self.agent["Dave"], "Alice")["port"])
        self.voice = {n: Loud(meeting.into(self.agent[n])["port"])
                      for n in NAMES}
        self.eves = Loud(meeting.into(self.eve)["port"])
        self.level(Alice=USUAL, Bob=USUAL, Carol=QUIET, Dave=QUIET)
        self.eves.level = 127
        world.wait_for(lambda: self.heard(0.5) == {"Alice", "Bob"}, 10,
                       say="Alice and Bob, and nobody else")
        tap.ok(True, "Alice and Bob, who speak, are heard and no other")

    def level(self, **levels):
        for name, v in levels.items():
            self.voice[name].level = v
        return time.monotonic()

    def heard(self, seconds):
        """Of whom there were frames at Eve's in that last time."""
        since = time.monotonic() - seconds
        return {n for n, e in self.ear.items()
                if e.heard and max(e.heard.values()) > since}

    def steady(self, seconds, say, who=("Alice", "Bob")):
        """Nobody else is heard in that time."""
        n = {x: len(e.seqs) for x, e in self.ear.items()}
        time.sleep(seconds)
        got = {x for x, e in self.ear.items() if len(e.seqs) > n[x]}
        tap.ok(got == set(who), say, got)

    def not_forwarded(self):
        was, said = state(self.eve)["leg"]["received"], self.voice["Bob"].n
        n = len(self.far.seqs)
        time.sleep(2)
        got = state(self.eve)["leg"]["received"] - was
        said = self.voice["Bob"].n - said       # about 100
        tap.ok(1.7 <= got / said <= 2.4, f"while everybody said {said}, {got} "
               "packets come to Eve: those of two, not of four")
        tap.ok(len(self.far.seqs) - n > 0.9 * said,
               "who is not among the two hears them as well")

    def hysteresis(self):
        self.voice["Dave"].first = (LOUD,) * 3
        self.steady(1, "a cough moves nobody")
        self.level(Carol=USUAL - 3)
        self.steady(2, "nor does who is a little louder")
        n = {x: len(e.seqs) for x, e in self.ear.items()}
        more, less = (USUAL - 3,) * 15, (USUAL + 3,) * 15
        self.voice["Bob"].first = (more + less) * 5
        self.voice["Carol"].first = (less + more) * 5
        self.level(Bob=USUAL, Carol=USUAL)
        world.wait_for(lambda: not self.voice["Bob"].first and
                       not self.voice["Carol"].first, 15, say="3 s of words")
        got = {x for x, e in self.ear.items() if len(e.seqs) > n[x]}
        tap.ok(got == {"Alice", "Bob"}, "nor two who are about as loud", got)
        self.level(Bob=USUAL, Carol=QUIET)

    def takes(self, name, place):
        """name begins to speak; who was the quietest must go."""
        for other in place:
            self.level(**{other: USUAL + 10})
        time.sleep(1)
        n = len(self.ear[name].seqs)
        at = self.level(**{name: LOUD})
        world.wait_for(lambda: len(self.ear[name].seqs) > n, 5, every=0.005,
                       say=f"{name} to be heard")
        took = time.monotonic() - at

        def changed():
            got = self.heard(0.3)
            return name in got and not got & set(place) and got
        got = world.wait_for(changed, 5, say=f"{name} alone in that place")
        tap.ok(took < 3,
               f"{name} is heard after {took * 1000:.0f} ms, in the place of "
               f"{' and '.join(place)}", got, took)

    def changes(self):
        self.takes("Dave", ("Bob",))
        time.sleep(STAY)
        self.level(Dave=QUIET)
        self.takes("Bob", ("Dave",))
        time.sleep(STAY)
        self.level(Bob=USUAL, Dave=QUIET)
        self.takes("Carol", ("Bob",))
        world.wait_for(lambda: len(self.ear["Carol"].seqs) > 25, 10,
                       say="enough words of Carol")

    def program(self):
        """GStreamer speaks with Dave's mouth, and its packets tell how loud."""
        ear = self.ear["Dave"]
        self.voice["Dave"].stop()
        ear.running = False
        ear.join()
        time.sleep(STAY)
        self.level(Alice=USUAL, Carol=USUAL)
        port = meeting.into(self.agent["Dave"])["port"]
        gst = self.w.spawn("gst-dave", GST.format(port=port).split())
        ear.sock.settimeout(10)
        try:
            came = [ear.sock.recv(2048) for _ in range(30)]
        except TimeoutError:
            came = []
        tap.ok(len(came) == 30 and not self.heard(0.3) >= {"Alice", "Carol"},
               "a program that knows levels (GStreamer) is heard in the place "
               "of one of them", len(came), self.heard(0.3))
        gst.stop()

    def whole(self):
        for name, ear in self.ear.items():
            steps = [(b[1] - a[1]) & 0xffff for a, b in
                     zip(ear.seqs, ear.seqs[1:])]
            tap.ok(len(steps) > 20 and set(steps) == {1},
                   f"the {len(steps)} numbers of {name} have no gap",
                   [s for s in steps if s != 1], len(steps))
        alice = self.ear["Alice"]
        lost = alice.missing(alice.seqs[0][0], alice.seqs[-1][0])
        tap.ok(not lost, "of Alice, who spoke throughout, nothing is missing",
               lost)
        for name, a in self.agent.items():
            c = state(a)["vault"]["counters"]
            bad = {k: c[k] for k in TROUBLE if c[k]}
            tap.ok(not bad, f"every packet at {name} opens", bad)

    def run(self):
        self.begin()
        self.not_forwarded()
        self.hysteresis()
        self.changes()
        self.whole()
        if shutil.which("gst-launch-1.0") and not subprocess.run(
                ["gst-inspect-1.0", "--exists", "rtphdrextclientaudiolevel"],
                check=False).returncode:
            self.program()
        else:
            tap.skip("GStreamer", "not here, or without its audio level")
        for v in (*self.voice.values(), self.eves):
            v.stop()


with world.World("perch-lastn-") as w:
    try:
        Five(w).run()
    except Exception as e:
        tap.ok(False, f"all of it happens: {e!r}")
        w.tell()
        raise
tap.done()
