#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# An endpoint's life with real servers: two agents talk while keys change, the
# KMF and the MDD are started anew, one leaves, one is sent away, and one
# trusts another KMF.
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import media                                                # noqa: E402
from people import Ear, Voice, children, state, up          # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402


def quiet(seconds=0.5):
    time.sleep(seconds)


def udp_inodes(ports):
    inodes = set()
    for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]:
        f = line.split()
        if int(f[1].split(":")[1], 16) in ports:
            inodes.add(f"socket:[{f[9]}]")
    return inodes


def fds(pid):
    return {os.readlink(f) for f in pathlib.Path(f"/proc/{pid}/fd").iterdir()}


def prove_no_plaintext_descriptor(agent, ports):
    """REQ-W-1, REQ-W-1.1: who carries tokens and ciphertext has no way to
    the sockets where plain RTP comes in."""
    kids = children(agent.proc.p.pid)
    inodes = udp_inodes(ports)
    try:
        front, vault = fds(kids["front"]), fds(kids["vault"])
    except PermissionError:
        tap.skip("REQ-W-1: the front's descriptors", "only root sees them")
        return
    tap.ok(len(inodes) == len(ports) and inodes <= vault,
           "the vault holds all local RTP sockets, so this test can fail",
           inodes, vault)
    tap.ok(not inodes & front,
           "REQ-W-1: the front holds no descriptor of any of them",
           inodes & front)
    tap.ok(not inodes & fds(agent.proc.p.pid),
           "nor does the supervisor, once the vault has them")


