# SPDX-License-Identifier: Apache-2.0
# The three programs, configured as an administrator would: one perch-kmf, one
# perch-mdd, an agent per person. docs/man says what each setting means.
import http.client
import json
import os
import pathlib
import random
import socket

import jose
import rest
import world


class Kmf:
    """init, serve; the administrator's client."""

    def __init__(self, w, uid=None, idp=None, mdd_url=None, extra="",
                 port=None, host="localhost"):
        self.w, self.uid = w, uid
        self.port = port or world.free_port()
        self.url = f"https://{host}:{self.port}"
        at = "127.0.0.1" if host == "localhost" else "0.0.0.0"
        self.dir = w.dir / "kmf"
        w.mkdir("kmf", uid)
        self.state = self.dir / "state"
        w.run([w.bin("perch-kmf"), "init", self.state, "--url", self.url],
              uid=uid)
        self.ca = self.public_copy("tls.crt", "kmf-ca.crt")
        self.keys = self.public_copy("kmf-keys.json", "kmf-keys.json")
        lines = [f"base_url = {self.url}", f"listen = {at}:{self.port}",
                 f"state_dir = {self.state}", f"mdds = {mdd_url}", extra]
        if idp:
            ca = self.public_copy(idp.cert, "idp-ca.crt")
            lines += ["[issuer corp]", f"url = {idp.url}", "name = Example",
                      "client_id = perch", f"audience = {self.url}",
                      "scope = openid conf_join", f"ca_file = {ca}"]
        self.conf = w.write(self.dir / "perch-kmf.conf",
                            "\n".join(lines) + "\n", uid)

    def public_copy(self, src, name):
        """What is not secret, where every user of this world can read it."""
        src = pathlib.Path(src)
        src = src if src.is_absolute() else self.state / src
        to = self.w.dir / name
        to.write_bytes(src.read_bytes())
        to.chmod(0o644)
        return to

    def start(self):
        self.proc = self.w.spawn("perch-kmf", [
            self.w.bin("perch-kmf"), "serve", "-c", self.conf], uid=self.uid)

    def serve(self):
        self.start()
        # it listens before it knows whether it can start
        self.proc.wait_log("kmf.ready", 15)
        return self

    def ready_text(self):
        """What is not well, a line each: "issuer corp: no keys yet: ..."."""
        c = http.client.HTTPSConnection("localhost", self.port, timeout=10,
                                        context=world.tls(self.ca))
        c.request("GET", "/readyz")
        checks = json.loads(c.getresponse().read())["checks"]
        c.close()
        return "".join(f"{n.replace(':', ' ')}: {v['reason']}\n"
                       for n, v in checks.items() if not v["ok"])

    def wait_keys(self):
        """Every front has the providers' keys, not the fetcher alone: each
        connection may meet another front."""
        world.wait_for(lambda: all("no keys yet" not in self.ready_text()
                                   for _ in range(8)),
                       15, say="the providers' keys at the fronts")

    def admin(self):
        client = json.loads((self.state / "admin-client.jwk").read_text())
        return rest.Scheduler(self.url, self.ca, jose.Key(client["key"]),
                              client["client_id"]).login()


class Mdd:
    def __init__(self, w, uid=None, name="mdd", host="localhost",
                 media_host="127.0.0.1"):
        self.w, self.uid, self.name = w, uid, name
        self.port, self.media_host = world.free_port(), media_host
        self.url = f"https://{host}:{self.port}"
        self.media = world.free_udp()
        self.at = "127.0.0.1" if host == "localhost" else "0.0.0.0"
        self.ca, self.key = w.certificate(
            name, uid, "IP:127.0.0.1" if host == "localhost"
            else f"IP:{host}")

    def configure(self, kmf, extra=""):
        self.dir = self.w.mkdir(self.name, self.uid)
        self.conf = self.w.write(self.dir / "perch-mdd.conf", "\n".join([
            f"base_url = {self.url}", f"listen = {self.at}:{self.port}",
            f"tls_cert = {self.ca}", f"tls_key = {self.key}",
            f"media_host = {self.media_host}", f"media_port = {self.media}",
            "workers = 1", extra,
            "[kmf example]", f"url = {kmf.url}", f"keys = {kmf.keys}",
            ""]), self.uid)
        return self

    def serve(self, program=None):
        self.proc = self.w.spawn("perch-" + self.name, [
            program or self.w.bin("perch-mdd"), "serve", "-c", self.conf],
            uid=self.uid)
        self.proc.wait_log("ready url=", 15)
        return self


