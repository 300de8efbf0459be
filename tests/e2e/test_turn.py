#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Media by a relay: Alice's network lets no UDP through to the distributor,
# and a real coturn carries hers over UDP, TCP and TLS, by credentials and
# certificates that must be right.
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import netns                                                # noqa: E402
from people import Ear, Voice, state, up          # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

COTURN = os.environ.get("PERCH_COTURN") or "/usr/bin/turnserver"
SECRET = "a secret with spaces"


class Coturn:
    n = 0

    def __init__(self, w, name, san, **extra):
        self.w, self.name, self.extra = w, name, extra
        self.port, self.tls = world.free_port(), world.free_port()
        self.cert, self.key = w.certificate(name, san=san)

    def serve(self):
        Coturn.n += 1
        low = 50000 + 100 * Coturn.n
        lines = [f"listening-ip={netns.SERVICE}",
                 f"relay-ip={netns.SERVICE}",
                 f"listening-port={self.port}",
                 f"tls-listening-port={self.tls}",
                 f"cert={self.cert}", f"pkey={self.key}", "realm=example",
                 "lt-cred-mech", f"user=alice:{SECRET}", "no-dtls", "no-cli",
                 "fingerprint", "log-file=stdout", "verbose", "no-rfc5780",
                 f"min-port={low}", f"max-port={low + 99}",
                 f"userdb={self.w.dir}/{self.name}.db",
                 f"pidfile={self.w.dir}/{self.name}.pid"]
        lines += [f"{k.replace('_', '-')}={v}" for k, v in self.extra.items()]
        conf = self.w.write(self.w.dir / f"{self.name}.conf",
                            "\n".join(lines) + "\n")
        self.proc = self.w.spawn(f"coturn{Coturn.n}", [COTURN, "-c", conf])
        self.proc.wait_for(self.answers, say="three answers")
        return self

    def answers(self):
        """A STUN binding (RFC 8489) by each of the roads."""
        ask = struct.pack("!HHL", 1, 0, 0x2112A442) + os.urandom(12)
        anybody = ssl._create_unverified_context()
        for how in "udp", "tcp", "tls":
            port = self.tls if how == "tls" else self.port
            kind = socket.SOCK_DGRAM if how == "udp" else socket.SOCK_STREAM
            with socket.socket(socket.AF_INET, kind) as s:
                s.settimeout(1)
                try:
                    s.connect((netns.SERVICE, port))
                    if how == "tls":
                        s = anybody.wrap_socket(s)
                    s.sendall(ask)
                    if s.recv(1500)[4:20] != ask[4:]:
                        return False
                except OSError:
                    return False
        return True

    def url(self, how):
        return {"udp": f"turn:{netns.SERVICE}:{self.port}",
                "tcp": f"turn:{netns.SERVICE}:{self.port}?transport=tcp",
                "tls": f"turns:{netns.SERVICE}:{self.tls}"}[how]


