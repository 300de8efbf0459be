# SPDX-License-Identifier: Apache-2.0
# glewlwyd, a real OpenID provider of Debian's, set up by script: its own
# database, one plugin instance, one client for perch, people with passwords;
# and the person who types the device code into a browser.
import gzip
import http.client
import http.cookies
import json
import os
import pathlib
import shutil
import sqlite3
import urllib.parse

import world

# the root of its files: "/" when the package is installed
ROOT = pathlib.Path(os.environ.get("PERCH_GLEWLWYD", "/"))
DATABASE = ROOT / "usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz"
WEBAPP = ROOT / "usr/share/glewlwyd/webapp"
CONF = """port={port}
bind_address="127.0.0.1"
external_url="https://localhost:{port}"
api_prefix="api"
login_url="login.html"
static_files_path="{pages}/"
log_mode="console"
log_level="WARNING"
cookie_domain="localhost"
cookie_secure=0
session_expiration=86400
session_key="GLEWLWYD"
admin_scope="g_admin"
profile_scope="g_profile"
hash_algorithm="SHA512"
user_module_path="{root}/usr/lib/glewlwyd/user"
client_module_path="{root}/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="{root}/usr/lib/glewlwyd/scheme"
plugin_module_path="{root}/usr/lib/glewlwyd/plugin"
use_secure_connection=true
secure_connection_key_file="{key}"
secure_connection_pem_file="{cert}"
static_files_mime_types = (
  {{ extension = ".html"; mime_type = "text/html"; }},
  {{ extension = ".js"; mime_type = "application/javascript"; }},
  {{ extension = ".css"; mime_type = "text/css"; }},
  {{ extension = ".json"; mime_type = "application/json"; }}
);
database = {{ type="sqlite3"; path="{db}"; }};
"""


def present():
    return (ROOT / "usr/bin/glewlwyd").exists() and DATABASE.exists()


class Session:
    """One browser: a cookie jar and JSON."""

    def __init__(self, port, ca):
        self.port, self.context, self.cookies = port, world.tls(ca), {}

    def __call__(self, method, path, body=None, form=None):
        c = http.client.HTTPSConnection("localhost", self.port, timeout=10,
                                        context=self.context)
        headers = {"Cookie": "; ".join(f"{k}={v}"
                                       for k, v in self.cookies.items())}
        data = None
        if form is not None:
            data = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            data = json.dumps(body)
            headers["Content-Type"] = "application/json"
        c.request(method, path, data, headers)
        r = c.getresponse()
        for value in r.headers.get_all("Set-Cookie") or []:
            for k, m in http.cookies.SimpleCookie(value).items():
                self.cookies[k] = m.value
        raw = r.read()
        c.close()
        kind = r.headers.get("Content-Type", "")
        return r.status, json.loads(raw) if "json" in kind and raw else raw

    def must(self, *args, **kw):
        status, body = self(*args, **kw)
        if status >= 400:
            raise world.Broken(f"glewlwyd: {args[:2]}: {status} {body}")
        return body


# what its pages must know, instead of the package's file in /etc
PAGES = {"GlewlwydUrl": "./", "ProfileUrl": "profile.html",
         "AdminUrl": "index.html", "LoginUrl": "login.html",
         "CallbackPage": "callback.html", "lang": ["en"],
         "pattern": {"user": [], "client": []}, "defaultScheme": "",
         "sessionSchemes": [], "register": [], "register-complete": []}


def shows_pages():
    """Its pages link to scripts and fonts of other packages."""
    return present() and all(f.exists() for f in WEBAPP.rglob("*")
                             if f.name != "config.json")


def pages(w):
    """Its pages with a configuration of our own, for a real browser."""
    if not shows_pages():
        return WEBAPP
    to = w.dir / "idp" / "webapp"
    shutil.copytree(WEBAPP, to, ignore=shutil.ignore_patterns("config.json"))
    (to / "config.json").write_text(json.dumps(PAGES))
    return to


