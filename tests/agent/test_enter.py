#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A KMF that lies, and the real agent before it: at each step of entering one
# thing is wrong, and each time the agent must refuse in words, leave nothing
# behind and be ready for the next. The machine's vault pins this very KMF, so
# that only the front's own checks stand in the way.
import http.server
import json
import pathlib
import ssl
import sys
import threading
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "tools")]

import jose                                                 # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

CODE = "v_secret-invitation-code"


class Liar(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    base, lie, seen = None, None, []

    def log_message(self, *args):
        pass

    def answer(self, status, body, **headers):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for k, v in {"Content-Type": "application/json",
                     **headers}.items():
            self.send_header(k.replace("_", "-"), v)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def truth(self, step, conf):
        b, res = self.base, f"{self.base}/v1/conferences/{conf}"
        return {
            "descriptor": (200, {"conference": conf, "kmf": b,
                                 "resource": res,
                                 "token_endpoint": b + "/oauth/token"}),
            "resource": (200, {"resource": res,
                               "authorization_servers": [b]}),
            "server": (200, {"issuer": b,
                             "token_endpoint": b + "/oauth/token"}),
            "token": (200, {"access_token": "t", "token_type": "DPoP",
                            "expires_in": 300, "member": "m_abc"}),
            "conference": (200, {"title": "T", "mdd": "https://localhost:1",
                                 "policy": {}, "media": [],
                                 "you": {"name": "N"}}),
            "keys": (200, b"eyJ.a.b.c.d"),
        }[step]

    def step(self):
        path = self.path.split("?")[0]
        if path.startswith("/c/"):
            return "descriptor"
        if "oauth-protected-resource" in path:
            return "resource"
        if "oauth-authorization-server" in path:
            return "server"
        if path == "/oauth/token":
            return "token"
        return "keys" if path.endswith("/keys") else "conference"

    def do_GET(self):
        n = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(n)
        step = self.step()
        Liar.seen.append((step, dict(self.headers), self.path))
        status, body = self.truth(step, "c_abc")
        headers = {}
        if self.lie and self.lie[0] == step:
            change = self.lie[1]
            if isinstance(change, dict):
                body = {k: v for k, v in {**body, **change}.items()
                        if v is not None}
            else:
                status, body, *more = change
                headers = more[0] if more else {}
        self.answer(status, body, **headers)

    do_POST = do_PUT = do_DELETE = do_GET


def problem(status, code, detail):
    return (status, {"type": "about:blank", "title": "No", "code": code,
                     "status": status, "detail": detail})


def lies(base):
    other = "https://evil.example"
    return [
        ("there is nothing", "descriptor", (404, {}), "404", 1),
        ("it is no JSON", "descriptor", (200, b"<html>"), "malformed", 1),
        ("it is JSON and more", "descriptor", (200, b"{} {}"), "malformed",
         1),
        ("it is too long", "descriptor", (200, b"x" * (2 << 20)), "too long",
         1),
        ("it leads elsewhere", "descriptor",
         (302, {}, {"Location": other + "/c/c_abc"}), "302", 1),
        ("another conference", "descriptor", {"conference": "c_xyz"},
         "does not describe", 2),
        ("another KMF", "descriptor", {"kmf": other}, "does not describe", 2),
        ("another resource", "descriptor", {"resource": base + "/x"},
         "does not describe", 2),
        ("tokens from elsewhere", "descriptor",
         {"token_endpoint": other + "/t"}, "does not describe", 2),
        ("RFC 9728 3.3: metadata of another resource", "resource",
         {"resource": base + "/v1/conferences/c_xyz"}, "another resource", 1),
        ("an authorization server elsewhere", "resource",
         {"authorization_servers": [other]}, "not itself", 1),
        ("no authorization server", "resource",
         {"authorization_servers": None}, "not itself", 1),
        ("RFC 8414 3.3: another issuer", "server", {"issuer": base + "/"},
         "not its own", 1),
        ("token endpoint elsewhere in the metadata", "server",
         {"token_endpoint": other + "/t"}, "not its own", 1),
        ("a Bearer token1", "token", {"token_type": "Bearer"}, "malformed",
         1),
        ("a member that is a path", "token", {"member": "m_../x"},
         "malformed", 1),
        ("no end of the token", "token", {"expires_in": "soon"}, "malformed",
         1),
        ("the code is refused", "token",
         (400, {"error": "invalid_grant", "error_description": "used up"}),
         "used up", 1),
        ("not invited", "token", (400, {"error": "invalid_target"}),
         "not invited", 1),
        ("no distributor", "conference", {"mdd": None}, "no distributor", 1),
        ("too early", "keys", problem(403, "too_early",
                                      "opens at 10:00"), "opens at 10:00", 1),
        ("a key that is none", "keys", (200, b"eyJ.a.b.c.d"),
         "vault refuses", 1),
        ("words that are no text", "keys",
         (403, b'{"code":"x","detail":"\\u001b[2J evil"}'), "evil", 1),
    ]


def run(w):
    cert, key = w.certificate("liar")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Liar.base = f"https://localhost:{server.server_port}"
    keys = w.write(w.dir / "keys.json", json.dumps(
        {"keys": [jose.Key().public]}), mode=0o644)
    kmf = types.SimpleNamespace(url=Liar.base, ca=cert, keys=keys)
    agent = stack.Agent(w, "Alice", None, kmf, kmf).start()
    uri = Liar.base + "/c/c_abc"

    for name, step, lie, words, want in lies(Liar.base):
        Liar.lie, Liar.seen = (step, lie), []
        r = agent.perch("join", uri, "--code", CODE, check=False)
        steps = [s for s, _, _ in Liar.seen]
        tap.ok(r.returncode == want and words in r.stderr and
               steps and steps[-1] == step,
               f"{step}: {name}: refused, and nothing more is asked",
               r.returncode, r.stdout, r.stderr, steps)
        if "\x1b" in r.stderr + r.stdout:
            tap.ok(False, "no escape sequence reaches the terminal")
    series = Liar.base + "/c/s_abc"
    for change, end in ((None, "descriptor"), ({"series": "s_x"}, "descriptor"),
                        ({"series": "s_abc", "conference": "s_abc"},
                         "descriptor"),
                        ({"series": "s_abc"}, "keys")):
        Liar.lie, Liar.seen = change and ("descriptor", change), []
        r = agent.perch("join", series, "--code", CODE, check=False)
        tap.ok(Liar.seen[0][2] == "/c/s_abc" and Liar.seen[-1][0] == end and
               (end == "keys") == ("does not describe" not in r.stderr),
               f"a series: {change} leads as far as its {end}",
               r.stderr, Liar.seen)
    tap.ok(Liar.seen[-1][2] == "/v1/conferences/c_abc/keys",
           "a series' URI leads to the conference that it names")
    c = agent.json("status")["conferences"][0]
    tap.ok(c["state"] == "over" and c["epochs_held"] == 0,
           "nothing is left of all that in the vault", c)

    nonces = (401, {"error": "use_dpop_nonce"},
              {"DPoP_Nonce": "n1",
               "WWW_Authenticate": 'DPoP error="use_dpop_nonce"'})
    Liar.lie, Liar.seen = ("keys", nonces), []
    agent.perch("join", uri, "--code", CODE, check=False)
    asked = [h for s, h, _ in Liar.seen if s == "keys"]
    tap.ok(len(asked) == 2, "a server that is never content with a nonce is "
           "asked twice, not for ever", len(asked))
    first, second = (jose.claims(h["DPoP"]) for h in asked)
    tap.ok("nonce" not in first and second["nonce"] == "n1" and
           first["jti"] != second["jti"] and first["htm"] == "POST" and
           first["htu"] == f"{Liar.base}/v1/conferences/c_abc/keys" and
           "ath" in first and first["seal_jkt"],
           "RFC 9449: fresh proof, the server's nonce, htm, htu, ath, and "
           "the sealing key's thumbprint", first, second)
    everything = str(Liar.seen) + agent.proc.text()
    tap.ok(all(CODE not in p for _, _, p in Liar.seen) and
           CODE not in everything,
           "the invitation code is in no URL, header or log")
    refused = agent.perch("join", "http://127.0.0.1:1/c/c_abc", check=False)
    tap.ok(refused.returncode == 2 and "https" in refused.stderr,
           "plain http is no way to a KMF", refused.stderr)
    tap.ok(agent.proc.stop() == 0, "the agent is well and stops in order",
           agent.proc.text()[-3000:])


with world.World("perch-enter-") as w:
    try:
        run(w)
    except Exception as e:
        tap.ok(False, f"all lies are told: {e!r}")
        w.tell()
        raise
tap.done()
