#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Pictures in layers over real roads: Alice sends hers in three, and Bob and
# Carol get one each. Carol's road becomes narrow: she gets a layer that fits,
# Bob keeps the best; it widens, and she has the best again. A player sees one
# stream and only frames that it can decode.
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

from camera import FPS, Camera, Screen                           # noqa: E402
import meeting                                              # noqa: E402
from people import children, state                       # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

RATES = (120_000, 350_000, 800_000)
NARROW, WIDE = "600kbit", "100mbit"
QUEUE = 24000                   # octets: 320 ms of the narrow road
MANY = ("inner_auth_failed", "no_key", "unknown_spi", "malformed", "replayed")


def own_network():
    """Again, in a network of our own, whose road we may make narrow."""
    if os.environ.get("PERCH_OWN_NETWORK"):
        return True
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else \
        ["unshare", "-r", "-n"]
    try:
        r = subprocess.run(unshare + ["sh", "-c", "ip link set lo up && tc "
                           "qdisc add dev lo root htb"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    if r.returncode:
        return False
    os.execvpe("unshare", unshare + [sys.executable, __file__],
               dict(os.environ, PERCH_OWN_NETWORK="yes"))


def run(*args):
    subprocess.run(args, check=True, capture_output=True)


def udp_port(pid, after):
    """The port of the process's socket that is connected there."""
    mine = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        m = re.match(r"socket:\[(\d+)\]", os.readlink(fd))
        if m:
            mine.add(m.group(1))
    for line in pathlib.Path(f"/proc/{pid}/net/udp").read_text().splitlines():
        f = line.split()
        if len(f) > 9 and f[9] in mine:
            local = int(f[1].split(":")[1], 16)
            if local not in after:
                return local
    raise world.Broken("no UDP socket of the agent's front")


class Road:
    """What goes to one UDP port of this network waits in a queue of its own."""

    def __init__(self, port):
        run("tc", "qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb",
            "default", "1", "r2q", "10000")
        run("tc", "class", "add", "dev", "lo", "parent", "1:", "classid",
            "1:1", "htb", "rate", "10gbit")
        self.width(WIDE, "add")
        run("tc", "qdisc", "add", "dev", "lo", "parent", "1:3", "handle",
            "30:", "bfifo", "limit", str(QUEUE))
        run("tc", "filter", "add", "dev", "lo", "parent", "1:", "protocol",
            "ip", "u32", "match", "ip", "protocol", "17", "0xff", "match",
            "ip", "dport", str(port), "0xffff", "flowid", "1:3")

    def width(self, rate, verb="change"):
        run("tc", "class", verb, "dev", "lo", "parent", "1:", "classid",
            "1:3", "htb", "rate", rate, "burst", "4kb", "cburst", "4kb")
        return time.monotonic()


def switches(agent):
    return state(agent)["vault"]["counters"]["layer_switches"]


class Layers:
    def __init__(self, w):
        self.w = w
        self.m = meeting.Meeting(w, "Layers", policy={"video_layers": 3})
        self.alice, self.bob, self.carol = (
            self.m.enter(n) for n in ("Alice", "Bob", "Carol"))

    def inputs(self):
        ins = [i for i in state(self.alice)["in"] if i["media"] == "video"]
        tap.ok([i["layer"] for i in ins] == [0, 1, 2],
               "the agent has an input for each layer, worst first", ins)
        told = self.alice.perch("status").stdout
        tap.ok("video, layer 0 (the smallest) as RTP" in told and
               "video, layer 2 as RTP" in told,
               "and perch status tells which is which", told)
        return [i["port"] for i in ins]

    def screens(self):
        seen = [s for s in state(self.bob)["out"] if s["name"] == "Alice"
                and s["media"] == "video"]
        tap.ok(len(seen) == 1, "Alice's picture is one stream at Bob", seen)
        self.screen = {a.name: Screen(meeting.stream(
            a, "Alice", "video")["port"]) for a in (self.bob, self.carol)}

    def steady(self, name, wanted, seconds, say, within=20):
        """One of those layers is shown and no other for a while; which, and
        since when."""
        s = self.screen[name]

        def settled():
            now = time.monotonic()
            got = s.layers(now - seconds)
            return len(got) == 1 and got[0] in wanted and \
                len(s.since(now - seconds)) > 15 * seconds and (got[0], now)
        layer, at = world.wait_for(settled, within, say=say)
        return layer, at - seconds

    def best_at_first(self):
        for name in ("Bob", "Carol"):
            self.steady(name, (2,), 1, f"{name} sees the best layer")
        tap.ok(True, "both see the best layer")
        self.began = time.monotonic()

    def narrow(self):
        front = children(self.carol.proc.p.pid)["front"]
        taken = [s["port"] for s in state(self.alice)["in"]]
        road = Road(udp_port(front, taken))
        at = road.width(NARROW)
        layer, low = self.steady("Carol", (0, 1), 2,
                                 "a layer that fits Carol's road")
        c, b = self.screen["Carol"], self.screen["Bob"]
        tap.ok(set(b.layers(at)) == {2}, "Bob keeps the best layer",
               b.layers(at))
        gap = c.longest_gap(at, low + 2)
        tap.ok(gap < 5, f"road of {NARROW}: Carol sees layer {layer} of 2 "
               f"after {low - at:.1f} s, longest without a picture "
               f"{gap:.1f} s", c.layers(at))
        self.road = road

    def widen(self):
        at = self.road.width(WIDE)
        _, high = self.steady("Carol", (2,), 2, "the best layer again", 60)
        c = self.screen["Carol"]
        first = next(f for f in c.since(at) if f.layer == 2)
        tap.ok(first.key, "the better layer begins at a key frame", first)
        gap = c.longest_gap(at)
        tap.ok(gap < 1.5, f"wide again: the best layer after {high - at:.1f} "
               f"s, longest without a picture {gap:.2f} s", c.layers(at))

    def whole(self):
        for a in (self.bob, self.carol):
            s = self.screen[a.name]
            tap.ok(len(s.ssrcs) == 1 and s.odd == 0,
                   f"{a.name}'s player sees one stream, whose time never "
                   "goes back", s.ssrcs, s.odd)
            counters = state(a)["vault"]["counters"]
            # where the packet with a layer's key is lost, others wait for it
            bad = {k: counters[k] for k in MANY if counters[k] and
                   (k != "no_key" or a is self.bob)}
            tap.ok(not bad, f"every packet at {a.name} opens", bad)
        b, c = self.screen["Bob"], self.screen["Carol"]
        broken = {n: [f for f in s.broken if f.at > self.began]
                  for n, s in self.screen.items()}
        tap.ok(not broken["Bob"],
               "no frame of Bob's that he could not decode", broken["Bob"])
        tap.ok(len(broken["Carol"]) < FPS,
               f"Carol: {len(c.frames)} frames shown, {len(broken['Carol'])} "
               f"not, {switches(self.carol)} changes of layer")

    def encode(self):
        """What docs/MEDIA.md shows, with a test picture."""
        sizes = ("160:120", "320:240", "640:480")
        rates = ("100k", "300k", "900k")
        graph = "[0:v]split=3[a][b][c];" + ";".join(
            f"[{i}]scale={size}[{o}]" for i, o, size in
            zip("abc", "xyz", sizes))
        args = ["ffmpeg", "-hide_banner", "-loglevel", "warning", "-re", "-f",
                "lavfi", "-i", "testsrc2=size=640x480:rate=15",
                "-filter_complex", graph]
        for out, rate, port in zip("xyz", rates, self.ports):
            args += ["-map", f"[{out}]", "-c:v", "libvpx", "-deadline",
                     "realtime", "-cpu-used", "8", "-b:v", rate, "-g", "15",
                     "-payload_type", "96", "-f", "rtp",
                     f"rtp://127.0.0.1:{port}?pkt_size=1100"]
        return self.w.spawn("ffmpeg-alice", args)

    def decode(self):
        self.raw = self.w.dir / "bob.gray"
        sdp = meeting.stream(self.bob, "Alice", "video")["sdp"]
        return self.w.spawn("ffmpeg-bob", [
            "ffmpeg", "-hide_banner", "-loglevel", "warning",
            "-protocol_whitelist", "file,udp,rtp", "-i", sdp, "-vf",
            "scale=160:120", "-pix_fmt", "gray", "-f", "rawvideo", self.raw])

    def frames(self):
        return self.raw.stat().st_size // (160 * 120) \
            if self.raw.exists() else 0

    def ffmpeg(self):
        """Real encoders, a real player, and the user who chooses."""
        for s in self.screen.values():
            s.stop()
            s.sock.close()
        player = self.decode()
        sender = self.encode()
        world.wait_for(lambda: self.frames() > 15, 30, say="a picture")
        for layer, *told in ((0, "--max-layer", "0"), (2,),
                             (1, "--member", "Alice", "--max-layer", "1")):
            was, n = switches(self.bob), self.frames()
            self.bob.perch("subscribe", *told)
            world.wait_for(lambda: switches(self.bob) > was, 15,
                           say=f"layer {layer}")
            world.wait_for(lambda: self.frames() > n + 30, 20,
                           say=f"frames of layer {layer}")
        tap.ok(True, f"ffmpeg shows {self.frames()} frames through three "
               "changes of layer")
        for p in (sender, player):
            p.stop()
        log = player.text()
        bad = [x for x in log.splitlines() if "missed" in x or
               "rror while decoding" in x or "orrupt" in x]
        tap.ok(not bad, "and complains of none", bad)

    def run(self):
        self.ports = self.inputs()
        self.camera = Camera(self.ports, RATES)
        self.screens()
        self.best_at_first()
        self.narrow()
        self.widen()
        self.whole()
        self.camera.stop()
        if shutil.which("ffmpeg"):
            self.ffmpeg()
        else:
            tap.skip("real encoders", "no ffmpeg here")


if not shutil.which("tc") or not own_network():
    tap.skip("layers", "no network of our own here (unshare, tc)")
    tap.done()
run("ip", "link", "set", "lo", "up")     # it is a new one again
with world.World("perch-simulcast-") as w:
    try:
        Layers(w).run()
    except Exception as e:
        tap.ok(False, f"all of it happens: {e!r}")
        w.tell()
        raise
tap.done()
