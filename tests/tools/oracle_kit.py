# SPDX-License-Identifier: Apache-2.0
# The oracle's half of a comparison with perc-packet: cases, each a request and
# what must come of it, random packets to make them of, and the comparing.
# PERCH_SEED=n takes other cases.
import importlib.util
import json
import os
import random
import struct
import subprocess
import sys

OWN = "/usr/bin/python3"  # the one that Debian's modules belong to
if not importlib.util.find_spec("cryptography"):
    if os.path.exists(OWN) and os.path.realpath(sys.executable) != \
            os.path.realpath(OWN):
        os.execv(OWN, [OWN] + sys.argv)
    print("1..0 # SKIP python3-cryptography is not installed")
    sys.exit(0)

import oracle as o  # noqa: E402
import tap  # noqa: E402

R = random.Random(int(os.environ.get("PERCH_SEED", "8723")))
TOOL = tap.BUILD / "tests/tools/perc-packet"
NO = "refused"  # ok false for what is in the bytes
BAD = "request"  # ok false: no such request
ANY = "any answer"
ROCS = (0, 1, 2, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff)


def plain(v):
    """Bytes as hex, in any depth."""
    if isinstance(v, (bytes, bytearray)):
        return v.hex()
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    return v


def ask(lines):
    data = b"".join(x + b"\n" for x in lines)
    p = subprocess.run([TOOL], input=data, capture_output=True, timeout=60)
    out = [json.loads(x) for x in p.stdout.splitlines()]
    if p.returncode or len(out) != len(lines):
        raise AssertionError(f"status {p.returncode}, {len(out)} answers to "
                             f"{len(lines)} lines {p.stderr[-2000:]}")
    return out


def agrees(got, want):
    if want == ANY:
        return isinstance(got.get("ok"), bool)
    if want in (NO, BAD):
        word = got.get("reason")
        return got.get("ok") is False and isinstance(word, str) and \
            set(got) == {"ok", "reason"} and (want == NO or word == BAD)
    return got == {"ok": True, **plain(want)}


def told(req, got, want):
    """A disagreement, of long answers only the first part that differs."""
    req, want = plain(req), plain(want)
    if isinstance(want, dict) and "results" in want and "results" in got:
        for i, (g, w) in enumerate(zip(got["results"], want["results"])):
            if g != w:
                return f"packet {i} {req['packets'][i]}\ngot  {g}\nwant {w}"
    return f"{json.dumps(req)[:3000]}\ngot  {got}\nwant {want}"


def hold(cases):
    """Each case a request and what must come of it."""
    lines = [json.dumps(plain(req)).encode() for req, _ in cases]
    for (req, want), got in zip(cases, ask(lines)):
        assert agrees(got, want), told(req, got, want)


def case(op, fn, *args, **req):
    """A case whose outcome is the oracle's."""
    try:
        want = fn(*args)
    except o.Refused:
        want = NO
    return {"op": op, **req}, want


def key(n):
    return R.randbytes(n)


def roc():
    return R.choice(ROCS) if R.random() < .5 else R.getrandbits(32)


def seq16():
    return R.choice((0, 1, 0x7fff, 0x8000, 0xffff)) if R.random() < .3 \
        else R.getrandbits(16)


def rtp(seq=None, ssrc=None, size=None, pt=None):
    cc = R.choice((0, 0, 1, 3, 15))
    first = 0x80 | cc
    ext = b""
    if R.random() < .4:
        first |= 0x10
        words = R.choice((0, 1, 2, 7))
        ext = struct.pack(">HH", R.choice((0xbede, 0x1000, R.getrandbits(16))),
                          words) + R.randbytes(4 * words)
    body = R.randbytes(R.choice((0, 1, 15, 16, 17, R.randrange(1100)))
                       if size is None else size)
    if R.random() < .2 and size is None:
        first |= 0x20
        n = R.randrange(1, 9)
        body += bytes(n - 1) + bytes([n])
    kind = pt if pt is not None else R.choice((*range(64), *range(96, 128)))
    return bytes([first, kind | R.choice((0, 128))]) + \
        struct.pack(">HI", seq16() if seq is None else seq,
                    R.getrandbits(32)) + \
        (key(4) if ssrc is None else struct.pack(">I", ssrc)) + \
        R.randbytes(4 * cc) + ext + body


def spoil(p, low=0):
    """One bit of P turned."""
    i = R.randrange(low, len(p))
    return p[:i] + bytes([p[i] ^ 1 << R.randrange(8)]) + p[i + 1:]


def bent():
    """Headers that say more than is there."""
    h = struct.pack(">HIH", 7, 7, 0)
    full = bytes([0x80, 96]) + bytes(10)
    yield from (b"", b"\x80", full[:11], bytes([0x40]) + full[1:] + h * 9,
                bytes([0xc0]) + full[1:] + h * 9, b"\0" + full[1:] + h * 9,
                bytes([0x8f]) + full[1:] + bytes(59),
                bytes([0x90]) + full[1:], bytes([0x90]) + full[1:] + bytes(3),
                bytes([0x90]) + full[1:] + b"\xbe\xde\0\1" + bytes(3),
                bytes([0x90]) + full[1:] + b"\xbe\xde\xff\xff" + bytes(40),
                bytes([0x91]) + full[1:] + bytes(4) + b"\xbe\xde\0\1\0\0")


G = {"usage": '"EKT"', "keyid": '"c7-0001"', "key": '"AAECAwQFBgcICQoLDA0ODw"',
     "cipher": '"AESKW128"', "spi": '"4660"', "salt": '"oKGio6Slpqeoqaqr"',
     "ttl": '"3600"', "profile": '"0009"'}
LONG = '"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"'


def group(sep="; ", but=(), **new):
    g = {k: v for k, v in (G | new).items() if k not in but}
    return sep.join(f"{k}={v}" for k, v in g.items())


def main(tests):
    tap.run([(n[5:].replace("_", " "), f, None)
             for n, f in list(tests.items()) if n.startswith("test_")])
