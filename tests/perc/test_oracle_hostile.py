#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Requests that are none, of every op: each has its one answer and the next
# line works, since no request may end perc-packet.
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from oracle_kit import (  # noqa: E402
    ANY, BAD, NO, TOOL, ask, group, hold, key, main, o, plain, rtp)


def valid():
    k, s, p = key(16), key(12), rtp(size=9)
    hop = {"master_key": k, "master_salt": s, "packet": p}
    both = {"master_key": k * 2, "master_salt": s * 2, "packet": p,
            "inner_roc": 0, "outer_roc": 0}
    yield from (
        {"op": "kdf", "master_key": k, "master_salt": s},
        {"op": "srtp_protect", **hop, "roc": 0},
        {"op": "srtp_unprotect", **hop, "roc": 0},
        {"op": "srtcp_protect", **hop, "index": 1},
        {"op": "srtcp_unprotect", **hop},
        {"op": "double_protect", **both},
        {"op": "double_unprotect", **both},
        {"op": "md_rewrite", "rx_key": k, "rx_salt": s, "rx_roc": 0,
         "tx_key": k, "tx_salt": s, "tx_roc": 0, "packet": p},
        {"op": "receive_sequence", "master_key": k * 2,
         "master_salt": s * 2, "packets": [p]},
        {"op": "ekt_full", "ekt_key": k, "srtp_key": k, "ssrc": 1, "roc": 1,
         "spi": 1, "epoch": 1},
        {"op": "ekt_process", "accept": [16], "packets": [p],
         "sets": [{"spi": 1, "key": k, "salt": s}]},
        {"op": "ekt_key_parse", "body": k},
        {"op": "dtls_split", "profile": 7, "material": key(56)},
        {"op": "encryption_key_parse", "value": group()})


WRONG = (None, True, False, [], {}, [[]], 1.5, 1e300, -1, 1 << 32, 1 << 63,
         (1 << 63) - 1, -(1 << 63), "", "0", "zz", "0g", "AB", "a ", "00 ",
         "\0", "0\0", "é", "𝕏", {"a": {"b": []}}, [1, 2], ["zz"], "x" * 5000)
HEX_MEMBERS = ("key", "salt", "packet", "material", "body", "ext")


def test_hostile_members(_):
    """No member of a wrong kind passes, and none is missed."""
    cases = []
    for req in map(plain, valid()):
        for name in req:
            if name == "op":
                continue
            cases.append(({k: v for k, v in req.items() if k != name},
                          ANY if name.endswith("er_roc") and
                          req["op"] == "receive_sequence" else BAD))
            is_number = isinstance(req[name], int)
            for v in WRONG:
                legal = is_number and v.__class__ is int and \
                    0 <= v < 1 << 32 or isinstance(v, list) and \
                    isinstance(req[name], list) or \
                    isinstance(v, str) and isinstance(req[name], str) and (
                        v == "" or name == "value")
                cases.append((req | {name: v}, BAD if not legal else NO
                              if name == "value" and v else ANY))
            if isinstance(req[name], str) and name != "value" and \
                    any(c.isalpha() for c in req[name]):
                cases.append((req | {name: req[name].upper()}, BAD))
            if isinstance(req[name], str) and name != "value":
                cases.append((req | {name: req[name][:-1]}, BAD))
    hold(cases)


