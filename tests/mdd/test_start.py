#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# perch-mdd as an operator meets it: one clear line for whatever keeps it from
# starting, readiness told, a worker's crash survived, keys read again, a quiet
# end.
import json
import os
import pathlib
import pwd
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "tools"), str(TESTS / "e2e")]
import jose
import plain
import tap
import world

os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # needs ptrace; caged
KMF = "https://kmf.example"


class Mdd:
    def __init__(self, w, key, **more):
        self.w, self.port = w, world.free_port()
        self.url = f"https://localhost:{self.port}"
        self.key = key
        self.keys = w.dir / "keys.json"
        self.write_keys(key)
        self.cert, self.tls = w.certificate("mdd")
        self.set = {"base_url": self.url, "listen": f"127.0.0.1:{self.port}",
                    "tls_cert": self.cert, "tls_key": self.tls,
                    "media_port": 0, "workers": 2,
                    "run_dir": w.dir / "none", **more}

    def write_keys(self, *keys):
        self.keys.write_text(json.dumps({"keys": [
            dict(k.public, kid=k.kid, alg="ES256") for k in keys]}))

    def conf(self, tail=None, **more):
        tail = tail if tail is not None else \
            f"[kmf example]\nurl = {KMF}\nkeys = {self.keys}\n"
        text = "".join(f"{k} = {v}\n" for k, v in {**self.set, **more}.items()
                       if v is not None)
        return self.w.write(self.w.dir / "mdd.conf", text + tail)

    def run(self, verb="serve", **more):
        """For starts that must fail: status and what was said."""
        r = subprocess.run([world.BUILD / "perch-mdd", verb, "-c",
                            self.conf(**more)], text=True,
                           capture_output=True, timeout=60)
        return r.returncode, (r.stdout + r.stderr).strip()

    def spawn(self, name="perch-mdd", **more):
        self.proc = self.w.spawn(name, [
            world.BUILD / "perch-mdd", "serve", "-c", self.conf(**more)])
        self.proc.wait_log("ready url=")
        return self

    def ask(self, method, path, token=None, body=None):
        q = urllib.request.Request(self.url + path, method=method, data=body)
        if token:
            q.add_header("Authorization", "Bearer " + token)
        try:
            with urllib.request.urlopen(q, timeout=20,
                                        context=world.tls(self.cert)) as a:
                return a.status, a.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def token(self, key, conference="c_1", member="m_a", ssrc=7):
        now = int(time.time())
        return key.sign({"alg": "ES256", "typ": "at+jwt", "kid": key.kid}, {
            "iss": KMF, "aud": self.url, "sub": member, "scope": "join",
            "client_id": "perch-agent", "conference": conference,
            "ssrcs": [ssrc], "cnf": {"x5t#S256": "A" * 43}, "iat": now,
            "exp": now + 600, "jti": "j"})

    def join(self, key, **more):
        return self.ask("POST", "/v1/join", self.token(key, **more),
                        b'{"ufrag": "mine", "pwd": "%s"}' % (b"x" * 24))


