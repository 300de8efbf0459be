#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Requests made from schema/openapi.yaml, as it allows them and as it does not,
# against a real perch-kmf. Whatever comes: no 5xx, no answer that the document
# does not know, no wait, no word of failure in the log; what the schema
# refuses is refused, and every 400 and 422 says where the fault is.
#
# PERCH_SEED=N repeats a run, PERCH_SEED=random makes another one, and
# PERCH_SECONDS=N lets it take longer.
import http.client
import json
import os
import pathlib
import random
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import generate                                             # noqa: E402
import jose                                                 # noqa: E402
import openapi                                              # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

try:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils
except ImportError:
    ec = None

SECONDS = float(os.environ.get("PERCH_SECONDS", "15"))
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
           "CONNECT", "PROPFIND", "get", "M" * 40, "G\u00e9T"]
TYPES = ["text/plain", "application/json;charset=x", "", "a", "a/b;" * 50,
         "application/xml", "application/x-www-form-urlencoded",
         "multipart/form-data; boundary=x", "application/merge-patch+json"]
SLOW_S = 5


class FastKey(jose.Key):
    """Thousands of proofs: without a process for each, if we can."""

    def octets(self, text):
        if ec is None:
            return super().octets(text)
        if not hasattr(self, "_key"):
            self._key = ec.derive_private_key(
                int.from_bytes(jose.unb64u(self.jwk["d"]), "big"),
                ec.SECP256R1())
        r, s = utils.decode_dss_signature(
            self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Wire:
    """One kept connection; says exactly what it is given."""

    def __init__(self, k):
        self.k, self.c = k, None

    def ask(self, method, target, headers, body):
        for again in (False, True):
            if self.c is None:
                self.c = http.client.HTTPSConnection(
                    "localhost", self.k.port, timeout=15,
                    context=world.tls(self.k.ca))
            try:
                # putrequest refuses what we are here to send
                self.c._validate_method = lambda m: None
                self.c._validate_path = lambda p: None
                self.c._encode_request = lambda r: r.encode("latin-1")
                self.c.putrequest(method, target, skip_accept_encoding=True)
                for n, v in headers:
                    self.c.putheader(n, v.encode("latin-1", "replace"))
                if body or method in ("POST", "PUT", "PATCH"):
                    self.c.putheader("Content-Length", str(len(body)))
                self.c.endheaders(body or None)
                r = self.c.getresponse()
                h = {n.lower(): v for n, v in r.getheaders()}
                if "event-stream" in h.get("content-type", ""):
                    self.close()    # it would never end
                    return r.status, h, b""
                out = r.read()
                if h.get("connection") == "close":
                    self.close()
                return r.status, h, out
            except (ConnectionError, http.client.BadStatusLine, OSError):
                self.close()
                if again:
                    return 0, {}, b""

    def close(self):
        if self.c is not None:
            self.c.close()
        self.c = None


class Scene:
    """A KMF, somebody for every kind of token, and things to point at."""

    def __init__(self, w, rng):
        self.rng = rng
        self.k = kmf(w, extra="fronts = 1\nlog_level = debug\n"
                          "rate_person = 0\nrate_address = 0\nrate_watch = 0")
        self.admin = self.k.admin()
        self.admin.key = FastKey(self.admin.key.jwk)
        self.doc = openapi.Document(openapi.load())
        self.gen = generate.Generator(rng, self.doc)
        self.wire = Wire(self.k)
        self.renew()

    def renew(self):
        """Some requests end what others are about."""
        c = conference(self.admin, invitees=[{"email": "alice@example.org"}])
        self.conf, self.invitee = c["id"], c["invitees"][0]["id"]
        self.series = conference(self.admin, tzid="Europe/Berlin",
                                 starts_at=when(60), ends_at=when(90),
                                 rrule="FREQ=DAILY;COUNT=4")["id"]
        self.inv = invite(self.admin, self.conf)
        self.member = endpoint(self.k, FastKey())
        self.member.enter(self.conf, self.inv["code"])
        self.member.keys()
        self.made = time.monotonic()

    def fill(self, name):
        r = self.rng
        good = {"id": self.conf, "iid": self.inv["id"],
                "mid": self.member.member, "vid": self.invitee,
                "sid": self.series}.get(name)
        if good is None:
            return r.choice(["x", "abc", "v_" + "A" * 22])
        return good if r.random() < 0.8 else r.choice(
            [good[:2] + "A" * 22, "x", "%41" * 24, "..", "%2e%2e", good + "x",
             "c_" + "%ff" * 8, good[:-1], "*"])


class Request:
    def __init__(self, s, template, method, item, op):
        r = s.rng
        self.template, self.method, self.op = template, method.upper(), op
        self.token_path = template == "/oauth/token"
        self.path = openapi.re.sub(
            r"\{(\w+)\}", lambda m: s.fill(m.group(1)), template)
        self.query, self.headers, self.body = "", [], b""
        self.must_fail = False  # the schema says no
        self.params(s, item.get("parameters", []) + op.get("parameters", []))
        content = s.doc.deref(op.get("requestBody", {})).get("content", {})
        for kind, c in content.items():
            self.fill_body(s, kind, c["schema"])
        what = r.random()
        if what < 0.05:
            self.method, self.must_fail = r.choice(METHODS), False
        elif what < 0.08:
            self.path += r.choice(["/", "/x", "//", "/../x", "?", "%00", "#f"])
            self.must_fail = False
        elif what < 0.11:
            self.headers.append((r.choice(
                ["X-Y", "Accept", "Range", "Cookie", "Expect", "Upgrade"]),
                r.choice(["", "x" * 300, "\u00e9", "bytes=0-", "*/*"])))

    def params(self, s, found):
        r, query = s.rng, []
        for p in map(s.doc.deref, found):
            if p["in"] == "query" and r.random() < 0.4:
                v = s.gen.valid(p["schema"]) if r.random() < 0.5 else \
                    r.choice(generate.STRANGE)
                if p["name"] == "wait":     # we do not
                    v = r.choice([0, 1, -1, 31, "x"])
                query.append((p["name"], v))
            elif p["name"] in ("If-Match", "Idempotency-Key", "Last-Event-ID"):
                self.field(s, p["name"])
        if r.random() < 0.05:
            query += [r.choice([("x", 1), ("limit", 5), ("cursor", "n1")])] * \
                r.randint(1, 30)
        self.query = urllib.parse.urlencode(query, errors="replace")
        if r.random() < 0.03:
            self.query += r.choice(["&&", "%", "&%zz", "=", "&a", "%ff", "&a="])

    def field(self, s, name):
        r = s.rng
        if r.random() < 0.7:
            self.headers.append((name, r.choice(
                ["*", '"1"', '"2"', f'"{r.randint(0, 9)}"', "k1", "k2", "",
                 "x" * 200, "\u00e9", '"', "W/\"1\"", "0", str(10 ** 30),
                 r.choice("abcdefgh") * 4])))

    def fill_body(self, s, kind, schema):
        r, gen = s.rng, s.gen
        value = gen.valid(schema)
        if s.rng.random() < 0.6:
            value = gen.mutated(value)
            self.must_fail = openapi.jsonschema is not None and \
                bool(s.doc.validate(s.doc.deref(schema), value))
        if kind == "application/json":
            self.body = generate.compact(value)
            if r.random() < 0.15:
                self.body = gen.broken(self.body)
                self.must_fail = False
        elif isinstance(value, dict):
            self.body = urllib.parse.urlencode(value, errors="replace").encode()
            self.must_fail = False
        if r.random() < 0.93:
            self.headers.append(("Content-Type", kind))
        elif r.random() < 0.7:
            self.headers.append(("Content-Type", r.choice(TYPES)))

    def send(self, s):
        target = self.path + ("?" + self.query if self.query else "")
        who = s.member if "members" in self.op["tags"] and \
            s.rng.random() < 0.9 else s.admin
        # sometimes the wrong one, sometimes nobody
        if s.rng.random() < 0.03:
            who = s.member if who is s.admin else s.admin
        headers = list(self.headers)
        token = None if self.token_path else who.token
        if s.rng.random() < 0.97:
            headers.append(("DPoP", who.key.dpop(
                self.method, s.k.url + urllib.parse.unquote(
                    self.path.split("?")[0], errors="replace"), token,
                who.nonce)))
            if token:
                headers.append(("Authorization", "DPoP " + token))
        start = time.monotonic()
        status, h, body = s.wire.ask(self.method, target, headers, self.body)
        self.took = time.monotonic() - start
        who.nonce = h.get("dpop-nonce", who.nonce)
        return status, h, body

    def judge(self, s, status, h, body):
        if status == 0:     # cut off: only for what is no HTTP
            assert self.method not in METHODS[:7], "no answer at all"
            return
        assert status < 500 or status in (501, 505), "5xx"
        assert self.took < SLOW_S, f"took {self.took:.1f} s"
        bad = s.doc.complaints(self.method, self.path.split("#")[0], status, h,
                               body) if openapi.jsonschema else []
        assert not bad or status == 501, bad
        assert not (self.must_fail and status < 300), "the schema refuses it"
        if status in (400, 422) and b'"error"' not in body and \
                "www-authenticate" not in h and self.method != "HEAD":
            d = json.loads(body)
            assert d["code"] == "bad_request" or d.get("errors"), "no pointer"

    def __str__(self):
        return (f"{self.method} {self.path}?{self.query} {self.headers} "
                f"{self.body[:1500]!r} ({len(self.body)} octets)")


def operations(doc):
    for template, item in doc.doc["paths"].items():
        for method, op in item.items():
            if method in ("get", "put", "post", "delete", "patch"):
                yield template, method, item, op


def big(s):
    """Ten megabytes, wherever a body goes."""
    for template, method, item, op in operations(s.doc):
        if "requestBody" not in op:
            continue
        q = Request(s, template, method, item, op)
        q.method, q.query, q.headers = method.upper(), "", []
        q.path = openapi.re.sub(r"\{(\w+)\}", lambda m: {
            "id": s.conf, "iid": s.inv["id"], "mid": s.member.member}.get(
                m.group(1), "x"), template)
        q.body = b'{"title": "' + b"x" * 10_000_000 + b'"}'
        q.must_fail = True
        q.judge(s, *q.send(s))


def trouble(s):
    """What the log says that it should not."""
    return [line for line in s.k.proc.text().splitlines()
            if any(word in line for word in
                   ("] error ", "op.failed", "front_died", "fetcher_died",
                    "keeper_died", "err=timeout", "Sanitizer",
                    "runtime error", "front.stop", "keeper.stop"))]


def run_it(w, seed):
    s = Scene(w, random.Random(seed))
    ops = list(operations(s.doc))
    seen, sent, tokens = {}, 0, 0
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            template, method, item, op = s.rng.choice(ops)
            tokens += template == "/oauth/token"
            if template == "/oauth/token" and tokens > 50:
                continue    # failures are counted, 60 a minute
            q = Request(s, template, method, item, op)
            try:
                status, h, body = q.send(s)
                q.judge(s, status, h, body)
            except AssertionError as e:
                tap.say(f"seed {seed}, request {sent}: {q}",
                        f"{status} {h} {body[:1500]!r}")
                raise AssertionError(f"{e}: {status} to {q.method} "
                                     f"{q.template}") from e
            sent += 1
            seen.setdefault(op["operationId"], set()).add(status)
            if sent % 60 == 0 or time.monotonic() - s.made > 200:
                s.renew()
        big(s)
        tap.say(f"{sent} requests", *(f"{n}: {sorted(v)}"
                                      for n, v in sorted(seen.items())))
        assert len(seen) == len(ops), "not every operation was asked"
        good = [n for n, v in seen.items() if any(c < 300 for c in v)]
        assert len(good) >= len(ops) // 2, ("hardly anything works", good)
        assert s.k.proc.alive() and not trouble(s), trouble(s)[:10]
    finally:
        s.wire.close()


if __name__ == "__main__":
    seed = os.environ.get("PERCH_SEED", "1")
    seed = random.randrange(10 ** 9) if seed == "random" else int(seed)
    tap.say(f"seed {seed}")
    with world.World("perch-prop-") as w:
        tap.run([("no request does harm",
                  lambda w: run_it(w, seed), w)])
