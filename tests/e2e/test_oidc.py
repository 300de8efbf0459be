#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The same road with a second real OpenID provider, oidc-provider on Node:
# code with PKCE in a browser, exchange to token1 by ID token and by at+jwt,
# keys that rotate while all runs, a provider that dies and comes back, and an
# audience that does not fit. An address that the provider does not vouch for
# invites nobody.
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import oidc                                                 # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

OTHER = "https://other.example"
PEOPLE = [
    {"login": "alice", "name": "Alice", "email": "alice@example.org",
     "email_verified": True, "groups": ["staff"]},
    {"login": "mallory", "name": "Mallory", "email": "alice@example.org",
     "email_verified": False, "groups": []},
]


def when(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ",
                         time.gmtime(time.time() + seconds))


def conference(kmf, *invitees):
    return kmf.admin().call("POST", "/v1/conferences", {
        "title": "Second", "starts_at": when(-60), "ends_at": when(3600),
        "invitees": list(invitees)}).body["uri"]


def settings(kmf, idp, *more):
    """[issuer corp] anew; served again, keys and all."""
    text = kmf.conf.read_text().split("[issuer corp]")[0]
    ca = kmf.public_copy(idp.cert, "idp-ca.crt")
    kmf.conf.write_text("\n".join([
        text + "[issuer corp]", f"url = {idp.url}", "name = Second",
        "client_id = perch", f"ca_file = {ca}", "cooldown_s = 1", *more, ""]))
    if hasattr(kmf, "proc"):
        kmf.proc.stop()
    kmf.serve()
    kmf.wait_keys()


class Run:
    """One `perch` command that opens a browser on the way."""

    count = 0

    def __init__(self, w, agent, idp, login, *argv):
        Run.count += 1
        p = w.spawn(f"perch-{Run.count}", [w.bin("perch"), *argv],
                    env=agent.env)
        self.url = world.wait_for(lambda: re.search(
            r"https://\S+/auth\?\S+", p.text()), 15, say="a URL").group(0)
        self.query = urllib.parse.parse_qs(
            urllib.parse.urlsplit(self.url).query)
        self.to = oidc.Browser(idp).visit(self.url, login)
        if not self.to.startswith("http://127.0.0.1:"):
            raise world.Broken("the browser ends at: " + self.to[-1500:])
        urllib.request.urlopen(self.to, timeout=5).read()
        p.p.wait(40)
        self.status, self.text = p.p.returncode, p.text()


def login(w, agent, kmf, idp, who="alice"):
    r = Run(w, agent, idp, who, "login", "--kmf", kmf.url, "--browser")
    tap.ok(r.status == 0 and "Logged in" in r.text,
           f"{who} logs in by code and PKCE", r.text, r.to[:600])
    return r


def comes_in(agent, uri, name):
    r = agent.perch("join", uri, check=False)
    s = agent.json("status")["conferences"]
    tap.ok(r.returncode == 0 and s[0]["state"] == "up" and
           s[0]["name"] == "Alice", name, r.stderr, s)
    agent.perch("leave", check=False)


def by_id_token(w, agent, kmf, idp):
    settings(kmf, idp, "scope = openid conf_join")
    r = login(w, agent, kmf, idp)
    tap.ok(r.query["code_challenge_method"] == ["S256"] and
           r.query["resource"] == [kmf.url] and
           len(r.query["dpop_jkt"][0]) == 43 and len(r.query["nonce"][0]) == 43,
           "RFC 7636, 8707, 9449 and a nonce in its URL", r.url)
    tap.ok("iss=" + urllib.parse.quote(idp.url, "") in r.to,
           "RFC 9207: the provider names itself in its answer", r.to)
    comes_in(agent, conference(kmf, {"email": "alice@example.org"}),
             "RFC 8693: the ID token becomes token1")
    comes_in(agent, conference(kmf, {"group": "staff"}),
             "an invited group lets its member in")
    r = agent.perch("join", conference(kmf, {"email": "bob@example.org"}),
                    check=False)
    tap.ok(r.returncode == 1 and "not invited" in r.stderr,
           "and nobody else", r.stderr)


