#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# perch-kmf as a program: init overwrites nothing, a start that cannot succeed
# is one clear line and changes nothing, a dead front is replaced, a dead
# keeper ends all, certificates reload, SIGTERM drains.
import hashlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import ssl
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402


class Scene:
    pass


def kmf_run(s, *argv, code=None, seconds=15):
    r = subprocess.run([s.w.bin("perch-kmf"), *map(str, argv)], text=True,
                       capture_output=True, timeout=seconds)
    if code is not None:
        assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
    return r


def tree(d):
    """Every file's content and mode."""
    return {str(p): (p.stat().st_mode,
                     hashlib.sha256(p.read_bytes()).hexdigest())
            for p in sorted(pathlib.Path(d).rglob("*")) if p.is_file()}


def fresh(s, name, *more):
    port = world.free_port()
    d = s.w.dir / name
    kmf_run(s, "init", d, "--url", f"https://localhost:{port}", "--listen",
            f"127.0.0.1:{port}", *more, code=0)
    return d, port


def fails(s, d, needle, verb="serve"):
    """One line, exit 1, nothing changed."""
    before = tree(d)
    r = kmf_run(s, verb, "-c", d / "perch-kmf.conf", code=1)
    lines = [x for x in r.stderr.splitlines() if x]
    assert len(lines) == 1 and needle in lines[0], (needle, r.stderr)
    assert tree(d) == before


def test_init(s):
    d, _ = fresh(s, "a")
    assert d.stat().st_mode & 0o777 == 0o700
    for f in ("root.key", "tls.key", "admin-client.jwk", "perch.db",
              "perch-kmf.conf"):
        assert (d / f).stat().st_mode & 0o077 == 0, f
    before = tree(d)
    r = kmf_run(s, "init", d, code=1)
    assert "nothing was changed" in r.stderr and tree(d) == before
    # half a directory is left alone too
    e = s.w.mkdir("half")
    (e / "root.key").write_text("precious")
    assert "root.key" in kmf_run(s, "init", e, code=1).stderr
    assert [p.name for p in e.iterdir()] == ["root.key"]
    assert (e / "root.key").read_text() == "precious"


def test_init_with_a_certificate(s):
    cert, key = s.w.certificate("given")
    d, _ = fresh(s, "given-dir", "--cert", cert, "--key", key)
    assert not (d / "tls.crt").exists()
    kmf_run(s, "check-config", "-c", d / "perch-kmf.conf", code=0)
    r = kmf_run(s, "init", s.w.dir / "x", "--cert", cert, "--key",
                d / "root.key", code=1)
    assert "root.key" in r.stderr and not (s.w.dir / "x").exists()
    for url in ("http://x", "https://", "https://u@x", "ftp://x",
                "https://x/?q", "https://x/path"):
        kmf_run(s, "init", s.w.dir / "x", "--url", url, code=1)
        assert not (s.w.dir / "x").exists()


def test_init_names_the_administrator(s):
    import json
    d, _ = fresh(s, "named", "--admin", "ops.team-1")
    client = json.loads((d / "admin-client.jwk").read_text())
    assert client["client_id"] == "ops.team-1"
    row = sqlite3.connect(d / "perch.db").execute("select id from client")
    assert row.fetchall() == [("ops.team-1",)]
    for bad in ("", "a b", "x/y", "\u00e9", "x" * 64):
        kmf_run(s, "init", s.w.dir / "bad", "--admin", bad, code=2)
        assert not (s.w.dir / "bad").exists()


def test_certificate_names(s):
    for url, want in (("https://kmf.example", "DNS:kmf.example"),
                      ("https://192.0.2.7:8443", "IP Address:192.0.2.7"),
                      ("https://[2001:db8::1]:8443",
                       "IP Address:2001:DB8:0:0:0:0:0:1")):
        d = s.w.dir / "names"
        kmf_run(s, "init", d, "--url", url, code=0)
        text = s.w.run(["openssl", "x509", "-in", d / "tls.crt", "-noout",
                        "-ext", "subjectAltName"]).stdout
        assert want in text and "DNS:localhost" in text, text
        assert "IP Address:127.0.0.1" in text
        shutil.rmtree(d)


