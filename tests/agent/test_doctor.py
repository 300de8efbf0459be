#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# perch doctor against a real perch-kmf and a real OpenID provider (glewlwyd):
# first all is well, then one thing after the other is really wrong, and each
# time exactly that is said, with what to do.
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "tools")]

import idp                                                  # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

PASSWORD = "correct horse battery staple"
SCOPE = "openid conf_join"
# our clock, not the servers': a library before libc's own
AHEAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t)
{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT,
        "clock_gettime");
    int r = real(id, t);
    if (id == CLOCK_REALTIME)
        t->tv_sec += 300;
    return r;
}
"""


class Doctor:
    def __init__(self, w, kmf, ca):
        self.w, self.kmf, self.ca = w, kmf, ca
        self.env = {"PATH": os.environ["PATH"], "HOME": str(w.dir),
                    "XDG_RUNTIME_DIR": str(w.dir)}
        for k, v in os.environ.items():
            if k.startswith(("ASAN_", "UBSAN_", "TSAN_", "LSAN_")):
                self.env[k] = v

    def run(self, *args, ca=None, url=None, env=None):
        return self.w.run(
            [self.w.bin("perch"), "doctor", "--kmf", url or self.kmf.url,
             "--ca", ca or self.ca, *args], check=False,
            env={**self.env, **(env or {})})

    def json(self, *args, **kw):
        r = self.run("--json", *args, **kw)
        j = json.loads(r.stdout)
        j["status"] = r.returncode
        j["wrong"] = [(c["subject"], c["check"]) for c in j["checks"]
                      if not c["ok"]]
        return j


def only(j, subject, check, words, advice, name):
    """Exactly this one is wrong, in these words, and exit says so."""
    bad = [c for c in j["checks"] if not c["ok"]]
    tap.ok(j["status"] != 0 and not j["ok"] and
           j["wrong"] == [(subject, check)] and
           re.search(words, bad[0]["what"]) and
           re.search(advice, bad[0]["do"]), name, json.dumps(j, indent=1))


def bundle(w, name, *certs):
    return w.write(w.dir / name, "".join(pathlib.Path(c).read_text()
                                         for c in certs), mode=0o644)


def well(d):
    j = d.json()
    seen = {(c["subject"], c["check"]) for c in j["checks"]}
    want = {("KMF", c) for c in ("reach", "clock", "metadata", "resource",
                                 "keys", "ready")}
    want |= {("Example", c) for c in ("discovery", "clock", "issuer", "keys",
                                      "login")}
    tap.ok(j["status"] == 0 and j["ok"] and seen == want,
           "all is well, and every check was made", json.dumps(j, indent=1))
    r = d.run("--provider", "Example")
    lines = r.stdout.splitlines()
    tap.ok(r.returncode == 0 and lines[-1] == "All is well." and
           all(x.startswith("OK ") for x in lines[:-1]),
           "in words: one line each", r.stdout, r.stderr)
    r = d.run(url=d.kmf.url + "/c/c_AAAAAAAAAAAAAAAAAAAAAA")
    tap.ok(r.returncode == 0, "a conference's URI names the KMF too", r.stdout)


def trust(w, d, kmf, provider):
    stranger, _ = w.certificate("stranger")
    j = d.json(ca=stranger)
    only(j, "KMF", "reach", "certificate|trust|SSL", "--ca",
         "a KMF with an unknown CA: say so, and which setting")
    tap.ok(j["status"] == 3, "out of reach is exit 3", j["status"])
    only(d.json(ca=kmf.ca), "Example", "discovery", "certificate|trust|SSL",
         "ca_file", "a provider with an unknown CA")


def names(d):
    j = d.json("--provider", "Nobody")
    only(j, "KMF", "providers", "Nobody", "perch-kmf.conf",
         "a provider that is not there")
    r = d.run(url=f"http://localhost:{d.kmf.port}")
    tap.ok(r.returncode == 3 and "https" in r.stdout, "https only", r.stdout)
    r = d.w.run([d.w.bin("perch"), "doctor"], check=False, env=d.env)
    tap.ok(r.returncode == 2, "doctor wants to know which KMF", r.stderr)


def other_name(d):
    """127.0.0.1 and localhost are one KMF, but not one issuer."""
    j = d.json(url=f"https://127.0.0.1:{d.kmf.port}")
    tap.ok(j["status"] == 1 and ("KMF", "metadata") in j["wrong"] and
           ("KMF", "resource") in j["wrong"] and all(
               "base_url" in c["do"] for c in j["checks"] if not c["ok"]),
           "a KMF by another name than its own: base_url is named",
           json.dumps(j, indent=1))


def clock(w, d):
    cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not cc:
        tap.skip("clock", "no compiler here")
        return
    src, lib = w.dir / "ahead.c", w.dir / "ahead.so"
    src.write_text(AHEAD)
    subprocess.run([cc, "-shared", "-fPIC", "-o", lib, src, "-ldl"],
                   check=True)
    only(d.json(env={"LD_PRELOAD": str(lib)}), "KMF", "clock",
         r"\b(29[5-9]|30[0-5]) s behind ours", "NTP",
         "our clock 300 s ahead: measured, and only against us")


def reconfigured(w, kmf, old, new):
    kmf.proc.stop()
    kmf.conf.write_text(kmf.conf.read_text().replace(old, new))
    kmf.serve()


def wrong_issuer(w, d, kmf, provider):
    reconfigured(w, kmf, f"url = {provider.url}\n", f"url = {provider.url}/\n")
    j = d.json()
    issuer = [c for c in j["checks"] if c["check"] == "issuer"]
    tap.ok(j["status"] == 1 and len(issuer) == 1 and not issuer[0]["ok"] and
           "slash" in issuer[0]["do"] and provider.url in issuer[0]["what"],
           "an issuer with a slash too many", json.dumps(j, indent=1))
    tap.ok(("KMF", "ready") in j["wrong"],
           "and the KMF itself has no keys of that one", j["wrong"])
    reconfigured(w, kmf, f"url = {provider.url}/\n", f"url = {provider.url}\n")
    kmf.wait_keys()


def login(w, d, kmf, mdd, provider, name, *how):
    """With --login; somebody types the code. The finished run."""
    p = w.spawn("doctor-" + name, [
        w.bin("perch"), "doctor", "--kmf", kmf.url, "--ca", d.ca, "--login",
        *how], env=d.env)
    code = world.wait_for(
        lambda: re.search(r"\b([A-Z0-9]{4}-[A-Z0-9]{4})\b", p.text()), 15,
        say="a device code").group(1)
    provider.approve("Alice", PASSWORD, code, SCOPE)
    p.p.wait(40)
    return p


def vault(d, agent):
    """What perch status tells of the vault, a line each, none of it wrong."""
    has = agent.json("status")["protection"]
    j = d.json()
    seen = {c["check"]: c for c in j["checks"] if c["subject"] == "vault"}
    good = {"memory": has["secret_memory"] == "secret",
            **{n: has[n] for n in ("seccomp", "landlock", "undumpable",
                                   "local_owner")}}
    told = {n: "do" not in c for n, c in seen.items()}
    # a sanitizer wants to see into the process
    tap.ok(told == good and j["ok"] and
           has["undumpable"] != world.SANITIZED,
           "how the vault keeps its keys", has, json.dumps(j, indent=1))


def trial(w, d, kmf, mdd, provider):
    r = d.run("--login")
    tap.ok(r.returncode == 1 and "start perch-agent" in r.stdout,
           "a trial login needs an agent", r.stdout, r.stderr)
    agent = stack.Agent(w, "Alice", None, kmf, mdd, provider).start()
    d.env = {**agent.env}
    vault(d, agent)
    p = login(w, d, kmf, mdd, provider, "good")
    tap.ok(p.p.returncode == 0 and "accepts this login" in p.text() and
           "All is well." in p.text(),
           "a trial login, and the KMF accepts it", p.text())
    # keys that are not the provider's: no token of it can be good
    reconfigured(w, kmf, "client_id = perch\n",
                 f"client_id = perch\njwks_file = {kmf.keys}\n")
    p = login(w, d, kmf, mdd, provider, "bad")
    tap.ok(p.p.returncode == 1 and "OK     login, tokens" in p.text() and
           re.search("WRONG  login, audience: .*not accept.*log", p.text()),
           "a login that the KMF does not accept, in its words", p.text())
    reconfigured(w, kmf, f"jwks_file = {kmf.keys}\n", "")


def stopped(d, provider):
    provider.proc.stop()
    only(d.json(), "Example", "discovery", "onnect|refused", "start it",
         "a provider that is down")


def run(w):
    mdd = stack.Mdd(w)
    port = world.free_port()
    provider = idp.Idp(w, f"https://localhost:{port}")
    provider.person("Alice", "alice@example.org", PASSWORD)
    kmf = stack.Kmf(w, None, provider, mdd.url, port=port).serve()
    mdd.configure(kmf)
    d = Doctor(w, kmf, bundle(w, "doctor-ca.pem", kmf.ca, provider.cert))
    kmf.wait_keys()
    well(d)
    trust(w, d, kmf, provider)
    names(d)
    other_name(d)
    clock(w, d)
    trial(w, d, kmf, mdd, provider)
    wrong_issuer(w, d, kmf, provider)
    stopped(d, provider)
    kmf.proc.stop()
    only(d.json(), "KMF", "reach", "onnect|refused", "start it",
         "a KMF that is down")


if not idp.present():
    tap.skip("doctor", "no glewlwyd here (see check.sh)")
    tap.done()
with world.World("perch-doctor-") as w:
    try:
        run(w)
    except Exception as e:
        tap.ok(False, f"the doctor is asked to the end: {e!r}")
        w.tell()
        raise
tap.done()