def by_device(w, agent, kmf, idp):
    """RFC 8628 here too: the address with the code in it, visited."""
    p = w.spawn("perch-device", [w.bin("perch"), "login", "--kmf", kmf.url,
                                 "--device"], env=agent.env)
    code = world.wait_for(lambda: re.search(
        r"\b([A-Z]{4}-[A-Z]{4})\b", p.text()), 15, say="a code").group(1)
    page = oidc.Browser(idp).visit(
        f"{idp.url}/device?user_code={code}", "alice")
    p.p.wait(30)
    tap.ok(p.p.returncode == 0 and "Logged in" in p.text(),
           "alice logs in by device code", p.text(), page[-600:])
    s = agent.json("status")["logins"]
    tap.ok(s[0]["bound"], "RFC 9449: bound to her agent's key", s)
    comes_in(agent, conference(kmf, {"email": "alice@example.org"}),
             "and comes in with it")
    r = agent.perch("logout")
    tap.ok("it knows" in r.stdout, "and logs out", r.stdout)


def rotated(w, agent, kmf, idp):
    """Without a restart: the kid is unknown, the fetcher asks once."""
    uri = conference(kmf, {"email": "alice@example.org"})
    idp.rotate()
    time.sleep(1.2)     # cooldown_s
    login(w, agent, kmf, idp)
    comes_in(agent, uri, "a key that came after the KMF started is learned")
    idp.proc.stop()
    comes_in(agent, conference(kmf, {"email": "alice@example.org"}),
             "while the provider is down, a login that is there stays good")
    idp.start()
    time.sleep(1.2)
    login(w, agent, kmf, idp)
    comes_in(agent, uri, "and the provider may come back with other keys")


def unverified(w, agent, kmf, idp):
    uri = conference(kmf, {"email": "alice@example.org"})
    login(w, agent, kmf, idp, "mallory")
    r = agent.perch("join", uri, check=False)
    tap.ok(r.returncode == 1 and "not invited" in r.stderr,
           "an address that was not verified invites nobody", r.stderr)


def by_access_token(w, agent, kmf, idp):
    """Without openid there is no ID token: at+jwt, made for the KMF."""
    settings(kmf, idp, "scope = conf_join")
    login(w, agent, kmf, idp)
    comes_in(agent, conference(kmf, {"email": "alice@example.org"}),
             "RFC 9068: an at+jwt for this KMF becomes token1")


def other_audience(w, agent, kmf, idp, ca):
    settings(kmf, idp, "scope = conf_join", "resource_indicator = no")
    argv = ["doctor", "--kmf", kmf.url, "--ca", ca, "--login", "--browser"]
    r = Run(w, agent, idp, "alice", *argv)
    tap.ok("resource" not in r.query,
           "resource_indicator = no: the URL names none", r.url)
    tap.ok(r.status == 1 and re.search(
        "WRONG  login, audience: .*not accept", r.text) and
        r.text.count("WRONG") == 1,
        "perch doctor: this login's audience does not fit", r.text)
    tap.ok('reason="aud"' in kmf.proc.text(),
           "and the KMF's log has the reason", kmf.proc.text()[-1500:])
    settings(kmf, idp, "scope = conf_join", "resource_indicator = no",
             f"audience = {OTHER}")
    r = Run(w, agent, idp, "alice", *argv)
    tap.ok(r.status == 0 and "All is well." in r.text,
           "with that audience configured all is well", r.text)


def run(w):
    mdd = stack.Mdd(w)
    kmf = stack.Kmf(w, None, None, mdd.url)
    idp = oidc.Idp(w, PEOPLE, {OTHER: OTHER, kmf.url: kmf.url})
    mdd.configure(kmf).serve()
    agent = stack.Agent(w, "Alice", None, kmf, mdd, idp).start()
    ca = w.write(w.dir / "all-ca.pem", "".join(
        pathlib.Path(c).read_text() for c in (kmf.ca, idp.cert)))
    by_id_token(w, agent, kmf, idp)
    by_device(w, agent, kmf, idp)
    rotated(w, agent, kmf, idp)
    unverified(w, agent, kmf, idp)
    by_access_token(w, agent, kmf, idp)
    other_audience(w, agent, kmf, idp, ca)
    log = agent.proc.text() + kmf.proc.text()
    tap.ok("eyJ" not in log, "no token in the logs")


if oidc.missing():
    tap.skip("a second provider", oidc.missing())
    tap.done()
with world.World("perch-oidc-") as w:
    try:
        run(w)
    except Exception as e:
        tap.ok(False, f"the second provider's logins are done: {e!r}")
        w.tell()
        raise
tap.done()
