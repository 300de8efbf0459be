#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What an operator does to a running perch-mdd: read its settings again, look at
# it, let it run empty. What cannot be changed is told by name, and nothing of
# such a file is taken.
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "tools"), str(TESTS / "e2e")]
import jose
import tap
import world
from test_start import KMF, Mdd

os.environ["ASAN_OPTIONS"] = "detect_leaks=0"


def hup(mdd, want):
    """SIGHUP, and the new lines of the log once `want` is among them."""
    before = len(mdd.proc.text())
    mdd.proc.p.send_signal(signal.SIGHUP)
    world.wait_for(lambda: want in mdd.proc.text()[before:], 5, say=want)
    return mdd.proc.text()[before:]


def metric(mdd, name):
    text = mdd.ask("GET", "/metrics")[1]
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if re.match(re.escape(name) + r"[{ ]", line))


def run(mdd, *args):
    return subprocess.run([world.BUILD / "perch-mdd", *args, "-c",
                           mdd.w.dir / "mdd.conf"], text=True,
                          capture_output=True, timeout=60)


def checks(mdd):
    code, text = mdd.run("check-config")
    m = re.search(r"at most (\d+) MiB for each worker \((\d+) KiB a leg, "
                  r"(\d+) KiB a conference\), (\d+) MiB for all", text)
    tap.ok(code == 0 and m and int(m[4]) == 2 * int(m[1]),
           "check-config tells the most memory", text)
    code, more = mdd.run("check-config", max_legs=5000)
    n = re.search(r"at most (\d+) MiB", more)
    tap.ok(code == 0 and n and abs(int(n[1]) - int(m[1]) -
                                   4000 * int(m[2]) / 1024) < 8,
           "of five times the legs too", more)
    code, more = mdd.run("check-config", legs_per_worker=50)
    n = re.search(r"(\d+) MiB for each worker \((\d+) KiB a leg", more)
    # 500 SSRCs more, of which a leg has a context, a flow and a count each
    tap.ok(code == 0 and n and int(n[2]) > int(m[2]) + 100 and
           int(n[1]) > int(m[1]) + 1000 * (int(n[2]) - int(m[2])) / 1024 + 15,
           "and of links", more)
    mdd.conf()
    r = run(mdd, "--check-config")
    tap.ok(r.returncode == 0 and "good" in r.stdout,
           "--check-config is check-config", r.stdout, r.stderr)


def reload(mdd, key):
    # One connection is kept all the while, and one leg.
    keep = http.client.HTTPSConnection("localhost", mdd.port, timeout=20,
                                       context=world.tls(mdd.cert))
    keep.request("GET", "/healthz")
    keep.getresponse().read()
    status, body = mdd.join(key)
    leg = json.loads(body)["leg"]
    mdd.conf(log_level="debug", metrics_legs=10)
    text = hup(mdd, "reloaded kmfs=1 settings=new")
    world.wait_for(lambda: f'leg="{leg}"' in mdd.ask("GET", "/metrics")[1], 4,
                   say="the leg in /metrics")
    tap.ok(True, "SIGHUP: legs are told of one by one", text)
    tap.ok(KMF not in mdd.ask("GET", "/metrics")[1] and
           'member="m_a"' in mdd.ask("GET", "/metrics")[1],
           "by pseudonyms")
    for i in range(14):
        mdd.join(key, conference=f"c_{i}", member=f"m_{i}", ssrc=100 + i)
    lines = [t for t in mdd.ask("GET", "/metrics")[1].splitlines()
             if t.startswith("perch_mdd_leg_sent_total{")]
    tap.ok(len(lines) == 10, "and of no more than metrics_legs", *lines)

    mdd.conf(max_legs=77, workers=3, max_leg_pps=60)
    text = hup(mdd, "settings=unchanged")
    tap.ok("max_legs" in text and "workers" in text and
           "max_leg_pps" not in text.replace("max_legs", "") and
           "restart" in text,
           "what needs a restart is named, each key of it", text)
    tap.ok(mdd.ask("GET", "/metrics")[1].count(
        "\nperch_mdd_leg_sent_total{") == 10,
           "and nothing of that file is taken")
    mdd.conf(basurl="x")
    text = hup(mdd, "settings=unchanged")
    tap.ok("basurl" in text, "a mistake is told, and changes nothing", text)

    # Another certificate, for new connections; the old one goes on.
    cert, tls = mdd.w.certificate("other")
    mdd.cert.write_bytes(cert.read_bytes())
    mdd.tls.write_bytes(tls.read_bytes())
    mdd.conf()
    text = hup(mdd, "settings=new")
    tap.ok("certificate stays" not in text and
           mdd.ask("GET", "/healthz")[0] == 200, "a new certificate", text)
    keep.request("GET", "/healthz")
    tap.ok(keep.getresponse().read() == b"ok\n",
           "connections of before go on")
    keep.close()
    tap.ok(mdd.ask("PUT", f"/v1/join/{leg}", mdd.token(key))[0] == 200,
           "so do legs")
    tap.ok("metrics_legs" not in text and
           "perch_mdd_leg_sent_total" not in mdd.ask("GET", "/metrics")[1],
           "metrics_legs is 0 again, and legs are not told of")

    # A KMF more, without a restart; one whose keys are not there is refused.
    other = jose.Key()
    file = mdd.w.dir / "other.json"
    tail = (f"[kmf example]\nurl = {KMF}\nkeys = {mdd.keys}\n"
            f"[kmf b]\nurl = https://b.example\nkeys = {file}\n")
    mdd.conf(tail=tail)
    text = hup(mdd, "settings=unchanged")
    tap.ok("other.json" in text, "a KMF without keys is not taken", text)
    file.write_text(json.dumps({"keys": [dict(
        other.public, kid=other.kid, alg="ES256")]}))
    hup(mdd, "reloaded kmfs=2 settings=new")
    now = int(time.time())
    token = other.sign({"alg": "ES256", "typ": "at+jwt", "kid": other.kid}, {
        "iss": "https://b.example", "aud": mdd.url, "sub": "m_b",
        "scope": "join", "client_id": "perch-agent", "conference": "c_b",
        "ssrcs": [9], "cnf": {"x5t#S256": "A" * 43}, "iat": now,
        "exp": now + 600, "jti": "j"})
    tap.ok(mdd.ask("POST", "/v1/join", token,
                   b'{"ufrag": "mine", "pwd": "%s"}' % (b"x" * 24))[0] == 201,
           "with keys its members may join at once")
    mdd.conf()
    hup(mdd, "reloaded kmfs=1 settings=new")
    tap.ok(mdd.ask("POST", "/v1/join", token,
                   b'{"ufrag": "mine", "pwd": "%s"}' % (b"x" * 24))[0] == 401,
           "and no more when it is taken out")


