#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SIGHUP: certificate, issuers and limits change while streams and requests go
# on; what cannot change stays, what is wrong is refused as a whole; systemd is told,
# and its watchdog hears of us as long as the process with the keys answers.
import base64
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import world                                                # noqa: E402


class Scene:
    pass


def hup(s, needle="kmf.reloaded"):
    """Reload; the log from then on, once it has the needle."""
    at = len(s.k.proc.text())
    s.k.proc.p.send_signal(signal.SIGHUP)
    world.wait_for(lambda: needle in s.k.proc.text()[at:], 10, say=needle)
    return s.k.proc.text()[at:]


def fronts(s):
    out = []
    for p in pathlib.Path("/proc").iterdir():
        if not p.name.isdigit():
            continue
        try:
            stat = (p / "stat").read_text().rsplit(")", 1)[1].split()
            argv = (p / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(stat[1]) == s.k.proc.p.pid and stat[0] != "Z" and \
                argv[2:3] == [b"front"]:
            out.append(int(p.name))
    return sorted(out)


def peer(s):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", s.k.port)) as t:
        with c.wrap_socket(t) as u:
            return u.getpeercert(True)


def keepalive(s):
    c = world.tls(s.k.ca).wrap_socket(
        socket.create_connection(("127.0.0.1", s.k.port), 10),
        server_hostname="localhost")
    return c


def ask(c):
    c.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    buf = b""
    while b"ok\n" not in buf:
        d = c.recv(4096)
        assert d, buf
        buf += d
    return buf


def test_streams_and_connections_survive(s):
    conf = conference(s.admin)["id"]
    a, b = guest(s.k, s.admin, conf, "A"), guest(s.k, s.admin, conf, "B")
    sock, buf = stream(s.k, a, conf)
    buf = read_until(sock, b"event: ", 5, buf)
    c = keepalive(s)
    assert b"Connection: close" not in ask(c)
    old, was = peer(s), fronts(s)
    cert, key = s.w.certificate("second")
    shutil.copy(key, s.k.state / "tls.key")
    shutil.copy(cert, s.k.state / "tls.crt")
    s.k.ca.write_text(s.k.ca.read_text() + cert.read_text())
    s.admin.context = world.tls(s.k.ca)
    hup(s)
    world.wait_for(lambda: all(peer(s) != old for _ in range(6)), 5)
    # the old connection is answered once more, then ends in good order
    assert b"close" in ask(c)
    c.close()
    # the stream was not touched: an event of now arrives on it
    n = len(read_until(sock, b"\n\n", 1, buf))
    s.admin.call("POST", f"/v1/conferences/{conf}/rekey")
    got = read_until(sock, b"event: epoch", 5, b"")
    assert b"event: epoch" in got and n
    # the one that has no stream ends, the one that has lives on
    world.wait_for(lambda: len(set(fronts(s)) & set(was)) == 1, 10,
                   say="one of the retired fronts to end")
    time.sleep(1.5)
    assert len(set(fronts(s)) & set(was)) == 1
    sock.close()
    world.wait_for(lambda: not set(fronts(s)) & set(was), 10,
                   say="the retired front to end")
    assert len(fronts(s)) == 2 and "front_died" not in s.k.proc.text()
    b.context = s.admin.context
    b.keys()                            # keeper and tokens are as they were
    shutil.copy(s.w.dir / "first.crt", s.k.state / "tls.crt")
    shutil.copy(s.w.dir / "first.key", s.k.state / "tls.key")
    hup(s)


def test_nobody_is_turned_away(s):
    """Connections all the while: each is answered."""
    at = len(s.k.proc.text())
    s.k.proc.p.send_signal(signal.SIGHUP)
    n = 0
    while "kmf.reloaded" not in s.k.proc.text()[at:] or n < 50:
        assert Raw(s.k, "GET", "/healthz").status == 200
        n += 1
        assert n < 2000
    assert n >= 50


def test_it_is_audited(s):
    want = base64.urlsafe_b64encode(hashlib.sha256(
        pathlib.Path(s.k.conf).read_bytes()).digest()).decode().rstrip("=")
    hup(s)
    rows = s.admin.call("GET", "/v1/audit?type=configured").body["items"]
    assert rows[-1]["detail"] == {"config": want}, rows
    rows = s.admin.call("GET", "/v1/audit?type=started").body["items"]
    assert rows[0]["detail"]["config"] == s.first


def test_issuers_come_and_go(s):
    good = s.k.conf.read_text()
    s.k.conf.write_text(good + "[issuer late]\n"
                        f"url = https://localhost:{world.free_port()}\n")
    hup(s)
    assert "issuer:late" in Raw(s.k, "GET", "/readyz").json()["checks"]
    assert "fetcher_died" not in s.k.proc.text()
    s.k.conf.write_text(good)
    hup(s)
    for _ in range(4):
        assert "issuer:late" not in \
            Raw(s.k, "GET", "/readyz").json()["checks"]


def test_bad_ones_are_refused_whole(s):
    good = s.k.conf.read_text()
    world.wait_for(lambda: len(fronts(s)) == 2, 10, say="the retired to end")
    was = fronts(s)
    for text, needle in (
            (good + "nonsense = 1\n", "nonsense"),
            (good.replace("mdds", "#mdds"), "mdds"),
            (good + "base_url = https://other.example\n", "base_url"),
            (good + "tls_cert = /nowhere.crt\n",
             "fault=\"/nowhere.crt: "),
            (good + "[issuer x]\nurl = https://a\nca_file = /nowhere\n",
             "fault=\"/nowhere: ")):
        s.k.conf.write_text(text)
        out = hup(s, "settings=the_old_ones")
        assert needle in out and "kmf.reloaded" not in out, (needle, out)
    s.k.conf.unlink()
    assert "No such file" in hup(s, "settings=the_old_ones")
    assert fronts(s) == was
    # a front that dies now is started with what was good
    s.k.conf.write_text("rubbish\n")
    os.kill(was[0], signal.SIGKILL)
    world.wait_for(lambda: len(set(fronts(s)) - {was[0]}) == 2, 8)
    world.wait_for(lambda: all(
        Raw(s.k, "GET", "/readyz").status == 200 for _ in range(6)), 5)
    s.k.conf.write_text(good)


def test_what_cannot_change_is_kept(s):
    """By its name, and the rest is taken: one line never spoils a file."""
    good = s.k.conf.read_text()
    had = s.admin.call("GET", "/v1/audit?type=configured").body["items"]
    for text, kept in (
            (good.replace(s.k.url, "https://other.example"), ["base_url"]),
            (good + "guard_dir = elsewhere\n", ["guard_dir"]),
            (good.replace("fronts = 2", "fronts = 3") +
             "syslog = yes\nuser = nobody\nkeep_ended_days = 3\n",
             ["fronts", "syslog", "user"])):
        s.k.conf.write_text("log_level = debug\n" + text)
        out = hup(s)
        for name in kept:
            assert f'kept="{name}"' in out, (name, out)
        assert out.count("kept=") == len(kept), out
        Raw(s.k, "GET", "/healthz")
        s.k.proc.wait_log("front.answer")       # the rest was taken
        assert s.admin.call("GET", "/v1/conferences").status == 200
        at = len(s.k.proc.text())
        s.k.conf.write_text(good)
        assert "kept=" not in hup(s)
        world.wait_for(lambda: len(fronts(s)) == 2, 10)
        Raw(s.k, "GET", "/healthz")
        assert "front.answer" not in s.k.proc.text()[at:].split(
            "kmf.reloaded")[1]
    rows = s.admin.call("GET", "/v1/audit?type=configured").body["items"]
    assert len(rows) == len(had) + 6


def test_check_config_names_what_needs_a_restart(s):
    """And so does --help-config: what is kept is what is said to be."""
    out = s.w.run([s.w.bin("perch-kmf"), "--help-config"]).stdout
    if isinstance(out, bytes):
        out = out.decode()
    marked = [b.splitlines()[0].split(" ")[0].lstrip("#") for a, b in
              zip(out.split("# "), out.split("a change needs a restart)\n")[1:])]
    assert marked == ["base_url", "listen", "metrics_listen", "state_dir",
                      "root_key", "guard_dir", "user", "fronts", "syslog"]


def test_log_level_changes(s):
    good = s.k.conf.read_text()
    s.k.conf.write_text(good + "log_level = debug\n")
    hup(s)
    Raw(s.k, "GET", "/healthz")
    s.k.proc.wait_log("front.answer")
    s.k.conf.write_text(good)
    hup(s)


def command_lines():
    for p in pathlib.Path("/proc").iterdir():
        try:
            if p.name.isdigit():
                yield int(p.name), (p / "cmdline").read_bytes()
        except OSError:
            pass                        # it has gone meanwhile


def test_systemd_hears_all(s):
    assert s.k.proc.stop() == 0
    path = str(s.w.dir / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
        n.bind(path)
        n.settimeout(5)
        os.environ["NOTIFY_SOCKET"] = path
        os.environ["WATCHDOG_USEC"] = "900000"
        try:
            s.k.serve()
        finally:
            del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
        got = []

        def until(what):
            end = time.monotonic() + 40
            while time.monotonic() < end:
                got.append(n.recv(200).decode())
                if got[-1].startswith(what):
                    return got[-1]
            raise AssertionError((what, got))
        until("READY=1")
        until("WATCHDOG=1")
        until("WATCHDOG=1")
        s.k.proc.p.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in until("RELOADING=1")
        until("READY=1")
        # a keeper that hangs is not spoken for
        keeper = [n for n, line in command_lines() if b"role\0keeper" in line
                  and str(s.k.conf).encode() in line][0]
        os.kill(keeper, signal.SIGSTOP)
        time.sleep(0.7)
        n.setblocking(False)
        try:
            while True:
                n.recv(200)
        except BlockingIOError:
            pass
        n.settimeout(1.0)
        try:
            late = n.recv(200)
        except TimeoutError:
            late = None
        os.kill(keeper, signal.SIGCONT)
        assert late is None, late
        n.settimeout(5)
        until("WATCHDOG=1")
        s.k.proc.p.terminate()
        until("STOPPING=1")
        assert s.k.proc.p.wait(60) == 0


def main():
    s = Scene()
    with world.World("perch-reload-") as w:
        s.w = w
        s.k = kmf(w, extra="fronts = 2")
        s.first = base64.urlsafe_b64encode(hashlib.sha256(
            pathlib.Path(s.k.conf).read_bytes()).digest()).decode().rstrip("=")
        s.k.proc.wait_log("kmf.ready")
        shutil.copy(s.k.state / "tls.crt", w.dir / "first.crt")
        shutil.copy(s.k.state / "tls.key", w.dir / "first.key")
        s.admin = s.k.admin()
        run(globals(), s)


if __name__ == "__main__":
    main()
