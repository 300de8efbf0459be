#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Packets: perc-packet against tests/tools/oracle.py, an implementation that
# shares nothing with it but the RFCs; thousands of random cases of each op, and
# those corners where implementations differ.
import json
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from oracle_kit import (  # noqa: E402
    NO, R, ROCS, ask, bent, case, hold, key, main, o, plain, roc, rtp,
    seq16, spoil)


def test_kdf(_):
    hold([case("kdf", lambda k, s: {"keys": o.kdf(k, s)}, k, s,
               master_key=k, master_salt=s)
          for k, s in ((key(R.choice((16, 32))), key(12))
                       for _ in range(200))])


def test_srtp(_):
    cases = []
    for _ in range(500):
        k, s, r, p = key(R.choice((16, 32))), key(12), roc(), rtp()
        sealed = o.srtp_protect(k, s, p, r)
        req = {"master_key": k, "master_salt": s}
        cases.append(({"op": "srtp_protect", **req, "roc": r, "packet": p},
                      {"packet": sealed}))
        for q, r2 in ((sealed, r), (spoil(sealed), r), (sealed[:-1], r),
                      (sealed, r ^ 1 << R.randrange(32)),
                      (sealed[:R.randrange(len(sealed))], r)):
            cases.append(case("srtp_unprotect", lambda *a: {
                "packet": o.srtp_unprotect(*a)}, k, s, q, r2, **req,
                packet=q, roc=r2))
    for p in bent():
        for op in ("srtp_protect", "srtp_unprotect"):
            cases.append(({"op": op, **req, "roc": 0, "packet": p}, NO))
    hold(cases)


def test_srtcp(_):
    cases = []
    last = (1 << 31) - 1
    for _ in range(300):
        k, s = key(R.choice((16, 32))), key(12)
        index = R.choice((0, 1, last - 1, last, R.randrange(last)))
        enc = R.choice((True, False))
        p = bytes([0x80 | R.randrange(32), R.randrange(200, 208)]) + \
            key(2) + key(4) + R.randbytes(4 * R.randrange(30))
        sealed = o.srtcp_protect(k, s, p, index, enc)
        req = {"master_key": k, "master_salt": s}
        ask_it = {"op": "srtcp_protect", **req, "packet": p, "index": index}
        cases.append((ask_it | {"encrypt": enc}, {"packet": sealed}))
        cases.append((ask_it, {"packet": o.srtcp_protect(k, s, p, index)}))
        for q in (sealed, spoil(sealed), sealed[:-1], sealed[:27],
                  sealed[:-4] + bytes([sealed[-4] ^ 0x80]) + sealed[-3:]):
            cases.append(case("srtcp_unprotect", lambda *a: dict(zip(
                ("packet", "index", "encrypted"), o.srtcp_unprotect(*a))),
                k, s, q, **req, packet=q))
    for index in (last + 1, 1 << 32, -1):
        cases.append((ask_it | {"index": index}, NO))
    hold(cases)


def test_double(_):
    cases = []
    for _ in range(400):
        k, s, ir, our = key(R.choice((32, 64))), key(24), roc(), roc()
        p = rtp()
        sealed = o.double_protect(k, s, p, ir, our)
        req = {"master_key": k, "master_salt": s, "inner_roc": ir,
               "outer_roc": our}
        cases.append(({"op": "double_protect", **req, "packet": p},
                      {"packet": sealed}))
        for q, bend in ((sealed, {}), (spoil(sealed), {}),
                        (sealed[:R.randrange(len(sealed))], {}),
                        (sealed, {"inner_roc": ir ^ 1}),
                        (sealed, {"outer_roc": our ^ 1 << 31})):
            both = req | bend
            cases.append(case("double_unprotect", lambda *a: dict(zip(
                ("inner", "outer_pt", "outer_seq"), o.double_unprotect(*a))),
                k, s, q, both["inner_roc"], both["outer_roc"],
                **both, packet=q))
    for p in bent():
        for op in ("double_protect", "double_unprotect"):
            cases.append(({"op": op, **req, "packet": p}, NO))
    hold(cases)


def with_ohb(k, s, p, ir, our, block):
    """A packet whose header was sealed by the inner layer as it stands, with
    any block behind it."""
    (ik, ok), (isalt, osalt) = o.halves(k), o.halves(s)
    n, b = o.head_len(p), o.bare(p)
    sealed = o.srtp_protect(ik, isalt, b + p[n:], ir)[len(b):]
    return o.srtp_protect(ok, osalt, p[:n] + sealed + block, our)


def unprotect_case(k, s, q, ir, our):
    return case("double_unprotect", lambda *a: dict(zip(
        ("inner", "outer_pt", "outer_seq"), o.double_unprotect(*a))),
        k, s, q, ir, our, master_key=k, master_salt=s, packet=q,
        inner_roc=ir, outer_roc=our)


