# SPDX-License-Identifier: Apache-2.0
# A camera with an encoder for each layer of its picture, and a screen. What
# they exchange has the form of VP8 (RFC 7741) and no picture in it: each packet
# says its layer, its frame, and how many packets that has, so the screen
# knows whether a decoder could have shown it.
import collections
import select
import socket
import struct
import threading
import time

import media

FPS = 25
SIZE = 900                      # octets of a packet's payload, at most
JITTER = 0.5                    # seconds that a player waits for a packet
Frame = collections.namedtuple("Frame", "at layer number key")


def pair():
    """A socket for RTP and the one above it, for RTCP."""
    while True:
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                     for _ in range(2))
        rtp.bind(("127.0.0.1", 0))
        try:
            rtcp.bind(("127.0.0.1", rtp.getsockname()[1] + 1))
            return rtp, rtcp
        except OSError:
            rtp.close()
            rtcp.close()


class Layer:
    def __init__(self, number, port, bps):
        self.number, self.octets = number, bps // 8 // FPS
        self.rtp, self.rtcp = pair()
        self.rtp.connect(("127.0.0.1", port))
        self.seq, self.ts0 = 1000 * number, 0x1000000 * (number + 1)
        self.frame, self.key = 0, True

    def send(self, at):
        """One frame; a key frame is twice as long."""
        size = self.octets * (2 if self.key else 1)
        n = max(1, -(-size // SIZE))
        for i in range(n):
            body = struct.pack(">BBBBIHH", 0x10 if i == 0 else 0,
                               0 if self.key else 1, self.number, self.key,
                               self.frame, i, n)
            head = struct.pack(">BBHII", 0x80, 96 | (0x80 if i == n - 1
                                                     else 0),
                               self.seq & 0xffff,
                               (self.ts0 + int(at * 90000)) & 0xffffffff,
                               7 + self.number)
            self.seq += 1
            try:
                self.rtp.send(head + body + bytes(size // n - len(body)))
            except ConnectionRefusedError:
                pass
        self.frame += 1
        self.key = False


class Camera(threading.Thread):
    """Key frames when asked (PLI), and no others. ports: worst layer first."""

    def __init__(self, ports, rates):
        super().__init__(daemon=True)
        self.layers = [Layer(i, p, r) for i, (p, r) in
                       enumerate(zip(ports, rates))]
        self.asked, self.running = 0, True
        self.start()

    def run(self):
        began = time.monotonic()
        n = 0
        while self.running:
            for layer in self.layers:
                layer.send(n / FPS)
            n += 1
            wait = max(0, began + n / FPS - time.monotonic())
            ready, _, _ = select.select([x.rtcp for x in self.layers], [], [],
                                        wait)
            for layer in self.layers:
                if layer.rtcp in ready and layer.rtcp.recv(2048)[1] == 206:
                    layer.key = True
                    self.asked += 1
            time.sleep(max(0, began + n / FPS - time.monotonic()))

    def stop(self):
        self.running = False
        self.join()


class Screen(threading.Thread):
    """What comes to a port, as a player would take it: `frames` are those
    that it could show, `broken` counts those that it could not. As every
    player it puts packets in order for a while: what a road loses comes
    again, and late."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.sock.settimeout(0.2)
        self.frames, self.broken, self.running = [], [], True
        self.ssrcs, self.newest, self.odd = set(), None, 0
        self.parts, self.held, self.good = {}, {}, None
        self.start()

    def run(self):
        while self.running:
            try:
                p = media.rtp(self.sock.recv(2048))
            except TimeoutError:
                continue
            if p and p.payload and len(p.payload) >= 12:
                self.take(p)

    def order(self, p):
        """A later number has no earlier time."""
        seq, ts = self.newest or (p.seq, p.ts)
        if (p.seq - seq) & 0xffff < 0x8000:
            self.odd += 0x80000000 < (p.ts - ts) & 0xffffffff
            self.newest = p.seq, p.ts

    def show(self, frame):
        self.good = frame.layer, frame.number
        self.frames.append(frame)
        after = self.held.pop((frame.layer, frame.number + 1), None)
        if after:
            self.show(after._replace(at=frame.at))

    def give_up(self, now):
        for k in [k for k, f in self.held.items() if now - f.at > JITTER]:
            self.broken.append(self.held.pop(k))

    def take(self, p):
        _, _, layer, key, number, i, n = struct.unpack(">BBBBIHH",
                                                       p.payload[:12])
        self.ssrcs.add(p.ssrc)
        self.order(p)
        got = self.parts.setdefault((layer, number), set())
        got.add(i)
        if len(got) < n:
            return
        del self.parts[layer, number]
        frame = Frame(time.monotonic(), layer, number, bool(key))
        if key or self.good == (layer, number - 1):
            self.show(frame)
        else:
            self.held[layer, number] = frame
        self.give_up(frame.at)

    def since(self, at):
        return [f for f in self.frames if f.at >= at]

    def layers(self, at, before=1e18):
        """Layers shown, in order, from then on."""
        out = []
        for f in self.since(at):
            if f.at < before and (not out or out[-1] != f.layer):
                out.append(f.layer)
        return out

    def longest_gap(self, at, before=1e18):
        """Seconds without a new picture."""
        times = [at] + [f.at for f in self.since(at) if f.at < before] + \
            ([before] if before < 1e18 else [])
        return max((b - a for a, b in zip(times, times[1:])), default=0)

    def stop(self):
        self.running = False
        self.join()
