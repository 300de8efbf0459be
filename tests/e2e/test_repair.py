#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Real agents, a real distributor, and a road between them that loses three of
# a hundred datagrams of media and its reports in each direction: what the
# application is given is complete, though it asks for nothing.
import pathlib
import random
import selectors
import socket
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import meeting                                              # noqa: E402
from people import Ear, Voice, state                        # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

LOSS = 0.03


class Road(threading.Thread):
    """Where endpoints believe the distributor to be: passes datagrams on to
    where it is, each endpoint by a socket of its own, and loses some."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.there = ("127.0.0.2", port)
        self.here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.here.bind(("127.0.0.1", port))
        self.sel = selectors.DefaultSelector()
        self.sel.register(self.here, selectors.EVENT_READ, None)
        self.way, self.loss = {}, 0.0
        self.random = random.Random(7)
        self.passed = self.lost = self.lost_reports = 0
        self.start()

    def keeps(self, data):
        if not 128 <= data[0] < 192 or self.random.random() >= self.loss:
            self.passed += 1
            return True
        if 192 <= data[1] <= 223:
            self.lost_reports += 1
        else:
            self.lost += 1
        return False

    def up(self):
        data, who = self.here.recvfrom(4096)
        if who not in self.way:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect(self.there)
            self.way[who] = s
            self.sel.register(s, selectors.EVENT_READ, who)
        if self.keeps(data):
            self.way[who].send(data)

    def run(self):
        while True:
            for key, _ in self.sel.select():
                try:
                    if key.data is None:
                        self.up()
                        continue
                    data = key.fileobj.recv(4096)
                    if self.keeps(data):
                        self.here.sendto(data, key.data)
                except ConnectionRefusedError:
                    pass


class Lossy(meeting.Meeting):
    def __init__(self, w):
        mdd = stack.Mdd(w)
        self.road = Road(mdd.media)
        super().__init__(w, "A bad road", mdd, "media_listen = 127.0.0.2")
        self.alice, self.bob = (self.enter(n) for n in ("Alice", "Bob"))

    def talk(self):
        self.ear = Ear(meeting.stream(self.bob, "Alice")["port"])
        self.voice = Voice(meeting.into(self.alice)["port"])
        world.wait_for(lambda: len(self.ear.heard) > 30, 10, say="media")

    def lossy(self, seconds):
        first = self.voice.n
        self.road.loss = LOSS
        time.sleep(seconds / 2)
        # keys change on the way: what was sent before goes again as it was
        self.rekey()
        time.sleep(seconds / 2)
        self.road.loss = 0.0
        last = self.voice.n - 1
        time.sleep(1.2)
        return [n for n in range(first, last) if n not in self.ear.heard], \
            last - first

    def run(self):
        self.talk()
        missing, count = self.lossy(12)
        a, b = state(self.alice)["leg"], state(self.bob)["leg"]
        tap.ok(self.road.lost >= 15, "the road loses packets",
               f"{self.road.lost} of media, {self.road.lost_reports} reports")
        tap.ok(not missing, "the application has every one of them",
               f"of {count} missing {missing}; lost {self.road.lost}; "
               f"alice {a}; bob {b}")
        tap.ok(b["asked"] > 0 and b["mended"] > 0,
               "the receiver's agent asked for what its road lost", b)
        tap.ok(a["resent"] > 0,
               "the sender's agent sent again what the distributor lacked", a)
        trouble = {k: v for k, v in
                   state(self.bob)["vault"]["counters"].items()
                   if k in ("inner_auth_failed", "no_key", "malformed")}
        tap.ok(not any(trouble.values()), "and every packet opens", trouble)
        self.voice.stop()


with world.World("perch-repair-") as w:
    try:
        Lossy(w).run()
    except Exception as e:
        tap.ok(False, f"all of it happens: {e!r}")
        w.tell()
        raise
tap.done()
