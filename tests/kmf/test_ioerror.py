#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The disk fails under a running perch-kmf (tests/kmf/kmf_io.c): whoever needs
# it gets a clear 503 within the deadline, over HTTP; nothing hangs, streams
# stay, no key leaves without its record; well again, all that was granted is
# there, in the same process, and the audit log is one chain. (REQ:
# Availability, Accountability; test_iofault.c goes through every single call.)
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import rest                                                 # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

DEADLINE_S = 10
# enum faultvfs_op; SQLITE_IOERR_*
KINDS = {"write": (1, 778), "flush": (2, 1034), "lock": (7, 5130),
         "read": (0, 266)}
SURE = ("write", "flush", "lock")   # no request that writes can do without


class Scene:
    pass


def keeper(s):
    for p in pathlib.Path("/proc").iterdir():
        try:
            if p.name.isdigit() and b"role\0keeper" in \
                    (line := (p / "cmdline").read_bytes()) and \
                    str(s.k.conf).encode() in line:
                return int(p.name)
        except OSError:
            pass
    raise AssertionError("no keeper")


def disk(s, kind=None):
    """Fails from now on, or is well."""
    s.fault.unlink(missing_ok=True)
    if kind:
        op, code = KINDS[kind]
        s.fault.write_text(f"{op} {code} 1 1\n")
    os.kill(s.keeper, signal.SIGUSR2)


def timed(fn, *args):
    """(status, code) of a call, at most DEADLINE_S later."""
    t = time.monotonic()
    try:
        a = fn(*args)
        got = (getattr(a, "status", 200), None)
    except rest.Refused as e:
        got = (e.status, e.code)
    assert time.monotonic() - t < DEADLINE_S, time.monotonic() - t
    return got


def many(s, n):
    """So many at once, none of which hangs; what they were told."""
    out, lock = [], threading.Lock()

    def one(i):
        made = []
        got = timed(lambda: made.append(conference(s.admin, f"At once {i}")))
        with lock:
            out.append((got, made))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(DEADLINE_S + 5)
        assert not t.is_alive()
    s.granted += [m["id"] for got, made in out for m in made]
    return [got for got, _ in out]


def problem(s):
    """The 503 itself, as a client sees it."""
    body = json.dumps({"title": "x", "starts_at": when(-1),
                       "ends_at": when(60)}).encode()
    path = "/v1/conferences"
    proof = s.admin.key.dpop("POST", s.k.url + path, s.admin.token,
                             s.admin.nonce)
    return Raw(s.k, "POST", path, [
        ("Authorization", f"DPoP {s.admin.token}"), ("DPoP", proof),
        ("Content-Type", "application/json")], body)


def broken(s, kind):
    disk(s, kind)
    got = many(s, 4) + [timed(s.guest.keys),
                        timed(s.admin.call, "POST", s.path + "/rekey")]
    allowed = {(503, "unavailable")}
    if kind not in SURE:
        allowed |= {(200, None), (201, None), (202, None)}
    assert set(got) <= allowed, got
    if kind in SURE:
        a = problem(s)
        assert a.status == 503, (a.status, a.body)
        assert a.get("Content-Type") == "application/problem+json"
        p = a.json()
        assert p["status"] == 503 and p["code"] == "unavailable" and \
            p["request_id"] and p["detail"], p
        assert int(a.get("Retry-After")) >= 1
    assert Raw(s.k, "GET", "/healthz").status == 200
    timed(Raw, s.k, "GET", "/readyz")
    assert Raw(s.k, "GET", "/openapi.json").status == 200


def well(s):
    disk(s)
    world.wait_for(lambda: Raw(s.k, "GET", "/readyz").status == 200, 8,
                   say="readiness to come back")
    for c in s.granted:
        assert s.admin.call("GET", "/v1/conferences/" + c).body["id"] == c
    s.granted.append(conference(s.admin, "After")["id"])
    assert s.guest.keys()["usage"] == "EKT"
    s.admin.call("POST", s.path + "/rekey")
    read_until(s.sock, b"event: epoch", 5)      # the stream outlived it
    assert keeper(s) == s.keeper


def test_writing(s):
    broken(s, "write")
    well(s)


def test_flushing(s):
    broken(s, "flush")
    well(s)


def test_locking(s):
    broken(s, "lock")
    well(s)


def test_reading(s):
    """Much of it stands in memory: those who get their answer may."""
    broken(s, "read")
    well(s)


def test_one_chain(s):
    out = s.w.dir / "log.jsonl"
    env = {**os.environ, "PERCH_CA": str(s.k.ca),
           "PERCH_CLIENT": str(s.k.state / "admin-client.jwk")}
    subprocess.run([s.perch, "audit", "export", "--out", out],
                   env=env, check=True, capture_output=True)
    r = subprocess.run([s.perch, "audit", "verify", out, "--keys",
                        s.k.keys], text=True, capture_output=True)
    assert r.returncode == 0, r.stderr
    made = out.read_text().count('"kind":"conference_created"')
    assert made == len(s.granted) + 1, (made, len(s.granted))
    assert s.k.proc.stop() == 0


def main():
    s = Scene()
    with world.World("perch-ioerror-") as w:
        s.w, s.granted, s.perch = w, [], w.bin("perch")
        s.fault = w.dir / "kmf" / "state" / "fault"
        os.environ["PERCH_TEST_FAULT"] = str(s.fault)
        w.bin = lambda name: str(world.BUILD / "tests/kmf/kmf_io")
        s.k = kmf(w, extra="fronts = 1")
        s.k.proc.wait_log("kmf.ready")
        s.keeper = keeper(s)
        s.admin = s.k.admin()
        conf = conference(s.admin, "Before")["id"]
        s.path = f"/v1/conferences/{conf}"
        s.guest = guest(s.k, s.admin, conf)
        s.sock, _ = stream(s.k, s.guest, conf)
        run(globals(), s)


if __name__ == "__main__":
    main()
