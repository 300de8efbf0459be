# SPDX-License-Identifier: Apache-2.0
# Networks of our own: the test's process and the servers stand in one
# namespace, a person's machine in another, and cables lie between them.
# Needs root; nothing of it is seen from outside, and it dies with us.
import contextlib
import ctypes
import os
import subprocess

import tap

CLONE_NEWNET = 0x40000000
SERVICE = "10.99.0.1"       # where KMF, MDD and TURN server listen
MEDIA = "10.99.1.1"         # the MDD's media

libc = ctypes.CDLL(None, use_errno=True)


def ip(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True)


def enter():
    """This process, and all that it starts, in a network of its own; Skip
    says why not."""
    if os.geteuid() != 0:
        raise tap.Skip("network namespaces need root")
    if libc.unshare(CLONE_NEWNET) != 0:
        raise tap.Skip(f"unshare: {os.strerror(ctypes.get_errno())}")
    try:
        ip("link", "set", "lo", "up")
        for a in (SERVICE, MEDIA):
            ip("address", "add", a + "/32", "dev", "lo")
        ip("link", "add", "probe0", "type", "veth", "peer", "probe1")
        ip("link", "del", "probe0")
    except (OSError, subprocess.CalledProcessError) as e:
        raise tap.Skip(f"no network of our own: {e}")


def block_media(link):
    """What comes over this cable for the MDD's media goes nowhere, without
    a word. Local addresses are looked up behind that."""
    ip("rule", "add", "pref", "100", "lookup", "local")
    ip("rule", "del", "pref", "0")
    ip("rule", "add", "pref", "10", "iif", link, "to", MEDIA, "blackhole")


def open_media(link):
    ip("rule", "del", "pref", "10", "iif", link, "to", MEDIA, "blackhole")


class Machine:
    """Another machine, with cables to ours: number n is 10.77.n.1 here and
    10.77.n.2 there."""

    def __init__(self, w):
        self.p = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        w.closers.append(self.gone)
        mine = os.readlink("/proc/self/ns/net")
        while os.readlink(self.path) == mine:
            pass            # unshare is not there yet
        self.ip("link", "set", "lo", "up")

    @property
    def path(self):
        return f"/proc/{self.p.pid}/ns/net"

    @property
    def prefix(self):
        return ["nsenter", "--net=" + self.path]

    def gone(self):
        self.p.kill()
        self.p.wait()

    def ip(self, *args):
        subprocess.run([*self.prefix, "ip", *args], check=True,
                       capture_output=True)

    def cable(self, n):
        """Plugged in, with an address and no route."""
        ip("link", "add", f"here{n}", "type", "veth", "peer", f"there{n}",
           "netns", str(self.p.pid))
        ip("address", "add", f"10.77.{n}.1/24", "dev", f"here{n}")
        ip("link", "set", f"here{n}", "up")
        self.ip("address", "add", f"10.77.{n}.2/24", "dev", f"there{n}")
        self.ip("link", "set", f"there{n}", "up")

    def route(self, n):
        """Everything goes by cable n from now on."""
        self.ip("route", "replace", "default", "via", f"10.77.{n}.1")

    def unplug(self, n):
        """Link and address are gone, and with them the routes."""
        self.ip("address", "flush", "dev", f"there{n}")
        self.ip("link", "set", f"there{n}", "down")

    @contextlib.contextmanager
    def inside(self):
        """Sockets made meanwhile by this thread are that machine's."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            if libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(home)
            os.close(there)
