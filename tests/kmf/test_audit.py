#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The audit log from end to end: what happens is in it, failed logins too; an
# export verifies offline, and no edit of it does; what the perch command
# selects is right; a kill -9 leaves no key without its record.
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import jose                                                 # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402


class Scene:
    pass


def perch(s, *argv, code=0):
    r = subprocess.run(
        [s.w.bin("perch"), *map(str, argv)], text=True, capture_output=True,
        timeout=30, env={**os.environ, "PERCH_CLIENT":
                         str(s.k.state / "admin-client.jwk"),
                         "PERCH_CA": str(s.k.ca)})
    assert r.returncode == code, (argv, r.returncode, r.stdout, r.stderr)
    return r


def export(s, name="log.jsonl", *more):
    f = s.w.dir / name
    perch(s, "audit", "export", "--out", f, *more)
    return f


def verify(s, f, *more, code=0):
    return perch(s, "audit", "verify", f, "--keys", s.k.keys, *more,
                 code=code)


def records(s, **query):
    return s.admin.call("GET", "/v1/audit?limit=1000" + "".join(
        f"&{k}={v}" for k, v in query.items())).body["items"]


def documented():
    """{kind: members of its detail} out of docs/wire/audit.md."""
    page = (tap.TOP / "docs/wire/audit.md").read_text()
    out = {}
    for line in page.split("\n## Records\n")[1].splitlines():
        if line.startswith("| `"):
            cells = line.split("|")
            for kind in re.findall(r"`(\w+)`", cells[1]):
                out[kind] = set(re.findall(r"`(\w+)`", cells[3]))
    return out


def test_what_happens_is_in_it(s):
    a = conference(s.admin, "Audited")
    s.conf = a["id"]
    s.guest = guest(s.k, s.admin, s.conf, "Dora")
    s.admin.call("DELETE",
                 f"/v1/conferences/{s.conf}/members/{s.guest.member}")
    s.admin.call("POST", f"/v1/conferences/{s.conf}/end")
    kinds = {r["kind"] for r in records(s)}
    assert {"started", "conference_created", "invited", "token", "joined",
            "key", "epoch", "evicted", "conference_ended"} <= kinds, kinds
    assert "Dora" not in s.k.proc.text()


def test_details_are_as_documented(s):
    doc = documented()
    for r in records(s):
        extra = set(r.get("detail", {})) - doc[r["kind"]]
        assert not extra, (r["kind"], extra)


def test_failed_logins_are_in_it(s):
    before, began = len(records(s, type="login_failed")), time.monotonic()
    for i in range(20):
        Raw(s.k, "POST", "/oauth/token", body=b"grant_type=x&a=b")
    e = endpoint(s.k)
    assert refused(e.enter, s.conf, "no-such-code")[0] == 400
    bad = rest.Scheduler(s.k.url, s.k.ca, jose.Key(), "admin")
    assert refused(bad.login)[0] == 401

    def told():
        return [r["detail"] for r in records(s, type="login_failed")][before:]
    world.wait_for(lambda: sum(d["count"] for d in told()) >= 21, 5,
                   say="the failures to be recorded")
    world.wait_for(lambda: any(d.get("client") == "admin" for d in told()),
                   5, say="and that of the client")
    # each of two fronts tells once a second what it had of each kind
    rows, took = told(), time.monotonic() - began
    assert len(rows) <= 4 + 2 * took, (took, rows)
    assert any(d.get("client") == "admin" for d in rows), rows
    assert all(d["peer"] == "127.0.0.1" for d in rows), rows
    assert any(d["what"] == "POST /oauth/token" for d in rows), rows
    # the keeper's own no, to a code that is none, stands there once
    assert [r for r in records(s, type="refused")
            if r["detail"]["code"] in ("invalid_grant", "invalid_target")]


