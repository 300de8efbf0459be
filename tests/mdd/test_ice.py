#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What a full ICE agent of another make sees of a running perch-mdd: each kind
# of Binding request that RFC 8489 and RFC 8445 know has the answer they name,
# with integrity of the request's form, FINGERPRINT, and our address in it.
import binascii
import hashlib
import hmac
import json
import os
import pathlib
import socket
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools"), str(HERE.parent / "e2e")]
import jose
import tap
import test_start
import world

COOKIE = 0x2112a442
USERNAME, MI, ERROR, UNKNOWN, MI256, XOR_MAPPED = 6, 8, 9, 10, 0x1c, 0x20
PRIORITY, USE, FINGERPRINT, CONTROLLED, CONTROLLING = \
    0x24, 0x25, 0x8028, 0x8029, 0x802a


def attr(kind, value):
    return struct.pack(">HH", kind, len(value)) + value + bytes(-len(value) % 4)


def head(kind, txid, size):
    return struct.pack(">HHI", kind, size, COOKIE) + txid


def seal(kind, txid, body, pwd, forms=(MI,), cut=32, finger=True):
    for form in forms:
        size = 20 if form == MI else cut
        mac = hmac.new(pwd, head(kind, txid, len(body) + 4 + size) + body,
                       hashlib.sha1 if form == MI else hashlib.sha256)
        body += attr(form, mac.digest()[:size])
    if finger:
        crc = binascii.crc32(head(kind, txid, len(body) + 8) + body)
        body += attr(FINGERPRINT, struct.pack(">I", crc ^ 0x5354554e))
    return head(kind, txid, len(body)) + body


def attributes(p):
    """[(kind, value, offset)] of a message whose length is right."""
    assert len(p) == 20 + struct.unpack_from(">H", p, 2)[0] and len(p) % 4 == 0
    at, out = 20, []
    while at < len(p):
        kind, n = struct.unpack_from(">HH", p, at)
        out.append((kind, p[at + 4:at + 4 + n], at))
        at += 4 + n + -n % 4
    return out


class Peer:
    def __init__(self, join, family, host):
        self.s = socket.socket(family, socket.SOCK_DGRAM)
        self.s.bind((host, 0))
        self.to = (join["host"], join["port"])
        self.pwd = join["pwd"].encode()
        self.base = attr(USERNAME, f"{join['ufrag']}:mine".encode())
        self.rest = attr(PRIORITY, b"\0\0\0\1") + \
            attr(CONTROLLING, os.urandom(8))

    def ask(self, body, pwd=None, kind=1, wait=10, **how):
        """The answer's class and attributes, or None."""
        txid = os.urandom(12)
        self.s.settimeout(wait)
        self.s.sendto(seal(kind, txid, body, self.pwd if pwd is None else pwd,
                           **how), self.to)
        try:
            p = self.s.recv(2048)
        except TimeoutError:
            return None
        assert p[4:20] == head(0, txid, 0)[4:], "cookie and transaction"
        found = attributes(p)
        kind, crc, at = found[-1]
        whole = struct.pack(">I", binascii.crc32(p[:at]) ^ 0x5354554e)
        assert kind == FINGERPRINT and crc == whole, "FINGERPRINT, last"
        for kind, mac, at in found:
            if kind in (MI, MI256):
                text = p[:2] + struct.pack(">H", at - 16 + len(mac)) + p[4:at]
                good = hmac.new(self.pwd, text, hashlib.sha1 if kind == MI
                                else hashlib.sha256).digest()
                assert good == mac, "integrity of the answer"
        self.last = p
        return struct.unpack_from(">H", p)[0], {k: v for k, v, _ in found}

    def mapped(self, value):
        """XOR-MAPPED-ADDRESS as an address."""
        mask = self.last[4:20]
        port = struct.unpack_from(">H", value, 2)[0] ^ COOKIE >> 16
        raw = bytes(a ^ b for a, b in zip(value[4:], mask))
        family = {1: socket.AF_INET, 2: socket.AF_INET6}[value[1]]
        return socket.inet_ntop(family, raw), port