class Life:
    def __init__(self, w):
        self.w = w
        self.mdd = stack.Mdd(w)
        self.kmf = stack.Kmf(w, None, None, self.mdd.url)
        self.kmf.serve()
        self.mdd.configure(self.kmf).serve()
        self.env = dict(os.environ, PERCH_CA=str(self.kmf.ca),
                        PERCH_CLIENT=str(self.kmf.state /
                                         "admin-client.jwk"))

    def admin(self, *args, check=True):
        return self.w.run([self.w.bin("perch"), "conference", *args],
                          env=self.env, check=check)

    def schedule(self):
        self.admin("create", "--title", "Life of an agent")
        items = json.loads(self.admin("list", "--json").stdout)["items"]
        self.conf = items[0]
        tap.ok(len(items) == 1 and self.conf["title"] == "Life of an agent",
               "perch conference create and list: one conference")
        shown = self.admin("show", self.conf["uri"]).stdout
        tap.ok(self.conf["uri"] in shown and "Life of an agent" in shown,
               "perch conference show says it in sentences", shown)

    def invite(self, name):
        return json.loads(self.admin(
            "invite", self.conf["id"], "--name", name, "--email",
            f"{name.lower()}@guests.example", "--json").stdout)["code"]

    def enter(self):
        self.alice = stack.Agent(self.w, "Alice", None, self.kmf, self.mdd)
        self.bob = stack.Agent(self.w, "Bob", None, self.kmf, self.mdd)
        code = self.invite("Alice")
        self.alice.start()
        r = self.alice.perch("join", self.conf["uri"], "--code", code)
        tap.ok("checking invitation" in r.stdout and
               "got key of epoch" in r.stdout and
               "connected to" in r.stdout and "rtp://127.0.0.1:" in r.stdout
               and "-g 30 -payload_type 96" in r.stdout,
               "perch join tells its progress and where to send", r.stdout)
        self.bob.start()
        code = self.w.write(self.w.dir / "code", self.invite("Bob") + "\n")
        with open(code) as f:
            r = subprocess.run([self.w.bin("perch"), "join",
                                self.conf["uri"], "--code", "-"], stdin=f,
                               env=self.bob.env, text=True,
                               capture_output=True, timeout=30)
        tap.ok(r.returncode == 0, "a code is read from standard input",
               r.stdout, r.stderr)
        again = self.bob.perch("join", self.conf["uri"], "--code", "x",
                               check=False)
        tap.ok(again.returncode == 1 and "already" in again.stderr,
               "joining twice is refused in words", again.stderr)

    def talk(self):
        def heard_of():
            for s in state(self.bob).get("out", []):
                if s["name"] == "Alice" and s["media"] == "audio" and \
                        s.get("sdp"):
                    return s
            return None
        stream = world.wait_for(heard_of, 10, say="Alice's stream at Bob")
        sdp = pathlib.Path(stream["sdp"])
        text = sdp.read_text()
        tap.ok(f"m=audio {stream['port']} RTP/AVP {stream['pt']}" in text and
               sdp.stat().st_mode & 0o777 == 0o600,
               "an SDP file, mode 0600, names the port", text)
        self.sdp = sdp
        into = next(i for i in state(self.alice)["in"]
                    if i["media"] == "audio")
        both = state(self.alice)["in"]
        prove_no_plaintext_descriptor(
            self.alice, {i[k] for i in both for k in ("port", "rtcp_port")})
        self.ear, self.voice = Ear(stream["port"]), Voice(into["port"])
        world.wait_for(lambda: len(self.ear.heard) > 50, 10, say="media")
        tap.ok(True, "Bob hears Alice")

    def span(self, doing, settle=1.0):
        """Do that while Alice speaks: which frames are lost?"""
        first = self.voice.n
        doing()
        quiet(settle)
        last = self.voice.n
        quiet(0.5)
        return self.ear.missing(first, last), last - first

    def sealed(self):
        """REQ-WS-6.1c: what leaves the endpoint is sealed with a key that
        only the KMF gives; token2 and the hop alone show nothing."""
        if not media.may_tap():
            tap.skip("REQ-WS-6.1c: packets at the forwarder",
                     "no CAP_NET_RAW here")
            return
        ears = media.Tap()
        ears.start()
        quiet(1.0)
        ears.stop()
        wire = [p.data for p in ears.between(dst=self.mdd.media)
                if media.rtp(p.data)]
        local = [p for p in ears.packets if b"frame 0" in p.data]
        tap.ok(len(wire) > 20 and len(local) > 20 and
               not any(b"frame" in d for d in wire),
               f"REQ-WS-6.1c: {len(wire)} packets to the MDD, all sealed",
               len(wire), len(local))

    def both_on(self, epoch):
        """The table that says so, once both have confirmed."""
        def said():
            table = self.admin("members", self.conf["id"]).stdout
            return f"2 of 2 on epoch {epoch}" in table and table
        return world.wait_for(said, 5, say=f"both on epoch {epoch}")

    def rekey(self):
        before = state(self.bob)["epoch"]

        def doing():
            self.admin("rekey", self.conf["id"])
            world.wait_for(lambda: state(self.bob)["epoch"] > before, 5,
                           say="the new epoch")
        lost, n = self.span(doing, 1.5)
        tap.ok(not lost and n > 50, f"a rekey loses none of {n} frames", lost)
        table = self.both_on(state(self.bob)["epoch"])
        tap.ok(table, "the administrator sees who holds which epoch")

    def kmf_restart(self):
        def doing():
            self.kmf.proc.stop()
            quiet(1.5)
            s = world.wait_for(
                lambda: (lambda s: s["kmf_trouble"] and s)(state(self.bob)),
                10, say="the trouble with the KMF")
            self.words, self.there = s["kmf_trouble"], s["state"]
            self.kmf.serve()
        lost, n = self.span(doing)
        tap.ok("cannot connect to localhost" in self.words and
               self.there == "up", "while the KMF is away the agent stays, "
               "and says so in words", self.words, self.there)
        tap.ok(not lost and n > 50,
               f"a KMF restart loses none of {n} frames", lost)
        world.wait_for(lambda: all(
            s["events"] and not s["kmf_trouble"]
            for s in (state(self.alice), state(self.bob))), 20,
            say="the agents to be back at the KMF")
        tap.ok(True, "both are back at the KMF, trouble gone")

    def mdd_restart(self):
        """REQ-F-4.5g, REQ-WC-4.8f: new hop keys under the same end-to-end
        ones; that the MDD has nobody any more puts nobody out."""
        before = state(self.bob)["epoch"]
        self.mdd.proc.stop()
        self.mdd.serve()
        began = time.monotonic()
        first = self.voice.n
        world.wait_for(lambda: any(n > first for n in list(self.ear.heard)),
                       30, say="media again")
        tap.ok(up(self.alice) and up(self.bob), "after an MDD restart both "
               "join again and media flows "
               f"({time.monotonic() - began:.1f} s)")
        lost, n = self.span(lambda: None, 2.0)
        tap.ok(not lost, f"and none of the next {n} frames is lost", lost)
        table = self.both_on(before)
        tap.ok(state(self.bob)["epoch"] == before and table,
               "REQ-WC-4.8f: nobody left for it, the epoch is the same",
               before, table)

    def roster(self):
        r = self.bob.json("roster")
        tap.ok({m["name"] for m in r["members"]} == {"Alice", "Bob"} and
               r["state"]["fresh"] and not r["state"]["forked"],
               "perch roster: who is in it, fresh", r)
        t = self.bob.perch("roster").stdout
        tap.ok("alice@guests.example" in t, "and as a table", t)

    def evict(self):
        self.voice.stop()
        self.ear.running = False
        member = state(self.alice)["member"]
        self.admin("evict", self.conf["id"], member)
        s = world.wait_for(
            lambda: (lambda s: s["state"] == "over" and s)(
                state(self.alice)), 5, say="Alice to be out")
        tap.ok("removed" in s["words"] and s["epochs_held"] == 0,
               "evicted: over, in words, and no key is held", s)
        world.wait_for(lambda: not self.sdp.exists(), 5,
                       say="her SDP file to go")
        tap.ok(True, "her SDP file is gone at Bob's")
        tap.ok(not list(self.alice.dir.glob("perch/c_*")),
               "and the agent of Alice has none any more")
        r = self.alice.perch("join", self.conf["uri"], "--code", "nonsense",
                             check=False)
        tap.ok(r.returncode == 1, "she does not come back", r.stderr)

    def stranger(self):
        """REQ-F-5a: keys that the vault does not pin are not believed, and a
        KMF that it does not name gets no proof at all."""
        other = stack.jose.Key()
        keys = self.w.write(self.w.dir / "other-keys.json", json.dumps(
            {"keys": [dict(other.public, kid=k["kid"], alg="ES256")
                      for k in json.loads(
                          self.kmf.keys.read_text())["keys"]]}), mode=0o644)
        for name, old, new, word in (
                ("Carol", str(self.kmf.keys), str(keys), "vault refuses"),
                ("Dave", f"url = {self.kmf.url}", "url = https://kmf.example",
                 "trusts")):
            a = stack.Agent(self.w, name, None, self.kmf, self.mdd)
            conf = self.w.dir / f"{name.lower()}-vault.conf"
            text = conf.read_text()
            assert old in text
            self.w.write(conf, text.replace(old, new), mode=0o644)
            a.start()
            r = a.perch("join", self.conf["uri"], "--code",
                        self.invite(name), check=False)
            tap.ok(r.returncode == 1 and word in r.stderr,
                   f"REQ-F-5a: {name}'s vault does not believe this KMF",
                   r.stderr)
            tap.ok(a.proc.stop() == 0, "and its agent stops in order")

    def stop(self):
        """SIGTERM: the conference is left, with a receipt, before the end."""
        code = self.bob.proc.stop()
        table = self.admin("members", self.conf["id"]).stdout
        line = next((x for x in table.splitlines() if "bob@" in x), "")
        tap.ok(code == 0 and "gone" in line,
               "SIGTERM leaves the conference first, exit 0", code, table)
        log = self.bob.proc.text()
        tap.ok("erased" in log and "receipt_not" not in log,
               "the vault erased and the receipt was taken", log[-1500:])
        tap.ok(not (self.bob.dir / "perch" / "agent.sock").exists(),
               "the socket is gone")

    def crash(self):
        """REQ-WC-4.2: the front's worst is denial of service. When it dies,
        so does everything, and the vault wipes first."""
        a = stack.Agent(self.w, "Erin", None, self.kmf, self.mdd).start()
        a.perch("join", self.conf["uri"], "--code", self.invite("Erin"))
        kids = children(a.proc.p.pid)
        os.kill(kids["front"], signal.SIGKILL)
        world.wait_for(lambda: not a.proc.alive(), 5, say="the agent to end")
        log = a.proc.text()
        tap.ok(a.proc.p.returncode == 1 and "erased" in log and
               not pathlib.Path(f"/proc/{kids['vault']}").exists(),
               "REQ-WC-4.2: a front that dies takes the keys with it", log)

    def cut_off(self):
        """A KMF that is away for longer than a key lives: the key goes, the
        wish to be in the conference stays."""
        self.admin("create", "--title", "Short keys", "--policy",
                   '{"max_epoch_age_s":5}')
        self.conf = next(i for i in json.loads(self.admin(
            "list", "--json").stdout)["items"] if i["title"] == "Short keys")
        a = stack.Agent(self.w, "Frank", None, self.kmf, self.mdd).start()
        a.perch("join", self.conf["uri"], "--code", self.invite("Frank"))
        self.kmf.proc.stop()
        s = world.wait_for(
            lambda: (lambda s: s["state"] == "entering" and s)(state(a)), 15,
            say="the key's end")
        tap.ok(s["epochs_held"] == 0 and s["leg"] is None,
               "cut off until the key's time is over: no key, no media", s)
        self.kmf.serve()
        world.wait_for(lambda: up(a), 25, say="Frank to be back")
        tap.ok(True, "when the KMF is back, so is he, unasked")
        tap.ok(a.proc.stop() == 0, "and his agent stops in order")

    def usage(self):
        env = dict(os.environ, XDG_RUNTIME_DIR=str(self.w.dir / "none"))
        for args, want in ((["status"], 3), (["join"], 2), (["frob"], 2),
                           (["status", "--title", "x"], 2),
                           (["--version"], 0)):
            r = self.w.run([self.w.bin("perch"), *args], env=env,
                           check=False)
            tap.ok(r.returncode == want, f"perch {' '.join(args)}: exit "
                   f"{want}", r.returncode, r.stderr)
        open_key = self.w.write(self.w.dir / "open.jwk", "{}", mode=0o644)
        r = self.admin("list", "--client", str(open_key), check=False)
        tap.ok(r.returncode == 2 and "chmod" in r.stderr,
               "a client key that others may read is refused", r.stderr)

    def run(self):
        self.schedule()
        self.enter()
        self.talk()
        self.sealed()
        self.rekey()
        self.roster()
        self.kmf_restart()
        self.mdd_restart()
        self.evict()
        self.stop()
        self.stranger()
        self.crash()
        self.cut_off()
        self.usage()


with world.World("perch-agent-") as w:
    try:
        Life(w).run()
    except Exception as e:
        tap.ok(False, f"the life is lived to its end: {e!r}")
        w.tell()
        raise
tap.done()
