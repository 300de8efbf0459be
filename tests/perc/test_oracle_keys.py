#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Keys: perc-packet against tests/tools/oracle.py in EKT fields, row by row of
# RFC 8870 section 4, EKTKey structs, exporter output and Encryption-Key.
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from oracle_kit import (  # noqa: E402
    NO, R, G, LONG, case, group, hold, key, main, o, plain, roc, rtp,
    seq16, spoil)


def test_ekt_full(_):
    cases = []
    for _ in range(300):
        a = (key(R.choice((16, 32))), key(R.choice((16, 32))),
             R.getrandbits(32), roc(), R.choice((0, 65535, seq16())), seq16())
        names = ("ekt_key", "srtp_key", "ssrc", "roc", "spi", "epoch")
        cases.append(case("ekt_full", lambda *x: {"field": o.ekt_full(*x)},
                          *a, **dict(zip(names, a))))
    hold(cases)


def ekt_case(accept, sets, packets):
    rx = o.Ekt(accept, sets)
    want = []
    for p in packets:
        try:
            out, good = rx.take(p), True
        except o.Refused:
            out, good = None, False
        want.append({"accepted": good, "srtp": plain(out), "installed": {
            f"{i:08x}": {"key": k.hex(), "salt": s.hex(), "roc": r}
            for i, (k, s, r) in rx.installed.items()}})
    return ({"op": "ekt_process", "accept": accept, "packets": packets,
             "sets": [{"spi": n, "key": k, "salt": s} for n, k, s in sets]},
            {"results": want})


def test_ekt_rows(_):
    k16, k32, salt = key(16), key(32), key(12)
    sets = [(1, k16, salt), (0xffff, k32, key(12))]
    body = rtp(ssrc=0xcafebabe, size=50)
    a, b = key(16), key(32)

    def full(srtp, ssrc=0xcafebabe, r=0, spi=1, epoch=0, ekt=k16):
        return o.ekt_tail(spi, epoch, o.ekt_wrap(ekt, srtp, ssrc, r))

    good = full(a)
    rows = {
        "short": [b"\0"],
        "full, repeat, lower, higher": [
            full(a, epoch=4), full(a, epoch=4), full(key(16), epoch=3),
            full(key(16), epoch=4), full(key(16), epoch=5, r=0x80000000)],
        "repeat with another ROC": [full(a), full(a, r=1)],
        "Epoch 65535 ends an SPI": [full(a, epoch=65535), full(a, epoch=0)],
        "Epochs of two SPIs": [full(a, epoch=9), full(a, spi=0xffff, ekt=k32),
                               full(key(16), epoch=9), full(a, epoch=10)],
        "unknown SPI": [full(a, spi=2, ekt=k16), good],
        "wrong EKT key": [full(a, ekt=key(16)), good],
        "SSRC of another": [full(a, ssrc=0xcafebabf), full(a, epoch=0)],
        "wrong key length": [full(b), full(key(24)), full(key(1)), good],
        "does not unwrap": [spoil(good[:40]) + good[40:], good],
        "unknown types": [bytes([9] * 9) + b"\0\x0c" + bytes([t])
                          for t in (3, 4, 100, 254, 255)],
        "largest extension": [bytes(1024) + b"\x04\x03\x04"],
        "unknown type, least Length": [b"\7\0\4\4"],
        "type 1": [b"\1", b"\0\x04\1", good[:-1] + b"\1"],
        "Length too small": [bytes(9) + b"\0" + bytes([n, 4])
                             for n in range(4)],
        "Length beyond the packet": [b"\xff\xff\2", b"\xff\xff\4",
                                     good[:-3] + b"\x04\0\2"],
        "cipher not of 8": [good[:1] + good, good[:-3] + b"\0\x2e\2",
                            good[:-3] + b"\0\x30\2", good[:-3] + b"\0\x27\2",
                            good[:-3] + b"\0\x0f\2", good[:-3] + b"\0\7\2",
                            good[:-3] + b"\0\4\2"],
        "least cipher": [o.ekt_tail(1, 0, key(16)),
                         o.ekt_tail(1, 0, o.keywrap.aes_key_wrap_with_padding(
                             k16, key(8))), good],
    }
    cases = []
    for tails in rows.values():
        for accept in ([16], [32], [16, 32]):
            cases.append(ekt_case(accept, sets, [body + t for t in tails]))
    for cut in range(len(good) + 13):  # the header's end, octet for octet
        p = body[:12].replace(body[:1], b"\x80", 1) + good
        cases.append(ekt_case([16], sets, [p[:cut]]))
        cases.append(ekt_case([16], sets, [p[:len(p) - 47 - 12]
                                           + p[len(p) - cut:]]))
    rtcp = b"\x80\xc8\0\1\xca\xfe\xba\xbe" + bytes(20)
    cases.append(ekt_case([16], sets, [rtcp + good, rtcp + b"\1", rtcp]))
    cases.append(ekt_case([16], [(1, k16, salt + key(2))], [body + good]))
    cases.append(ekt_case([16], [], [body + good, body + b"\0"]))
    hold(cases)


