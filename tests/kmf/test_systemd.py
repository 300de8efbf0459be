#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The units that are installed, and perch-kmf under them: their exposure, their
# form, the system calls they leave, sockets that systemd opened, credentials.
# There is no systemd to start them here: unitcage puts on what of a unit a
# program can put on itself.
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

UNITS = tap.BUILD / "docs" / "systemd"


class Scene:
    pass


def need(program):
    if not shutil.which(program):
        raise tap.Skip(f"no {program} here")
    return program


def analyze(*argv):
    return subprocess.run([need("systemd-analyze"), *map(str, argv)],
                          text=True, capture_output=True, timeout=20)


def settings(unit):
    """{name: [value]} of a unit; an empty value empties the list."""
    out = {}
    for line in (UNITS / unit).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            k, v = line.split("=", 1)
            out.setdefault(k, []).append(v)
    return out


def test_exposure(s):
    for unit in ("perch-kmf.service", "perch-mdd.service"):
        out = analyze("security", "--offline=true", UNITS / unit).stdout
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", out)
        assert found and float(found[1]) < 2.0, out[-300:]
        tap.say(found[0])


def test_form(s):
    """Every line is one that systemd knows."""
    for unit in ("perch-kmf.service", "perch-mdd.service", "perch-kmf.socket",
                 "perch-agent.service", "perch-agent.socket"):
        # where the programs would be, there is something
        f = s.w.dir / "units" / unit
        f.parent.mkdir(exist_ok=True)
        f.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true",
                            (UNITS / unit).read_text(), flags=re.M))
    for f in sorted((s.w.dir / "units").iterdir()):
        r = analyze("verify", "--man=no", "--recursive-errors=no", f)
        mine = [x for x in r.stderr.splitlines() if "perch" in x and
                "Failed to prepare" not in x]
        assert not mine, mine
    users = (UNITS / "perch.conf").read_text()
    for unit in ("perch-kmf.service", "perch-mdd.service"):
        assert f"u {settings(unit)['User'][0]} " in users


def syscalls(group, seen=()):
    """Every call of "@group", by systemd's own table."""
    out = set()
    for line in analyze("syscall-filter", group).stdout.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            out |= syscalls(name)
        elif name and not name.startswith("#"):
            out.add(name)
    return out


def allowed(unit):
    # what systemd itself always leaves
    out = syscalls("@default") | {"execve"}
    for line in settings(unit)["SystemCallFilter"]:
        take, words = (False, line[1:]) if line[0] == "~" else (True, line)
        for w in words.split():
            names = syscalls(w) if w[0] == "@" else {w}
            out = out | names if take else out - names
    return out


def unit_kmf(s, name, env={}, extra="", before=(), stdin=None):
    """A perch-kmf in a directory of its own, started by `before`."""
    k = stack.Kmf.__new__(stack.Kmf)
    k.w, k.uid, k.port = s.w, None, world.free_port()
    k.url = f"https://localhost:{k.port}"
    k.dir = k.state = s.w.dir / name
    s.w.run([s.w.bin("perch-kmf"), "init", k.dir, "--url", k.url,
             "--listen", f"127.0.0.1:{k.port}"])
    k.ca, k.conf = k.dir / "tls.crt", k.dir / "perch-kmf.conf"
    k.conf.write_text(k.conf.read_text().replace(
        "\n\n", f"\nfronts = 2\n{extra}\n\n", 1))
    return k


def run(namespace, arg):
    tap.run([(n[5:], f, arg) for n, f in list(namespace.items())
             if n.startswith("test_")])


def serves(k):
    k.proc.wait_log("kmf.ready")
    assert Raw(k, "GET", "/readyz").status == 200
    conf = conference(k.admin())["id"]
    e = guest(k, k.admin(), conf)
    assert e.ekt


