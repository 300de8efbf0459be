#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# An identity provider that lies, forgets or is slow, and the real agent
# before it: each login ends in words, and a good one is kept alive. Real
# providers (tests/e2e) never answer with another's nonce or issuer; this
# one does.
import http.server
import json
import os
import pathlib
import pty
import select
import ssl
import subprocess
import sys
import threading
import time
import types
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "tools")]

import jose                                                 # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

CLIENT = "perch"


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, headers=()):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


class Kmf(Server):
    """Says where to log in, and no more."""
    base = idp = None

    def do_GET(self):
        self.answer(200, {
            "issuer": self.base, "token_endpoint": self.base + "/oauth/token",
            "perch_identity_providers": [{
                "name": "Liar", "issuer": self.idp, "client_id": CLIENT,
                "scope": "openid conf_join"}]})


class Idp(Server):
    base, key = None, jose.Key()

    @classmethod
    def reset(cls, **how):
        """dpop, iss_param, claims (a change of the ID token), tokens (a list
        of answers that come first), meta, life."""
        cls.how = {"life": 600, **how}
        cls.asked, cls.nonce, cls.n = [], None, 0

    def do_GET(self):
        if self.path == "/jwks":
            self.answer(200, {"keys": self.how.get("jwks", [
                {**self.key.public, "use": "sig", "alg": "ES256"}])})
            return
        if "page" in self.how:
            self.answer(*self.how["page"])
            return
        meta = {
            "issuer": self.base, "jwks_uri": self.base + "/jwks",
            "authorization_endpoint": self.base + "/authorize?tenant=7",
            "token_endpoint": self.base + "/token?policy=x",
            "device_authorization_endpoint": self.base + "/device",
            "revocation_endpoint": self.base + "/revoke",
            "dpop_signing_alg_values_supported":
                ["ES256"] if self.how.get("dpop") else None,
            "authorization_response_iss_parameter_supported":
                bool(self.how.get("iss_param")),
            **self.how.get("meta", {})}
        self.answer(200, {k: v for k, v in meta.items() if v is not None})

    def date_time_string(self, timestamp=None):
        """The Date of its answers."""
        return super().date_time_string(
            time.time() + self.how.get("ahead", 0))

    def id_token(self):
        now = int(time.time())
        c = {"iss": self.base, "sub": "alice", "aud": CLIENT, "iat": now,
             "exp": now + self.how["life"], "nonce": Idp.nonce,
             **self.how.get("claims", {})}
        return self.key.sign({"alg": "ES256", "typ": "JWT",
                              **self.how.get("header", {})},
                             {k: v for k, v in c.items() if v is not None})

    def tokens(self):
        Idp.n += 1
        t = {"access_token": f"at-{Idp.n}", "token_type":
             "DPoP" if self.how.get("dpop") else "Bearer",
             "expires_in": self.how["life"], "refresh_token": f"rt-{Idp.n}",
             "id_token": self.id_token(), **self.how.get("answer", {})}
        return 200, {k: v for k, v in t.items() if v is not None}

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = dict(urllib.parse.parse_qsl(body.decode()))
        path = self.path.split("?")[0]
        Idp.asked.append((time.monotonic(), path, form,
                          self.headers.get("DPoP")))
        if path == "/device":
            self.answer(200, {
                "device_code": "dc", "user_code": "ABCD-EFGH",
                "verification_uri": self.base + "/d",
                "verification_uri_complete":
                    self.base + "/d?user_code=ABCD-EFGH",
                "expires_in": 60, "interval": 1})
        elif path == "/revoke":
            self.answer(200, {})
        elif self.how.get("tokens"):
            self.answer(*self.how["tokens"].pop(0))
        else:
            self.answer(*self.tokens())