def test_ekt_random(_):
    cases = []
    for _ in range(60):
        sets = [(n, key(R.choice((16, 32))), key(12)) for n in (0, 7, 65535)]
        packets = []
        for _ in range(25):
            n, ekt, _ = R.choice(sets)
            ssrc = R.choice((1, 2, 0xffffffff))
            tail = b"\0" if R.random() < .2 else o.ekt_tail(
                n, R.randrange(8), o.ekt_wrap(
                    ekt, key(R.choice((16, 16, 32))), ssrc, roc()))
            p = rtp(ssrc=ssrc if R.random() < .9 else 3) + tail
            packets.append(p if R.random() < .9 else spoil(p, 12))
        cases.append(ekt_case([16], sets, packets))
    hold(cases)


def test_ekt_key(_):
    bodies = []
    for n, m, ttl in ((16, 12, 3600), (32, 12, 0xffffff), (16, 12, 1),
                      (16, 14, 9), (16, 11, 9), (24, 12, 9), (16, 12, 0)):
        body = struct.pack(">H", n) + key(n) + struct.pack(">H", m) + \
            key(m) + key(2) + ttl.to_bytes(3, "big")
        bodies += [body[:i] for i in range(len(body) + 1)]
        bodies += [body + b"\0", b"\0\0" + body[2 + n:],
                   b"\xff\xff" + body[2:], body[:2 + n] + b"\0\0" + body[-5:],
                   struct.pack(">H", 257) + key(257) + body[2 + n:],
                   spoil(body[:2]) + body[2:]]
    hold([case("ekt_key_parse", o.ekt_key_parse, b, body=b) for b in bodies])


def test_dtls_split(_):
    cases = []
    for profile, size in ((7, 56), (8, 88), (9, 112), (10, 176)):
        m = key(size)
        cases.append(case("dtls_split", o.dtls_split, profile, m,
                          profile=profile, material=m))
        for bad in (m[1:], m + b"\0", b""):
            cases.append(({"op": "dtls_split", "profile": profile,
                           "material": bad}, NO))
    for profile in (0, 1, 2, 5, 6, 11, 65535, -1):
        cases.append(({"op": "dtls_split", "profile": profile,
                       "material": key(112)}, NO))
    hold(cases)


