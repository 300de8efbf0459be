#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# perch login --browser as a person sees it: a real Chromium shows the real
# login pages of glewlwyd and of oidc-provider, somebody types name and
# password, allows perch what it asks for, and lands on the agent's own page on
# loopback (RFC 8252).
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import chromium                                             # noqa: E402
import idp                                                  # noqa: E402
import oidc                                                 # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

PASSWORD = "correct horse battery staple"


def enters(b, name, password):
    b.write("#username", name)
    b.write("#password", password)
    b.click("#loginbut")


def allows(b):
    """What perch asks for, when she is asked; then back to perch."""
    b.click("#grant-conf_join")
    b.click("button.btn-primary")
    world.wait_for(lambda: b.url().startswith("http://127.0.0.1:") or
                   b.js("!document.querySelector('#grant-conf_join')"), 10,
                   say="the grant")
    if not b.url().startswith("http://127.0.0.1:"):
        b.click("button.btn-success")


def logs_in(b, p, back):
    b.visit(world.wait_for(lambda: re.search(r"https://\S+", p.text()), 10,
                           say="the URL").group(0))
    enters(b, "alice", "guess")
    world.wait_for(lambda: "rror" in b.text(), 10, say="a refusal")
    tap.ok(p.alive() and "login.html" in b.url(),
           "a wrong password stays at the provider's page", b.text())
    b.visit(b.url())
    enters(b, "alice", PASSWORD)
    world.wait_for(lambda: "Hello Alice" in b.text(), 10, say="Alice's page")
    # the page fills itself bit by bit
    asked = world.wait_for(lambda: "perch requires access" in b.text(), 10,
                           say="the question")
    tap.ok(asked, "she is asked")
    allows(b)
    ends(b, p, back)


def logs_in_there(b, p, back):
    """The plain pages of oidc-provider: whoever, and whatever password."""
    b.visit(world.wait_for(lambda: re.search(r"https://\S+", p.text()), 10,
                           say="the URL").group(0))
    b.write("input[name=login]", "alice")
    b.write("input[name=password]", "any")
    b.click("button[type=submit]")
    world.wait_for(lambda: "Authorize" in b.text(), 10, say="the question")
    tap.ok("conf_join" in b.text() and p.alive(), "she is asked there too",
           b.text())
    b.click("button[type=submit]")
    ends(b, p, back)


def ends(b, p, back):
    world.wait_for(lambda: b.url().startswith(back), 15,
                   say=f"perch's page, from {b.url()}")
    tap.ok("has let you in" in b.text(),
           "RFC 8252: the browser ends at the agent's own page", b.text())
    p.p.wait(60)
    tap.ok(p.p.returncode == 0 and "Logged in" in p.text(),
           "and perch login knows", p.text())


def login(w, agent, kmf, name):
    return w.spawn("perch-login-" + name, [
        w.bin("perch"), "login", "--kmf", kmf.url, "--browser",
        "--provider", name], env=agent.env)


def second(w, kmf):
    """oidc-provider beside glewlwyd, where it is installed."""
    if oidc.missing():
        tap.skip("the second provider's pages", oidc.missing())
        return None
    p = oidc.Idp(w, [{"login": "alice", "name": "Alice",
                      "email": "alice@example.org", "email_verified": True,
                      "groups": []}], {kmf.url: kmf.url})
    ca = kmf.public_copy(p.cert, "second-ca.crt")
    with open(kmf.conf, "a") as f:
        f.write("\n".join([
            "[issuer second]", f"url = {p.url}", "name = Second",
            "client_id = perch", "scope = openid conf_join",
            f"ca_file = {ca}", ""]))
    return p


def run(w):
    mdd = stack.Mdd(w)
    port, login_port = world.free_port(), world.free_port()
    provider = idp.Idp(w, f"https://localhost:{port}")
    provider.person("Alice", "alice@example.org", PASSWORD)
    client = provider.admin.must("GET", "/api/client/perch")
    client["redirect_uri"] = [f"http://127.0.0.1:{login_port}/cb"]
    provider.admin.must("PUT", "/api/client/perch", client)
    kmf = stack.Kmf(w, None, provider, mdd.url, port=port)
    other = second(w, kmf)
    kmf.serve()
    mdd.configure(kmf)
    agent = stack.Agent(w, "Alice", None, kmf, mdd, provider, other)
    with open(agent.conf, "a") as f:
        f.write(f"login_port = {login_port}\n")
    agent.start()
    back = f"http://127.0.0.1:{login_port}/cb?"
    b = chromium.Chromium(w, *[x.cert for x in (provider, other) if x])
    p = login(w, agent, kmf, "Example")
    logs_in(b, p, back)
    if other:
        q = login(w, agent, kmf, "Second")
        logs_in_there(b, q, back)
    logins = agent.json("status")["logins"]
    tap.ok(len(logins) == 1 and logins[0]["valid"] and logins[0]["bound"],
           "the agent has one login, bound to its key", logins)
    tap.ok(PASSWORD not in agent.proc.text() + p.text() and
           "eyJ" not in agent.proc.text(), "and saw no password")


if not idp.present() or not idp.shows_pages() or not chromium.present():
    tap.skip("browser", "no glewlwyd with its scripts, or no chromium, here "
             "(see check.sh)")
    tap.done()
with world.World("perch-browser-") as w:
    try:
        run(w)
    except Exception as e:
        tap.ok(False, f"a browser logs in to the end: {e!r}")
        w.tell()
        raise
tap.done()