def test_bad_configuration(s):
    d, port = fresh(s, "conf")
    conf = d / "perch-kmf.conf"
    good = conf.read_text()
    for line, needle in (("lissten = 1.2.3.4:5", "listen"),
                         ("fronts = 99", "fronts"),
                         ("[issuer x]\nurl = https://a\nur = 1", "ur"),
                         ("[issuer x]\nname = y", "url"),
                         ("[issuer x]\nurl = http://idp", "https"),
                         ("[isuer x]", "isuer"), ("rubbish", "name = value")):
        conf.write_text(good + line + "\n")
        for verb in ("serve", "check-config"):
            fails(s, d, needle, verb)
            r = kmf_run(s, verb, "-c", conf, code=1)
            assert "perch-kmf.conf:" in r.stderr  # file (and line)
    conf.write_text(good.replace("mdds =", "#mdds ="))
    fails(s, d, "mdds")
    conf.write_text(good.replace(f"https://localhost:{port}",
                                 f"https://localhost:{port}/path"))
    fails(s, d, "base_url")
    # what is wrong between settings has its line too
    line = [n for n, x in enumerate(good.splitlines(), 1)
            if x.startswith("mdds =")][0]
    conf.write_text(good.replace("mdds = https:", "mdds = http:"))
    fails(s, d, f"perch-kmf.conf:{line}: 'mdds'")
    n = len(good.splitlines())
    issuer = "[issuer x]\nurl = https://a\nclient_id = p\n"
    hook = "[webhook w]\nurl = https://a\nsecret_file = s\n"
    for text, at, needle in (
            ("[mail]\nfrom = a@b\nurl = http://x\n", 3, "smtp://"),
            ("[mail]\nurl = smtp://x\n", 1, "needs 'from'"),
            ("[mail]\nurl = smtp://x\nfrom = a\n", 3, "needs 'from'"),
            (hook + "types = x\n", 4, "'types'"),
            (hook + "give_up_s = 2592000\n", 4, "'give_up_s'"),
            (hook.replace("https", "http"), 2, "'url'"),
            (issuer + "certificate = yes\n", 4, "ca_file"),
            (issuer + "crl_file = x\n", 4, "'crl_file'"),
            (issuer + "introspection = yes\n", 4, "one of them"),
            (issuer + "introspection_key = x\n", 4, "which is off"),
            (issuer + issuer.replace("x]", "y]"), 5, "[issuer y]: another"),
            (issuer.replace("https", "http"), 2, "[issuer x]: 'url'")):
        conf.write_text(good + "events_keep_s = 86400\n" + text)
        fails(s, d, f"perch-kmf.conf:{n + 1 + at}: ")
        fails(s, d, needle)
    kmf_run(s, "serve", "-c", d / "none.conf", code=1)
    kmf_run(s, "serve", code=2)
    kmf_run(s, "fly", code=2)


def test_missing_or_open_files(s):
    d, _ = fresh(s, "files")
    for name, needle in (("tls.crt", "tls.crt"), ("tls.key", "tls.key"),
                         ("root.key", "root.key")):
        os.rename(d / name, d / "away")
        r = kmf_run(s, "serve", "-c", d / "perch-kmf.conf", code=1)
        assert needle in r.stderr
        r = kmf_run(s, "check-config", "-c", d / "perch-kmf.conf", code=1)
        assert needle in r.stderr
        os.rename(d / "away", d / name)
    for name in ("tls.key", "root.key"):
        (d / name).chmod(0o644)
        fails(s, d, "chmod")
        (d / name).chmod(0o600)
    os.rename(d / "perch.db", d / "away")
    r = kmf_run(s, "check-config", "-c", d / "perch-kmf.conf", code=1)
    assert "perch.db" in r.stderr
    os.rename(d / "away", d / "perch.db")
    kmf_run(s, "check-config", "-c", d / "perch-kmf.conf", code=0)


def test_busy_port(s):
    d, port = fresh(s, "busy")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        fails(s, d, f"127.0.0.1:{port}")
        fails(s, d, "another server", "check-config")


