#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A distributor that lies on a real hop: perch-mdd-liar (tests/mdd/liar.c) with
# a real KMF and real agents. Alice and Bob speak, Carol listens. Whatever it
# does with what the operator of a distributor has, her applications get true
# frames of the true sender or none, and her agent counts what it refused
# (REQ-WC-4.1, REQ-WC-4.2).
import mmap
import pathlib
import shutil
import socket
import struct
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import media                                                # noqa: E402
import meeting                                              # noqa: E402
from people import Ear, Voice, state                        # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

# tests/mdd/liar.h
LIES = ("none", "drop", "replay", "payload", "ssrc", "ohb", "bit", "delay",
        "plain", "bare", "spi")
TROUBLE = ("inner_auth_failed", "no_key", "unknown_spi", "not_listed",
           "malformed", "replayed")
OVERLAP = 1.0   # s, of this conference
DELAY = 4.0     # s
LATE = 3.0      # s that a loaded machine may take for what is prompt
SPI_S = 5       # s
TOLD = 60       # lies of a kind at the least
POLICY = {"overlap_ms": int(OVERLAP * 1000), "join_window_ms": 500}


class Orders:
    """struct orders, mapped by the worker."""

    def __init__(self, path):
        path.write_bytes(bytes(20))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 20)

    def give(self, lie, one=0, other=0, delay=0.0):
        self.map[0:4] = struct.pack("=I", 0)
        self.map[4:16] = struct.pack("=III", one, other, int(delay * 1000))
        self.map[0:4] = struct.pack("=I", LIES.index(lie))

    def told(self):
        return struct.unpack("=I", self.map[16:20])[0]


class Speaker(Voice):
    """Each frame says whose it is and which."""

    def __init__(self, name, port):
        self.name_, self.at = name.encode(), {}
        super().__init__(port)

    def run(self):
        at = time.monotonic()
        while self.running:
            self.at[self.n] = time.monotonic()
            head = struct.pack(">BBHII", 0x80, 111, self.n & 0xffff,
                               self.n * 960, 0x1234)
            try:
                self.sock.send(head + self.words(self.n))
            except ConnectionRefusedError:
                pass
            self.n += 1
            at += 0.02
            time.sleep(max(0, at - time.monotonic()))

    def words(self, n):
        return b"frame %s %08d" % (self.name_, n)


SO_TIMESTAMPNS = 35     # Linux; Python has no name for it


class Listener(Ear):
    """Keeps all that comes, and knows what of it is true."""

    def __init__(self, port, ssrc):
        self.ssrc, self.got, self.checked = ssrc, [], 0
        self.order, self.top = {}, 0    # number: outer SEQ, unrolled
        super().__init__(port)

    def run(self):
        """The kernel says when a packet came; we may be late to look."""
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        while self.running:
            try:
                data, more, _, _ = self.sock.recvmsg(2048, 64)
            except TimeoutError:
                continue
            ago = 0
            if more:            # one that came before the option has none
                at = struct.unpack("qq", more[0][2])
                ago = time.time() - at[0] - at[1] / 1e9
            self.got.append((time.monotonic() - ago, data))

    def frames(self, since=0):
        """(when, number) of what claims to be one."""
        return [(at, int(media.rtp(p).payload[-8:]))
                for at, p in self.got[since:]]

    def lies(self, voice):
        """Of what is new, what `voice` did not say, or said once only; and
        whatever is not in the order of the numbers that it came with."""
        bad, new = [], self.got[self.checked:]
        self.checked += len(new)
        for _, data in new:
            p = media.rtp(data)
            n = int(p.payload[-8:]) if p and p.payload[-8:].isdigit() else -1
            if (n not in voice.at or n in self.order or p.ssrc != self.ssrc or
                    p.pt != 111 or p.ts != n * 960 or
                    p.payload != voice.words(n)):
                bad.append(data)
                continue
            self.top += (p.seq - self.top + 0x8000 & 0xffff) - 0x8000
            self.order[n] = self.top
        seqs = [self.order[n] for n in sorted(self.order)]
        return bad + [b for a, b in zip(seqs, seqs[1:]) if b <= a]