def workers(pid):
    """Children of the supervisor by what they were started as."""
    out = {}
    for p in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = p.read_text().rsplit(")", 1)[1].split()
            line = (p.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(stat[1]) == pid and len(line) > 2:
            out[int(p.parent.name)] = b" ".join(line[1:3]).decode()
    return out


def lines(mdd, bad):
    """What is wrong with a file, or beside another setting, is seen when all
    lines are read, and has its line all the same."""
    good = f"[kmf a]\nurl = {KMF}\nkeys = {mdd.keys}\n"
    peer = "[peer p]\nurl = https://p.example\nkey = " + "k" * 43 + "\n"
    linked = {"link_key": mdd.tls}
    for name, more, tail, at in [
            ("tls_cert", {"tls_cert": bad / "none.crt"}, good, "tls_cert ="),
            ("tls_key", {"tls_key": bad / "open.key"}, good, "tls_key ="),
            ("link_key", {"link_key": bad / "none.key"}, good, "link_key ="),
            ("media_host", {"media_host": "0.0.0.0"}, good, "media_host ="),
            ("media_host6", {"media_host6": "::"}, good, "media_host6 ="),
            ("media_listen", {"media_listen": "here"}, good, "media_listen ="),
            ("media_port", {"media_port": 65535}, good, "media_port ="),
            ("keys", {}, good.replace(str(mdd.keys), "none.json"), "keys ="),
            ("a KMF's url twice", {}, good + good.replace("kmf a", "kmf b"),
             "url = " + KMF),
            ("a peer without link_key", {}, good + peer, "url = https://p."),
            ("a peer's key", linked, good + peer[:-2] + "\n", "key ="),
            ("a peer's own url", linked,
             good + peer.replace("https://p.example", mdd.url),
             "url = " + mdd.url),
            ("a peer's ca", linked, good + peer + "ca = none.pem\n",
             "ca ="),
            ("a peer's key twice", linked,
             good + peer + peer.replace("p]", "q]").replace("p.ex", "q.ex"),
             "key =")]:
        code, text = mdd.run("check-config", tail=tail, **more)
        conf = (mdd.w.dir / "mdd.conf").read_text().splitlines()
        line = [n for n, t in enumerate(conf, 1) if t.startswith(at)][-1]
        tap.ok(code == 1 and f"mdd.conf:{line}: " in text,
               f"{name}: with its line", line, text)


def refusals(mdd, w):
    bad = w.dir / "bad"
    bad.mkdir()
    open_key = bad / "open.key"
    open_key.write_bytes(mdd.tls.read_bytes())
    open_key.chmod(0o644)
    nonsense = bad / "nonsense.json"
    nonsense.write_text("{}")
    garbled = w.write(bad / "garbled.key", "not a key\n")
    busy = socket.socket()
    busy.bind(("127.0.0.1", 0))
    busy.listen()
    taken = busy.getsockname()[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    kmf = "[kmf a]\nurl = https://k.example\nkeys = %s\n"
    for name, more, words in [
            ("busy port", {"listen": f"127.0.0.1:{taken}"}, [str(taken)]),
            ("busy media port", {"media_port": udp.getsockname()[1],
                                 "workers": 1}, ["media"]),
            ("no certificate", {"tls_cert": bad / "none.crt"}, ["none.crt"]),
            ("no key", {"tls_key": bad / "none.key"}, ["none.key"]),
            ("a key that others may read", {"tls_key": open_key},
             ["chmod 0600"]),
            ("a key that is none", {"tls_key": garbled}, ["garbled.key"]),
            ("no base_url", {"base_url": None}, ["base_url"]),
            ("http base_url", {"base_url": "http://x"}, ["base_url"]),
            ("unknown setting", {"basurl": "x"}, ["basurl", "mdd.conf:"]),
            ("a name for media_host", {"media_host": "localhost"},
             ["media_host"]),
            ("media_host of everywhere", {"media_host": "0.0.0.0"},
             ["media_host"]),
            ("workers out of range", {"workers": 99}, ["workers"]),
            ("no KMF", {"tail": ""}, ["kmf"]),
            ("key set missing", {"tail": kmf % (bad / "none.json")},
             ["none.json"]),
            ("key set without keys", {"tail": kmf % nonsense},
             ["nonsense.json"])]:
        code, text = mdd.run(**more)
        said = [t for t in text.splitlines() if t.strip()]
        tap.ok(code == 1 and len(said) == 1 and
               all(word in text for word in words),
               f"{name}: one line, exit 1", code, text)
    busy.close()
    udp.close()
    lines(mdd, bad)
    code, text = mdd.run("check-config")
    tap.ok(code == 0, "check-config likes a good one", text)
    code, text = mdd.run("check-config", basurl="x")
    tap.ok(code == 1 and "basurl" in text, "and tells of a bad one", text)
    r = subprocess.run([world.BUILD / "perch-mdd", "serve"], text=True,
                       capture_output=True)
    tap.ok(r.returncode == 2 and "usage" in r.stderr, "no -c: usage, exit 2")


def life(mdd, w, key):
    note = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    note.bind(str(w.dir / "notify"))
    note.settimeout(30)
    os.environ["NOTIFY_SOCKET"] = str(w.dir / "notify")
    mdd.spawn()
    del os.environ["NOTIFY_SOCKET"]
    tap.ok(note.recv(64) == b"READY=1", "systemd is told READY=1")
    tap.ok(mdd.ask("GET", "/healthz")[0] == 200 and
           mdd.ask("GET", "/readyz")[0] == 200, "healthy and ready")
    kids = workers(mdd.proc.p.pid)
    names = sorted(kids.values())
    tap.ok(names == ["control -c", "worker 0", "worker 1"],
           "one control, two workers", names)
    tap.ok("caged seccomp=1" in mdd.proc.text(), "they are caged")
    for pid in kids:
        fds = [os.readlink(f) for f in pathlib.Path(f"/proc/{pid}/fd").iterdir()
               ] if os.geteuid() == 0 else []
        bad = [f for f in fds if f.endswith((".key", ".json", ".conf"))]
        tap.ok(not bad, f"{kids[pid]} holds no file", *fds)

    ports = {json.loads(mdd.join(key, conference=f"c_{i}", ssrc=i + 10)[1])
             ["port"] for i in range(4)}
    tap.ok(len(ports) == 2, "conferences are spread over the workers", ports)
    same = {json.loads(mdd.join(key, conference="c_0", member=f"m_{i}",
                                ssrc=i + 20)[1])["port"] for i in range(3)}
    tap.ok(len(same) == 1, "a conference stays with one", same)

    victim = next(p for p, n in kids.items() if n == "worker 0")
    os.kill(victim, signal.SIGKILL)
    world.wait_for(lambda: "worker 0" in workers(mdd.proc.p.pid).values() and
                   victim not in workers(mdd.proc.p.pid) and
                   mdd.ask("GET", "/readyz")[0] == 200, 5,
                   say="another worker 0")
    again = {json.loads(mdd.join(key, conference=f"d_{i}", ssrc=i + 10)[1])
             ["port"] for i in range(4)}
    tap.ok(again == ports, "a worker died, another has its port", again)

    second = jose.Key()
    tap.ok(mdd.join(second)[0] == 401, "a key that is not listed")
    mdd.write_keys(key, second)
    mdd.proc.p.send_signal(signal.SIGHUP)
    mdd.proc.wait_log("reloaded kmfs=1")
    tap.ok(mdd.join(second, conference="c_new")[0] == 201,
           "after SIGHUP it is good")
    mdd.keys.write_text("{")
    mdd.proc.p.send_signal(signal.SIGHUP)
    mdd.proc.wait_log("reloaded kmfs=0")
    tap.ok(mdd.join(key, conference="c_new2")[0] == 201,
           "a broken key file leaves the old keys")

    code = mdd.proc.stop()
    tap.ok(code == 0 and "not everybody ended" not in mdd.proc.text(),
           "SIGTERM: exit 0, in time", code, mdd.proc.text()[-800:])
    tap.ok(note.recv(64) == b"STOPPING=1", "systemd is told STOPPING=1")
    left = [p for p in kids if pathlib.Path(f"/proc/{p}").exists()]
    tap.ok(not left, "nobody is left", *left)
    text = mdd.proc.text()
    tap.ok("Sanitizer" not in text, "no sanitizer complained", text[-2000:])


def killed(mdd, key):
    mdd.write_keys(key)
    mdd.spawn("perch-mdd-again")
    kids = workers(mdd.proc.p.pid)
    mdd.proc.kill()
    tap.ok(kids and not set(kids) & set(mdd.proc.family()),
           "a killed supervisor takes all with it")


def v6(mdd):
    """Media over IPv6: a check by nobody we know is answered with 401."""
    if not pathlib.Path("/proc/net/if_inet6").exists():
        tap.skip("IPv6", "no IPv6 here")
        return
    mdd.spawn("perch-mdd-v6", media_host="::1", workers=1)
    a = json.loads(mdd.join(mdd.key)[1])
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect((a["host"], a["port"]))
        s.send(plain.stun(plain.BINDING, os.urandom(12),
                          [(0x0006, b"AAAAAAAA:x")], b"no such password"))
        answer = s.recv(600)
        tap.ok(a["host"] == "::1" and answer[:2] == b"\x01\x11" and
               b"\0\0\4\1" in answer, "IPv6: 401 for a stranger", answer)
        s.send(plain.stun(plain.BINDING, os.urandom(12),
                          [(0x0006, f"{a['ufrag']}:x".encode()),
                           (0x802a, bytes(8))], a["pwd"].encode()))
        tap.ok(s.recv(600)[:2] == b"\x01\x01", "and success for a member")
    mdd.proc.stop()


def dropped(mdd):
    """Started as root, with a key that only root may read."""
    if os.geteuid() != 0:
        tap.skip("user = nobody", "only root can become another user")
        return
    mdd.tls.parent.chmod(0o711)
    mdd.spawn("perch-mdd-user", user="nobody")
    uids = {}
    for pid in [mdd.proc.p.pid, *workers(mdd.proc.p.pid)]:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        uids[pid] = text.split("Uid:")[1].split()[:4]
    nobody = [str(pwd.getpwnam("nobody").pw_uid)] * 4
    tap.ok(len(uids) == 4 and all(u == nobody for u in uids.values()),
           "user = nobody: all of them are", uids)
    tap.ok(mdd.join(mdd.key)[0] == 201, "and serve")
    mdd.proc.stop()


def main():
    key = jose.Key()
    with world.World("perch-mdd-") as w:
        mdd = Mdd(w, key)
        refusals(mdd, w)
        life(mdd, w, key)
        killed(mdd, key)
        v6(mdd)
        dropped(mdd)


if __name__ == "__main__":
    tap.whole(main)