class Agent:
    """One person's machine: an agent, and the perch command beside it."""

    def __init__(self, w, name, uid, kmf, mdd, *idps):
        self.w, self.name, self.uid = w, name, uid
        self.base = self.ports()
        self.dir = w.mkdir(name.lower(), uid)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.dir),
                    "XDG_RUNTIME_DIR": str(self.dir), "LANG": "C.UTF-8"}
        for k, v in os.environ.items():
            if k.startswith(("ASAN_", "UBSAN_", "TSAN_", "LSAN_")):
                self.env[k] = v
        # LeakSanitizer works by ptrace, which a cage forbids
        self.env["ASAN_OPTIONS"] = ":".join(
            [self.env.get("ASAN_OPTIONS", ""), "detect_leaks=0"]).lstrip(":")
        trust = [kmf.ca, mdd.ca] + [i.cert for i in idps if i]
        ca = w.write(w.dir / f"{name.lower()}-ca.pem", "".join(
            pathlib.Path(c).read_text() for c in trust), mode=0o644)
        # whose KMF counts is for root to say, where there is a root
        mine = "no" if uid is not None and os.geteuid() == 0 else "yes"
        vault = w.write(w.dir / f"{name.lower()}-vault.conf", "\n".join([
            "require_protection = no", f"local_out_base = {self.base}",
            "[kmf example]", f"url = {kmf.url}", f"keys = {kmf.keys}", ""]),
            mode=0o644)
        self.conf = w.write(self.dir / "perch-agent.conf", "\n".join([
            f"ca_file = {ca}", f"vault_conf = {vault}",
            f"vault_user_owned = {mine}", ""]), uid)

    claims = []     # (first port, sockets that hold the range)

    # Below the kernel's choice. An agent may use 2048 ports, 512 a conference,
    # but takes them from the bottom, and no test hears more than 64 streams in
    # one: so four agents stand in one range, 128 ports apart.
    BASES = [10240 + 2048 * i + 128 * j for j in range(4) for i in range(10)]

    @staticmethod
    def claim(base):
        """Bind the odd ports in which each 64 of a slot end, as
        tests/agent/vaultkit.c does in its own 64: so the tests of this host
        keep apart for as long as we live. None: somebody has it."""
        held = []
        try:
            for port in range(base + 63, base + 2048, 512):
                for p in (port, port + 64):
                    held.append(socket.socket(socket.AF_INET,
                                              socket.SOCK_DGRAM))
                    held[-1].bind(("127.0.0.1", p))
        except OSError:
            for s in held:
                s.close()
            return None
        return held

    @classmethod
    def ports(cls):
        """The first port of this agent's, for the streams of others."""
        first = random.randrange(len(cls.BASES))
        for base in cls.BASES[first:] + cls.BASES[:first]:
            held = cls.claim(base)
            if held:
                cls.claims.append((base, held))
                return base
        raise world.Broken("no range of ports is free for an agent")

    prefix = []     # of the command: where this machine is (netns.py)

    def start(self):
        self.proc = self.w.spawn(
            f"perch-agent-{self.name.lower()}",
            [*self.prefix, self.w.bin("perch-agent"), "-c", self.conf],
            uid=self.uid, env=self.env)
        world.wait_for(lambda: self.perch("status", check=False).returncode
                       == 0 or not self.proc.alive(), 15,
                       say=f"{self.name}'s agent")
        if not self.proc.alive():
            raise world.Broken("perch-agent: " + self.proc.words()[-2000:])
        return self

    def gone(self):
        """This person goes for good; another may have the ports."""
        self.proc.stop()
        for claim in [c for c in Agent.claims if c[0] == self.base]:
            Agent.claims.remove(claim)
            for s in claim[1]:
                s.close()

    def perch(self, *args, check=True, seconds=60):
        return self.w.run([self.w.bin("perch"), *args], uid=self.uid,
                          env=self.env, check=check, seconds=seconds)

    def json(self, *args, **kw):
        return json.loads(self.perch(*args, "--json", **kw).stdout)
