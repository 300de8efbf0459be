#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Every key of a conference, looked for in everybody's memory. The vault and
# the key server are test builds that write down each key they ever touch
# (tests/tools/tell.c); front, command line, forwarder and the KMF's other
# processes are the real ones. Looked for while people talk and keys change,
# and afterwards, as octets, backwards, in hex and in base64.
#
# Bob's vault has no memfd_secret: there the search must find keys during the
# call, and none at its end, freed pages included.
import base64
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import jose                                                 # noqa: E402
import meeting                                              # noqa: E402
import rest                                                 # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402
from people import Voice, state                        # noqa: E402

DISTINCT = 7    # different octets, at least: warming up has keys of zeros
REKEYS = 3


def forms(raw):
    """How a key may stand in memory: as it is, as a big number's limbs, in
    hex and in base64 (of either alphabet) at any place of a longer text."""
    yield raw
    yield raw[::-1]
    yield raw.hex().encode()
    for pad in range(3):
        text = base64.b64encode(bytes(pad) + raw).rstrip(b"=")
        text = text[(0, 2, 3)[pad]:]
        text = text[:-1] if (pad + len(raw)) % 3 else text
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))


class Told:
    """What a test build wrote down."""

    def __init__(self, w, name, program, is_open=False):
        self.dir = w.mkdir(name, mode=0o755)
        self.program = self.dir / program
        shutil.copy(world.BUILD / "tests/tools/tell" / program, self.program)
        self.file = w.write(self.dir / "told", "")
        if is_open:
            w.write(self.dir / "open", "")

    def keys(self, *without):
        """{(name, octets)}, not what is named in `without`."""
        out = set()
        for line in self.file.read_text().splitlines():
            _, name, text = line.split()
            raw = bytes.fromhex(text)
            if raw.startswith(b"{"):    # a line of the journal
                continue
            if name not in without and len(set(raw)) >= DISTINCT:
                out.add((name, raw))
        return out


def processes(pid):
    """{role: [pid]} of pid and all below it."""
    out, todo = {}, [pid]
    while todo:
        pid = todo.pop()
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            todo += [int(c) for c in (task / "children").read_text().split()]
        line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        role = "vault" if b"vault" in line[0] else next(
            (w.decode().lstrip("-") for w in line if re.fullmatch(
                rb"-*(front|keeper|fetcher|control|worker)(=.*)?", w)),
            "supervisor")
        out.setdefault(role.split("=")[0], []).append(pid)
    return out


