#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# perc-packet against the published vectors, against a second implementation
# of the transforms written here from the RFCs on another library (python3
# cryptography; those cases are skipped without it), and against requests
# that are not requests.
import json
import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."),
                                "tests", "tools"))
import tap  # noqa: E402

try:
    from cryptography.hazmat.primitives.ciphers import (
        Cipher, algorithms, modes)
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.keywrap import (
        aes_key_wrap_with_padding)
    SECOND = True
except ImportError:
    SECOND = False

TOOL = subprocess.Popen([str(tap.BUILD / "tests/tools/perc-packet")],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
rnd = random.Random(8723)


def raw(line):
    TOOL.stdin.write(line + b"\n")
    TOOL.stdin.flush()
    return json.loads(TOOL.stdout.readline())


def ask(op, **members):
    return raw(json.dumps(dict(members, op=op)).encode())


def up(first, n):
    return bytes(range(first, first + n))


def rb(n):
    return rnd.randbytes(n)


def same(a, b):
    if a != b:
        raise AssertionError(f"{a!r}\n is not\n{b!r}")


# --- a second implementation -------------------------------------------------
def kdf(key, salt, label, n):
    iv = bytearray(salt + bytes(4))
    iv[7] ^= label
    c = Cipher(algorithms.AES(key), modes.CTR(bytes(iv))).encryptor()
    return c.update(bytes(n))


def nonce(salt, ssrc, index):
    word = bytes(2) + ssrc + index.to_bytes(6, "big")
    return bytes(x ^ y for x, y in zip(word, salt))


def header_len(p):
    n = 12 + 4 * (p[0] & 15)
    if p[0] & 0x10:
        n += 4 + 4 * struct.unpack_from(">H", p, n + 2)[0]
    return n


def srtp(key, salt, roc, p):
    h = header_len(p)
    index = roc << 16 | p[2] << 8 | p[3]
    aead = AESGCM(kdf(key, salt, 0, len(key)))
    return p[:h] + aead.encrypt(nonce(kdf(key, salt, 2, 12), p[8:12], index),
                                p[h:], p[:h])


def inner(key, salt, roc, p):
    h, f = header_len(p), 12 + 4 * (p[0] & 15)
    synthetic = bytes([p[0] & ~0x10]) + p[1:f] + p[h:]
    return p[:h] + srtp(key, salt, roc, synthetic)[f:] + b"\0"


def srtcp(key, salt, index, p, encrypt):
    word = (index | encrypt << 31).to_bytes(4, "big")
    aead = AESGCM(kdf(key, salt, 3, len(key)))
    iv = nonce(kdf(key, salt, 5, 12), p[4:8], index)
    if encrypt:
        return p[:8] + aead.encrypt(iv, p[8:], p[:8] + word) + word
    return p + aead.encrypt(iv, b"", p + word) + word


def rtp(seq=None):
    cc, ext = rnd.choice([0, 0, 1, 15]), rnd.choice([None, 0, 1, 20])
    pad = rnd.random() < .2
    seq = rnd.randrange(65536) if seq is None else seq
    p = bytes([0x80 | (ext is not None) << 4 | pad << 5 | cc,
               rnd.randrange(256)])
    if 64 <= p[1] & 127 <= 95:
        p = p[:1] + b"\x60"
    p += seq.to_bytes(2, "big") + rb(8 + 4 * cc)
    if ext is not None:
        p += b"\xbe\xde" + ext.to_bytes(2, "big") + rb(4 * ext)
    return p + rb(rnd.choice([0, 1, 20, 160, 1200]))


# --- vectors ------------------------------------------------------------------
def vectors_kdf(_):
    k = ask("kdf", master_key=up(0, 16).hex(), master_salt=up(160, 12).hex())
    same(k["keys"]["rtp_key"], "077c6143cb221bc355ff23d5f984a16e")
    same(k["keys"]["rtp_salt"], "9af3e95364ebac9c99c5a7c4")


def vectors_double(_):
    plain = "800f1234decafbadcafebabe" + "ab" * 16
    k = dict(master_key=(up(16, 16) + up(128, 16)).hex(),
             master_salt=(up(0xb0, 12) + up(0xa0, 12)).hex(),
             inner_roc=0, outer_roc=0)
    wire = ask("double_protect", packet=plain, **k)["packet"]
    same(wire, "800f1234decafbadcafebabeb52cbfa6a61f1b6ae63c81ecfa63546c61a1bf"
               "9ebc64407c7d65a9fce50f8761b385c6b3c225f78db28083ca844df0b761")
    out = ask("md_rewrite", rx_key=up(128, 16).hex(), rx_roc=0,
              rx_salt=up(0xa0, 12).hex(), tx_key=up(64, 16).hex(), tx_roc=0,
              tx_salt=up(0xc0, 12).hex(), packet=wire, pt=32, seq=0xa0a0,
              m=True)["packet"]
    same(out, "80a0a0a0decafbadcafebabe03f9ec6ad2f69975c2a6b54dbb31645b4c196b50"
              "d634250734eb527abfcadd880e74f4b49d7565312dd77fe73efaf67febb5062a")
    k.update(master_key=(up(16, 16) + up(64, 16)).hex(),
             master_salt=(up(0xb0, 12) + up(0xc0, 12)).hex())
    same(ask("double_unprotect", packet=out, **k),
         {"ok": True, "inner": plain, "outer_pt": 32, "outer_seq": 0xa0a0})


def vectors_ekt(_):
    same(ask("ekt_full", ekt_key=up(0, 32).hex(), srtp_key=up(0xf0, 16).hex()
             * 2, ssrc=0xcafebabe, roc=1, spi=0x1234, epoch=0)["field"],
         "fc743af4bb9a08c37ad27d9372cfd2acab5fa0d64e1524235e1b5bc66ce7572d"
         "3fdcc619cb434e0edde61caac1600dff9cc2a455fe0faad2" "12340000003f02")
    same(ask("ekt_full", ekt_key=up(0, 16).hex(), srtp_key=up(0xf0, 16).hex()
             * 2, ssrc=0xcafebabe, roc=1, spi=0x1234, epoch=0),
         {"ok": False, "reason": "unsupported"})


# --- against the second implementation ------------------------------------------
def second_srtp(_):
    for _ in range(200):
        key, salt, roc, p = rb(rnd.choice([16, 32])), rb(12), \
            rnd.getrandbits(32), rtp()
        k = dict(master_key=key.hex(), master_salt=salt.hex(), roc=roc)
        w = srtp(key, salt, roc, p)
        same(ask("srtp_protect", packet=p.hex(), **k),
             {"ok": True, "packet": w.hex()})
        same(ask("srtp_unprotect", packet=w.hex(), **k),
             {"ok": True, "packet": p.hex()})
        w = w[:-1] + bytes([w[-1] ^ 1])
        same(ask("srtp_unprotect", packet=w.hex(), **k),
             {"ok": False, "reason": "auth"})


def second_srtcp(_):
    for i in range(200):
        key, salt, e = rb(rnd.choice([16, 32])), rb(12), i % 2
        index = rnd.choice([1, 127, 128, 2**31 - 1, rnd.randrange(1, 2**31)])
        p = b"\x81\xc8\0\x06" + rb(4 + 4 * rnd.randrange(1, 50))
        k = dict(master_key=key.hex(), master_salt=salt.hex())
        w = srtcp(key, salt, index, p, e)
        same(ask("srtcp_protect", packet=p.hex(), index=index,
                 encrypt=bool(e), **k), {"ok": True, "packet": w.hex()})
        same(ask("srtcp_unprotect", packet=w.hex(), **k),
             {"ok": True, "packet": p.hex(), "index": index,
              "encrypted": bool(e)})


def second_double(_):
    for _ in range(200):
        n = rnd.choice([16, 32])
        key, salt, p = rb(2 * n), rb(24), rtp()
        roc = [rnd.getrandbits(32), rnd.getrandbits(32)]
        k = dict(master_key=key.hex(), master_salt=salt.hex(),
                 inner_roc=roc[0], outer_roc=roc[1])
        w = srtp(key[n:], salt[12:], roc[1],
                 inner(key[:n], salt[:12], roc[0], p))
        same(ask("double_protect", packet=p.hex(), **k),
             {"ok": True, "packet": w.hex()})
        h, f = header_len(p), 12 + 4 * (p[0] & 15)
        plain = bytes([p[0] & ~0x10]) + p[1:f] + p[h:]
        same(ask("double_unprotect", packet=w.hex(), **k),
             {"ok": True, "inner": plain.hex(), "outer_pt": p[1] & 127,
              "outer_seq": p[2] << 8 | p[3]})


def second_rewrite(_):
    for _ in range(200):
        n = rnd.choice([16, 32])
        ik, isalt, rk, rs = rb(n), rb(12), rb(n), rb(12)
        tk, ts, p = rb(n), rb(12), rtp()
        roc = rnd.getrandbits(32)
        d = inner(ik, isalt, 3, p)
        h, f, new, conf, ohb = header_len(p), 12 + 4 * (p[0] & 15), {}, 0, b""
        q = bytearray(d[:h])
        if rnd.random() < .5:
            new["pt"] = rnd.choice([p[1] & 127, 5])
            if new["pt"] != p[1] & 127:
                ohb, conf = bytes([p[1] & 127]), conf | 2
            q[1] = q[1] & 128 | new["pt"]
        if rnd.random() < .5:
            new["seq"] = rnd.randrange(65536)
            if new["seq"] != p[2] << 8 | p[3]:
                ohb, conf = ohb + p[2:4], conf | 1
            q[2:4] = new["seq"].to_bytes(2, "big")
        if rnd.random() < .5:
            new["m"] = rnd.random() < .5
            if new["m"] != bool(p[1] & 128):
                conf |= 4 | (p[1] & 128) >> 4
            q[1] = q[1] & 127 | new["m"] << 7
        if rnd.random() < .5:
            ext = rnd.choice([b"", b"\xbe\xde\0\0", b"\xbe\xde\0\1" + rb(4)])
            new["ext"] = ext.hex()
            q = q[:f] + ext
            q[0] = q[0] & ~0x10 | bool(ext) << 4
        want = srtp(tk, ts, roc, bytes(q) + d[h:-1] + ohb + bytes([conf]))
        got = ask("md_rewrite", rx_key=rk.hex(), rx_salt=rs.hex(), rx_roc=7,
                  tx_key=tk.hex(), tx_salt=ts.hex(), tx_roc=roc,
                  packet=srtp(rk, rs, 7, d).hex(), **new)
        same(got, {"ok": True, "packet": want.hex()})


def second_ekt(_):
    for _ in range(200):
        n = rnd.choice([16, 32])
        kek, key = rb(rnd.choice([n, 32])), rb(n)
        ssrc, roc = rnd.getrandbits(32), rnd.getrandbits(32)
        spi, epoch = rnd.getrandbits(16), rnd.getrandbits(16)
        ct = aes_key_wrap_with_padding(
            kek, bytes([n]) + key + struct.pack(">II", ssrc, roc))
        want = ct + struct.pack(">HHHB", spi, epoch, len(ct) + 7, 2)
        same(ask("ekt_full", ekt_key=kek.hex(), srtp_key=key.hex(), ssrc=ssrc,
                 roc=roc, spi=spi, epoch=epoch),
             {"ok": True, "field": want.hex()})


def second_sequence(_):
    n = 16
    key, salt = rb(2 * n), rb(24)
    head, tail = rb(4), rb(40)

    def wire(i, roc_in=5, roc_out=9):
        seq = (65000 + i) & 65535
        wrap = (65000 + i) >> 16
        p = b"\x80\x60" + seq.to_bytes(2, "big") + rb(4) + head + tail
        w = inner(key[:n], salt[:12], roc_in + wrap, p)
        return srtp(key[n:], salt[12:], roc_out + wrap, w), p

    made = [wire(i) for i in range(700)]
    order = list(range(700))
    for i in range(0, 690, 7):  # disorder within the window
        order[i], order[i + 5] = order[i + 5], order[i]
    got = ask("receive_sequence", master_key=key.hex(), inner_roc=5,
              outer_roc=9, master_salt=salt.hex(),
              packets=[made[i][0].hex() for i in order])["results"]
    same(got, [{"ok": True, "inner": made[i][1].hex()} for i in order])
    late = [0, 100, 36, 37, 100, 37]
    got = ask("receive_sequence", master_key=key.hex(), inner_roc=5,
              outer_roc=9, master_salt=salt.hex(), window=64,
              packets=[made[i][0].hex() for i in late])["results"]
    same([r.get("reason", "ok") for r in got],
         ["ok", "ok", "replay", "ok", "replay", "replay"])
    got = ask("receive_sequence", master_key=key.hex(), inner_roc=4,
              outer_roc=9, master_salt=salt.hex(),
              packets=[made[0][0].hex(), made[0][0].hex()])["results"]
    same([r.get("reason", "ok") for r in got], ["auth", "replay"])


# --- the table of RFC 8870 section 4.3.2 ------------------------------------------
def process(_):
    rtp1 = "80600001" "00000000" "cafebabe" + "ab" * 20
    kek, salt = up(0, 16).hex(), up(0xb0, 12).hex()

    def field(key=0xf0, ssrc=0xcafebabe, roc=1, spi=7, epoch=3, kek=kek, n=16):
        return ask("ekt_full", ekt_key=kek, srtp_key=up(key, 1).hex() * n,
                   ssrc=ssrc, roc=roc, spi=spi, epoch=epoch)["field"]

    one = {"cafebabe": {"key": "f0" * 16, "salt": salt, "roc": 1}}
    two = {"cafebabe": {"key": "f1" * 16, "salt": salt, "roc": 4}}
    bad = field(key=0xf9, epoch=9)
    cases = [  # what is appended, accepted, installed afterwards
        ("00", True, {}),
        ("aabb000504", True, {}),  # unknown type
        ("aabb000501", False, {}),  # never assigned
        ("ff00", True, {}),
        ("ffff04", False, {}),  # cannot be delimited
        (field(spi=8), False, {}),  # unknown SPI
        (("00" if bad[0] != "0" else "11") + bad[2:], False, {}),
        (field(ssrc=5), True, {}),  # SSRC of another
        (field(kek=up(0, 32).hex(), spi=9, n=32), False, {}),  # key length
        (field(), True, one),
        (field(), True, one),  # the periodic repeat
        (field(key=0xf1, epoch=3), True, one),  # Epoch not higher
        (field(key=0xf1, epoch=2), True, one),
        (field(roc=2), True, one),
        (field(key=0xf1, roc=4, epoch=4), True, two),
        (field(), True, two),  # rollback
    ]
    got = ask("ekt_process", accept=[16], sets=[
        {"spi": 7, "key": kek, "salt": salt + "ffff"},  # the first 12 count
        {"spi": 9, "key": up(0, 32).hex(), "salt": salt}],
        packets=[rtp1 + c[0] for c in cases] + ["80c80001cafebabe00", ""])
    want = [{"accepted": a, "srtp": rtp1 + c[:2] * (c == "ff00") if a
             else None, "installed": i} for c, a, i in cases]
    want += [{"accepted": True, "srtp": "80c80001cafebabe00",  # RTCP has none
              "installed": two},
             {"accepted": False, "srtp": None, "installed": two}]
    same(got, {"ok": True, "results": want})


def parsers(_):
    body = "0010" + up(0, 16).hex() + "000c" + up(160, 12).hex() + "1234" \
        + "00012c"
    same(ask("ekt_key_parse", body=body),
         {"ok": True, "key": up(0, 16).hex(), "salt": up(160, 12).hex(),
          "spi": 0x1234, "ttl": 300})
    for i in range(0, len(body), 2):
        same(ask("ekt_key_parse", body=body[:i])["ok"], False)
    same(ask("ekt_key_parse", body=body + "00")["ok"], False)
    for profile, k, s in (7, 16, 12), (8, 32, 12), (9, 32, 24), (10, 64, 24):
        m = rb(2 * (k + s))
        same(ask("dtls_split", profile=profile, material=m.hex()),
             {"ok": True, "client_key": m[:k].hex(),
              "server_key": m[k:2 * k].hex(),
              "client_salt": m[2 * k:2 * k + s].hex(),
              "server_salt": m[2 * k + s:].hex()})
        same(ask("dtls_split", profile=profile, material=m[1:].hex())["ok"],
             False)
    same(ask("dtls_split", profile=1, material="00"),
         {"ok": False, "reason": "unsupported"})
    value = 'usage="EKT"; keyid="c_7Jk.12"; key="AAECAwQFBgcICQoLDA0ODw"; ' \
        'cipher="AESKW128"; spi="4660"; salt="oKGio6Slpqeoqaqr"; ttl="300"; ' \
        'profile="0009"'
    same(ask("encryption_key_parse", value=value),
         {"ok": True, "keys": [{
             "keyid": "c_7Jk.12", "usage": "EKT", "key": up(0, 16).hex(),
             "cipher": "AESKW128", "spi": 4660, "salt": up(160, 12).hex(),
             "ttl": 300, "profile": "0009"}]})
    same(ask("encryption_key_parse", value=value + "; spi=1")["ok"], False)


def not_requests(_):
    good = dict(op="srtp_protect", master_key="00" * 16,
                master_salt="00" * 12, packet="80600001" + "00" * 12, roc=0)
    same(ask(**good)["ok"], True)
    for line in (b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b"\0",
                 b'{"op":1}', b'{"op":"kdf","op":"kdf"}', b"[" * 100000,
                 json.dumps(good).encode() + b" x"):
        same(raw(line), {"ok": False, "reason": "request"})
    same(ask("magic"), {"ok": False, "reason": "unsupported"})
    for name, value in [
            ("master_key", "00" * 15), ("master_key", "00" * 24),
            ("master_key", None), ("master_key", "0g" * 16),
            ("master_salt", "00" * 13), ("packet", "123"), ("packet", 5),
            ("packet", "00" * 65536), ("roc", -1), ("roc", 2**32),
            ("roc", 1.0), ("roc", "0"), ("roc", True)]:
        same(ask(**dict(good, **{name: value})),
             {"ok": False, "reason": "request"})
        same(ask(**{k: v for k, v in good.items() if k != name}),
             {"ok": False, "reason": "request"})
    for n in range(16):
        want = {"ok": False, "reason": "short"}
        if n < 12:
            same(ask(**dict(good, packet=("80600001" + "00" * 12)[:2 * n])),
                 want)
    same(ask(**dict(good, packet="40600001" + "00" * 12)),
         {"ok": False, "reason": "format"})
    same(ask(**good)["ok"], True)


ALWAYS = [("kdf vectors", vectors_kdf), ("Double vectors", vectors_double),
          ("EKT vectors", vectors_ekt), ("RFC 8870 4.3.2, row by row", process),
          ("parsers", parsers), ("what is no request", not_requests)]
BESIDE = [("SRTP", second_srtp), ("SRTCP", second_srtcp),
          ("Double", second_double), ("distributor", second_rewrite),
          ("EKT fields", second_ekt), ("a sequence", second_sequence)]

if not SECOND:
    for name, _ in BESIDE:
        tap.skip(name, "python3-cryptography is not installed")
    BESIDE = []
tap.run([(name, fn, None) for name, fn in ALWAYS + BESIDE])