def test_newer_database(s):
    d, _ = fresh(s, "newer")
    db = sqlite3.connect(d / "perch.db")
    db.execute("pragma user_version = 9999")
    db.commit()
    db.close()
    for f in d.glob("perch.db-*"):
        f.unlink()
    before = (d / "perch.db").read_bytes()
    r = kmf_run(s, "serve", "-c", d / "perch-kmf.conf", code=1)
    assert "newer" in r.stderr, r.stderr
    r = kmf_run(s, "check-config", "-c", d / "perch-kmf.conf", code=1)
    assert "newer" in r.stderr, r.stderr
    assert (d / "perch.db").read_bytes() == before


def children(pid):
    """{role: [pid]} of the supervisor."""
    out = {}
    for p in pathlib.Path("/proc").iterdir():
        if not p.name.isdigit():
            continue
        try:
            stat = (p / "stat").read_text().rsplit(")", 1)[1].split()
            argv = (p / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(stat[1]) == pid and stat[0] != "Z" and len(argv) > 2:
            out.setdefault(argv[2].decode(), []).append(int(p.name))
    return out


def up(s, name, extra="fronts = 2"):
    k = stack.Kmf.__new__(stack.Kmf)
    k.dir, k.port = fresh(s, name)
    k.w, k.uid, k.state = s.w, None, k.dir
    k.url = f"https://localhost:{k.port}"
    k.ca, k.conf = k.dir / "tls.crt", k.dir / "perch-kmf.conf"
    k.conf.write_text(k.conf.read_text().replace("\n\n", f"\n{extra}\n\n", 1))
    if "user = nobody" in extra:
        for f in (k.dir, *k.dir.glob("perch.db*")):
            shutil.chown(f, "nobody")
    (s.w.logs / "perch-kmf.log").unlink(missing_ok=True)
    k.serve()
    k.proc.wait_log("kmf.ready")
    return k


def healthy(k):
    try:
        return Raw(k, "GET", "/readyz").status == 200
    except OSError:
        return False


def test_a_dead_front_is_replaced(s):
    k = up(s, "restart")
    admin = k.admin()
    conf = conference(admin)["id"]
    fronts = children(k.proc.p.pid)["front"]
    assert len(fronts) == 2
    for pid in fronts:
        os.kill(pid, signal.SIGKILL)
    world.wait_for(lambda: len(children(k.proc.p.pid).get("front", [])) == 2
                   and not set(children(k.proc.p.pid)["front"]) & set(fronts)
                   and healthy(k), 8, say="new fronts")
    # they reach keeper and fetcher: a token made before is good after
    for _ in range(6):
        assert admin.call("GET", "/v1/conferences/" + conf).body["id"] == conf
    e = guest(k, admin, conf)
    sock, buf = stream(k, e, conf)
    assert b"200 OK" in buf
    sock.close()
    assert "front_died" in k.proc.text()
    assert k.proc.stop() == 0


def test_a_dead_fetcher_is_replaced(s):
    """And the fronts with it, one by one: somebody always answers."""
    k = up(s, "fetcher")
    kids = children(k.proc.p.pid)
    os.kill(kids["fetcher"][0], signal.SIGKILL)

    def renewed():
        assert Raw(k, "GET", "/healthz").status == 200
        now = children(k.proc.p.pid)
        return len(now.get("front", [])) == 2 and not \
            set(now["front"]) & set(kids["front"]) and \
            now.get("fetcher", kids["fetcher"]) != kids["fetcher"]
    world.wait_for(renewed, 8, say="a new fetcher and new fronts")
    assert k.proc.text().count("fetcher_died") == 1
    assert "front_died" not in k.proc.text()
    assert k.proc.stop() == 0


def test_a_dead_keeper_ends_all(s):
    k = up(s, "keeper")
    os.kill(children(k.proc.p.pid)["keeper"][0], signal.SIGKILL)
    assert k.proc.p.wait(30) == 1
    assert "reason=keeper_died" in k.proc.text()
    assert not world.listening(k.port)


def peer(k):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", k.port)) as t:
        with c.wrap_socket(t) as u:
            return u.getpeercert(True)


def test_reload(s):
    k = up(s, "reload")
    old = peer(k)
    cert, key = s.w.certificate("new")
    shutil.copy(key, k.dir / "tls.key")
    shutil.copy(cert, k.dir / "tls.crt")
    k.proc.p.send_signal(signal.SIGHUP)
    k.proc.wait_log("kmf.reload certificate=")
    world.wait_for(lambda: all(peer(k) != old for _ in range(6)), 3)
    new = peer(k)
    (k.dir / "tls.crt").write_text("rubbish")
    k.proc.p.send_signal(signal.SIGHUP)
    k.proc.wait_log("settings=the_old_ones")
    assert peer(k) == new
    assert k.proc.stop() == 0


def test_reload_without_root(s):
    """Fronts that gave up root are renewed, one after the other."""
    if os.geteuid() != 0:
        raise tap.Skip("only root can become another user")
    k = up(s, "reload-user", "fronts = 2\nuser = nobody")
    nobody = pwd.getpwnam("nobody")
    old, fronts = peer(k), children(k.proc.p.pid)["front"]
    for p in fronts:
        assert pathlib.Path(f"/proc/{p}").stat().st_uid in (0, nobody.pw_uid)
    cert, key = s.w.certificate("newer")
    shutil.copy(key, k.dir / "tls.key")
    shutil.copy(cert, k.dir / "tls.crt")
    k.proc.p.send_signal(signal.SIGHUP)
    world.wait_for(lambda: all(peer(k) != old for _ in range(6)), 8)
    world.wait_for(lambda: not set(children(k.proc.p.pid)["front"]) &
                   set(fronts), 8)
    assert "front_died" not in k.proc.text()
    assert k.proc.stop() == 0


def test_drain(s):
    """SIGTERM: streams end in good order, exit 0, nobody left."""
    k = up(s, "drain")
    admin = k.admin()
    conf = conference(admin)["id"]
    e = guest(k, admin, conf)
    sock, buf = stream(k, e, conf)
    pids = [p for ps in children(k.proc.p.pid).values() for p in ps]
    assert len(pids) == 4
    k.proc.p.send_signal(signal.SIGTERM)
    end = read_until(sock, b"\r\n0\r\n\r\n", 5, buf)
    assert end.endswith(b"0\r\n\r\n"), end[-100:]
    assert k.proc.p.wait(30) == 0
    assert "too_slow" not in k.proc.text()
    assert not any(pathlib.Path(f"/proc/{p}").exists() for p in pids)
    assert "kmf.stop reason=signal" in k.proc.text()


def test_front_has_no_secret_files(s):
    """What a front has open: no database, no root key."""
    if os.geteuid() != 0:  # it is undumpable: /proc is root's
        raise tap.Skip("only root sees what a front has open")
    k = up(s, "open-files")
    for pid in children(k.proc.p.pid)["front"]:
        names = [os.readlink(f) for f in
                 pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        assert not [n for n in names if "perch.db" in n or "root.key" in n]
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status, \
            status
    assert k.proc.stop() == 0


def test_systemd_is_told(s):
    path = str(s.w.dir / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
        n.bind(path)
        n.settimeout(8)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            k = up(s, "notify-dir")
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert n.recv(100) == b"READY=1"
        assert k.proc.stop() == 0
        assert n.recv(100) == b"STOPPING=1"


def test_metrics_elsewhere(s):
    port = world.free_port()
    k = up(s, "metrics", f"fronts = 2\nmetrics_listen = 127.0.0.1:{port}")
    assert Raw(k, "GET", "/metrics").status == 404
    public, k.port = k.port, port
    assert b"perch_kmf_front_requests_total" in Raw(k, "GET", "/metrics").body
    assert Raw(k, "GET", "/healthz").status == 200
    assert Raw(k, "GET", "/v1/conferences").status == 404
    assert Raw(k, "POST", "/oauth/token").status == 404
    k.port = public
    assert k.proc.stop() == 0


def test_help(s):
    for arg in ("--help", "--version", "--help-config"):
        assert len(kmf_run(s, arg, code=0).stdout) > 8


def main():
    s = Scene()
    with world.World("perch-start-") as w:
        s.w = w
        run(globals(), s)


if __name__ == "__main__":
    main()
