# SPDX-License-Identifier: Apache-2.0
# Local programs that speak and hear plain RTP, and what an agent says of the
# conference that they are in.
import json
import pathlib
import socket
import struct
import threading
import time

import media


class Voice(threading.Thread):
    """A local program that sends numbered RTP every 20 ms."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", port))
        self.n, self.running = 0, True
        self.start()

    def head(self):
        return struct.pack(">BBHII", 0x80, 111, self.n & 0xffff,
                           self.n * 960, 0x1234)

    def run(self):
        at = time.monotonic()
        while self.running:
            try:
                self.sock.send(self.head() + b"frame %08d" % self.n)
            except ConnectionRefusedError:
                pass
            self.n += 1
            at += 0.02
            time.sleep(max(0, at - time.monotonic()))

    def stop(self):
        self.running = False
        self.join()


class Ear(threading.Thread):
    """A local program that hears a stream where its SDP file says."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.sock.settimeout(0.2)
        self.heard, self.running = {}, True
        self.start()

    def run(self):
        while self.running:
            try:
                p = media.rtp(self.sock.recv(2048))
            except TimeoutError:
                continue
            if p and p.payload.startswith(b"frame "):
                self.heard.setdefault(int(p.payload[6:]), time.monotonic())

    def missing(self, first, last, seconds=3):
        """What has not come, even after a while."""
        end = time.monotonic() + seconds
        while True:
            out = [n for n in range(first, last) if n not in self.heard]
            if not out or not self.running or time.monotonic() > end:
                return out
            time.sleep(0.05)


class Loud(Voice):
    """Frames with an audio level (RFC 6464, id 1), -dBov: those of `first`,
    one a frame, then `level`."""

    level = 30
    first = ()

    def head(self):
        level, self.first = (self.first or (self.level,))[0], self.first[1:]
        return struct.pack(">BBHIIHHBBH", 0x90, 111, self.n & 0xffff,
                           self.n * 960, 0x1234, 0xbede, 1, 0x10,
                           0x80 | level, 0)


class Exact(Ear):
    """Hears frames with their sequence numbers, in order."""

    def falls_silent(self, seconds=1.0, within=20):
        """Nothing comes for so long, once what was on its way is there."""
        end = time.monotonic() + within
        while True:
            n = len(self.seqs)
            time.sleep(seconds)
            if len(self.seqs) == n or time.monotonic() > end:
                return len(self.seqs) == n

    def run(self):
        self.seqs = []
        while self.running:
            try:
                p = media.rtp(self.sock.recv(2048))
            except TimeoutError:
                continue
            if p and p.payload.startswith(b"frame "):
                self.seqs.append((int(p.payload[6:]), p.seq))
                self.heard.setdefault(int(p.payload[6:]), time.monotonic())


def ask(agent, **members):
    """One request on the agent's own socket, as a program would."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(agent.dir / "perch" / "agent.sock"))
        s.sendall(json.dumps({"id": 1, **members}).encode() + b"\n")
        return json.loads(s.makefile().readline())


def state(agent):
    return agent.json("status")["conferences"][0]


def up(agent):
    s = state(agent)
    return s["state"] == "up" and s["leg"]["state"] == "up" and s


def children(pid):
    out = {}
    for d in pathlib.Path("/proc").iterdir():
        if not d.name.isdigit():
            continue
        try:
            stat = (d / "stat").read_text()
            if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
                line = (d / "cmdline").read_bytes().split(b"\0")
                name = "vault" if b"vault" in line[0] else "front"
                out[name] = int(d.name)
        except OSError:
            continue
    return out