def test_selections(s):
    all_ = records(s)
    assert [r["seq"] for r in all_] == list(range(1, len(all_) + 1))
    mine = records(s, conference=s.conf)
    assert mine and all(r["conference"] == s.conf for r in mine)
    assert len(mine) == len([r for r in all_ if r["conference"] == s.conf])
    assert {r["kind"] for r in records(s, type="evicted")} == {"evicted"}
    assert {r["actor"] for r in records(s, actor="admin")} == {"admin"}
    assert not records(s, conference=NOBODY)
    t = all_[len(all_) // 2]["at"]
    early, late = records(s, to=t), records(s, **{"from": t})
    assert all(r["at"] < t for r in early) and all(r["at"] >= t for r in late)
    assert len(early) + len(late) >= len(all_)
    some = records(s, conference=s.conf, type="epoch", actor="")
    assert some and all(r["kind"] == "epoch" for r in some)
    # pages, without gap and without doubles
    seen, after = [], 0
    while True:
        p = s.admin.call("GET", f"/v1/audit?limit=7&cursor={after}").body
        seen += [r["seq"] for r in p["items"]]
        if "next" not in p:
            break
        after = p["next"]
    assert seen == list(range(1, len(seen) + 1)) and len(seen) >= len(all_)
    for q in ("limit=0", "limit=1001", "after=x", "from=soon", "format=xml",
              "type=" + "x" * 99, "to=2026-13-01T00:00:00Z"):
        assert refused(s.admin.call, "GET", "/v1/audit?" + q)[0] == 400, q


def test_forms(s):
    a = s.admin.call("GET", "/v1/audit?format=jsonl&limit=1000")
    assert a.headers["content-type"] == "application/jsonl"
    f = s.w.dir / "direct.jsonl"
    f.write_bytes(a.raw)
    verify(s, f)
    a = s.admin.call("GET", "/v1/audit?format=cef&limit=1000")
    lines = a.raw.decode().splitlines()
    assert all(x.startswith("CEF:0|Perch|perch-kmf|") for x in lines)
    assert len(lines) >= len(records(s)) - 2
    cli = perch(s, "audit", "export", "--format", "cef").stdout.splitlines()
    assert cli[:len(lines)] == lines
    for x in lines:
        head = re.split(r"(?<!\\)\|", x, maxsplit=7)
        assert len(head) == 8 and head[6].isdigit(), x
        assert re.search(r"\brt=\d{13} externalId=\d+", head[7]), x


def test_the_command(s):
    out = perch(s, "audit", "list", "--type", "evicted").stdout
    assert "evicted" in out and "SEQ" in out and "token" not in out
    rows = json.loads(perch(s, "audit", "list", "--json", "--conference",
                            s.conf).stdout)
    assert all(r["conference"] == s.conf for r in rows) and rows
    f = export(s)
    assert "good: " in verify(s, f).stdout
    assert json.loads(verify(s, f, "--json").stdout)["good"] is True
    r = subprocess.run([s.w.bin("perch"), "audit", "verify", "-", "--keys",
                        s.k.keys], input=f.read_text(), text=True)
    assert r.returncode == 0
    perch(s, "audit", "verify", f, code=2)
    perch(s, "audit", "verify", "--keys", s.k.keys, code=2)
    perch(s, "audit", "verify", f, "--keys", s.k.ca, code=2)
    perch(s, "audit", "verify", s.w.dir / "none", "--keys", s.k.keys, code=2)
    perch(s, "audit", "export", "--format", "xml", code=2)
    perch(s, "audit", "export", "--after", "-1", code=2)
    assert not list(s.w.dir.glob("*.part"))
    # from behind a record on
    g = export(s, "tail.jsonl", "--after", "10")
    assert "records 1 to 10 are missing" in verify(s, g, code=1).stderr
    verify(s, g, "--after", "10")


def edits(lines, rnd):
    """(name, text) of a log that was tampered with, for ever."""
    n = len(lines)
    while True:
        i, j = sorted(rnd.sample(range(n), 2))
        which = rnd.randrange(7)
        text = "".join(lines)
        if which == 0:
            b = bytearray(text.encode())
            at = rnd.randrange(len(b))
            b[at] ^= 1 << rnd.randrange(8)
            yield f"flip octet {at}", bytes(b)
        elif which == 1:
            yield f"drop {i}", "".join(lines[:i] + lines[i + 1:])
        elif which == 2:
            yield f"drop {i} to {j}", "".join(lines[:i] + lines[j:])
        elif which == 3:
            x = list(lines)
            x[i], x[j] = x[j], x[i]
            yield f"swap {i} {j}", "".join(x)
        elif which == 4:
            yield f"double {i}", "".join(lines[:j] + [lines[i]] + lines[j:])
        elif which == 5:
            at = rnd.randrange(1, len(text))
            yield f"cut at {at}", text[:at]
        else:
            yield f"insert {i}", "".join(lines[:i] + ["{}\n"] + lines[i:])


def test_random_edits_are_found(s):
    """Against the checkpoint that the auditor kept."""
    f = export(s, "whole.jsonl")
    kept = s.w.dir / "kept"
    verify(s, f, "--checkpoint", kept)
    assert kept.exists()
    lines = f.read_text().splitlines(keepends=True)
    rnd = random.Random(s.seed)
    g = s.w.dir / "edited.jsonl"
    for n, (name, data) in zip(range(150), edits(lines, rnd)):
        data = data if isinstance(data, bytes) else data.encode()
        if data == f.read_bytes():
            continue
        g.write_bytes(data)
        r = verify(s, g, "--checkpoint", kept, code=1)
        assert "BAD" in r.stderr and "line" in r.stderr, (name, r.stderr)
    verify(s, f, "--checkpoint", kept)


def test_cut_at_a_checkpoint(s):
    """Whole in itself; the kept checkpoint and the KMF know better."""
    kept = s.w.dir / "kept2"
    first = export(s, "first.jsonl")
    time.sleep(1)
    conference(s.admin, "Later")
    f = export(s, "second.jsonl")
    verify(s, first)
    assert "the key server has" in verify(s, first, "--live", code=1).stderr
    verify(s, f, "--live")
    verify(s, f, "--checkpoint", kept)
    r = verify(s, first, "--checkpoint", kept, code=1)
    assert "the end was cut off" in r.stderr
    # a checkpoint of somebody else is none
    (s.w.dir / "bad").write_text(json.dumps({"checkpoint": "a.b.c"}))
    verify(s, f, "--checkpoint", s.w.dir / "bad", code=2)
    # the whole way without a file
    perch(s, "audit", "verify", "--live", "--keys", s.k.keys, "--checkpoint",
          kept)


def test_another_kmf(s):
    other = s.w.dir / "other-keys.json"
    keys = json.loads(pathlib.Path(s.k.keys).read_text())
    d = s.w.dir / "other"
    s.w.run([s.w.bin("perch-kmf"), "init", d, "--url", s.k.url])
    other.write_bytes((d / "kmf-keys.json").read_bytes())
    f = export(s, "x.jsonl")
    r = perch(s, "audit", "verify", f, "--keys", other, code=1)
    assert "not among the given" in r.stderr
    keys["issuer"] = "https://elsewhere.example"
    other.write_text(json.dumps(keys))
    r = perch(s, "audit", "verify", f, "--keys", other, code=1)
    assert "of another KMF" in r.stderr


def test_no_key_without_its_record(s):
    """kill -9 while keys are being given: whoever has one is in the log."""
    conf = conference(s.admin, "Killed", policy={"join_window_ms": 0})["id"]
    codes = [invite(s.admin, conf, f"G{i}")["code"] for i in range(24)]
    got, procs = [], []
    for part in range(3):
        pid = os.fork()
        if pid == 0:
            out = open(s.w.dir / f"got{part}", "w", buffering=1)
            try:
                for c in codes[part::3]:
                    e = endpoint(s.k)
                    e.enter(conf, c)
                    e.keys()
                    out.write(e.member + "\n")
            except BaseException:       # the keeper died under us
                pass
            os._exit(0)
        procs.append(pid)

    def some():
        return sum((s.w.dir / f"got{i}").read_text().count("\n")
                   for i in range(3) if (s.w.dir / f"got{i}").exists())
    world.wait_for(lambda: some() >= 4, 10, say="some keys")
    s.k.proc.kill()
    for pid in procs:
        os.waitpid(pid, 0)
    for i in range(3):
        got += (s.w.dir / f"got{i}").read_text().split()
    assert 4 <= len(got) < len(codes), len(got)
    s.k.serve()
    s.admin = s.k.admin()
    keyed = {r["subject"] for r in records(s, conference=conf, type="key")}
    assert set(got) <= keyed, set(got) - keyed
    verify(s, export(s, "after-kill.jsonl"))
    log = [r["kind"] for r in records(s) if r["kind"] in ("started",
                                                         "stopped")]
    assert log[-1] == "started" and log.count("started") == 2


def test_the_end_is_signed(s):
    """After a stop nothing is left uncovered."""
    assert s.k.proc.stop() == 0
    s.k.serve()
    s.admin = s.k.admin()
    f = export(s, "restarted.jsonl")
    lines = f.read_text().splitlines()
    stop = [i for i, x in enumerate(lines) if '"kind":"stopped"' in x][-1]
    assert lines[stop + 1].startswith('{"checkpoint":'), lines[stop:stop + 3]
    verify(s, f)


def main():
    s = Scene()
    s.seed = int(os.environ.get("PERCH_SEED", random.randrange(1 << 30)))
    tap.say(f"PERCH_SEED={s.seed}")
    with world.World("perch-audit-") as w:
        s.w = w
        s.k = kmf(w)
        s.admin = s.k.admin()
        run(globals(), s)


if __name__ == "__main__":
    main()