def code(a):
    return a and a[0] == 0x0111 and a[1][ERROR][2] * 100 + a[1][ERROR][3]


def checks(peer, name):
    whole = peer.base + peer.rest
    for forms, want in (((MI,), MI), ((MI256,), MI256), ((MI, MI256), MI256)):
        a = peer.ask(whole, forms=forms)
        tap.ok(a and a[0] == 0x0101 and {MI, MI256} & set(a[1]) == {want},
               f"{name}: {len(forms)} integrity, answered in kind", a)
        tap.ok(a and peer.mapped(a[1][XOR_MAPPED]) ==
               peer.s.getsockname()[:2], f"{name}: our address", a)
    a = peer.ask(whole, forms=(MI256,), cut=16)
    tap.ok(a and a[0] == 0x0101, f"{name}: SHA256 may be cut to 16", a)
    for cut in (12, 18):
        a = peer.ask(whole, wait=0.3, forms=(MI256,), cut=cut)
        tap.ok(a is None or code(a) in (400, 401),
               f"{name}: SHA256 of {cut} octets is none", a)
    for what, body, how, want in (
            ("no integrity", whole, {"forms": ()}, 400),
            ("no USERNAME", peer.rest, {}, 400),
            ("USERNAME of nobody", attr(USERNAME, b"nobody:x"), {}, 401),
            ("USERNAME without colon", attr(USERNAME, b"nobody"), {}, 401),
            ("another password", whole, {"pwd": b"x" * 24}, 401),
            ("another password, SHA256", whole,
             {"pwd": b"x" * 24, "forms": (MI256,)}, 401)):
        a = peer.ask(body, **how)
        tap.ok(code(a) == want and not {MI, MI256} & set(a[1]),
               f"{name}: {what}: {want} without integrity", a)
    for forms in ((MI,), (MI256,)):
        a = peer.ask(whole + attr(0x7ffe, b"abc") + attr(0x0013, b""),
                     forms=forms)
        tap.ok(code(a) == 420 and a[1][UNKNOWN] == b"\x7f\xfe\0\x13" and
               forms[0] in a[1], f"{name}: unknown attributes: 420 lists them",
               a)
    a = peer.ask(whole + attr(0xfffe, b"abc") + attr(0x8022, b"soft"))
    tap.ok(a and a[0] == 0x0101, f"{name}: optional ones are ignored", a)
    a = peer.ask(peer.base + attr(PRIORITY, b"\0\0\0\1") +
                 attr(CONTROLLED, bytes(8)))
    tap.ok(code(a) == 487, f"{name}: a controlled peer: 487", a)
    a = peer.ask(whole + attr(USE, b""))
    tap.ok(a and a[0] == 0x0101, f"{name}: nominated", a)
    for what, body, how in (("indication", whole, {"kind": 0x11}),
                            ("an answer", whole, {"kind": 0x101}),
                            ("no FINGERPRINT", whole, {"finger": False}),
                            ("bad indication", peer.rest, {"kind": 0x11})):
        tap.ok(peer.ask(body, wait=0.3, **how) is None, f"{name}: {what}: silence")


def main():
    key = jose.Key()
    for name, family, host in (("IPv4", socket.AF_INET, "127.0.0.1"),
                               ("IPv6", socket.AF_INET6, "::1")):
        if ":" in host and not pathlib.Path("/proc/net/if_inet6").exists():
            tap.skip(name, "no IPv6 here")
            continue
        with world.World("perch-ice-") as w:
            mdd = test_start.Mdd(w, key)
            mdd.spawn(media_host=host, workers=1)
            join = json.loads(mdd.join(key)[1])
            checks(Peer(join, family, host), name)
            mdd.proc.stop()


if __name__ == "__main__":
    tap.whole(main)
