#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A conference that is not for you and one that does not exist: the same
# status, the same body, the same headers, and no clock tells them apart.
# Interleaved requests of one uninvited person, compared by what no outlier
# moves: the median, and the largest distance of the two distributions.
import http.client
import json
import os
import pathlib
import random
import signal
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
from providers import *                                     # noqa: E402,F403
import jose                                                 # noqa: E402
import world                                                # noqa: E402

EACH = 300
CHANGES = {"date"}          # of headers, from second to second


def proofs(s, e, conf, n):
    path = f"/v1/conferences/{conf}/roster"
    return [(path, e.key.dpop("GET", s.k.url + path, e.token, e.nonce))
            for _ in range(n)]


def ask(c, e, path, proof):
    start = time.perf_counter_ns()
    c.request("GET", path, None, {"Authorization": f"DPoP {e.token}",
                                  "DPoP": proof})
    r = c.getresponse()
    body = r.read()
    took = (time.perf_counter_ns() - start) / 1000
    body = json.loads(body)
    body.pop("request_id")
    head = sorted((k.lower(), v) for k, v in r.getheaders()
                  if k.lower() not in CHANGES)
    return took, (r.status, json.dumps(body, sort_keys=True), str(head))


def distance(a, b):
    """Kolmogorov and Smirnov: how far the distributions are apart."""
    a, b = sorted(a), sorted(b)
    worst = i = j = 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            i += 1
        else:
            j += 1
        worst = max(worst, abs(i / len(a) - j / len(b)))
    return worst


def measure(s):
    e = endpoint(s.k)
    e.token = at(s, sub="mallory", email="mallory@example.org",
                 cnf={"jkt": e.key.thumbprint()})
    todo = proofs(s, e, s.conf, EACH) + proofs(s, e, NOBODY, EACH)
    random.shuffle(todo)
    c = http.client.HTTPSConnection("localhost", s.k.port, timeout=10,
                                    context=world.tls(s.k.ca))
    took, seen = {s.conf: [], NOBODY: []}, {}
    for path, proof in todo:
        conf = path.split("/")[3]
        t, answer = ask(c, e, path, proof)
        took[conf].append(t)
        seen.setdefault(conf, set()).add(answer)
    c.close()
    return took[s.conf], took[NOBODY], seen


def test_uninvited_is_nonexistent(s):
    # others may use this machine: a real difference is there every time
    for attempt in range(3):
        here, hole, seen = measure(s)
        assert len(seen[s.conf]) == 1 and seen[s.conf] == seen[NOBODY], seen
        assert next(iter(seen[NOBODY]))[0] == 404, seen
        gap = abs(statistics.median(here) - statistics.median(hole))
        q = statistics.quantiles(here + hole, n=4)
        apart = distance(here, hole)
        said = (f"medians {statistics.median(here):.0f} and "
                f"{statistics.median(hole):.0f} us, quartiles {q}, "
                f"distance {apart:.3f}")
        print("#", said)
        # 0.159 is chance in one of a thousand for 2 x 300
        if gap < max(100, 0.5 * (q[2] - q[0])) and apart < 0.2:
            return
    raise AssertionError(said)


def keeper_of(pid):
    for p in pathlib.Path("/proc").iterdir():
        try:
            stat = (p / "stat").read_text().rsplit(")", 1)[1].split()
            argv = (p / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if stat[1] == str(pid) and argv[2:3] == [b"keeper"]:
            return int(p.name)
    raise AssertionError("no keeper")


def test_a_slow_keeper_still_refuses_streams(s):
    """200 would tell that the conference is there; the front waits."""
    e = endpoint(s.k)
    e.token = at(s, sub="mallory", email="mallory@example.org",
                 cnf={"jkt": e.key.thumbprint()})
    pid = keeper_of(s.k.proc.p.pid)
    heads = []
    for conf in (s.conf, NOBODY):
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(0.8, os.kill, (pid, signal.SIGCONT)).start()
        sock, head = stream(s.k, e, conf)
        sock.close()
        heads.append(head.split(b"\r\n")[0])
    assert heads == [b"HTTP/1.1 404 Not Found"] * 2, heads
    alice = endpoint(s.k)           # and lets in who may, with nothing to say
    alice.token = at(s, sub="g", email="guest1@example.org",
                     cnf={"jkt": alice.key.thumbprint()})
    sock, head = stream(s.k, alice, s.conf)
    sock.close()
    assert head.startswith(b"HTTP/1.1 200"), head


def main():
    s = Scene()
    with world.World("perch-alike-") as w:
        s.p, s.key = Provider(w, "corp"), jose.Key()
        s.p.publish([jwk(s.key, "one", alg="ES256")])
        s.k = kmf(w, extra="fronts = 1\n" + s.p.config("corp"))
        s.admin = s.k.admin()
        s.conf = conference(s.admin, invitees=[
            {"email": f"guest{n}@example.org"} for n in range(900)])["id"]
        s.k.wait_keys()
        run(globals(), s)


if __name__ == "__main__":
    main()