def test_ohb_every_config(_):
    cases = []
    for c in range(256):
        k, s = key(R.choice((32, 64))), key(24)
        p = rtp(size=20)
        was = (bytes([p[1] & 0x7f | R.choice((0, 128))]) if c & 2 else b"") \
            + (p[2:4] if c & 1 else b"")
        if c & 4:  # say the truth about the marker, so that it opens
            c = c & ~8 | (8 if p[1] & 0x80 else 0)
        q = with_ohb(k, s, p, 5, 9, was + bytes([c]))
        cases.append(unprotect_case(k, s, q, 5, 9))
        tx = (key(len(k) // 2), key(12), 3)
        cases.append(rewrite_case((k[len(k) // 2:], s[12:], 9), tx, q))
        cases.append(rewrite_case((k[len(k) // 2:], s[12:], 9), tx, q,
                                  pt=R.randrange(64), seq=seq16(),
                                  m=R.choice((True, False))))
    k = key(32)  # too little for a block or for the inner tag
    for body in (b"", b"\0", b"\x01", bytes(15) + b"\0", bytes(16),
                 bytes(2) + b"\x03", bytes(16) + b"\x01"):
        q = o.srtp_protect(k[16:], s[12:], rtp(size=0) + body, 0)
        cases.append(unprotect_case(k, s, q, 0, 0))
        cases.append(rewrite_case((k[16:], s[12:], 0), (k[:16], s[:12], 0), q,
                                  pt=1))
    hold(cases)


def rewrite_case(rx, tx, p, **new):
    return case("md_rewrite", lambda: {"packet": o.md_rewrite(
        rx, tx, p, **new)}, packet=p, rx_key=rx[0], rx_salt=rx[1],
        rx_roc=rx[2], tx_key=tx[0], tx_salt=tx[1], tx_roc=tx[2], **new)


def some(name, value):
    return {name: value} if R.random() < .6 else {}


def block_ext():
    if R.random() < .3:
        return b""
    n = R.randrange(4)
    return struct.pack(">HH", 0xbede, n) + R.randbytes(4 * n)


def test_md_cascade(_):
    """Up to four distributors in a row, each with keys of its own; at the end
    the inner layer must still open with the original header."""
    cases = []
    for _ in range(250):
        half = R.choice((16, 32))
        k, s, ir = key(2 * half), key(24), roc()
        orig = p = rtp()
        rx = (k[half:], s[12:], roc())
        p = o.double_protect(k, s, p, ir, rx[2])
        for _ in range(R.randrange(1, 5)):
            new = some("pt", R.choice((orig[1] & 0x7f, R.randrange(64)))) | \
                some("seq", R.choice((o.seq_of(orig), seq16()))) | \
                some("m", R.choice((True, False))) | some("ext", block_ext())
            tx = (key(half), key(12), roc())
            cases.append(rewrite_case(rx, tx, p, **new))
            cases.append(rewrite_case(rx, tx, spoil(p), **new))
            p = o.md_rewrite(rx, tx, p, **new)
            rx = tx
        last = unprotect_case(k[:half] + rx[0], s[:12] + rx[1], p, ir, rx[2])
        b = o.bare(orig)
        assert last[1]["inner"] == b + orig[o.head_len(orig):]
        cases.append(last)
    for ext in (b"\xbe\xde\0", b"\xbe\xde\0\1", b"\xbe\xde\0\0\0\0\0\0",
                b"\xbe\xde\0\2" + bytes(4), bytes(5)):
        cases.append(({**rewrite_case(rx, tx, p)[0], "ext": ext}, NO))
    hold(cases)


class Sender:
    """Packets of one SSRC with indices of our choice, by way of an MDD whose
    numbers run apart from the sender's."""

    def __init__(self, half, ssrc):
        self.half, self.ssrc = half, ssrc
        self.k, self.s, self.mid = key(2 * half), key(24), key(half)

    def packet(self, inner, outer, ruin=False):
        p = rtp(seq=inner & 0xffff, ssrc=self.ssrc, size=R.randrange(40))
        h = self.half
        kk = self.k[:h] + self.mid
        q = o.double_protect(kk, self.s, p, inner >> 16, 0)
        q = o.md_rewrite((self.mid, self.s[12:], 0),
                         (self.mid, self.s[12:], 0), q, seq=outer & 0xffff)
        q = o.srtp_unprotect(self.mid, self.s[12:], q, 0)
        if ruin:  # an honest outer layer around a spoiled inner one
            q = q[:-9] + bytes([q[-9] ^ 1]) + q[-8:]
        return o.srtp_protect(self.k[h:], self.s[12:], q, outer >> 16)


def sequence(sender, packets, **start):
    rx = o.Receiver(sender.k, sender.s, **start)
    want = []
    for p in packets:
        try:
            want.append({"ok": True, "inner": rx.take(p)})
        except o.Refused:
            want.append({"ok": False})
    return ({"op": "receive_sequence", "master_key": sender.k,
             "master_salt": sender.s, "packets": packets, **start},
            plain(want))


def hold_sequences(cases):
    lines = [json.dumps(plain(req)).encode() for req, _ in cases]
    for (req, want), got in zip(cases, ask(lines)):
        assert got["ok"], got
        words = [r.pop("reason", "") for r in got["results"]]
        for i, (g, w) in enumerate(zip(got["results"], want)):
            assert g == w and bool(words[i]) != g["ok"], (
                f"packet {i} of {len(want)}: got {g} {words[i]}, want {w}; "
                f"start {req.get('inner_roc')} {req.get('outer_roc')} window "
                f"{req.get('window')}")
        assert len(got["results"]) == len(want)


def walk(at, n):
    """Indices as a network delivers them: in order, late, twice, with loss."""
    out = []
    for _ in range(n):
        r = R.random()
        if r < .1 and out:
            out.append(R.choice(out[-80:]))
            continue
        if r < .25 and out:
            out.append(max(0, max(out) - R.randrange(100)))
            continue
        at += 1 if r < .8 else R.choice((2, 10, 63, 64, 65, 1000, 32000))
        out.append(at)
    return out


def test_receive_walks(_):
    cases = []
    for _ in range(40):
        sn = Sender(R.choice((16, 32)), R.getrandbits(32))
        ir, our = R.choice(ROCS[:-1]), R.choice(ROCS[:-1])
        window = R.choice((64, 64, 128, 1024))
        a, b = ir << 16 | R.choice((0, 65500, R.getrandbits(16))), \
            our << 16 | R.choice((0, 65500, R.getrandbits(16)))
        steps = [x - a for x in walk(a, 40) if x >= a]
        # the first is whole: its number is where a receiver starts from, and
        # whether a spoiled one may serve for that, the RFCs leave open
        packets = [sn.packet(a + x, b + x, i > 0 and R.random() < .05)
                   for i, x in enumerate(steps)
                   if (a + x) >> 48 == 0 and (b + x) >> 48 == 0]
        cases.append(sequence(sn, packets, inner_roc=ir, outer_roc=our,
                              window=window))
    hold_sequences(cases)


def test_receive_edges(_):
    cases = []
    for half in (16, 32):
        for w in (64, 128, 1000):
            sn = Sender(half, 7)
            top = 70000
            order = [top, top - w + 1, top - w, top - w + 1, top, top + 1,
                     top - w + 1, top - w + 2, top + w, top + 1, top + 2]
            cases.append(sequence(sn, [sn.packet(x, x) for x in order],
                                  window=w, inner_roc=1, outer_roc=1))
            # inner numbers alone: twice the same content under new numbers
            cases.append(sequence(sn, [
                sn.packet(x, 1000 + i) for i, x in enumerate(order)],
                window=w, inner_roc=1))
            # outer numbers alone
            cases.append(sequence(sn, [
                sn.packet(1000 + i, x) for i, x in enumerate(order)],
                window=w, outer_roc=1))
        for jump in (32000, 32766, 32767, 32769, 40000, 65535, 65536, 70000):
            for first in (0, 5, 30000, 32767, 32768, 40000, 65535):
                sn = Sender(half, 8)
                line = [first, first + jump, first + jump + 1, first + 1,
                        first + 2]
                # starting at 1 leaves the index something to go back to
                line = [x + 65536 for x in line]
                cases.append(sequence(sn, [sn.packet(x, x) for x in line],
                                      inner_roc=1, outer_roc=1))
                cases.append(sequence(sn, [
                    sn.packet(x, 9 + i) for i, x in enumerate(line)],
                    inner_roc=1))
        # back over a wrap before the first number that was heard
        for r in (1, 0x80000000):
            sn = Sender(half, 9)
            at = r << 16
            cases.append(sequence(sn, [sn.packet(x, x) for x in (
                at + 3, at - 1, at - 5, at + 4, at - 1)],
                inner_roc=r, outer_roc=r))
        # the last index there is; nothing follows it
        sn = Sender(half, 10)
        last = (1 << 48) - 1
        cases.append(sequence(sn, [sn.packet(x, x) for x in (
            last - 1, last, 0, 1, last)],
            inner_roc=0xffffffff, outer_roc=0xffffffff))
        # nothing stands before index 0
        cases.append(sequence(sn, [sn.packet(x, x) for x in (
            3, (1 << 48) - 2, 4, 2)]))
        # two sources, and a source under the wrong key
        one, two = Sender(half, 11), Sender(half, 12)
        two.k, two.s = one.k, one.s
        three = Sender(half, 11)
        cases.append(sequence(one, [one.packet(5, 5), two.packet(5, 5),
                                    three.packet(6, 6), one.packet(5, 6),
                                    two.packet(6, 6), one.packet(6, 7),
                                    one.packet(8, 8, True), one.packet(8, 8),
                                    one.packet(8, 9), b"", b"\x80" * 40]))
    hold_sequences(cases)


if __name__ == "__main__":
    main(globals())
