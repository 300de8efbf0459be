#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The disk is full: every request is answered within its deadline, by 503 where
# it had to be written; readiness says why; nothing that was granted is lost;
# with space again it goes on by itself, and the audit log is one chain.
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import rest                                                 # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

DEADLINE_S = 10


class Scene:
    pass


def timed(fn, *args):
    """(status, code) of a call, at most DEADLINE_S later."""
    t = time.monotonic()
    try:
        a = fn(*args)
        got = (a.status if hasattr(a, "status") else 200, None)
    except rest.Refused as e:
        got = (e.status, e.code)
    assert time.monotonic() - t < DEADLINE_S, time.monotonic() - t
    return got


def fill(s):
    """Leave no octet: one big file, then smaller ones."""
    s.ballast = s.disk / "ballast"
    with open(s.ballast, "wb", buffering=0) as f:
        for size in (1 << 16, 4096, 512, 1):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass


def test_full(s):
    conf = conference(s.admin, "Before")["id"]
    e = guest(s.k, s.admin, conf)
    s.conf, s.guest = conf, e
    fill(s)
    # until the log's own reserve is used up some are still granted: those
    # must be there afterwards
    s.granted, refusals = [], []
    for i in range(400):
        status = timed(lambda: s.granted.append(
            conference(s.admin, f"Full {i}")["id"]))
        if status[0] != 200:
            refusals.append(status)
        if len(refusals) >= 6:
            break
    assert len(refusals) >= 6, "the disk did not fill"
    assert all(r[0] == 503 for r in refusals), refusals
    assert timed(e.keys)[0] == 503      # no key without its record
    a = Raw(s.k, "GET", "/readyz")
    assert a.status == 503, a.body
    why = a.json()
    assert why["ready"] is False
    assert any(not c["ok"] and c["reason"] for c in why["checks"].values())
    assert Raw(s.k, "GET", "/healthz").status == 200


def test_reading_goes_on(s):
    assert timed(s.admin.call, "GET", "/openapi.json")[0] == 200
    assert s.k.proc.alive()


def test_space_again(s):
    s.ballast.unlink()
    world.wait_for(lambda: Raw(s.k, "GET", "/readyz").status == 200, 8,
                   say="readiness to come back")
    s.admin = s.k.admin()
    for c in s.granted:
        assert s.admin.call("GET", "/v1/conferences/" + c).body["id"] == c
    conference(s.admin, "After")
    assert s.guest.keys()["usage"] == "EKT"
    out = s.w.dir / "log.jsonl"
    env = {**os.environ, "PERCH_CA": str(s.k.ca),
           "PERCH_CLIENT": str(s.k.state / "admin-client.jwk")}
    subprocess.run([s.w.bin("perch"), "audit", "export", "--out", out],
                   env=env, check=True, capture_output=True)
    r = subprocess.run([s.w.bin("perch"), "audit", "verify", out, "--keys",
                        s.k.keys], text=True, capture_output=True)
    assert r.returncode == 0, r.stderr
    made = out.read_text().count('"kind":"conference_created"')
    assert made == len(s.granted) + 2, (made, len(s.granted))
    assert s.k.proc.stop() == 0


def main():
    s = Scene()
    if os.geteuid() != 0:
        tap.skip("a full disk", "only root can mount a small one")
        tap.done()
    with world.World("perch-full-") as w:
        s.w, s.disk = w, w.mkdir("kmf")
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs",
                            str(s.disk)], capture_output=True, text=True)
        if r.returncode != 0:
            tap.skip("a full disk", "no mount here: " + r.stderr.strip())
            tap.done()
        try:
            s.k = kmf(w)
            s.admin = s.k.admin()
            run(globals(), s)
        finally:
            if s.k.proc.alive():
                s.k.proc.stop()
            subprocess.run(["umount", "-l", str(s.disk)])


if __name__ == "__main__":
    main()