def test_hostile_numbers(_):
    k, s, p = key(16), key(12), rtp(size=9)
    full = {"op": "ekt_full", "ekt_key": k, "srtp_key": k, "ssrc": 1,
            "roc": 1, "spi": 1, "epoch": 1}
    base = {"op": "md_rewrite", "rx_key": k, "rx_salt": s, "rx_roc": 0,
            "tx_key": k, "tx_salt": s, "tx_roc": 0,
            "packet": o.srtp_protect(k, s, p + bytes(20), 0)}
    seqs = {"op": "receive_sequence", "master_key": k * 2,
            "master_salt": s * 2, "packets": []}
    cases = [({"op": "srtp_protect", "master_key": k, "master_salt": s,
               "packet": p, "roc": v}, BAD) for v in (1 << 32, -1, 1.0, "0")]
    for n in (0, 1, 15, 17, 24, 31, 33, 64):
        cases.append(({"op": "kdf", "master_key": bytes(n),
                       "master_salt": s}, NO))
        cases.append(({"op": "kdf", "master_key": k,
                       "master_salt": bytes(n)}, NO))
        cases.append((full | {"ekt_key": bytes(n)}, NO))
    for name, top in (("spi", 1 << 16), ("epoch", 1 << 16),
                      ("ssrc", 1 << 32), ("roc", 1 << 32)):
        cases += [(full | {name: v}, BAD) for v in (top, -1, top + 1, 1 << 80)
                  if abs(v) < 1 << 63]
    cases += [(base | {"pt": v}, BAD) for v in (128, -1, 1 << 31, "1", True)]
    cases += [(base | {"seq": v}, BAD) for v in (1 << 16, -1, "1", 1.0)]
    cases += [(base | {"m": v}, BAD) for v in (2, -1, "1", [])]
    cases += [(base | {"ext": v}, BAD) for v in (0, True, "BEDE0000", "bede0")]
    cases += [(seqs | {"window": v}, BAD) for v in (-1, "64", 1.5, True)]
    cases += [(seqs | {n: 1 << 32}, BAD) for n in ("inner_roc", "outer_roc")]
    hold(cases)


def test_hostile_lines(_):
    """Lines that are no request: each has one answer, and the next works."""
    good = json.dumps(plain(next(valid()))).encode()
    lines = [b"{", b"[]", b"null", b"1", b'"op"', b"{}", b'{"op":1}',
             b'{"op":null}', b'{"op":["kdf"]}', b"\xff\xfe", b"\0", b"\0" * 99,
             good[:-1], good + b"x", good + good, good.replace(b"0", b"\0", 1),
             b"[" * 100000, b'{"a":' * 100000, b"[" * 1000 + b"]" * 1000,
             b'{"op":"kdf","a":' + b"[" * 3000 + b"]" * 3000 + b"}",
             b'{"op":"kdf","master_key":' + b"9" * 400 + b"}",
             b'{"op":"kdf","master_key":1e999}',
             b'{"op":"kdf","master_key":"\\u0000"}',
             b'{"op":"kdf","master_key":"\\ud800"}',
             b'{"op":"' + b"k" * 1000000 + b'"}',
             b'{"op":"kdf","x":"' + b"ab" * 500000 + b'"',
             b'{"op":"srtp_protect","packet":"' + b"80" * 500000 + b'"}',
             b'{"op":"k\\u0000df"}', b'{"op":"KDF"}', b'{"op":""}',
             b'{"op":"kdf\\u0000"}', b"//", b"{'op':'kdf'}", b"\x1b[2J"]
    both = [x for line in lines for x in (line, good)]
    for line, got in zip(both, ask(both)):
        if line == good:
            assert got["ok"], line
        else:
            assert not got["ok"] and got["reason"] in (BAD, "unsupported"), (
                line[:99], got)
    for op in (b"KDF", b"", b"k" * 999, b"kdf "):
        got = ask([b'{"op":"' + op + b'"}'])[0]
        assert got == {"ok": False, "reason": "unsupported"}, (op, got)


def test_every_line_is_flushed(_):
    with subprocess.Popen([TOOL], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        for req in valid():
            p.stdin.write(json.dumps(plain(req)).encode() + b"\n")
            p.stdin.flush()
            assert "ok" in json.loads(p.stdout.readline())
        p.stdin.write(b'{"op":"none"}')  # the last line may lack its end
        p.stdin.close()
        assert json.loads(p.stdout.readline())["reason"] == "unsupported"
        assert p.wait(5) == 0


if __name__ == "__main__":
    main(globals())
