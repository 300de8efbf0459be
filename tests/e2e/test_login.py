#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Logging in at a real OpenID provider (glewlwyd), by device code and by the
# browser's loopback redirect with PKCE, and what the login is good for. The
# agent passes the provider's tokens on without looking into them: REQ-W-4.1.
import http.client
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import idp                                                  # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

PASSWORD = "correct horse battery staple"
SCOPE = "openid conf_join"


class Browser:
    """Alice's: she is logged in at the provider and says yes."""

    def __init__(self, provider):
        self.s = idp.Session(provider.port, provider.cert)
        self.s.must("POST", "/api/auth/", {"username": "alice",
                                           "password": PASSWORD})
        self.s.must("PUT", "/api/auth/grant/perch", {"scope": SCOPE})

    def visit(self, url):
        """Where the provider sends the browser next."""
        u = urllib.parse.urlsplit(url)
        c = http.client.HTTPSConnection("localhost", self.s.port, timeout=10,
                                        context=self.s.context)
        c.request("GET", f"{u.path}?{u.query}&g_continue", headers={
            "Cookie": "; ".join(f"{k}={v}"
                                for k, v in self.s.cookies.items())})
        r = c.getresponse()
        r.read()
        c.close()
        return r.headers.get("Location")


def fetch(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read().decode()
    except (urllib.error.URLError, ConnectionError) as e:
        return str(e)


def login(w, agent, kmf, *how):
    return w.spawn("perch-login" + "".join(how), [
        w.bin("perch"), "login", "--kmf", kmf.url, *how], env=agent.env)


def device(w, agent, kmf, provider):
    p = login(w, agent, kmf, "--device")
    code = world.wait_for(
        lambda: re.search(r"\b([A-Z0-9]{4}-[A-Z0-9]{4})\b", p.text()), 15,
        say="a device code").group(1)
    time.sleep(1.5)     # a poll that is told to be patient
    tap.ok(p.alive(), "perch login waits while nobody has said yes")
    provider.approve("Alice", PASSWORD, code, SCOPE)
    p.p.wait(60)
    tap.ok(p.p.returncode == 0 and "Logged in" in p.text(),
           "RFC 8628: a code typed elsewhere logs in", p.text())


def browser(w, agent, kmf, provider):
    p = login(w, agent, kmf, "--browser")
    url = world.wait_for(lambda: re.search(r"https://\S+", p.text()), 10,
                         say="the URL").group(0)
    q = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    tap.ok(q["code_challenge_method"] == ["S256"] and
           len(q["code_challenge"][0]) == 43 and len(q["state"][0]) == 43 and
           q["redirect_uri"][0].startswith("http://127.0.0.1:"),
           "the URL carries PKCE, state and a redirect to loopback", url)
    back = q["redirect_uri"][0]
    forged = fetch(back + "?" + urllib.parse.urlencode(
        {"code": "forged", "state": "x" * 43}))
    tap.ok("not the answer" in forged and p.alive(),
           "an answer without our state is not believed", forged)
    to = Browser(provider).visit(url)
    tap.ok(to and to.startswith(back + "?"), "the provider redirects", to)
    page = fetch(to)
    p.p.wait(60)
    tap.ok("let you in" in page and p.p.returncode == 0,
           "RFC 8252, RFC 7636: the browser's code logs in", page, p.text())
    again = fetch(to)
    tap.ok("refused" in again.lower() or "reset" in again.lower(),
           "nobody listens for a redirect any more", again)


def run(w):
    mdd = stack.Mdd(w)
    kmf_port, login_port = world.free_port(), world.free_port()
    provider = idp.Idp(w, f"https://localhost:{kmf_port}")
    provider.person("Alice", "alice@example.org", PASSWORD)
    client = provider.admin.must("GET", "/api/client/perch")
    client["redirect_uri"] = [f"http://127.0.0.1:{login_port}/cb"]
    provider.admin.must("PUT", "/api/client/perch", client)
    kmf = stack.Kmf(w, None, provider, mdd.url, port=kmf_port).serve()
    mdd.configure(kmf).serve()
    agent = stack.Agent(w, "Alice", None, kmf, mdd, provider)
    with open(agent.conf, "a") as f:
        f.write(f"login_port = {login_port}\n")
    agent.start()

    now = time.time()
    at = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + s))
          for s in (-60, 3600)]
    conf = kmf.admin().call("POST", "/v1/conferences", {
        "title": "Login", "starts_at": at[0], "ends_at": at[1],
        "invitees": [{"email": "alice@example.org"}]}).body

    r = agent.perch("join", conf["uri"], check=False)
    tap.ok(r.returncode == 4 and "log in first" in r.stderr,
           "without login or code, join says so: exit 4", r.stderr)
    r = agent.perch("login", check=False)
    tap.ok(r.returncode == 2, "login wants to know which KMF", r.stderr)
    r = agent.perch("login", "--kmf", kmf.url, "--provider", "Nobody",
                    check=False)
    tap.ok(r.returncode == 1 and "no such identity provider" in r.stderr,
           "a provider that the KMF does not name is refused", r.stderr)
    device(w, agent, kmf, provider)
    agent.perch("join", conf["uri"])
    s = agent.json("status")
    tap.ok(s["conferences"][0]["state"] == "up" and
           s["conferences"][0]["name"] == "Alice" and s["logins"][0]["valid"],
           "REQ-W-4.1: with the login alone Alice is in, under her name", s)
    agent.perch("leave")
    browser(w, agent, kmf, provider)
    agent.perch("join", conf["uri"])
    s = agent.json("status")
    tap.ok(s["conferences"][0]["state"] == "up",
           "and it is good for a conference too", s)
    tap.ok(s["logins"][0]["bound"] and s["logins"][0]["trouble"] == "",
           "RFC 9449: the provider bound its tokens to the agent's key", s)
    agent.perch("leave")
    r = agent.perch("logout")
    # glewlwyd revokes for clients with a secret only; oidc-provider for all
    tap.ok("Logged out" in r.stdout and agent.json("status")["logins"] == [],
           "logged out", r.stdout)
    r = agent.perch("join", conf["uri"], check=False)
    tap.ok(r.returncode == 4, "and then join wants a login again", r.stderr)
    log = agent.proc.text()
    tap.ok("eyJ" not in log and PASSWORD not in log,
           "no token and no password in the agent's log")


if not idp.present():
    tap.skip("login", "no glewlwyd here (see check.sh)")
    tap.done()
with world.World("perch-login-") as w:
    try:
        run(w)
    except Exception as e:
        tap.ok(False, f"the logins are done to the end: {e!r}")
        w.tell()
        raise
tap.done()