def test_under_its_system_calls(s):
    """The whole road of a key under the unit's filter; our own cages close
    inside of it, nothing is degraded."""
    calls = s.w.dir / "calls"
    calls.write_text("\n".join(sorted(allowed("perch-kmf.service"))) + "\n")
    k = unit_kmf(s, "caged")
    k.proc = s.w.spawn("caged", [
        "/bin/sh", "-c", 'f=$1; shift; exec "$@" < "$f"', "sh", calls,
        tap.BUILD / "tests/tools/unitcage",
        s.w.bin("perch-kmf"), "serve", "-c", k.conf])
    serves(k)
    log = k.proc.text()
    assert re.search(r"keeper.caged seccomp=1 landlock=1", log), log
    for word in ("sandbox.missing", "front.cage err", "harden", "front_died",
                 "front.limit"):
        assert word not in log, log
    plain = unit_kmf(s, "plain")
    plain.proc = s.w.spawn("plain", [s.w.bin("perch-kmf"), "serve", "-c",
                                     plain.conf])
    serves(plain)
    memory = [re.search(r"keeper.caged .* memory=(\S+)", p.proc.text())[1]
              for p in (k, plain)]
    # the unit took nothing away; a sanitizer's mlock() only pretends, so
    # that what is too large to be secret looks locked there
    assert memory[0] == memory[1] or world.SANITIZED, memory
    assert k.proc.stop() == 0 and plain.proc.stop() == 0


def test_mdd_under_its_system_calls(s):
    k = unit_kmf(s, "mdd-kmf")
    k.keys = k.dir / "kmf-keys.json"
    mdd = stack.Mdd(s.w).configure(k)
    calls = s.w.dir / "mdd-calls"
    calls.write_text("\n".join(sorted(allowed("perch-mdd.service"))) + "\n")
    p = s.w.spawn("mdd-caged", [
        "/bin/sh", "-c", 'f=$1; shift; exec "$@" < "$f"', "sh", calls,
        tap.BUILD / "tests/tools/unitcage",
        s.w.bin("perch-mdd"), "serve", "-c", mdd.conf])
    p.wait_log("ready url=")
    for word in ("hardening", "missing", "died", "no cage"):
        assert word not in p.text(), p.text()
    assert p.stop() == 0


def test_the_filter_bites(s):
    """unitcage without the calls that our cages need: it is seen."""
    calls = s.w.dir / "fewer"
    calls.write_text("\n".join(sorted(
        allowed("perch-kmf.service") - {"memfd_secret", "seccomp"} -
        {c for c in allowed("perch-kmf.service") if "landlock" in c})) + "\n")
    k = unit_kmf(s, "fewer-dir")
    k.proc = s.w.spawn("fewer-log", [
        "/bin/sh", "-c", 'f=$1; shift; exec "$@" < "$f"', "sh", calls,
        tap.BUILD / "tests/tools/unitcage",
        s.w.bin("perch-kmf"), "serve", "-c", k.conf])
    world.wait_for(lambda: not k.proc.alive() or
                   "sandbox.missing" in k.proc.text() or
                   "memory=mlock" in k.proc.text(), 10)
    if k.proc.alive():
        k.proc.stop()


def listener(kind=socket.SOCK_STREAM):
    x = socket.socket(socket.AF_INET, kind)
    x.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        x.listen()
    return x


def activated(s, k, socks, names, name="activated"):
    """As systemd would: descriptors from 3 on, the variables, then exec."""
    moves = "".join(f" {3 + i}<&{x.fileno()}" for i, x in enumerate(socks))
    for x in socks:
        x.set_inheritable(True)
    p = subprocess.Popen(
        ["/bin/bash", "-c", f'exec{moves}; LISTEN_PID=$$ exec "$@"', "bash",
         str(s.w.bin("perch-kmf")), "serve", "-c", str(k.conf)],
        env={**os.environ, "LISTEN_FDS": str(len(socks)),
             "LISTEN_FDNAMES": names}, close_fds=False, text=True,
        stderr=open(s.w.logs / f"{name}.log", "w"))
    return p


