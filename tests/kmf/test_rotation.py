#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# `perch-kmf rotate-keys` against a KMF that runs, is killed and starts again
# while a guest sits in a conference.
import json
import os
import shutil
import subprocess
import time

import kmfworld as kw
import jose
import rest
import world


KEY = jose.Key()


def rotate(k, *args):
    return subprocess.run(
        [str(k.w.bin("perch-kmf")), "rotate-keys", "-c", str(k.conf), *args],
        capture_output=True, text=True, timeout=30)


def published(k):
    return rest.Client(k.url, k.ca, KEY).call(
        "GET", "/.well-known/jwks.json").body["keys"]


def states(k):
    return sorted(key["perch_state"] for key in published(k))


def crash(k):
    """kill -9 of all of it."""
    k.proc.kill()


def kid(token):
    head = token.split(".")[0]
    return json.loads(jose.unb64u(head))["kid"]


def test_rotation_while_a_conference_runs(w):
    k = kw.kmf(w)
    admin = k.admin()
    conf = kw.conference(admin)["id"]
    code = kw.invite(admin, conf)["code"]
    e = kw.endpoint(k)
    e.enter(conf, code)
    e.keys()
    first = e.token
    r = rotate(k, "--after", "4")
    assert r.returncode == 0, r.stderr
    assert "published" in r.stdout
    assert states(k) == ["next", "next", "signs", "signs"]
    on_disk = json.loads((k.state / "kmf-keys.json").read_text())
    assert len(on_disk["keys"]) == 4
    again = rotate(k)
    assert again.returncode == 1 and "under way" in again.stderr
    e.enter(conf, code)
    assert kid(e.token) == kid(first)       # published is not yet used
    crash(k)                                # in the middle, without a word
    k.serve()
    assert states(k) == ["next", "next", "signs", "signs"]
    world.wait_for(lambda: states(k) == ["old", "old", "signs", "signs"], 10,
                   say="the next keys to sign")
    e.keys()                                # the old key's token1, still good
    e.enter(conf, code)
    assert kid(e.token) != kid(first)
    e.keys()
    assert e.lease(1)
    out = rotate(k, "--status").stdout
    assert out.count("statement") == 2 and out.count(" old ") == 2, out
    k.proc.stop()


def test_the_log_verifies_with_past_keys(w):
    """Checkpoints of a key that is no longer published are still good."""
    shutil.rmtree(w.dir / "kmf")
    k = kw.kmf(w)
    env = {**os.environ, "PERCH_CA": str(k.ca),
           "PERCH_CLIENT": str(k.state / "admin-client.jwk")}

    def perch(*argv):
        return subprocess.run([w.bin("perch"), "audit", *map(str, argv)],
                              text=True, capture_output=True, timeout=30,
                              env=env)

    log, keys = w.dir / "log.jsonl", w.dir / "keys.json"
    assert perch("export", "--out", w.dir / "first.jsonl").returncode == 0
    assert rotate(k, "--after", "0").returncode == 0
    kw.conference(k.admin())
    r = perch("export", "--out", log)       # checkpoints of both keys
    assert r.returncode == 0, r.stderr
    file = json.loads((k.state / "kmf-keys.json").read_text())
    old = [x for x in file["keys"] if x["perch_state"] == "old"]
    file["keys"] = [x for x in file["keys"] if x not in old]
    assert len(old) == 2 and len(file["keys"]) == 2
    keys.write_text(json.dumps({**file, "past": old}))
    r = perch("verify", log, "--keys", keys)
    assert r.returncode == 0, r.stdout + r.stderr
    keys.write_text(json.dumps(file))
    r = perch("verify", log, "--keys", keys)
    assert r.returncode != 0, r.stdout
    k.proc.stop()


def test_request_waits_for_the_next_start(w):
    shutil.rmtree(w.dir / "kmf")
    k = kw.stack.Kmf(w, mdd_url=kw.MDD)
    p = subprocess.Popen([str(k.w.bin("perch-kmf")), "rotate-keys", "-c",
                          str(k.conf), "--after", "0"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    world.wait_for(lambda: (k.state / "control.request").exists(), 5,
                   say="the request")
    time.sleep(0.2)
    k.serve()
    assert p.wait(60) == 0, p.stderr.read()
    assert states(k) == ["old", "old", "signs", "signs"]
    k.proc.stop()


if __name__ == "__main__":
    with world.World("perch-rotation-") as w:
        kw.run(globals(), w)
