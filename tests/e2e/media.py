# SPDX-License-Identifier: Apache-2.0
# Packets as bytes: an eavesdropper on loopback, RTP headers, an Ogg Opus file
# around captured payloads, and our own core behind a pipe (perc-packet).
import collections
import ctypes
import json
import re
import socket
import struct
import subprocess
import threading
import time

ETH_P_IP = 0x0800
PACKET_OUTGOING = 4
Packet = collections.namedtuple("Packet", "at src dst data")
Rtp = collections.namedtuple("Rtp", "pt seq ts ssrc payload marker")


def rtp(data):
    """The fixed header and what follows it, or None."""
    if len(data) < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
        return None
    b0, b1, seq, ts, ssrc = struct.unpack(">BBHII", data[:12])
    at = 12 + 4 * (b0 & 15)
    if b0 & 16 and len(data) >= at + 4:
        at += 4 + 4 * struct.unpack(">H", data[at + 2:at + 4])[0]
    return Rtp(b1 & 127, seq, ts, ssrc, data[at:], b1 >> 7)


class Tap(threading.Thread):
    """Everything on loopback's UDP, for whoever may open a packet socket."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                  socket.htons(ETH_P_IP))
        self.sock.bind(("lo", ETH_P_IP))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.sock.settimeout(0.2)
        self.packets, self.running = [], True

    def run(self):
        while self.running:
            try:
                data, addr = self.sock.recvfrom(65535)
            except TimeoutError:
                continue
            if addr[2] == PACKET_OUTGOING or data[0] >> 4 != 4:
                continue        # loopback shows each packet twice
            at = (data[0] & 15) * 4
            if data[9] != socket.IPPROTO_UDP or len(data) < at + 8:
                continue
            src, dst, n = struct.unpack(">HHH", data[at:at + 6])
            self.packets.append(Packet(time.time(), src, dst,
                                       data[at + 8:at + n]))

    def stop(self):
        self.running = False
        self.join(2)
        self.sock.close()

    def between(self, src=None, dst=None, after=0.0, before=1e18):
        return [p for p in list(self.packets)
                if (src is None or p.src == src)
                and (dst is None or p.dst == dst)
                and after <= p.at < before]


def may_tap():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
        return True
    except OSError:
        return False


def gaps(seqs):
    """Sequence numbers missing between first and last, modulo 2^16."""
    seen, missing, last = set(seqs), 0, None
    for s in seqs:
        if last is not None and 1 < (s - last) & 0xffff < 1000:
            missing += sum((last + i) & 0xffff not in seen
                           for i in range(1, (s - last) & 0xffff))
        last = s
    return missing


def _crc_step(crc):
    for _ in range(8):
        crc = (crc << 1 ^ (0x04c11db7 if crc & 1 << 31 else 0)) & 0xffffffff
    return crc


_CRC = [_crc_step(n << 24) for n in range(256)]


def _crc(page):
    """Ogg's: not zlib's, most significant bit first, nothing inverted."""
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xffffffff) ^ _CRC[crc >> 24 ^ byte]
    return crc


def ogg(path, payloads, frame=960):
    """RFC 7845 around payloads of 20 ms, each a page of its own."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I5sI", 5, b"perch", 0)
    with open(path, "wb") as f:
        for n, body in enumerate([head, tags, *payloads]):
            flags = 2 if n == 0 else 4 if n == len(payloads) + 1 else 0
            granule = max(0, n - 1) * frame
            lacing = bytes([255] * (len(body) // 255) + [len(body) % 255])
            page = b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, 1, n,
                                         0, len(lacing)) + lacing + body
            crc = _crc(page)
            f.write(page[:22] + struct.pack("<I", crc) + page[26:])


class Core:
    """tests/tools/perc-packet: one JSON object in, one out."""

    def __init__(self, path):
        self.p = subprocess.Popen([path], text=True, bufsize=1,
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)

    def __call__(self, op, **members):
        self.p.stdin.write(json.dumps({"op": op, **members}) + "\n")
        self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())

    def close(self):
        self.p.stdin.close()
        self.p.wait(5)


def die_with_parent():
    """For children that would outlive a killed test."""
    ctypes.CDLL(None).prctl(1, 15)


def ffmpeg_missing(log):
    """Packets that ffmpeg says it did not get."""
    return sum(int(n) for n in re.findall(r"missed (\d+) packets", log))
