#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Suspend and screen lock, as logind tells them, on a system bus of the test's
# own: keys are gone before the machine may sleep, the conference comes back in
# the morning, and a locked screen ends it where that is wanted.
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import meeting                                              # noqa: E402
from people import children, state                                  # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus
 Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen>
<auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
"""


class Logind:
    def __init__(self, w):
        path = w.dir / "bus"
        conf = w.write(w.dir / "bus.conf", BUS.format(path=path), mode=0o644)
        self.bus = w.spawn("dbus-daemon", [
            "dbus-daemon", "--nofork", f"--config-file={conf}"])
        world.wait_for(path.exists, 5, say="the bus")
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={path}"
        self.p = subprocess.Popen(
            [world.BUILD / "tests/agent/logind_stub"], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        w.closers.append(self.close)
        self.said = []
        threading.Thread(target=self.listen, daemon=True).start()
        assert self.heard("ready")

    def listen(self):
        for line in self.p.stdout:
            self.said.append(line.strip())

    def heard(self, line, seconds=10):
        """True: that line, though perhaps only after a while."""
        try:
            return world.wait_for(lambda: line in self.said, seconds, say=line)
        except world.Broken:
            return False

    def tell(self, line):
        self.p.stdin.write(line + "\n")

    def close(self):
        self.p.stdin.close()
        self.p.wait(5)


class Night(meeting.Meeting):
    def __init__(self, w):
        self.logind = Logind(w)
        super().__init__(w, "A night")
        self.alice, self.carol = (self.agent(n) for n in ("Alice", "Carol"))
        for a in (self.alice, self.carol):
            a.env["DBUS_SYSTEM_BUS_ADDRESS"] = \
                os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
        with open(self.carol.conf, "a") as f:
            f.write("erase_on_lock = yes\nerase_on_suspend = no\n")

    @staticmethod
    def until(agent, what, seconds=10):
        try:
            return world.wait_for(lambda: (lambda s: what(s) and s)(
                state(agent)), seconds, say="that state")
        except world.Broken:
            return None

    def run(self):
        self.alice.start()
        tap.ok(self.logind.heard("inhibited 1"),
               "a delay lock is taken, so that there is time to erase")
        self.join(self.alice)
        self.carol.start()
        self.join(self.carol)
        self.logind.heard("inhibited 2")
        self.lock()
        self.sleep()
        self.stuck()

    def sleep(self):
        """Her vault is held up: nobody may sleep on what it has."""
        vault = children(self.alice.proc.p.pid)["vault"]
        os.kill(vault, signal.SIGSTOP)
        try:
            self.logind.tell("sleep")
            tap.ok(self.logind.heard("released 2"),
                   "who erases nothing at suspend holds nothing up",
                   self.logind.said)
            time.sleep(1)
            tap.ok("released 1" not in self.logind.said or self.late(),
                   "REQ-W-3.3: a vault that has not wiped: no sleep yet",
                   self.logind.said)
        finally:
            os.kill(vault, signal.SIGCONT)
        tap.ok(self.logind.heard("released 1", 3),
               "it has: then the machine may sleep", self.logind.said)
        s = state(self.alice)
        tap.ok(s["epochs_held"] == 0 or self.late(),
               "REQ-W-3.3: no key is held by then", s)
        s = self.until(self.alice, lambda s: "sleeps" in s["words"])
        tap.ok(s, "asleep, in words", state(self.alice))
        time.sleep(3)
        s = state(self.alice)
        tap.ok(s["state"] == "entering" and s["epochs_held"] == 0,
               "nothing is fetched while it sleeps", s)
        self.wake()

    def wake(self):
        n = sum(line.startswith("inhibited") for line in self.logind.said)
        self.logind.tell("wake")
        s = self.until(self.alice, lambda s: s["state"] == "up")
        tap.ok(s and s["epochs_held"] > 0, "it wakes, and is in again", s,
               state(self.alice))
        # Carol's as well: which is whose does not matter
        tap.ok(self.logind.heard(f"inhibited {n + 2}"), "with a new delay lock")

    def late(self):
        """The 4 s were over, as they may be on a machine this busy."""
        return "erased=unknown" in self.alice.proc.text()

    def stuck(self):
        """It never wipes: logind would not wait longer than 5 s either."""
        vault = children(self.alice.proc.p.pid)["vault"]
        os.kill(vault, signal.SIGSTOP)
        try:
            self.logind.tell("sleep")
            tap.ok(self.logind.heard("released 3") and
                   self.logind.heard("released 4"),
                   "a vault that is stuck does not keep it awake for ever",
                   self.logind.said)
        finally:
            os.kill(vault, signal.SIGCONT)
        tap.ok(world.wait_for(self.late, 5, say="the log's line"),
               "and the log says that nobody knows")

    def lock(self):
        me = os.getuid()
        self.logind.tell(f"lock {me + 1}")
        time.sleep(0.5)
        tap.ok(state(self.carol)["state"] == "up",
               "another user's screen is not ours")
        self.logind.tell(f"lock {me}")
        s = self.until(self.carol, lambda s: s["state"] == "over", 5)
        tap.ok(s and s["epochs_held"] == 0 and "locked" in s["words"],
               "REQ-W-3.3: erase_on_lock: over, in words", s)
        tap.ok(state(self.alice)["state"] == "up",
               "who did not ask for that stays")
        self.join(self.carol)
        self.logind.tell(f"hint {me}")
        s = self.until(self.carol, lambda s: s["state"] == "over", 5)
        tap.ok(s and s["epochs_held"] == 0,
               "a screen that locked itself counts too", s)


if not shutil.which("dbus-daemon"):
    tap.skip("suspend and lock", "no dbus-daemon here")
    tap.done()
with world.World("perch-logind-") as w:
    Night(w).run()
tap.done()