def header_values():
    """Every line of the list in section 8 of our sheet, and neighbours."""
    two = group(keyid='"c7-0002"', spi='"1"')
    yield from (
        group(), group() + ";", group(";"), group(" ;\t"), group() + " ; ; ",
        ";" + group(), group().upper().replace('"AESKW128"', '"AESKW128"'),
        "".join(f"{k.title()}={v};" for k, v in G.items()),
        "; ".join(f"{k}={v}".replace('"', "") for k, v in G.items()),
        group(spi="4660"), group() + ", " + two, group() + "," + two,
        ", ," + group() + " , ,", group(x='"y"'), group(x="y"),
        group() + ', usage="WebPush"; key="AA"', 'keyid="a",' + group(),
        group(but="usage", keyid='"z"', spi='"2"') + "," + group(),
        'usage="EKT2"; keyid="a"; dh="x", ' + group(),
        group(keyid=r'"c7\-0001"'), group(usage=r'"\E\K\T"'),
        group(x=r'"a,b;c=\"d\\"'), group(x='""'), group(x='"\xe9"'),
        group(spi='"0"'), group(spi='"65535"'), group(ttl='"16777215"'),
        group(ttl='"1"'), group(mode='"recvonly"'), group(mode="sendrecv"),
        group(key=LONG, cipher="AESKW256", profile="000A"),
        group(key=LONG, cipher="AESKW256"), group(keyid="a" * 64),
        group(keyid="A.z_9~-"))
    for name in G:
        yield group(but=name)
        yield group() + f"; {name}={G[name]}"
        yield group() + f"; {name.upper()}={G[name]}"
        yield group(**{name: '""'})
        yield group(**{name: ""})
        yield group(**{name: G[name][:-1]})
        yield group(**{name: G[name][:-1] + ' "'})
        yield group(**{name: '" ' + G[name][1:]})
        for c in "\0\r\n\x7f\x01":
            yield group(**{name: G[name][:-1] + c + '"'})
            yield group() + f'; x="{c}"'
        yield group().replace(name + "=", name + " =")
        yield group().replace(name + "=", name + "= ")
        yield group().replace(name + "=", name)
    b = "AAECAwQFBgcICQoLDA0ODw"
    for k in ("lupDujHomwIjlutebgharghmey", b[:-1], b + "A", LONG[1:-2],
              LONG[1:-1] + "A", b[:-1] + "x", b + "==", b[:-2] + "+w",
              b[:-2] + "/w", b[:-2] + " w", LONG[1:-2] + "9"):
        yield group(key=f'"{k}"')
        yield group(key=f'"{k}"', cipher="AESKW256")
    for s in ("oKGio6Slpqeoqaq", "oKGio6Slpqeoqaqrr", "oKGio6Slpqeoqaqroo",
              "oKGio6Slpqeoqa==", "oKGio6Slpqeoqaq="):
        yield group(salt=f'"{s}"')
    for n in ("65536", "007", "-1", "", "+1", "1.0", "0x10", " 1", "1 ", "1e2",
              "4294967297", "18446744073709551617", "00"):
        yield group(spi=f'"{n}"')
    for n in ("0", "16777216", "-1", "01", "", "4294967296", "1s"):
        yield group(ttl=f'"{n}"')
    yield from (
        group(cipher="AESKW256"), group(key=LONG), group(cipher="aeskw128"),
        group(cipher="AESKW192"), group(profile="000A"), group(profile="9"),
        group(profile="0007"), group(usage="ekt"),
        group() + "".join(f"; {'n' * 40}={i}" for i in (1, 2)),
        group() + "; *=1; *=2", group() + "; *=1; *a=2", group(usage='"EKT "'),
        group(mode="sendonly"), group(mode=""), group(dh="AA"),
        group(DH='"AA"'), group(keyid="a" * 65), group(keyid='"a b"'),
        group(keyid='"a/b"'), group(keyid='"\xe9"'),
        group() + "," + group(keyid="b"), group() + "," + group(spi="1"),
        group() + "," + group(), group() + "x", group() + '"', group() + "=",
        group() + "; x", group() + '; x="', group() + '; x="\\', "", ",", ";",
        " ", group().replace(";", "&"), "usage", "=", "=EKT", '"EKT"',
        group() + ", usage=x; a=1; a=2", group() + " " + two)


def test_encryption_key(_):
    hold([case("encryption_key_parse", o.encryption_key_parse, v, value=v)
          for v in header_values()])


if __name__ == "__main__":
    main(globals())