class Meeting:
    def __init__(self, w):
        self.w = w
        self.mdd = stack.Mdd(w, host=netns.SERVICE, media_host=netns.MEDIA)
        self.kmf = stack.Kmf(w, mdd_url=self.mdd.url, host=netns.SERVICE)
        self.kmf.serve()
        self.mdd.configure(self.kmf).serve()
        self.env = dict(os.environ, PERCH_CA=str(self.kmf.ca),
                        PERCH_CLIENT=str(self.kmf.state /
                                         "admin-client.jwk"))
        self.perch("create", "--title", "Far away")
        self.conf = json.loads(self.perch("list", "--json"))["items"][0]
        self.far = netns.Machine(w)
        self.far.cable(0)
        self.far.route(0)
        # its certificate is trusted like the others' (ca_file), as a name
        # of an address; what is not this one's is refused below
        self.turn = Coturn(w, "turn", f"IP:{netns.SERVICE}").serve()
        self.bob = stack.Agent(w, "Bob", None, self.kmf, self.mdd).start()
        self.join(self.bob)

    def perch(self, *args):
        return self.w.run([self.w.bin("perch"), "conference", *args],
                          env=self.env).stdout

    def join(self, agent, **kw):
        code = json.loads(self.perch(
            "invite", self.conf["id"], "--name", agent.name, "--email",
            f"{agent.name.lower()}@guests.example", "--json"))["code"]
        return agent.perch("join", self.conf["uri"], "--code", code, **kw)

    def alice(self, name, *urls, secret=SECRET, more="", trusts=None):
        """A person behind the wall, by these relays."""
        a = stack.Agent(self.w, name, None, self.kmf, self.mdd)
        a.prefix = self.far.prefix
        self.w.write(a.dir / "turn.password", secret + "\n")
        with open(a.conf, "a") as f:
            f.write(more)
            for i, url in enumerate(urls):
                f.write(f"[turn t{i}]\nurl = {url}\nusername = alice\n"
                        "password_file = turn.password\n")
        for cert in [self.turn.cert] if trusts is None else trusts:
            ca = self.w.dir / f"{name.lower()}-ca.pem"
            ca.write_text(ca.read_text() +
                          pathlib.Path(cert).read_text())
        return a

    def ear_of(self, name):
        def heard_of():
            for s in state(self.bob).get("out", []):
                if s["name"] == name and s["media"] == "audio" and \
                        s.get("sdp"):
                    return s
            return None
        return Ear(world.wait_for(heard_of, 10, say=name)["port"])

    def talk(self, agent):
        """She speaks and Bob hears."""
        into = next(i for i in state(agent)["in"] if i["media"] == "audio")
        self.ear = self.ear_of(agent.name)
        with self.far.inside():
            self.voice = Voice(into["port"])
        world.wait_for(lambda: len(self.ear.heard) > 50, 15, say="media")

    def hush(self):
        self.voice.stop()
        self.ear.running = False
        self.ear.join()

    def span(self, seconds):
        first = self.voice.n
        time.sleep(seconds)
        last = self.voice.n
        time.sleep(0.5)
        return self.ear.missing(first, last), last - first


def by(m, how):
    a = m.alice("Alice" + how, m.turn.url(how))
    a.start()
    m.join(a)
    leg = up(a)["leg"]
    tap.ok(leg["path"] == "relay" and leg["relay"] == m.turn.url(how),
           f"{how}: status names the relay", leg)
    m.talk(a)
    lost, n = m.span(1.5)
    tap.ok(not lost and n > 50, f"{how}: Bob hears her, all of {n} frames",
           lost)
    shown = a.perch("status").stdout
    tap.ok(m.turn.url(how) in shown, f"{how}: perch status says so", shown)
    said = doctor(m, a)
    tap.ok(f"OK     relay, {m.turn.url(how)}: it carries" in said.stdout and
           "NOTE   media, path: c_" in said.stdout,
           f"{how}: perch doctor tries it, and tells the path", said.stdout)
    m.hush()
    line = pathlib.Path(f"/proc/{turn_pid(a)}/cmdline").read_bytes()
    tap.ok(SECRET not in a.proc.text() and SECRET.encode() not in line,
           f"{how}: the password stands in no log and no argv")
    return a


def doctor(m, agent):
    return agent.perch("doctor", "--kmf", m.kmf.url, "--ca", m.kmf.ca,
                       check=False)


def turn_pid(agent):
    return next(int(d.name) for d in pathlib.Path("/proc").iterdir()
                if d.name.isdigit() and
                parent(d) == agent.proc.p.pid and
                b"perch-turn" in (d / "cmdline").read_bytes())