def serve(w, handler, cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.base = f"https://localhost:{server.server_port}"


def err(code, **more):
    return 400, {"error": code, **more}


class Scene:
    count = 0

    def __init__(self, w, agent):
        self.w, self.agent = w, agent

    def perch(self, *argv):
        Scene.count += 1
        return self.w.spawn(f"perch-{Scene.count}", [
            self.w.bin("perch"), *argv], env=self.agent.env)

    def login(self, *how):
        return self.perch("login", "--kmf", Kmf.base, *how)

    def browser(self, **change):
        """A login by browser; the redirect's query changed: (status, words,
        the URL's query)."""
        p = self.login("--browser")
        url = world.wait_for(lambda: next(
            (x for x in p.text().split() if x.startswith("https:")), None),
            10, say="a URL")
        q = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        Idp.nonce = q.get("nonce")
        back = {"code": "c0de", "state": q["state"], **change}
        back = {k: v for k, v in back.items() if v is not None}
        urllib.request.urlopen(q["redirect_uri"] + "?" +
                               urllib.parse.urlencode(back), timeout=5).read()
        p.p.wait(15)
        return p.p.returncode, p.text(), q

    def logins(self):
        return self.agent.json("status")["logins"]

    def logout(self):
        self.agent.perch("logout", check=False)


def test_lies_in_the_answer(s):
    """name of the lie, how the provider is, the redirect, words"""
    for name, how, redirect, words in [
            ("a wrong nonce", {"claims": {"nonce": "x" * 43}}, {}, "nonce"),
            ("no nonce", {"claims": {"nonce": None}}, {}, "nonce"),
            ("another issuer", {"claims": {"iss": "https://evil.example"}},
             {}, "issuer"),
            ("another client's", {"claims": {"aud": "other"}}, {}, "client"),
            ("of last week", {"claims": {"iat": 1, "exp": 2}}, {}, "clock"),
            ("RFC 9207: another's answer", {},
             {"iss": "https://evil.example"}, "mixes up"),
            ("RFC 9207: promised and not there", {"iss_param": True}, {},
             "mixes up"),
            ("no", {}, {"code": None, "error": "access_denied",
                        "error_description": "not you"}, "not you"),
            ("no grant", {"tokens": [err("unauthorized_client")]}, {},
             "allow the grant"),
            ("no resource", {"tokens": [err("invalid_target")]}, {},
             "resource_indicator"),
            ("no JSON to speak of", {"tokens": [(200, [])]}, {},
             "malformed"),
            ("no token at all", {"tokens": [(200, {"token_type": "x"})]}, {},
             "no token"),
            ("an ID token that is none",
             {"tokens": [(200, {"id_token": "x", "access_token": "a"})]}, {},
             "cannot be read"),
            ]:
        Idp.reset(**how)
        status, text, _ = s.browser(**redirect)
        assert status == 1 and words in text, (name, status, text)
        assert s.logins() == [], name
    Idp.reset(iss_param=True)
    status, text, _ = s.browser(iss=Idp.base)
    assert status == 0 and "Logged in" in text, text
    s.logout()


def test_a_foreign_state_ends_nothing(s):
    Idp.reset()
    p = s.login("--browser")
    url = world.wait_for(lambda: next(
        (x for x in p.text().split() if x.startswith("https:")), None))
    q = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    Idp.nonce = q["nonce"]
    for state in ("x" * 43, "", q["state"] + "x", q["state"].lower()):
        page = urllib.request.urlopen(
            q["redirect_uri"] + "?" + urllib.parse.urlencode(
                {"code": "planted", "state": state}), timeout=5).read()
        assert b"not the answer" in page, page
    assert p.alive() and not Idp.asked
    urllib.request.urlopen(q["redirect_uri"] + "?" + urllib.parse.urlencode(
        {"code": "mine", "state": q["state"]}), timeout=5).read()
    p.p.wait(60)
    assert p.p.returncode == 0, p.text()
    assert Idp.asked[0][2]["code"] == "mine"
    s.logout()


def proof_of(dpop):
    head = json.loads(jose.unb64u(dpop.split(".")[0]))
    key = jose.Key({**head["jwk"], "d": "AA"})
    return key.thumbprint(), head, jose.claims(dpop)


def test_bound_from_the_first_request(s):
    """RFC 9449 sections 5, 8 and 10."""
    nonce = 400, {"error": "use_dpop_nonce"}, [("DPoP-Nonce", "n-1")]
    Idp.reset(dpop=True, tokens=[nonce])
    status, text, q = s.browser()
    assert status == 0, text
    first, second = [proof_of(d) for _, _, _, d in Idp.asked]
    assert first[0] == second[0] == q["dpop_jkt"], (first, q)
    assert first[1]["typ"] == "dpop+jwt" and first[1]["alg"] == "ES256"
    assert "nonce" not in first[2] and second[2]["nonce"] == "n-1"
    assert second[2]["htm"] == "POST" and "ath" not in second[2]
    assert second[2]["htu"] == Idp.base + "/token", second[2]
    assert first[2]["jti"] != second[2]["jti"]
    assert s.logins()[0]["bound"] is True
    s.logout()
    Idp.reset()
    status, text, q = s.browser()
    assert status == 0 and "dpop_jkt" not in q, (text, q)
    assert Idp.asked[0][3] is None
    assert s.logins()[0]["bound"] is False
    s.logout()


def test_slow_down_is_for_good(s):
    """RFC 8628 3.5: five seconds more, from now on."""
    Idp.reset(tokens=[err("authorization_pending"), err("slow_down"),
                      err("authorization_pending")], dpop=True)
    p = s.login("--device")
    p.p.wait(30)
    assert p.p.returncode == 0 and "ABCD-EFGH" in p.text(), p.text()
    at = [t for t, path, _, _ in Idp.asked if path == "/token"]
    waits = [b - a for a, b in zip(at, at[1:])]
    assert 0.9 < waits[0] < 3 and all(5.9 < x < 9 for x in waits[1:]), waits
    assert all(d for _, path, _, d in Idp.asked if path == "/token")
    s.logout()


def test_a_device_that_is_refused(s):
    for code, words in [("access_denied", "said no"),
                        ("expired_token", "try again"),
                        ("invalid_client", "public client"),
                        ("surprise", "surprise")]:
        Idp.reset(tokens=[err(code)])
        p = s.login("--device")
        p.p.wait(60)
        assert p.p.returncode == 1 and words in p.text(), p.text()


def test_renewed_in_the_background(s):
    """Before its end; with patience while the provider is away."""
    Idp.reset(life=4, dpop=True)
    assert s.browser()[0] == 0
    Idp.how["tokens"] = [(503, {}), (503, {})]
    world.wait_for(lambda: len(Idp.asked) >= 4, 20, say="renewals")
    forms = [f for _, _, f, _ in Idp.asked]
    assert [f["grant_type"] for f in forms[1:4]] == ["refresh_token"] * 3
    assert [f["refresh_token"] for f in forms[1:4]] == ["rt-1"] * 3
    at = [t for t, _, _, _ in Idp.asked]
    assert at[1] - at[0] < 3, "the first comes before the token's end"
    assert at[2] - at[1] >= 0.9 and at[3] - at[2] >= 1.9, at
    assert all(d for _, _, _, d in Idp.asked)
    world.wait_for(lambda: s.logins()[0]["trouble"] == "", 5)
    # renewed by the new one, then it is over
    Idp.how["tokens"] = [err("invalid_grant", error_description="gone")]
    world.wait_for(lambda: s.logins()[0]["trouble"] != "", 10)
    one = s.logins()[0]
    assert "perch login" in one["trouble"] and "gone" in one["trouble"], one
    assert forms[-1]["refresh_token"] != "rt-1" or \
        Idp.asked[-1][2]["refresh_token"] == "rt-2", Idp.asked[-1]
    world.wait_for(lambda: not s.logins()[0]["valid"], 8,
                   say="the token's own end")
    s.logout()


def test_another_person_after_a_renewal(s):
    """OpenID Connect Core 12.2."""
    Idp.reset(life=4)
    assert s.browser()[0] == 0
    Idp.how["claims"] = {"sub": "bob", "nonce": None}
    world.wait_for(lambda: "somebody else" in s.logins()[0]["trouble"], 10)
    s.logout()


def test_logout(s):
    r = s.agent.perch("logout", check=False)
    assert r.returncode == 1 and "not logged in" in r.stderr, r.stderr
    Idp.reset()
    assert s.browser()[0] == 0
    r = s.agent.perch("logout", "--kmf", "https://other.example", check=False)
    assert r.returncode == 1, r.stderr
    r = s.agent.perch("logout")
    assert "it knows" in r.stdout, r.stdout
    _, path, form, _ = Idp.asked[-1]
    assert path == "/revoke" and form == {
        "token": "rt-1", "token_type_hint": "refresh_token",
        "client_id": CLIENT}, form
    assert s.logins() == []
    Idp.reset(meta={"revocation_endpoint": None})
    assert s.browser()[0] == 0
    r = s.agent.perch("logout", Kmf.base + "/c/c_abc")
    assert "was not told" in r.stdout and s.logins() == [], r.stdout


def on_terminal(s, *argv, env=None):
    """What a person at a terminal of 80 columns sees."""
    parent, child = pty.openpty()
    p = subprocess.Popen([s.w.bin("perch"), "login", "--kmf", Kmf.base,
                          "--device", *argv], stdin=child, stdout=child,
                         stderr=child, start_new_session=True,
                         env={**s.agent.env, "TERM": "xterm-256color",
                              "LC_ALL": "C.UTF-8", **(env or {})})
    os.close(child)
    out = b""
    while True:
        try:
            if not select.select([parent], [], [], 15)[0]:
                break
            more = os.read(parent, 65536)
        except OSError:     # the other end is closed
            break
        if not more:
            break
        out += more
    os.close(parent)
    p.wait(60)
    return out.decode()


def test_qr_code_on_a_terminal(s):
    Idp.reset()
    text = on_terminal(s)
    assert "Logged in" in text and "ABCD-EFGH" in text, text
    s.rows = [r for r in text.replace("\r", "").split("\n")
              if "\x1b[" in r]
    assert 15 < len(s.rows) < 30, text
    s.logout()
    for argv, env in ([["--no-qr"], {}], [[], {"TERM": "dumb"}],
                      [[], {"LC_ALL": "C"}]):
        Idp.reset()
        text = on_terminal(s, *argv, env=env)
        assert "ABCD-EFGH" in text and "\x1b[" not in text, (argv, env, text)
        s.logout()
    Idp.reset()
    s.agent.env.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
    p = s.login("--device")
    p.p.wait(15)
    assert "\x1b[" not in p.text() and "▀" not in p.text(), p.text()
    s.logout()


def test_qr_code_can_be_read(s):
    seen = read_qr(s.w, s.rows)
    if seen is None:
        raise tap.Skip("no zbarimg here")
    assert seen == Idp.base + "/d?user_code=ABCD-EFGH", seen


def read_qr(w, rows):
    """What a camera reads: the modules as a picture, given to zbarimg."""
    scale, dark = 4, {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
    lines = []
    for r in rows:
        cells = [dark[c] for c in r.split("m", 1)[1].split("\x1b")[0]]
        for half in (0, 1):
            line = bytes(b for c in cells
                         for b in [0 if c[half] else 255] * scale)
            lines += [line] * scale
    picture = w.dir / "qr.pgm"
    picture.write_bytes(b"P5 %d %d 255\n" % (len(lines[0]), len(lines)) +
                        b"".join(lines))
    try:
        return w.run(["zbarimg", "-q", "--raw", picture]).stdout.strip()
    except FileNotFoundError:
        return None


def main():
    with world.World("perch-idp-") as w:
        cert, key = w.certificate("liar")
        for handler in (Kmf, Idp):
            serve(w, handler, cert, key)
        Kmf.idp = Idp.base
        keys = w.write(w.dir / "keys.json", json.dumps(
            {"keys": [jose.Key().public]}), mode=0o644)
        kmf = types.SimpleNamespace(url=Kmf.base, ca=cert, keys=keys)
        agent = stack.Agent(w, "Alice", None, kmf, kmf).start()
        s = Scene(w, agent)
        try:
            tap.run([(n[5:], f, s) for n, f in list(globals().items())
                     if n.startswith("test_")])
        finally:
            log = agent.proc.text()
            if "at-1" in log or "rt-1" in log or "eyJ" in log:
                print("# a token is in the log")
                sys.exit(1)


if __name__ == "__main__":
    main()
