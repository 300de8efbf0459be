# SPDX-License-Identifier: Apache-2.0
# Clients of the KMF's HTTP interface (docs/wire/kmf-http.md): the scheduler's,
# and the plain-form endpoint that is a user agent of somebody else's make.
import json
import re
import http.client
import urllib.parse

import openapi
import world

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
CODE = "urn:perch:params:oauth:token-type:invitation-code"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status, self.body = status, body
        self.code = body.get("code") or body.get("error") \
            if isinstance(body, dict) else None


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.raw = status, headers, body
        kind = headers.get("content-type", "")
        self.body = json.loads(body) \
            if kind.split(";")[0].endswith("json") and body else body


class Client:
    """HTTPS with DPoP; follows the nonce dance once."""
    documented = True   # it speaks to a KMF, whose answers are checked

    def __init__(self, base, ca, key):
        self.base, self.key = base.rstrip("/"), key
        self.context = world.tls(ca)
        self.token, self.nonce = None, None

    def send(self, method, url, headers, body):
        u = urllib.parse.urlsplit(url)
        c = http.client.HTTPSConnection(u.hostname, u.port, timeout=15,
                                        context=self.context)
        try:
            path = u.path + ("?" + u.query if u.query else "")
            c.request(method, path, body, headers)
            r = c.getresponse()
            a = Answer(r.status, {k.lower(): v for k, v in r.getheaders()},
                       r.read())
        finally:
            c.close()
        if self.documented and url.startswith(self.base):
            openapi.check(method, path, a.status, a.headers, a.raw)
        return a

    def call(self, method, path, body=None, form=None, token=None, **more):
        """The answer, or Refused. `more` are headers, _ for -."""
        url = path if path.startswith("https:") else self.base + path
        data, headers = None, {k.replace("_", "-"): v
                               for k, v in more.items()}
        if form is not None:
            data = urllib.parse.urlencode(form).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        elif method in ("POST", "PUT"):
            data = b""
        token = token or (None if form is not None else self.token)
        for _ in range(2):
            h = dict(headers)
            if token:
                h["Authorization"] = f"DPoP {token}"
            h["DPoP"] = self.key.dpop(method, url.split("?")[0], token,
                                      self.nonce)
            a = self.send(method, url, h, data)
            had, self.nonce = self.nonce, a.headers.get("dpop-nonce",
                                                        self.nonce)
            if a.status in (400, 401) and self.nonce != had and \
                    b"use_dpop_nonce" in a.raw + a.headers.get(
                        "www-authenticate", "").encode():
                continue
            break
        if a.status >= 300:
            raise Refused(a.status, a.body)
        return a


class Scheduler(Client):
    """The administrator whose key `perch-kmf init` made."""

    def __init__(self, base, ca, key, client_id):
        super().__init__(base, ca, key)
        self.client_id = client_id

    def login(self):
        a = self.call("POST", "/oauth/token", form={
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": self.key.assertion(self.client_id, self.base),
        })
        self.token = a.body["access_token"]
        return self


def encryption_key(value):
    """The parameters of one Encryption-Key group (docs/http-key.md)."""
    return dict(re.findall(r'(\w+)="([^"]*)"', value))


class Endpoint(Client):
    """A member that keeps its key in plain sight: what an endpoint must not
    do, and the draft's own form allows."""

    def enter(self, conference, subject, subject_type=CODE):
        self.conference = conference
        self.path = f"/v1/conferences/{conference}"
        a = self.call("POST", "/oauth/token", form={
            "grant_type": EXCHANGE, "subject_token": subject,
            "subject_token_type": subject_type,
            "resource": self.base + self.path})
        self.token, self.member = a.body["access_token"], a.body["member"]
        return self

    def keys(self):
        a = self.call("POST", self.path + "/keys")
        return encryption_key(a.headers.get("encryption-key", ""))

    def lease(self, epoch):
        return self.call("PUT", self.path + "/lease", {"epoch": epoch}).body

    def descriptor(self):
        return self.call("GET", self.path).body

    def token2(self, mdd, x5t):
        a = self.call("POST", "/oauth/token", form={
            "grant_type": EXCHANGE, "subject_token": self.token,
            "subject_token_type": ACCESS, "resource": mdd,
            "conference": self.conference, "x5t_s256": x5t})
        return a.body["access_token"]