def limits(mdd, key):
    """A leg that says nothing is gone after the idle_s of the new file."""
    mdd.join(key, conference="c_idle", ssrc=4711)
    world.wait_for(lambda: metric(mdd, "perch_mdd_legs") > 0, 4,
                   say="workers tell")
    mdd.conf(idle_s=2)
    hup(mdd, "settings=new")
    world.wait_for(lambda: metric(mdd, "perch_mdd_legs") == 0, 6,
                   say="silent legs gone")
    tap.ok(True, "idle_s of the new file counts for legs of before")


def rate(mdd):
    """So many requests of one address, and no token is looked at beyond."""
    def result(name):
        return metric(mdd, f'perch_mdd_join_total{{result="{name}"}}')
    mdd.conf()
    hup(mdd, "settings=new")
    looked = result("unauthorized")
    mdd.conf(rate_address=1)
    hup(mdd, "settings=new")
    keep = http.client.HTTPSConnection("localhost", mdd.port, timeout=20,
                                       context=world.tls(mdd.cert))
    let_in = 0
    for _ in range(300):
        keep.request("POST", "/v1/join", b"{}",
                     {"Authorization": "Bearer a.b.c"})
        a = keep.getresponse()
        body = a.read()
        if a.status != 401:
            break
        let_in += 1
    tap.ok(a.status == 429 and json.loads(body)["code"] == "rate_limited" and
           a.headers["Content-Type"] == "application/problem+json" and
           1 <= int(a.headers["Retry-After"]) <= 5,
           "an address that asks too often is told so", a.status, body)
    tap.ok(let_in >= 5, "after five seconds' worth", let_in)
    for path in "/healthz", "/readyz":
        keep.request("GET", path)
        a = keep.getresponse()
        a.read()
        tap.ok(a.status == 200, f"{path} is not counted")
    keep.close()
    mdd.conf(rate_address=0)
    hup(mdd, "settings=new")
    tap.ok(result("limited") >= 1 and
           result("unauthorized") == looked + let_in,
           "of those beyond no token was looked at", let_in)
    tap.ok(all(mdd.ask("POST", "/v1/join")[0] == 401 for _ in range(20)),
           "0 is no bound")


def top(mdd, key):
    mdd.conf()
    hup(mdd, "settings=new")
    mdd.join(key, conference="c_top", ssrc=5)
    world.wait_for(lambda: metric(mdd, "perch_mdd_legs") == 1, 4,
                   say="workers tell")
    r = run(mdd, "top", "--once")
    tap.ok(r.returncode == 0 and re.search(r"^all +1 +1 +0 ", r.stdout, re.M)
           and "cpu %" in r.stdout, "top --once", r.stdout, r.stderr)
    r = run(mdd, "top", "--json")
    j = json.loads(r.stdout)
    tap.ok(j["all"]["legs"] == 1 and len(j["workers"]) == 2 and
           j["draining"] is False and 1 < j["seconds"] < 30 and
           {"cpu_percent", "in_packets_per_s", "out_mbit_per_s",
            "dropped_per_s"} <= set(j["all"]), "top --json", r.stdout)
    if os.geteuid() == 0:
        r = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             world.BUILD / "perch-mdd", "top", "--once", "-c",
             mdd.w.dir / "mdd.conf"], text=True, capture_output=True,
            timeout=60)
        tap.ok(r.returncode != 0 and "legs" not in r.stdout,
               "nobody else is told", r.stdout, r.stderr)