def test_socket_activation(s):
    k = unit_kmf(s, "sock", extra="metrics_listen = 127.0.0.1:1")
    web, metrics = listener(), listener()
    k.port, configured = web.getsockname()[1], k.port
    p = activated(s, k, [web, metrics], "https:metrics")
    try:
        log = s.w.logs / "activated.log"
        world.wait_for(lambda: "kmf.ready" in log.read_text() or
                       p.poll() is not None, 10)
        assert p.poll() is None, log.read_text()
        for _ in range(8):              # both fronts accept from the one
            assert Raw(k, "GET", "/healthz").status == 200
        assert Raw(k, "GET", "/metrics").status == 404
        assert not world.listening(configured)
        m = stack.Kmf.__new__(stack.Kmf)
        m.ca, m.port = k.ca, metrics.getsockname()[1]
        assert Raw(m, "GET", "/metrics").status == 200
        # the port outlives the service: who comes meanwhile waits
        p.terminate()
        assert p.wait(60) == 0
        c = socket.create_connection(("127.0.0.1", k.port), 2)
        c.close()
    finally:
        p.kill()
        p.wait()
    for x in (web, metrics):
        x.close()


def test_wrong_sockets_are_refused(s):
    k = unit_kmf(s, "wrong")
    for socks, names, needle in (
            ([listener(socket.SOCK_DGRAM)], "https", "no listening stream"),
            ([listener(), listener()], "https:metrics", "metrics_listen")):
        p = activated(s, k, socks, names, "wrong")
        assert p.wait(60) == 1
        text = (s.w.logs / "wrong.log").read_text()
        assert needle in text and len(text.splitlines()) == 1, text
        for x in socks:
            x.close()


def test_systemd_socket_activate(s):
    """systemd's own launcher: it starts us at the first connection."""
    k = unit_kmf(s, "launcher")
    k.port = world.free_port()
    k.proc = s.w.spawn("launcher", [
        need("systemd-socket-activate"), "-l", f"127.0.0.1:{k.port}",
        "--fdname=https", s.w.bin("perch-kmf"), "serve", "-c", k.conf])
    world.wait_for(lambda: world.listening(k.port), 5)
    k.proc.wait_log("kmf.ready")        # that was the first connection
    assert Raw(k, "GET", "/healthz").status == 200
    assert k.proc.stop() == 0


def test_credentials(s):
    k = unit_kmf(s, "cred")
    d = s.w.mkdir("credentials")
    shutil.move(k.dir / "root.key", d / "root.key")
    (d / "root.key").chmod(0o440)       # as an access list shows itself
    conf = k.conf.read_text().replace(
        "\n\n", "\nroot_key = credential:root.key\n\n", 1)
    k.conf.write_text(conf)
    os.environ["CREDENTIALS_DIRECTORY"] = str(d)
    try:
        k.proc = s.w.spawn("cred", [s.w.bin("perch-kmf"), "serve", "-c",
                                    k.conf])
        serves(k)
        assert k.proc.stop() == 0
        (d / "root.key").chmod(0o444)   # everybody's is nobody's secret
        r = subprocess.run([s.w.bin("perch-kmf"), "check-config", "-c",
                            k.conf], text=True, capture_output=True)
        assert r.returncode == 1 and "chmod" in r.stderr
    finally:
        del os.environ["CREDENTIALS_DIRECTORY"]
    for line, needle in (("root.key", "LoadCredential"),
                         ("../root.key", "credential:NAME")):
        k.conf.write_text(conf.replace("credential:root.key",
                                       "credential:" + line))
        r = subprocess.run([s.w.bin("perch-kmf"), "check-config", "-c",
                            k.conf], text=True, capture_output=True)
        assert r.returncode == 1 and needle in r.stderr, r.stderr


def main():
    s = Scene()
    with world.World("perch-systemd-") as w:
        s.w = w
        run(globals(), s)


if __name__ == "__main__":
    main()
