#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Two browsers over roads that lose one picture packet in twenty, each way. They
# come again by the repair stream that was agreed on (RFC 4588): the browser
# hears ours, and we hear the browser's. Neither has to ask for a whole picture.
# On a busy machine a repair may be too late, and pictures stand still for want
# of a processor: so one in four may be missed (that each loss is asked for and
# repaired in time is proved where time stands still: tests/mdd/test_rtx.c).
import pathlib
import random
import select
import socket
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools"), str(HERE.parent / "mdd")]
import chromium
import jose
import tap
import whip
import world

LOSS = 0.05
VIDEO, REPAIR = 96, 97          # VP8 and its RTX, as Chromium calls them


class Road(threading.Thread):
    """A relay before the MDD's port; `up` and `down` count what it saw."""

    def __init__(self, mdd_port):
        super().__init__(daemon=True)
        self.near, self.far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                               for _ in range(2))
        self.near.bind(("127.0.0.1", 0))
        self.far.connect(("127.0.0.1", mdd_port))
        self.port = self.near.getsockname()[1]
        self.lossy, self.running, self.page = False, True, None
        self.up, self.down = ({"lost": 0, "repairs": 0} for _ in range(2))
        self.dice = random.Random(5)
        self.start()

    def passes(self, data, seen):
        if len(data) < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
            return True
        pt = data[1] & 127
        seen["repairs"] += pt == REPAIR
        if pt == VIDEO and self.lossy and self.dice.random() < LOSS:
            seen["lost"] += 1
            return False
        return True

    def run(self):
        while self.running:
            ready, _, _ = select.select([self.near, self.far], [], [], 0.2)
            for s in ready:
                try:
                    data, who = s.recvfrom(2048)
                except ConnectionRefusedError:
                    continue
                if s is self.near:
                    self.page = who
                    if self.passes(data, self.up):
                        self.far.send(data)
                elif self.page and self.passes(data, self.down):
                    self.near.sendto(data, self.page)

    def stop(self):
        self.running = False
        self.join()


def decoded(page, by, seconds=20):
    start = page.count("inbound-rtp-video", "framesDecoded")
    try:
        world.wait_for(lambda: page.count("inbound-rtp-video",
                                          "framesDecoded") >= start + by,
                       seconds, 0.3, say=f"{by} frames")
        return True
    except world.Broken:
        return False


def repaired(road, lossy, straight):
    """What came again at the one, what the other still misses: when all is
    repaired, or will not be."""
    def look():
        seen[:] = (lossy.count("inbound-rtp-video",
                               "retransmittedPacketsReceived"),
                   straight.count("inbound-rtp-video", "packetsLost"))
        return seen[0] >= road.down["lost"] and not seen[1] and \
            road.up["repairs"] >= road.up["lost"]
    seen = []
    try:
        world.wait_for(look, 3, 0.3)
    except world.Broken:
        pass
    return seen


def run(w, mdd):
    straight, lossy = (whip.Page(chromium.Chromium(w, mdd.cert), mdd,
                                 audio=False) for _ in range(2))
    a = straight.join("m_a", "c_loss")
    port = int(next(x for x in a["text"].splitlines()
                    if x.startswith("a=candidate")).split(" ")[5])
    road = Road(port)
    b = lossy.join("m_b", "c_loss", via=(port, road.port))
    tap.ok(all("a=rtpmap:97 rtx/90000" in x["text"] for x in (a, b)),
           "the answer takes RTX for VP8", a, b)
    tap.ok(decoded(straight, 20) and decoded(lossy, 20),
           "both see each other", straight.stats(), lossy.stats())
    asked = [x.count("inbound-rtp-video", "pliCount")
             for x in (lossy, straight)]
    road.lossy = True
    at = time.monotonic()
    while time.monotonic() < at + 8 or min(
            road.up["lost"], road.down["lost"]) < 5 and \
            time.monotonic() < at + 25:
        time.sleep(0.3)
    road.lossy = False
    came, lost = repaired(road, lossy, straight)
    gone = road.down["lost"]    # Chromium counts the two streams apart
    pli = lossy.count("inbound-rtp-video", "pliCount") - asked[0]
    tap.ok(gone >= 5 and gone - gone // 4 <= came <= road.down["repairs"] and
           pli <= gone // 4,
           f"to the browser: {gone} were lost, it took {came} repairs, and "
           f"asked for {pli} pictures", lossy.stats(), road.down)
    gone = road.up["lost"]
    pli = straight.count("inbound-rtp-video", "pliCount") - asked[1]
    tap.ok(gone >= 5 and road.up["repairs"] >= gone - gone // 4 and
           max(lost, pli) <= gone // 4,
           f"from the browser: {gone} were lost, and the other one misses "
           f"{lost} and asked for {pli} pictures", straight.stats(), road.up)
    tap.ok(decoded(straight, 20) and decoded(lossy, 20),
           "both go on", straight.stats(), lossy.stats())
    tap.ok(mdd.metric("perch_mdd_dropped_total", 'reason="ssrc"') == 0,
           "no repair is taken for a stranger's")
    road.stop()
    for p in (straight, lossy):
        p.b.close()
        w.closers.remove(p.b.close)


with world.World("perch-rtx-") as w:
    if not chromium.present():
        tap.skip("Chromium", "there is none")
        tap.done()
    mdd = whip.Mdd(w, jose.Key())
    mdd.spawn(workers=1, whip="yes")
    run(w, mdd)
tap.done()
