#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# `perch-kmf client`: calendar systems and auditors with a key of their own
# (RFC 7523), added, disabled and enabled while the KMF runs.
import json
import subprocess

import kmfworld as kw
import jose
import rest
import world


def client(k, *args):
    return subprocess.run(
        [str(k.w.bin("perch-kmf")), "client", *args, "-c", str(k.conf)],
        capture_output=True, text=True, timeout=30)


def user(k, file):
    c = json.loads(file.read_text())
    return rest.Scheduler(k.url, k.ca, jose.Key(c["key"]), c["client_id"])


def refused(fn):
    try:
        fn()
    except rest.Refused as e:
        return e.status, e.body.get("code") or e.body.get("error")
    raise AssertionError("it was let through")


def test_added_with_a_new_key(k):
    file = k.dir / "calendar.jwk"
    r = client(k, "add", "calendar", "--scope", "scheduler", "--new",
               str(file))
    assert (r.returncode, r.stdout) == \
        (0, "client calendar may: scheduler\n"), r
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["kmf"] == k.url
    k.calendar = user(k, file).login()
    assert kw.conference(k.calendar)["state"] == "scheduled"
    assert refused(lambda: k.calendar.call("GET", "/v1/audit")) == \
        (403, "insufficient_scope")
    rows = client(k, "list").stdout.splitlines()
    assert rows[0].split() == ["NAME", "STATE", "SINCE", "MAY"]
    assert any(r.startswith("calendar ") and "enabled" in r and
               r.endswith("scheduler") for r in rows), rows


def test_added_with_its_own_key(k):
    key = jose.Key()
    file = k.w.write(k.dir / "auditor.json", json.dumps(key.public))
    r = client(k, "add", "auditor", "--scope", "auditor", "--key", str(file))
    assert r.returncode == 0, r.stderr
    a = rest.Scheduler(k.url, k.ca, key, "auditor").login()
    found = [e for e in a.call("GET", "/v1/audit?type=client").body["items"]
             if e["subject"] == "auditor"]
    assert found[0]["detail"] == {"scope": "auditor", "state": "added"}, found
    assert refused(lambda: kw.conference(a)) == (403, "insufficient_scope")


def test_disabled_at_once(k):
    assert client(k, "disable", "calendar").returncode == 0
    # with the token that it has, and at the token endpoint
    assert refused(lambda: kw.conference(k.calendar))[0] == 401
    again = user(k, k.dir / "calendar.jwk")
    assert refused(again.login)[1] == "invalid_client"
    assert "disabled" in [r for r in client(k, "list").stdout.splitlines()
                          if r.startswith("calendar ")][0]
    r = client(k, "enable", "calendar")
    assert r.stdout == "client calendar is enabled\n", r
    assert kw.conference(again.login())["id"]


def test_refusals(k):
    """Each says what is wrong, and leaves nothing behind."""
    new = k.dir / "new.jwk"
    bad = k.w.write(k.dir / "bad.json", '{"kty": "RSA"}')
    for args, code, words in (
            (("add", "calendar", "--scope", "scheduler", "--new", str(new)),
             1, "there is a client calendar already"),
            (("add", "x", "--scope", "root", "--new", str(new)), 1,
             "words of: admin scheduler auditor"),
            (("add", "x", "--scope", "scheduler scheduler", "--new",
              str(new)), 1, "words of"),
            (("add", "a b", "--scope", "admin", "--new", str(new)), 1,
             "a name has letters"),
            (("add", "x", "--scope", "admin", "--key", str(bad)), 1,
             "is no JWK"),
            (("add", "x", "--scope", "admin", "--key", "/nowhere"), 1,
             "/nowhere"),
            (("add", "x", "--scope", "admin"), 2, "--key FILE"),
            (("disable", "nobody"), 1, "there is no client nobody"),
            (("remove", "calendar"), 2, "client list")):
        r = client(k, *args)
        assert r.returncode == code and words in r.stderr, (args, r)
        assert not new.exists(), args
    file = k.dir / "calendar.jwk"
    before = file.read_bytes()
    r = client(k, "add", "y", "--scope", "admin", "--new", str(file))
    assert r.returncode == 1 and "exists" in r.stderr, r
    assert file.read_bytes() == before


def test_nobody_there(k):
    """It waits for the next start, and says so."""
    assert k.proc.stop() == 0
    r = client(k, "disable", "auditor")
    assert r.returncode == 3 and "when it starts" in r.stderr, r
    k.serve()
    k.proc.wait_log("kmf.ready")
    world.wait_for(lambda: any(
        r.startswith("auditor ") and "disabled" in r
        for r in client(k, "list").stdout.splitlines()), 8)


if __name__ == "__main__":
    with world.World("perch-client-") as w:
        kw.run(globals(), kw.kmf(w))
