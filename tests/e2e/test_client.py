#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Programs on top of the agent: the example of libperchclient joins, speaks and
# hears; perch watch shows the same conference on a terminal and in lines.
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import meeting                                              # noqa: E402
from people import Voice, children, state                   # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

SECONDS = 6     # that the example stays


class Terminal:
    """A program on a pseudo-terminal, and what it has drawn."""

    def __init__(self, argv, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, dict(env, TERM="vt100"))
        self.text, self.status = "", None

    def read(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([self.fd], [], [], 0.05)[0]:
                continue
            try:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:     # its end is closed
                return

    def wait_text(self, what, seconds=30):
        end = time.monotonic() + seconds
        while what not in self.text and time.monotonic() < end:
            self.read(0.1)
        return what in self.text

    def key(self, key):
        os.write(self.fd, key)

    def end(self, seconds=40):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                return self.status
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


class Programs(meeting.Meeting):
    def __init__(self, w):
        super().__init__(w, "Programs")
        self.alice, self.bob = (self.agent(n).start()
                                for n in ("Alice", "Bob"))

    def example(self):
        """Bob's own program; Alice hears it with a plain socket."""
        self.alice.perch("join", self.conf["uri"], "--code",
                         self.code("Alice"))
        into = next(i for i in state(self.alice)["in"]
                    if i["media"] == "audio")
        voice = Voice(into["port"])
        p = subprocess.Popen(
            [world.BUILD / "docs/perchclient-example", self.conf["uri"],
             str(SECONDS)], env=self.bob.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        p.stdin.write(self.code("Bob") + "\n")
        p.stdin.close()
        p.stdin = None
        stream = world.wait_for(lambda: next(
            (s for s in state(self.alice).get("out", [])
             if s["name"] == "Bob" and s["media"] == "audio"), None), 15,
            say="the example's stream at Alice")
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind(("127.0.0.1", stream["port"]))
        ear.settimeout(0.3)
        heard = 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                heard += len(ear.recv(2048)) == 12 + 40
            except TimeoutError:
                pass
        out, err = p.communicate(timeout=90)
        voice.stop()
        ear.close()
        counts = [int(n) for n in re.findall(r"(\d+) packets", out)]
        tap.ok(p.returncode == 0 and "got key of epoch" in out and
               "hearing Alice" in out, "libperchclient: the example joins, "
               "hears, leaves", out, err)
        tap.ok(counts and counts[0] > 100, "packets come by callback", out)
        tap.ok(heard > 50, f"its own reach Alice by its descriptor ({heard})")
        tap.ok(state(self.bob)["state"] == "over", "and it has left")

    def lines(self):
        p = self.w.spawn("watch", [self.w.bin("perch"), "watch", "--no-tty"],
                         env=self.alice.env)
        p.wait_log("roster verified")
        self.bob.perch("join", self.conf["uri"], "--code",
                       self.code("Bob"))
        p.wait_log("is in")
        into = next(i for i in state(self.bob)["in"] if i["media"] == "audio")
        voice = Voice(into["port"])
        p.wait_log("speaks")
        voice.stop()
        self.bob.perch("leave")
        p.wait_log("is out")
        p.p.send_signal(signal.SIGINT)
        p.p.wait(30)
        text = p.text()
        tap.ok(re.search(r"^\d\d:\d\d:\d\d epoch \d+$", text, re.M) and
               p.p.returncode == 0, "perch watch --no-tty: a line for each "
               "change, with its time", text)

    def page(self):
        # one who joins on a terminal sees it live
        into = next(i for i in state(self.alice)["in"]
                    if i["media"] == "audio")
        voice = Voice(into["port"])
        t = Terminal([self.w.bin("perch"), "join", self.conf["uri"],
                      "--code", self.code("Bob")], self.bob.env)
        want = ("VERIFIED: the roster", "compare by voice: ",
                "; 2 in it", "* Alice", " sent, ", "0.0 % lost")
        for what in want:
            t.wait_text(what)
        # his coming made one more epoch, which may be late
        world.wait_for(lambda: t.wait_text(
            f"; epoch {state(self.alice)['epoch']}; 2 in it", 1), 10,
            say="the epoch that Alice is on")
        tap.ok(all(w in t.text for w in want),
               "perch join on a terminal: who is in, who speaks, epoch, "
               "roster, badge, packets lost", t.text[-800:])
        voice.stop()
        t.key(b"q")
        status = t.end()
        tap.ok(status == 0 and t.text.rstrip().endswith(
            "perch leave leaves.") and "\x1b[?1049l" in t.text and
            state(self.bob)["state"] == "up",
            "q looks away and the conference goes on", status, t.text[-300:])
        t = Terminal([self.w.bin("perch"), "watch"], self.bob.env)
        t.wait_text("look away")
        t.key(b"l")
        status = t.end()
        tap.ok(status == 0 and state(self.bob)["state"] == "over",
               "l leaves", status, t.text[-300:])

    def loss(self):
        """What a bad road looks like, with and without a terminal; the agent
        is played here."""
        path = self.w.dir / "played.sock"
        with socket.socket(socket.AF_UNIX) as u:
            u.bind(str(path))
            u.listen()
            argv = [self.w.bin("perch"), "watch", "--socket", str(path)]
            p = self.w.spawn("watch-loss", [*argv, "--no-tty"])
            self.play(u, "--no-tty")
            p.p.wait(40)
            t = Terminal(argv, dict(os.environ))
            self.play(u, "live")
            t.end()
        told = [x.split(" ", 1)[1] for x in p.text().splitlines()
                if "lost" in x]
        tap.ok(told == ["5.0 % of packets lost", "0.0 % of packets lost"],
               "perch watch --no-tty tells of losses, and of their end",
               p.text())
        tap.ok("1450 received, 3.3 % lost" in t.text and
               "NOT VERIFIED" in t.text and "trouble: a bad road" in t.text,
               "and the page shows them, beside what else is wrong",
               t.text[-800:])

    def play(self, u, which):
        c, _ = u.accept()
        ask = json.loads(c.makefile().readline())
        for received, lost in ((0, 0), (200, 0), (950, 50), (1450, 50)):
            c.sendall(json.dumps({"id": ask["id"], "status": {
                "conferences": [{
                    "conference": "c_" + "0" * 22, "title": which,
                    "state": "up", "words": "connected", "epoch": 3,
                    "mdd_trouble": "a bad road",
                    "roster": {"fresh": False, "members": 2},
                    "leg": {"sent": 9, "received": received, "lost": lost},
                }]}}).encode() + b"\n")
            time.sleep(0.1)
        c.close()

    def hasty(self):
        """Leaving while the vault makes room must not cost that room: it has
        four."""
        vault = children(self.bob.proc.p.pid)["vault"]
        for n in range(5):
            code = self.code(f"Bob {n}")
            os.kill(vault, signal.SIGSTOP)
            p = self.w.spawn(f"hasty-{n}", [
                self.w.bin("perch"), "join", self.conf["uri"], "--code",
                code], env=self.bob.env)
            time.sleep(0.4)     # the question waits at the vault by now
            self.bob.perch("leave", self.conf["id"], check=False)
            p.p.wait(40)
            os.kill(vault, signal.SIGCONT)
            time.sleep(0.1)
        r = self.bob.perch("join", self.conf["uri"], "--code",
                           self.code("Bob"), check=False)
        tap.ok(r.returncode == 0, "five hasty leaves, and there is room yet",
               r.stdout, r.stderr)
        self.bob.perch("leave")

    def trouble(self):
        r = self.bob.perch("watch", "c_" + "0" * 22, check=False)
        tap.ok(r.returncode == 1 and "not in" in r.stderr,
               "of a conference that is not ours: said so", r.stderr)
        r = self.w.run([self.w.bin("perch"), "watch", "--socket",
                        "/nowhere/agent.sock"], check=False)
        tap.ok(r.returncode == 3 and "no perch-agent at /nowhere" in r.stderr,
               "no agent: said where it was looked for", r.stderr)
        p = self.w.spawn("watchjson", [self.w.bin("perch"), "watch", "--json"],
                         env=self.alice.env)
        p.wait_log("\n")
        self.alice.proc.stop()
        p.p.wait(40)
        first = json.loads(p.text().splitlines()[0])
        tap.ok(first["conferences"][0]["state"] == "up" and
               p.p.returncode == 3, "--json: a line of status at each change; "
               "3 when the agent goes away", p.p.returncode, p.text()[-300:])


if __name__ == "__main__":
    with world.World() as w:
        p = Programs(w)
        p.example()
        p.lines()
        p.page()
        p.loss()
        p.hasty()
        p.trouble()
    tap.done()