class Liar(meeting.Meeting):
    def __init__(self, w):
        home = w.mkdir("liar")
        program = shutil.copy(w.bin("tests/mdd/perch-mdd-liar"),
                              home / "perch-mdd")
        self.orders = Orders(home / "orders")
        super().__init__(w, "Lies", program=program, policy=POLICY)
        self.alice, self.bob, self.carol = (
            self.enter(n) for n in ("Alice", "Bob", "Carol"))
        self.ears, self.voices = {}, {}

    def listen(self, name):
        s = meeting.stream(self.carol, name)
        self.ears[name] = Listener(s["port"], s["ssrc"])

    def speak(self, agent):
        self.voices[agent.name] = Speaker(
            agent.name, meeting.into(agent)["port"])

    # --- what Carol has -------------------------------------------------

    def marks(self):
        return {n: len(e.got) for n, e in self.ears.items()}

    def news(self, marks, name):
        return len(self.ears[name].got) - marks[name]

    def flows(self, *names):
        """Fresh frames of all of these."""
        was = self.marks()
        world.wait_for(lambda: all(self.news(was, n) > 15 for n in names), 10,
                       say="media of " + " and ".join(names))

    def false(self):
        """What was heard since and is not true: nothing, ever."""
        return [b for n, e in self.ears.items() if n in self.voices
                for b in e.lies(self.voices[n])]

    def counters(self):
        s = state(self.carol)
        c = s["vault"]["counters"]
        return dict({k: c[k] for k in TROUBLE},
                    hop=s["leg"]["auth_failed"])

    def told(self, n=TOLD):
        was = self.orders.told()
        world.wait_for(lambda: self.orders.told() >= was + n, 15,
                       say="lies to be told")

    def missing(self, name, marks):
        """Frames that are not there between the first and the last."""
        n = [k for _, k in self.ears[name].frames(marks[name])]
        return sorted(set(range(n[0], n[-1] + 1)) - set(n)), len(n)

    def on_roster(self):
        j = self.carol.json("roster")
        return (sorted(m["name"] for m in j["members"]) ==
                ["Alice", "Bob", "Carol"] and j["state"]["fresh"] and
                not j["state"]["forked"] and
                state(self.carol)["warnings"] == [])

    def speaking(self):
        return sorted(s["name"] for s in state(self.carol)["speaking"])

    def lie(self, name, one, other=None, delay=0.0):
        self.orders.give(name, self.ears[one].ssrc,
                         self.ears[other].ssrc if other else 0, delay)
        time.sleep(0.3)         # what was on its way is there

    def honest(self):
        self.orders.give("none")
        time.sleep(0.1)
        self.flows("Alice", "Bob")

    def change_keys(self):
        before = state(self.carol)["epoch"]
        self.rekey()
        world.wait_for(lambda: state(self.carol)["epoch"] > before, 5,
                       say="the new epoch")
        return time.monotonic()

    # --- one lie each ---------------------------------------------------

    def hides(self):
        """It does not let Carol know that Bob is there, from the start."""
        self.listen("Alice")
        self.listen("Bob")
        self.speak(self.alice)
        self.flows("Alice")
        self.lie("drop", "Bob")
        self.speak(self.bob)
        self.told()
        world.wait_for(lambda: self.speaking() == ["Alice"], 5,
                       say="Alice to be seen speaking")
        tap.ok(not self.ears["Bob"].got and not self.false() and
               self.on_roster(),
               "REQ-W-6: hides Bob: he is not heard, and perch roster has "
               "him all the same", self.carol.json("roster"))

    def told_the_truth(self):
        self.honest()
        world.wait_for(lambda: self.speaking() == ["Alice", "Bob"], 5,
                       say="both to be seen speaking")
        was, marks, told = self.counters(), self.marks(), self.orders.told()
        time.sleep(1)
        gaps = [self.missing(n, marks) for n in ("Alice", "Bob")]
        tap.ok(not self.false() and all(not g and n > 30 for g, n in gaps) and
               self.counters() == was and self.orders.told() == told,
               "an honest distributor: every frame of both, none refused",
               gaps, was, self.counters())

    def drops(self):
        self.lie("drop", "Alice")
        marks = self.marks()
        self.told()
        world.wait_for(lambda: self.speaking() == ["Bob"], 5,
                       say="Alice's silence to be seen")
        gaps, n = self.missing("Bob", marks)
        tap.ok(self.news(marks, "Alice") == 0 and not gaps and n > 20 and
               not self.false() and self.on_roster(),
               f"drops all of Alice: silence, seen as such; Bob's {n} frames "
               "take no harm", gaps)
        self.honest()

    def replays(self, what):
        self.lie("replay", "Alice", "Bob")
        was, marks = self.counters(), self.marks()
        told = self.orders.told()
        self.told(4 * TOLD)     # to all three
        gaps = [self.missing(n, marks) for n in ("Alice", "Bob")]
        told, now = self.orders.told() - told, self.counters()
        grown = sum(now[k] - was[k] for k in TROUBLE)
        tap.ok(not self.false() and all(not g and n > 10 for g, n in gaps) and
               grown >= told // 4 and now["hop"] == was["hop"],
               f"REQ-F-8.2.2a: replays {what}: {grown} refused, no frame "
               "heard twice, none lost", gaps, was, now, told)
        self.honest()

    def replays_an_old_epoch(self):
        at = self.change_keys()
        time.sleep(max(0, at + OVERLAP + 1.0 - time.monotonic()))
        self.replays("an epoch that is over")

    def refused(self, name, what, key="inner_auth_failed"):
        """Only lies come of both, and all are counted as refused."""
        self.lie(name, "Alice", "Bob")
        was, marks = self.counters(), self.marks()
        told = self.orders.told()
        self.told(3 * TOLD)
        told, now = self.orders.told() - told, self.counters()
        heard = [self.news(marks, n) for n in ("Alice", "Bob")]
        false = self.false()
        tap.ok(not false and heard == [0, 0] and
               now[key] - was[key] >= told // 4,
               f"{what}: nothing of it is heard, {now[key] - was[key]} "
               f"counted as {key}", heard, was, now, told, false[:3])
        self.honest()

    def delays(self):
        """It keeps Alice back; then a rekey, and what is too late for that
        is nothing."""
        self.lie("delay", "Alice", delay=DELAY)
        marks = self.marks()
        world.wait_for(lambda: self.news(marks, "Alice") > 40, 10,
                       say="what was kept back")
        late = [at - self.voices["Alice"].at[n] for at, n in
                self.ears["Alice"].frames(marks["Alice"])]
        prompt = [at - self.voices["Bob"].at[n] for at, n in
                  self.ears["Bob"].frames(marks["Bob"])]
        tap.ok(not self.false() and min(late) > DELAY * 0.9 and
               max(prompt) < LATE,
               f"delays Alice by {DELAY} s: her own frames in their order, "
               "Bob's at once", min(late), max(prompt))
        at, was = self.change_keys(), self.counters()
        marks = self.marks()
        time.sleep(DELAY + 1.0)
        old = [(when - at, n) for when, n in
               self.ears["Alice"].frames(marks["Alice"])
               if self.voices["Alice"].at[n] < at - 0.2 and
               when > at + OVERLAP + 0.5]
        fresh = [n for _, n in self.ears["Alice"].frames(marks["Alice"])
                 if self.voices["Alice"].at[n] > at + 0.4]
        now = self.counters()
        refused = sum(now[k] - was[k] for k in TROUBLE)
        tap.ok(not old and fresh and refused > 10 and not self.false(),
               f"REQ-F-8.2.3a: and of an epoch that is over nothing opens, "
               f"however late: {refused} refused", old[:5], was, now)
        self.honest()

    def names_keys(self):
        """It writes of keys that nobody made. What it could win is that the
        KMF is asked, by all members at once: less and less often."""
        self.lie("spi", "Alice", "Bob")
        log, marks = self.carol.proc.log, self.marks()
        before = log.read_text(errors="replace").count("key_wanted")
        wanted = state(self.carol)["vault"]["counters"]["key_wanted"]
        time.sleep(SPI_S)
        gaps = [self.missing(n, marks) for n in ("Alice", "Bob")]
        asked = log.read_text(errors="replace").count("key_wanted") - before
        wanted = state(self.carol)["vault"]["counters"]["key_wanted"] - wanted
        tap.ok(not self.false() and all(not g and n > 100 for g, n in gaps) and
               1 <= asked <= 3 and wanted >= SPI_S,
               f"names keys that nobody made: the vault wants "
               f"{wanted}, the KMF is asked {asked} times in {SPI_S} s, and "
               "no frame is lost", gaps, asked, wanted)
        self.change_keys()      # or raises
        tap.ok(True, "a true key comes all the same")
        self.honest()

    def run(self):
        self.hides()
        self.told_the_truth()
        self.drops()
        self.replays("what was just heard")
        self.replays_an_old_epoch()
        self.refused("payload", "REQ-F-8.2.1a: swaps what Alice and Bob said")
        self.refused("ssrc", "REQ-F-8.2.4a: swaps Alice's and Bob's names")
        self.refused("ohb", "REQ-F-8.2.1a: lies about the original header")
        self.refused("bit", "REQ-F-8.2.1a: flips a bit of what was said")
        self.refused("plain", "puts in words of its own, hop by hop only")
        self.refused("bare", "puts them in without any layer", "hop")
        self.names_keys()
        self.delays()
        self.told_the_truth()


with world.World("perch-liar-") as w:
    try:
        Liar(w).run()
    except Exception as e:
        tap.ok(False, f"all lies are told: {e!r}")
        w.tell()
        raise
tap.done()