def parent(d):
    try:
        return int((d / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def refused(m, name, url, words, **kw):
    a = m.alice(name, url, **kw)
    a.start()
    code = json.loads(m.perch(
        "invite", m.conf["id"], "--name", name, "--email",
        f"{name.lower()}@guests.example", "--json"))["code"]
    p = subprocess.Popen([a.w.bin("perch"), "join", m.conf["uri"], "--code",
                          code], env=a.env, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)

    def trouble():
        all_ = a.json("status")["conferences"]
        leg = all_[0].get("leg") if all_ else None
        return leg and leg.get("relay_trouble")
    got = world.wait_for(trouble, 20, say=f"trouble at {name}")
    tap.ok(words in got and SECRET not in got, f"{name}: said in words: {got}",
           got)
    tap.ok(state(a)["state"] != "up", f"{name}: and nothing goes by there")
    said = doctor(m, a)
    tap.ok(said.returncode != 0 and
           any(line.startswith("WRONG  relay") and words in line
               for line in said.stdout.splitlines()),
           f"{name}: perch doctor says so too", said.stdout)
    p.kill()
    p.wait()
    a.gone()


def refusals(m):
    tcp, tls = m.turn.url("tcp"), m.turn.url("tls")
    refused(m, "Mallory", tcp, "refuses username and password",
            secret="not the secret")
    refused(m, "Trent", tls, "certificate is not to be trusted",
            trusts=[])
    other = Coturn(m.w, "other", "IP:192.0.2.9").serve()
    refused(m, "Oscar", other.url("tls"), "IP address mismatch",
            trusts=[other.cert])
    other.proc.stop()
    refused(m, "Victor", other.url("tcp"), "cannot connect")


def changes(m):
    """One who stays: the server forgets fast, is started anew, its client
    dies, and at last the straight way opens."""
    m.turn.proc.stop()
    m.turn.extra.update(max_allocate_lifetime=4, stale_nonce=1)
    m.turn.serve()
    a = m.alice("Carol", m.turn.url("udp"))
    a.start()
    m.join(a)
    m.talk(a)
    lost, n = m.span(5)
    tap.ok(not lost and n > 200 and up(a)["leg"]["path"] == "relay",
           f"refreshed, by nonces that go stale: none of {n} frames lost",
           lost)
    log = m.turn.proc.text()
    tap.ok("438" in log and "REFRESH processed, success" in log,
           "the server saw a stale nonce and a refresh, so this could fail",
           log[-3000:])

    def again(what, seconds=20):
        at, began = m.voice.n, time.monotonic()
        world.wait_for(lambda: any(n > at for n in list(m.ear.heard)),
                       seconds, say="media again")
        took = time.monotonic() - began
        lost, n = m.span(1.5)
        tap.ok(not lost, f"{what}: media after {took:.1f} s, and none of the "
               f"next {n} frames is lost", lost)
    leg = state(a)["leg"]
    m.turn.proc.p.kill()
    m.turn.proc.p.wait()
    m.turn.extra.clear()
    m.turn.serve()
    again("the server started anew")
    os.kill(turn_pid(a), 9)
    again("perch-turn killed")
    tap.ok(state(a)["leg"]["sent"] > leg["sent"],
           "and all of that on one leg")
    netns.open_media("here0")
    world.wait_for(lambda: up(a) and up(a)["leg"]["path"] == "direct", 12,
                   say="the straight way")
    lost, n = m.span(1.5)
    tap.ok(not lost, f"the straight way is taken when it opens, none of the "
           f"next {n} frames is lost", lost)
    m.hush()
    a.gone()
    a = m.alice("Dave", m.turn.url("udp"), more="turn = always\n")
    a.start()
    m.join(a)
    tap.ok(up(a)["leg"]["path"] == "relay", "turn = always: by the relay "
           "though the straight way is open")
    m.talk(a)
    m.hush()
    a.gone()


def main():
    if not os.access(COTURN, os.X_OK):
        tap.skip("relays", "no coturn here")
        tap.done()
    try:
        netns.enter()
    except tap.Skip as e:
        tap.skip("relays", e)
        tap.done()
    with world.World() as w:
        m = Meeting(w)
        netns.block_media("here0")
        for how in ("udp", "tcp", "tls"):
            by(m, how).gone()
        refusals(m)
        changes(m)
    tap.done()


if __name__ == "__main__":
    main()
