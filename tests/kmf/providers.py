# SPDX-License-Identifier: Apache-2.0
# A small identity provider of our own that lies, rotates its keys, hangs and
# falls over as asked, and the tokens it would sign.
import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.parse

import jose
import world

ID = "urn:ietf:params:oauth:token-type:id_token"


class Rsa:
    """RS256 and PS256 with the openssl program."""

    def __init__(self, w, kid):
        self.path, self.kid = str(w.dir / kid), kid
        w.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt",
               "rsa_keygen_bits:2048", "-out", self.path])
        n = w.run(["openssl", "rsa", "-in", self.path, "-noout",
                   "-modulus"]).stdout.strip().split("=")[1]
        self.public = {"kty": "RSA", "n": jose.b64u(bytes.fromhex(n)),
                       "e": "AQAB"}

    def sign(self, header, payload):
        text = jose.b64u(jose.compact(header)) + "." + \
            jose.b64u(jose.compact(payload))
        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt",
               "rsa_pss_saltlen:32"] if header["alg"] == "PS256" else []
        sig = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.path, *pss],
            input=text.encode(), check=True, capture_output=True).stdout
        return text + "." + jose.b64u(sig)


class Provider:
    """Metadata and keys; everything about it can be changed."""

    def __init__(self, w, name):
        self.cert, key = w.certificate(name)
        self.port = world.free_port()
        self.url = f"https://localhost:{self.port}/{name}"
        self.docs, self.hits, self.down = {}, [], False
        self.asked, self.words, self.hang = [], {}, threading.Event()
        self.hang.set()     # cleared: it takes requests and says nothing
        self.publish([])
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.hits.append(self.path)
                outer.hang.wait(20)
                body = outer.docs.get(self.path)
                if body is None or outer.down:
                    self.send_error(503 if outer.down else 404)
                    return
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                """Introspection: the word about this token, or inactive."""
                size = int(self.headers["Content-Length"])
                form = dict(urllib.parse.parse_qsl(
                    self.rfile.read(size).decode()))
                form["basic"] = self.headers["Authorization"]
                outer.asked.append(form)
                outer.hang.wait(20)
                word = outer.words.get(form.get("token"), {"active": False})
                data = word if isinstance(word, bytes) else \
                    json.dumps(word).encode()
                self.send_response(503 if outer.down else 200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", self.port), Handler)
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.cert, key)
        self.server.socket = c.wrap_socket(self.server.socket,
                                           server_side=True)
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def publish(self, keys, oidc=True):
        path = urllib.parse.urlsplit(self.url).path
        base = self.url[:-len(path)]
        meta = {"issuer": self.url, "jwks_uri": base + "/jwks",
                "introspection_endpoint": base + "/introspect"}
        self.docs = {"/jwks": {"keys": keys}}
        if oidc:
            self.docs[path + "/.well-known/openid-configuration"] = meta
        else:
            self.docs["/.well-known/oauth-authorization-server" + path] = meta

    def config(self, label, more=""):
        return (f"[issuer {label}]\nurl = {self.url}\nclient_id = perch\n"
                f"ca_file = {self.cert}\ncooldown_s = 4\n{more}\n")


class Scene:
    pass


def jwk(key, kid, **more):
    return {**key.public, "kid": kid, "use": "sig", **more}


def at(s, key=None, header=(), drop=(), p=None, **claims):
    now = int(time.time())
    c = {"iss": (p or s.p).url, "aud": s.k.url, "sub": "alice",
         "client_id": "perch", "iat": now, "exp": now + 300, "jti": "j",
         "email": "alice@example.org", "email_verified": True,
         "name": "Alice", "scope": "openid", **claims}
    for d in drop:
        c.pop(d)
    h = {"alg": "ES256", "typ": "at+jwt", "kid": "one", **dict(header)}
    return (key or s.key).sign(h, c)


def idt(s, **kw):
    kw = {"aud": "perch", "header": {"typ": "JWT", **kw.pop("header", {})},
          **kw}
    return at(s, **kw)