class Idp:
    """audience: the KMF's base URL, which tokens for it name."""

    def __init__(self, w, audience):
        self.w, self.port = w, world.free_port()
        self.dir = w.mkdir("idp")
        self.cert, key = w.certificate("idp")
        self.url = f"https://localhost:{self.port}/api/oidc"
        db = self.dir / "g.db"
        with gzip.open(DATABASE, "rt") as f:
            sql = sqlite3.connect(db)
            sql.executescript(f.read())
            sql.close()
        conf = w.write(self.dir / "g.conf", CONF.format(
            port=self.port, root=str(ROOT).rstrip("/"), key=key,
            cert=self.cert, db=db, pages=pages(w)))
        self.argv = [ROOT / "usr/bin/glewlwyd", "-c", conf]
        self.start(f"https://localhost:{self.port}/config")
        self.admin = Session(self.port, self.cert)
        self.admin.must("POST", "/api/auth/", {"username": "admin",
                                               "password": "password"})
        self.set_up(audience)

    def start(self, answer=None):
        """Before it is set up it has no metadata."""
        self.proc = self.w.spawn("glewlwyd", self.argv)
        answer = answer or self.url + "/.well-known/openid-configuration"
        self.proc.wait_for(lambda: world.answers(answer, self.cert), 15,
                           "an answer")

    def more_properties(self):
        """Let the user database keep what it does not know by itself."""
        for m in self.admin.must("GET", "/api/mod/user/"):
            prop = {"multiple": False, "read": True, "write": True,
                    "profile-read": True, "profile-write": False}
            m["parameters"]["data-format"] = {"email_verified": prop}
            self.admin.must("PUT", "/api/mod/user/" + m["name"], m)
            self.admin.must("PUT", f"/api/mod/user/{m['name']}/reset/")

    def set_up(self, audience):
        self.more_properties()
        key, public = self.signing_key()
        yes = {f"auth-type-{k}-enabled": True for k in (
            "code", "client", "device", "password", "refresh", "id-token")}
        self.admin.must("POST", "/api/mod/plugin/", {
            "module": "oidc", "name": "oidc", "display_name": "oidc",
            "enabled": True, "parameters": {
                "iss": self.url, "jwt-type": "ecdsa", "jwt-key-size": "256",
                "key": key, "cert": public,
                "access-token-duration": 600,
                "refresh-token-duration": 86400, "code-duration": 60,
                "refresh-token-rolling": True, "allow-non-oidc": True, **yes,
                "auth-type-token-enabled": False, "subject-type": "public",
                "oauth-dpop-allowed": True, "oauth-dpop-iat-duration": 60,
                "pkce-allowed": True, "introspection-revocation-allowed": True,
                "introspection-revocation-allow-target-client": True,
                "device-authorization-expiration": 600,
                "device-authorization-interval": 1,
                "resource-allowed": True,
                "resource-scope": {"conf_join": [audience]},
                "name-claim": "mandatory", "email-claim": "mandatory",
                "claims": [{"name": "email_verified", "type": "boolean",
                            "user-property": "email_verified",
                            "boolean-value-true": "yes",
                            "boolean-value-false": "no",
                            "mandatory": True}],
                "additional-parameters": [
                    {"user-parameter": "email", "token-parameter": "email"},
                    {"user-parameter": "name", "token-parameter": "name"}],
                "jwks-show": True, "scope": []}})
        self.admin.must("POST", "/api/scope/", {
            "name": "conf_join", "display_name": "join", "description": "join",
            "password_required": True, "scheme": {}, "password_max_age": 0})
        self.admin.must("POST", "/api/client/", {
            "client_id": "perch", "name": "perch", "enabled": True,
            "confidential": False, "redirect_uri": ["http://127.0.0.1/cb"],
            "authorization_type": ["device_authorization", "refresh_token",
                                   "code"],
            "scope": ["conf_join", "openid"],
            "token_endpoint_auth_method": ["none"]})

        self.admin.must("POST", "/api/client/", {
            "client_id": "svc", "name": "svc", "enabled": True,
            "confidential": True, "client_secret": "svc-secret",
            "password": "svc-secret", "redirect_uri": ["https://localhost/"],
            "authorization_type": ["client_credentials"],
            "scope": ["conf_join"],
            "token_endpoint_auth_method": ["client_secret_basic"]})

    def signing_key(self):
        signing = self.dir / "sign.pem"
        self.w.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-out", signing])
        public = self.w.run(["openssl", "pkey", "-in", signing,
                             "-pubout"]).stdout
        return signing.read_text(), public

    def rotate(self):
        """Another signing key, while it runs."""
        plugin = self.admin.must("GET", "/api/mod/plugin/oidc")
        key, public = self.signing_key()
        plugin["parameters"].update(key=key, cert=public)
        self.admin.must("PUT", "/api/mod/plugin/oidc", plugin)
        self.admin.must("PUT", "/api/mod/plugin/oidc/reset/")

    def person(self, name, email, password):
        self.admin.must("POST", "/api/user/", {
            "username": name.lower(), "name": name, "email": email,
            "password": password, "enabled": True, "email_verified": "yes",
            "scope": ["conf_join", "openid", "g_profile"]})

    def approve(self, name, password, user_code, scope="openid conf_join"):
        """What Name does in the browser of a telephone."""
        s = Session(self.port, self.cert)
        s.must("POST", "/api/auth/", {"username": name.lower(),
                                      "password": password})
        s.must("PUT", "/api/auth/grant/perch", {"scope": scope})
        s.must("GET", "/api/oidc/device?" + urllib.parse.urlencode(
            {"code": user_code}) + "&g_continue")
