#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A hundred peers that stop half way through their TLS handshake (nothing said,
# half a record, a whole ClientHello and then silence) cost perch-mdd's control
# and perch-kmf's fronts no processor time, keep nobody else out, and are gone
# when their time is over.
import os
import pathlib
import signal
import socket
import ssl
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "tools"), str(TESTS / "e2e"), str(TESTS / "mdd")]
sys.path.append(str(TESTS / "kmf"))
import jose
import tap
import world
from test_start import Mdd, workers  # of this directory: before kmfworld
import kmfworld

os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
PEERS = 100
SHARE = 0.05  # of one processor; a spinning loop takes all of it
LOOK_S = 3
TICK = os.sysconf("SC_CLK_TCK")


def hello():
    """The first flight of a TLS client."""
    out = ssl.MemoryBIO()
    c = ssl.create_default_context()
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    o = c.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        o.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def cpu_s(pids):
    total = 0
    for pid in pids:
        f = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1]
        total += sum(int(x) for x in f.split()[11:13])
    return total / TICK


def closed(s):
    s.setblocking(False)
    try:
        while s.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def half_open(name, port, pids, healthy, deadline_s):
    words = hello()
    first = [b"", words[:3], words[:40], words]
    peers = []
    for i in range(PEERS):
        s = socket.create_connection(("127.0.0.1", port))
        if first[i % 4]:
            s.sendall(first[i % 4])
        peers.append(s)
    for _ in range(5):  # handshakes begun are answered: that may cost
        before, t0 = cpu_s(pids), time.monotonic()
        time.sleep(LOOK_S)
        share = (cpu_s(pids) - before) / (time.monotonic() - t0)
        if share < SHARE:
            break
    tap.ok(share < SHARE, f"{name}: {PEERS} half-open handshakes cost "
           f"nothing", f"{share:.3f} of a processor")
    t0 = time.monotonic()
    tap.ok(healthy(), f"{name}: others are served meanwhile",
           time.monotonic() - t0)
    end = time.monotonic() + deadline_s * world.PATIENCE
    while time.monotonic() < end and not all(closed(s) for s in peers):
        time.sleep(0.3)
    left = sum(not closed(s) for s in peers)
    tap.ok(left == 0, f"{name}: and all are closed in time", left)
    for s in peers:
        s.close()


def mdd_control():
    with world.World("perch-half-") as w:
        mdd = Mdd(w, jose.Key(), max_conns_per_ip=0)
        mdd.spawn()
        pids = [p for p, n in workers(mdd.proc.p.pid).items()
                if n.startswith("control")]
        tap.ok(len(pids) == 1, "control is there", pids)
        half_open("perch-mdd", mdd.port, pids,
                  lambda: mdd.ask("GET", "/healthz")[0] == 200, 20)
        mdd.proc.stop()


def kmf_front():
    with world.World("perch-half-") as w:
        k = kmfworld.kmf(w)

        def fronts():
            return [p for p, n in workers(k.proc.p.pid).items()
                    if "front" in n]
        pids = world.wait_for(fronts, 20, say="fronts")
        tap.ok(pids, "fronts are there", workers(k.proc.p.pid))

        def healthy():
            return kmfworld.Raw(k, "GET", "/healthz", checked=False
                                ).status == 200
        half_open("perch-kmf", k.port, pids, healthy, 20)


def main():
    mdd_control()
    kmf_front()


if __name__ == "__main__":
    tap.whole(main)