def drain(mdd):
    mdd.conf(idle_s=2)  # the leg that says nothing soon goes
    hup(mdd, "settings=new")
    r = run(mdd, "drain")
    tap.ok(r.returncode == 0, "perch-mdd drain", r.stderr)
    code = mdd.proc.p.wait(60)
    text = mdd.proc.text()
    tap.ok(code == 0 and "drained legs=0" in text,
           "when the last leg is gone it ends, exit 0", code, text[-1500:])
    tap.ok("Sanitizer" not in text, "no sanitizer complained", text[-2000:])
    r = run(mdd, "top", "--once")
    tap.ok(r.returncode == 1 and "no perch-mdd runs" in r.stderr,
           "top of none says so", r.stderr)


def name_taken(mdd):
    """Any local user can have the socket's name before us."""
    squatter = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    squatter.bind(f"\0perch-mdd:127.0.0.1:{mdd.port}")
    squatter.listen()
    mdd.conf()
    mdd.spawn("perch-mdd-2")
    text = mdd.proc.text()
    tap.ok("another process has the operator's socket" in text and
           mdd.ask("GET", "/readyz")[0] == 200,
           "its socket's name is taken: it serves all the same", text)
    squatter.close()
    r = run(mdd, "top", "--once")
    tap.ok(r.returncode == 1 and "no perch-mdd runs" in r.stderr,
           "and top does not find it", r.stdout, r.stderr)
    mdd.proc.p.send_signal(signal.SIGUSR1)
    tap.ok(mdd.proc.p.wait(60) == 0, "SIGUSR1 drains it",
           mdd.proc.text()[-1500:])


def finds(mdd, name):
    r = run(mdd, "top", "--once")
    tap.ok(r.returncode == 0 and "cpu %" in r.stdout, name, r.stdout,
           r.stderr, mdd.proc.text()[-1500:])


def gone(family, name):
    """Wait until nobody listens there."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(5)
            try:
                s.connect(name)
            except ConnectionRefusedError:
                return
            except OSError:
                pass
        time.sleep(0.05)
    raise world.Broken(f"{name} is still there")


def name_of_ours(mdd):
    """In a directory of ours nobody can take it, whoever has the other."""
    run_dir = mdd.w.dir / "run"
    run_dir.mkdir(mode=0o700)
    mdd.set["run_dir"] = run_dir
    file = run_dir / f"127.0.0.1:{mdd.port}.sock"
    squatter = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    squatter.bind(f"\0perch-mdd:127.0.0.1:{mdd.port}")
    squatter.listen()
    mdd.conf()
    mdd.spawn("perch-mdd-3")
    tap.ok(stat.S_IMODE(file.stat().st_mode) == 0o600,
           "the file is ours alone", file)
    finds(mdd, "with a run_dir top finds it, whoever has the abstract name")
    mdd.proc.p.kill()
    mdd.proc.p.wait(20)
    gone(socket.AF_UNIX, str(file))  # its children end a moment later
    gone(socket.AF_INET, ("127.0.0.1", mdd.port))
    tap.ok(file.is_socket(), "who is killed leaves the file")
    mdd.spawn("perch-mdd-4")
    finds(mdd, "and the next one takes its place")
    tap.ok(run(mdd, "drain").returncode == 0 and
           mdd.proc.p.wait(20) == 0 and not file.exists(),
           "the file goes with it", mdd.proc.text()[-1500:])
    squatter.close()
    run_dir.chmod(0o777)
    mdd.spawn("perch-mdd-5")
    tap.ok(not file.exists(), "a directory that others can write to is none")
    finds(mdd, "so it has the abstract name")
    mdd.proc.p.send_signal(signal.SIGUSR1)
    tap.ok(mdd.proc.p.wait(20) == 0, "SIGUSR1 drains it",
           mdd.proc.text()[-1500:])


def main():
    key = jose.Key()
    with world.World("perch-mdd-ops-") as w:
        mdd = Mdd(w, key)
        checks(mdd)
        mdd.spawn()
        reload(mdd, key)
        limits(mdd, key)
        rate(mdd)
        top(mdd, key)
        drain(mdd)
        name_taken(mdd)
        name_of_ours(mdd)


if __name__ == "__main__":
    tap.whole(main)
