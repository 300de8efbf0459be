#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What people get wrong, and what strangers send. A mistake is one line that
# says where and what to do, a status that is not zero, and nothing changed. A
# stranger's octets are dropped or refused, counted, and service goes on.
import os
import pathlib
import random
import re
import socket
import sqlite3
import ssl
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402


def run(w, *argv, seconds=20):
    r = subprocess.run([str(a) for a in argv], text=True, timeout=seconds,
                       stdin=subprocess.DEVNULL, capture_output=True)
    return r.returncode, r.stdout + r.stderr


def snapshot(d):
    """Every file with size and time: what "nothing changed" means."""
    return {str(f): (f.stat().st_size, f.stat().st_mtime_ns)
            for f in sorted(pathlib.Path(d).rglob("*")) if f.is_file()}


def refused(w, name, argv, needles, watch=None, lines=2):
    before = snapshot(watch) if watch else None
    try:
        code, text = run(w, *argv)
    except subprocess.TimeoutExpired as e:
        return tap.ok(False, name, "it went on running", e.stdout, e.stderr)
    missing = [n for n in needles if not re.search(n, text)]
    said = [l for l in text.splitlines() if l.strip()]
    same = before == (snapshot(watch) if watch else None)
    return tap.ok(code not in (0, -6, -11) and not missing and same and
                  1 <= len(said) <= lines, name, f"exit {code}", text,
                  f"missing: {missing}" if missing else "",
                  "" if same else "something changed")


def edit(path, old, new):
    text = path.read_text()
    to = path.with_name("edited.conf")
    to.write_text(re.sub(old, new, text, flags=re.M))
    return to


def configuration(w, program, verb, conf, key_file, key_name, port):
    """The mistakes that both servers must tell apart."""
    argv = [w.bin(program), *verb, "-c"]
    wrong = conf.with_name("wrong.conf")
    lines = conf.read_text().splitlines()
    wrong.write_text("\n".join([lines[0], "lisen = 127.0.0.1:1"] + lines[1:]))
    refused(w, f"{program}: an unknown setting, with file and line",
            argv + [wrong], [r"wrong\.conf:2: ", "lisen"])
    refused(w, f"{program}: no such file", argv + ["/nonexistent.conf"],
            [r"/nonexistent\.conf"])
    bad = edit(conf, r"^listen = .*", "listen = 127.0.0.1:99999")
    refused(w, f"{program}: a port out of range", argv + [bad],
            [r"edited\.conf:\d+: "])
    key = w.dir / "copy.key"
    key.write_bytes(key_file.read_bytes())
    key.chmod(0o644)
    bad = edit(conf, rf"^{key_name} = .*", f"{key_name} = {key}")
    if f"\n{key_name} = " not in "\n" + bad.read_text():
        bad.write_text(f"{key_name} = {key}\n" + bad.read_text())
    refused(w, f"{program}: a key file that others may read", argv + [bad],
            [r"copy\.key", "chmod"])
    key.unlink()
    refused(w, f"{program}: a key file that is not there", argv + [bad],
            [r"copy\.key"])
    bad = edit(conf, r"^tls_cert = .*", "tls_cert = /nonexistent.pem")
    if "nonexistent.pem" not in bad.read_text():
        bad.write_text("tls_cert = /nonexistent.pem\n" + bad.read_text())
    refused(w, f"{program}: a certificate that is not there", argv + [bad],
            [r"nonexistent\.pem"])
    serve = [w.bin(program), "serve", "-c", conf]
    with socket.socket() as s:
        s.bind(("127.0.0.1", port))
        s.listen()
        refused(w, f"{program}: a busy port", serve, [str(port)], lines=4)


def unreadable_key(w, mdd):
    """Root reads everything, so somebody else must try."""
    conf = w.write(w.dir / "open.conf", mdd.conf.read_text(), mode=0o644)
    me = os.geteuid()
    if me == 0:
        argv = ["setpriv", "--reuid=61000", "--regid=61000", "--clear-groups"]
    else:
        argv = ["env"]
        mdd.key.chmod(0)
    refused(w, "perch-mdd: a key file that we may not read",
            argv + [w.bin("perch-mdd"), "check-config", "-c", conf],
            [mdd.key.name, "denied|owned"])
    mdd.key.chmod(0o600)


def kmf_cases(w, kmf):
    refused(w, "perch-kmf init refuses to overwrite",
            [w.bin("perch-kmf"), "init", kmf.state, "--url", kmf.url],
            ["already|exists"], watch=kmf.state)
    configuration(w, "perch-kmf", ["check-config"], kmf.conf,
                  kmf.state / "root.key", "root_key", kmf.port)
    code, text = run(w, w.bin("perch-kmf"), "check-config", "-c", kmf.conf)
    tap.ok(code == 0, "perch-kmf check-config takes what is right", text)
    db = kmf.state / "perch.db"
    was = sqlite3.connect(db)
    version = was.execute("PRAGMA user_version").fetchone()[0]
    was.execute(f"PRAGMA user_version = {version + 1000}")
    was.commit()
    was.close()
    refused(w, "perch-kmf: a database of a newer version",
            [w.bin("perch-kmf"), "serve", "-c", kmf.conf],
            ["newer|version"], lines=6)
    was = sqlite3.connect(db)
    tap.ok(was.execute("PRAGMA user_version").fetchone()[0] == version + 1000,
           "and its version stays what it was")
    was.execute(f"PRAGMA user_version = {version}")
    was.commit()
    was.close()


