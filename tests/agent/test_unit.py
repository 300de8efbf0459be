#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The agent as a person's service: systemd's own launcher starts it at the
# first command, it goes when nothing is to do and leaves the socket, it lives
# under the unit's system calls, and what is no socket for it is refused.
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / d) for d in ("e2e", "tools", "kmf")]

import meeting                                              # noqa: E402
import tap                                                  # noqa: E402
import test_systemd as units                                # noqa: E402
import world                                                # noqa: E402
from people import children, state                          # noqa: E402

UNIT = "perch-agent.service"
IDLE = 2


class Service(meeting.Meeting):
    def person(self, name, extra=""):
        a = self.agent(name)
        self.w.write(a.conf, a.conf.read_text() + extra)
        (a.dir / "perch").mkdir(mode=0o700)
        a.socket = a.dir / "perch" / "agent.sock"
        return a

    def come(self, a):
        return a.perch("join", self.conf["uri"], "--code",
                       self.code(a.name), check=False)

    def launch(self, a, *argv):
        env = [f"--setenv={k}={v}" for k, v in a.env.items()]
        return self.w.spawn(f"launch-{a.name}", [
            units.need("systemd-socket-activate"), *env, "-l", a.socket,
            *argv, self.w.bin("perch-agent"), "-c", a.conf], env=a.env)


def heeds(path):
    """Somebody listens there; to be is not enough, and to ask starts it."""
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
        f = line.split()
        if f[-1] == str(path) and int(f[3], 16) & 0x10000:
            return True
    return False


def test_first_command_starts_it(s):
    a = s.person("Alice", f"idle_exit_s = {IDLE}\n")
    p = s.launch(a)
    world.wait_for(lambda: heeds(a.socket), 5)
    assert "ready" not in p.text()
    r = s.come(a)                       # and it is not told "starting"
    assert r.returncode == 0, r.stderr
    assert "ready socket=given" in p.text()
    time.sleep(IDLE + 2)                # in a conference it is not idle
    assert state(a)["state"] == "up" and p.alive()
    a.perch("leave")
    world.wait_for(lambda: not p.alive(), IDLE + 5)
    assert p.p.returncode == 0, p.text()
    assert "idle seconds=" in p.text() and "vault_ended" not in p.text()
    assert a.socket.exists()            # its maker's, not ours


def test_a_guest_after_a_restart(s):
    """Nothing is kept, so the code is another endpoint's now: said so, with
    what to do."""
    a = s.person("Gil")
    code = s.code(a.name)
    for status in (0, 1):
        a.start()
        r = a.perch("join", s.conf["uri"], "--code", code, check=False)
        assert r.returncode == status, r.stderr
        assert a.proc.stop() == 0
    assert "used by another endpoint" in r.stderr and \
        "ask for another" in r.stderr, r.stderr


def test_told_to_stop(s):
    a = s.person("Bob")
    p = s.launch(a)
    world.wait_for(lambda: heeds(a.socket), 5)
    assert s.come(a).returncode == 0
    kids = children(p.p.pid)
    assert set(kids) == {"front", "vault"}, kids
    assert p.stop() == 0 and a.socket.exists()
    assert "reason=left" in p.text(), p.text()


def test_a_front_that_crashes(s):
    """Given a socket a clean end is no failure; a crash is one, and the
    manager starts anew."""
    a = s.person("Carol")
    p = s.launch(a)
    world.wait_for(lambda: heeds(a.socket), 5)
    a.perch("status")
    os.kill(children(p.p.pid)["front"], 9)
    world.wait_for(lambda: not p.alive(), 10)
    assert p.p.returncode == 1 and "front_ended signal=9" in p.text()


def test_wrong_sockets_are_refused(s):
    a = s.person("Dave")
    for kind, many in ((socket.AF_INET, 1), (socket.AF_UNIX, 2)):
        socks = []
        for i in range(many):
            x = socket.socket(kind)
            x.bind(("127.0.0.1", 0) if kind == socket.AF_INET
                   else str(a.dir / f"s{i}"))
            x.listen()
            x.set_inheritable(True)
            socks.append(x)
        moves = "".join(f" {3 + i}<&{x.fileno()}"
                        for i, x in enumerate(socks))
        r = subprocess.run(
            ["/bin/bash", "-c", f'exec{moves}; LISTEN_PID=$$ exec "$@"',
             "bash", s.w.bin("perch-agent"), "-c", str(a.conf)],
            env={**a.env, "LISTEN_FDS": str(many)}, close_fds=False,
            text=True, capture_output=True, timeout=10)
        for x in socks:
            x.close()
        assert r.returncode == 1 and "one Unix socket is expected" in \
            r.stderr and len(r.stderr.splitlines()) == 1, r.stderr


def test_under_its_system_calls(s):
    """The unit's filter takes nothing from the cages inside of it."""
    a = s.person("Erin")
    calls = s.w.dir / "agent-calls"
    calls.write_text("\n".join(sorted(units.allowed(UNIT))) + "\n")
    p = s.w.spawn("agent-caged", [
        "/bin/sh", "-c", 'f=$1; shift; exec "$@" < "$f"', "sh", calls,
        tap.BUILD / "tests/tools/unitcage",
        s.w.bin("perch-agent"), "-c", a.conf], env=a.env)
    world.wait_for(lambda: a.socket.exists() or not p.alive(), 10)
    r = s.come(a)
    assert r.returncode == 0, r.stderr + p.text()
    free = s.person("Frank")
    free.start()
    cages = [{k: v for k, v in x.json("status")["protection"].items()
              if k in ("secret_memory", "seccomp", "landlock_abi")}
             for x in (a, free)]
    assert cages[0] == cages[1] and len(cages[0]) == 3 or world.SANITIZED, \
        cages
    for word in ("harden", "incomplete", "cage err"):
        assert word not in p.text(), p.text()
    assert re.search(r"front\] info caged seccomp=1", p.text()), p.text()
    assert p.stop() == 0


def test_exposure(s):
    """As small as a person's manager can make it."""
    if not shutil.which("systemd-analyze"):
        raise tap.Skip("no systemd-analyze here")
    r = subprocess.run(
        ["systemd-analyze", "--user", "security", "--offline=true",
         str(units.UNITS / UNIT)], text=True, capture_output=True,
        timeout=20, env=dict(os.environ, XDG_RUNTIME_DIR=str(s.w.dir)))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", r.stdout)
    assert found and float(found[1]) <= 6.3, r.stdout[-300:] + r.stderr
    # what would make the vault see root's files as nobody's
    for word in ("PrivateUsers=", "ProtectSystem=", "PrivateTmp="):
        assert f"\n{word}" not in (units.UNITS / UNIT).read_text()


if __name__ == "__main__":
    with world.World("perch-unit-") as w:
        units.run(globals(), Service(w, "A service"))