class Memory(meeting.Meeting):
    def __init__(self, w):
        self.kmf_tells = Told(w, "tell-kmf", "perch-kmf")
        self.vault_tells = {
            "Alice": Told(w, "tell-alice", "perch-vault"),
            "Bob": Told(w, "tell-bob", "perch-vault", True)}
        w.bin("perch-kmf")
        # the KMF beside its file; everybody else is the real program
        real = w.bin
        w.bin = lambda name: str(self.kmf_tells.program) \
            if name == "perch-kmf" else real(name)
        super().__init__(w, "A secret")
        self.codes, self.cli, self.agents = {}, {}, {}

    # --- a call -----------------------------------------------------------

    def code(self, name):
        self.codes[name] = super().code(name)
        return self.codes[name]

    def enter(self, name):
        a = self.agent(name)
        text = a.conf.read_text() + \
            f"vault_program = {self.vault_tells[name].program}\n"
        self.w.write(a.conf, text)
        self.agents[name] = a.start()
        join = [self.w.bin("perch"), "join", self.conf["uri"], "--code",
                "-", "--no-tty"]
        if name == "Bob":       # by a program on libperchclient
            join = [self.w.bin("docs/perchclient-example"), self.conf["uri"],
                    "1200"]     # s: until we end it
        with open(self.w.logs / f"join-{name}.log", "wb") as log:
            p = subprocess.Popen(join, env=a.env, stdin=subprocess.PIPE,
                                 stdout=log, stderr=log)
        self.w.closers.append(p.kill)
        p.stdin.write(self.code(name).encode() + b"\n")
        p.stdin.flush()
        self.cli[name] = p
        world.wait_for(lambda: a.json("status")["conferences"] and
                       state(a)["state"] == "up", 15, say=f"{name} to be in")

    def talk(self):
        for name in ("Alice", "Bob"):
            self.enter(name)
        self.voice = Voice(next(
            i for i in state(self.agents["Alice"])["in"]
            if i["media"] == "audio")["port"])
        world.wait_for(lambda: all(
            state(a)["vault"]["counters"]["opened"] > 20
            for a in self.agents.values()), 15, say="media both ways")
        # one who gets keys in the form of the draft, through the KMF's front
        e = rest.Endpoint(self.kmf.url, self.kmf.ca, jose.Key())
        e.enter(self.conf["id"], self.code("Carol"))
        for i in range(REKEYS):
            self.plain = e.keys()
            before = state(self.agents["Bob"])["epoch"]
            self.rekey()
            world.wait_for(lambda: state(self.agents["Bob"])["epoch"] >
                           before, 5, say="the new epoch")
            time.sleep(0.5)

    # --- the search -------------------------------------------------------

    def scan(self, pid, keys, control=None):
        """(octets read, hits, was the control seen) or None: gone."""
        lines = {f"{name} {f.hex()}" for name, raw in keys
                 for f in forms(raw)}
        if control:
            lines.add(f"control {control.encode().hex()}")
        needles = self.w.write(self.w.dir / "needles", "\n".join(lines))
        r = self.w.run([self.w.bin("tests/tools/memscan"), pid, needles],
                       check=False)
        if r.returncode == 2:
            raise world.Broken(f"memory of {pid} cannot be read")
        hits = [x for x in r.stdout.splitlines() if x.startswith("hit ")]
        seen = [x for x in hits if x.startswith("hit control ")]
        octets = int(re.search(r"octets=(\d+)", r.stdout).group(1))
        return octets, [x for x in hits if x not in seen], bool(seen)

    def nothing(self, who, pids, keys, control, when):
        """None of keys in any of pids; that the control is in one of them
        shows that we can see."""
        octets, hits, seen = 0, [], False
        for pid in pids:
            n, h, s = self.scan(pid, keys, control)
            octets, hits, seen = octets + n, hits + h, seen or s
        tap.ok(not hits and seen and octets > len(pids) << 20,
               f"{when}: {who} ({len(pids)} processes, {octets >> 20} MiB) "
               f"has none of {len(keys)} keys, and \"{control}\"",
               *hits[:20], f"control seen: {seen}")

    def everybody(self, when):
        keys = self.kmf_tells.keys() | \
            self.vault_tells["Alice"].keys() | self.vault_tells["Bob"].keys()
        kinds = {n for n, _ in keys}
        tap.ok({"ekt", "salt", "master", "session", "seal", "sealed",
                "secret", "private"} <= kinds and len(keys) > 60,
               f"{when}: {len(keys)} keys were told of", kinds)
        for name, a in self.agents.items():
            self.nothing(f"{name}'s front and supervisor", [
                p for r, ps in processes(a.proc.p.pid).items()
                if r != "vault" for p in ps], keys, self.conf["id"], when)
        self.nothing("the forwarder", [
            p for ps in processes(self.mdd.proc.p.pid).values() for p in ps],
            keys, self.conf["id"], when)
        kmf = processes(self.kmf.proc.p.pid)
        for role in ("supervisor", "front", "fetcher"):
            self.nothing(f"the KMF's {role}", kmf[role], keys,
                         self.kmf.url[8:], when)
        return keys

    def during(self):
        keys = self.everybody("during the call")
        for name, p in self.cli.items():
            what = pathlib.Path(p.args[0]).name
            tap.ok(p.poll() is None, f"{name} is in by {what}, which runs on")
            mine = keys | {("code", self.codes[name].encode())}
            self.nothing(f"{what} (nor {name}'s invitation code)", [p.pid],
                         mine, self.conf["id"], "during the call")
        _, hits, _ = self.scan(self.vault("Bob"), keys)
        tap.ok({"ekt", "master", "session"} <=
               {h.split()[1] for h in hits},
               "the search finds keys where they are: in the vault that has "
               f"no memfd_secret ({len(hits)} places)", *hits[:5])
        self.hidden("during the call", keys)

    def hidden(self, when, keys):
        """Who holds keys has them in secret memory alone."""
        kmf = processes(self.kmf.proc.p.pid)
        if self.agents["Alice"].json("status")["protection"][
                "secret_memory"] != "secret":
            tap.skip(f"{when}: ordinary memory of vault and keeper",
                     "this kernel has no memfd_secret")
            return
        self.nothing("Alice's vault, but for secret memory,",
                     [self.vault("Alice")], keys, self.kmf.url[8:], when)
        self.nothing("the keeper, but for secret memory,", kmf["keeper"],
                     keys, self.kmf.url[8:], when)

    def vault(self, name):
        return processes(self.agents[name].proc.p.pid)["vault"][0]

    def after(self):
        self.voice.stop()
        self.admin.call("POST", self.at("end"))
        world.wait_for(lambda: all(
            state(a)["epochs_held"] == 0 for a in self.agents.values()), 10,
            say="empty vaults")
        time.sleep(0.3)
        keys = self.everybody("after the call")
        self.hidden("after the call", keys)
        # its own two keys live as long as the process
        mine = self.vault_tells["Bob"].keys("private") | {
            k for k in self.vault_tells["Alice"].keys("private")} | {
            k for k in self.kmf_tells.keys("private")}
        self.nothing("Bob's vault, all of its memory,", [self.vault("Bob")],
                     mine, self.kmf.url[8:], "after the call")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("1..0 # SKIP only root may read others' memory")
        sys.exit(0)
    if world.SANITIZED:
        print("1..0 # SKIP a sanitizer keeps what was freed")
        sys.exit(0)
    with world.World() as w:
        m = Memory(w)
        m.talk()
        m.during()
        m.after()
    tap.done()