def talk(port, ca, data, wait=2.0, whole=False):
    """Raw octets over TLS; what came back."""
    s = socket.create_connection(("127.0.0.1", port), timeout=wait)
    t = world.tls(ca).wrap_socket(s, server_hostname="localhost")
    out = b""
    try:
        t.sendall(data)
        t.settimeout(wait)
        while True:
            part = t.recv(65536)
            if not part:
                break
            out += part
            if b"\r\n\r\n" in out and not whole:
                break
    except (OSError, ssl.SSLError):
        pass
    finally:
        t.close()
    return out


HTTP = {
    "no request line": b"\x00\x01\x02\r\n\r\n",
    "a method nobody knows": b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "length and chunks": b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a NUL in the path": b"GET /healthz%00x HTTP/1.1\r\nHost: localhost\r\n"
    b"\r\n",
    "dots in the path": b"GET /c/../healthz HTTP/1.1\r\nHost: localhost\r\n"
    b"\r\n",
    "a body too long": b"POST /v1/conferences HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 99999999\r\n\r\n",
    "a header too long": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " +
    b"a" * 70000 + b"\r\n\r\n",
    "JSON that is none": b"POST /v1/conferences HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 5\r\n\r\n{\"a\":",
    "a token that is none": b"GET /v1/conferences HTTP/1.1\r\nHost: localhost"
    b"\r\nAuthorization: DPoP a.b.c\r\nDPoP: x.y.z\r\n\r\n",
}


def healthy(server):
    out = talk(server.port, server.ca,
               b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return server.proc.alive() and b" 200 " in out[:20]


MALFORMED = "perch_(?:kmf_front|mdd_http)_malformed_total"


def hostile_http(name, server):
    for what, data in HTTP.items():
        out = talk(server.port, server.ca, data)
        status = out[9:12].decode(errors="replace") if out else "closed"
        tap.ok(status == "closed" or status[0] in "45",
               f"{name}: {what}: {status}", out[:200])
    # a client that never ends its handshake, and one that sends no TLS
    open_ones = [socket.create_connection(("127.0.0.1", server.port))
                 for _ in range(5)]
    for s in open_ones:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
    time.sleep(0.3)
    tap.ok(healthy(server), f"{name}: service goes on beside half a handshake")
    for s in open_ones:
        s.close()
    # a front answers for itself, and we cannot choose which one we get
    counted = world.wait_for(
        lambda: metric(server, MALFORMED), 10, say="a count of the malformed")
    tap.ok(counted >= 5, f"{name}: {counted:.0f} malformed requests counted")


def metric(server, pattern):
    out = talk(server.port, server.ca,
               b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
               b"Connection: close\r\n\r\n", whole=True)
    return sum(float(v) for v in re.findall(
        pattern.encode() + rb"[^\n ]* ([0-9.e+]+)", out))


DROPPED = "perch_mdd_[a-z_]*(?:drop|refus|malformed)[a-z_]*"


def hostile_datagrams(mdd):
    rnd = random.Random(8871)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", mdd.media))
    before = metric(mdd, DROPPED)
    sent = 0
    for first in (0, 1, 3, 20, 22, 63, 64, 128, 144, 191, 192, 255):
        for n in (0, 1, 2, 11, 12, 13, 19, 20, 28, 47, 100, 576, 1199, 1472,
                  8000):
            try:
                s.send(bytes([first]) * (n > 0) + rnd.randbytes(max(0, n - 1)))
                sent += 1
            except OSError:
                pass            # ICMP says the port is closed: seen below

    def counted():
        return metric(mdd, DROPPED) - before
    try:                # the workers tell once a second
        world.wait_for(lambda: counted() >= sent / 2, 10, 0.3)
    except world.Broken:
        pass
    tap.ok(mdd.proc.alive() and healthy(mdd),
           f"perch-mdd: {sent} malformed datagrams, and service goes on")
    tap.ok(counted() >= sent / 2,
           f"perch-mdd: {counted():.0f} of them are counted")


with world.World("perch-bad-") as w:
    mdd = stack.Mdd(w)
    kmf = stack.Kmf(w, mdd_url=mdd.url, extra="fronts = 1")
    kmf_cases(w, kmf)
    mdd.configure(kmf)
    configuration(w, "perch-mdd", ["serve"], mdd.conf, mdd.key, "tls_key",
                  mdd.port)
    unreadable_key(w, mdd)
    kmf.serve()
    mdd.serve()
    hostile_http("perch-kmf", kmf)
    hostile_http("perch-mdd", mdd)
    hostile_datagrams(mdd)
    for server in (kmf, mdd):
        code = server.proc.stop()
        tap.ok(code == 0, f"{server.proc.name} ends in order when asked",
               server.proc.text()[-1500:])
tap.done()
