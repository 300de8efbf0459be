#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Two real OpenID providers, glewlwyd and oidc-provider, and an endpoint of
# another make than perch-agent: the provider's own token, bound by DPoP, opens
# the member endpoints as it is; a service's does not; keys rotate and
# providers die while the KMF runs.
import base64
import http.client
import json
import pathlib
import re
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import idp                                                  # noqa: E402
import jose                                                 # noqa: E402
import oidc                                                 # noqa: E402
import rest                                                 # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

PASSWORD = "correct horse battery staple"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
COOLDOWN, MAX_AGE = 1, 6


PEOPLE = [{"login": "alice", "name": "Alice", "email": "alice@example.org",
           "email_verified": True, "groups": []}]


class Real:
    """What any client asks of any provider, by its metadata alone."""

    def __init__(self, name, provider, audience, conf):
        self.name, self.p, self.audience = name, provider, audience
        self.context, self.conf = world.tls(provider.cert), conf
        self.scope = "openid conf_join"

    def ask(self, method, url, form=None, **headers):
        u = urllib.parse.urlsplit(url)
        c = http.client.HTTPSConnection("localhost", u.port, timeout=10,
                                        context=self.context)
        headers = {k: v for k, v in headers.items() if v}
        data = None
        if form is not None:
            data = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        c.request(method, u.path, data, headers)
        r = c.getresponse()
        body = r.read()
        c.close()
        return r.status, json.loads(body) if body else None

    def meta(self):
        return self.ask("GET", self.p.url +
                        "/.well-known/openid-configuration")[1]

    def token(self, key, basic=None, **form):
        url = self.meta()["token_endpoint"]
        return self.ask("POST", url, form, DPoP=key.dpop("POST", url),
                        Authorization=basic)

    def device(self, key):
        """Alice says yes on another machine: her tokens, bound to key."""
        status, d = self.ask(
            "POST", self.meta()["device_authorization_endpoint"], {
                "grant_type": "device_authorization", "client_id": "perch",
                "scope": self.scope, "resource": self.audience})
        if status != 200:
            raise world.Broken(f"{self.name}: {status} {d}")
        self.approve(d)
        time.sleep(1.2)     # glewlwyd's interval
        status, t = self.token(key, grant_type=DEVICE, client_id="perch",
                               device_code=d["device_code"],
                               resource=self.audience)
        if status != 200:
            raise world.Broken(f"{self.name}: {status} {t}")
        return t

    def service(self, key):
        basic = base64.b64encode(b"svc:svc-secret").decode()
        status, t = self.token(key, "Basic " + basic, scope="conf_join",
                               grant_type="client_credentials",
                               resource=self.audience)
        if status != 200:
            raise world.Broken(f"{self.name}: {status} {t}")
        return t["access_token"]


class Glewlwyd(Real):
    def approve(self, d):
        self.p.approve("Alice", PASSWORD, d["user_code"], self.scope)


class Oidc(Real):
    def approve(self, d):
        page = oidc.Browser(self.p).visit(d["verification_uri_complete"],
                                          "alice")
        if "Sign-in Success" not in page:
            raise world.Broken(page[-1000:])


def when(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ",
                         time.gmtime(time.time() + seconds))


def member(kmf, conf, token, key):
    """An endpoint that shows the provider's token itself."""
    e = rest.Endpoint(kmf.url, kmf.ca, key)
    e.conference, e.path = conf, f"/v1/conferences/{conf}"
    e.token = token
    return e


def verdict(fn, *args, **kw):
    try:
        fn(*args, **kw)
    except rest.Refused as e:
        return e.status, e.code
    return 200, None


def invited(kmf, r, tokens):
    """By what the provider calls her."""
    sub = jose.claims(tokens["access_token"])["sub"]
    return kmf.admin().call("POST", "/v1/conferences", {
        "title": r.name, "starts_at": when(-60), "ends_at": when(3600),
        "invitees": [{"iss": r.p.url, "sub": sub}]}).body["id"]


def direct(kmf, r):
    """RFC 9449 end to end, with nobody's own token in between."""
    key = jose.Key()
    t = r.device(key)
    at = jose.claims(t["access_token"])
    tap.ok(t["token_type"] == "DPoP" and
           at["cnf"] == {"jkt": key.thumbprint()} and
           (at["aud"] == kmf.url or kmf.url in at["aud"]),
           f"{r.name}: its at+jwt is for the KMF and bound to our key", at)
    r.conf = invited(kmf, r, t)
    e = member(kmf, r.conf, t["access_token"], key)
    k = e.keys()
    tap.ok(k.get("usage") == "EKT" and k.get("key"),
           f"REQ-WS-6.3a {r.name}: with it, as it is, the keys come", k)
    epoch = int(k["keyid"].split(".")[1])
    tap.ok(e.lease(epoch)["expires_in"] > 0 and
           e.descriptor()["you"]["member"] in str(jose.claims(e.call(
               "GET", e.path + "/roster").raw.decode())),
           f"{r.name}: and lease and roster")
    thief = member(kmf, r.conf, t["access_token"], jose.Key())
    a = e.send("POST", kmf.url + e.path + "/keys",
               {"Authorization": "Bearer " + t["access_token"]}, b"")
    tap.ok(verdict(thief.keys) == (401, "invalid_token") and
           a.status == 401, f"REQ-W-4.2 {r.name}: not with another key, nor as Bearer")
    own = member(kmf, r.conf, None, key)
    own.enter(r.conf, t["id_token"],
              "urn:ietf:params:oauth:token-type:id_token")
    tap.ok(own.keys()["usage"] == "EKT",
           f"{r.name}: the ID token is exchanged (RFC 8693)")


def service(kmf, r):
    """REQ-W-3: no endpoint stands behind client credentials."""
    key = jose.Key()
    token = r.service(key)
    e = member(kmf, r.conf, token, key)
    tap.ok(verdict(e.keys) == (401, "invalid_token") and
           verdict(rest.Endpoint(kmf.url, kmf.ca, key).enter, r.conf, token,
                   rest.ACCESS) == (400, "invalid_grant"),
           f"{r.name}: client credentials open nothing", jose.claims(token))
    world.wait_for(lambda: "a service, not a person" in kmf.proc.text(), 5,
                   say="the reason in the log")


def rotated(kmf, r):
    """The KMF has never been told, and is not started again."""
    pid = kmf.proc.p.pid
    r.p.rotate()
    time.sleep(COOLDOWN + 0.2)
    key = jose.Key()
    e = member(kmf, r.conf, r.device(key)["access_token"], key)
    tap.ok(e.keys()["usage"] == "EKT" and kmf.proc.p.pid == pid,
           f"{r.name}: a key that came later is learned")


def ready_line(kmf, r, *words):
    """What /readyz says of this issuer, if it has all these words."""
    return [x for x in re.split(r"[\n{}]", kmf.ready_text())
            if r.label in x and all(w in x for w in words)]


def outage(kmf, r):
    """Known keys keep working, for as long as was configured."""
    key = jose.Key()
    late, later = (member(kmf, r.conf, r.device(key)["access_token"], key)
                   for _ in range(2))
    r.p.proc.stop()
    tap.ok(late.keys()["usage"] == "EKT",
           f"{r.name} is down: who has its token comes in all the same")
    line = world.wait_for(lambda: ready_line(kmf, r, "not reached"), 15,
                          say=f"{r.label} in /readyz")
    tap.ok(late.keys()["usage"] == "EKT", f"/readyz tells: {line[0]}")
    line = world.wait_for(lambda: ready_line(kmf, r, "logins refused"), 15,
                          say=f"the end of {r.label}'s keys in /readyz")
    # late's was looked at before its keys were too old; later's was not
    status, _ = verdict(later.keys)
    tap.ok(status == 503, f"and when that is over: {line[0]}", status)
    r.p.start()
    world.wait_for(lambda: not ready_line(kmf, r), 20,
                   say=f"/readyz without {r.label}")
    key = jose.Key()
    e = member(kmf, r.conf, r.device(key)["access_token"], key)
    tap.ok(e.keys()["usage"] == "EKT",
           f"{r.name} is back, and new tokens are good")


def opaque(w, kmf, people):
    """RFC 7662: an opaque token is exchanged, and opens nothing itself."""
    p = oidc.Idp(w, people, {kmf.url: kmf.url}, name="opaque", opaque=True)
    r = Oidc("oidc-provider, opaque", p, kmf.url, None)
    secret = w.write(kmf.dir / "introspection", "kmf-secret")
    with open(kmf.conf, "a") as f:
        f.write(section("opaque", r, kmf) + "\n" + "\n".join([
            "introspection = yes", "introspection_client_id = kmf",
            f"introspection_secret = {secret}"]) + "\n")
    kmf.proc.stop()
    kmf.serve()
    kmf.wait_keys()
    key = jose.Key()
    t = r.device(key)
    tap.ok("." not in t["access_token"] and t["token_type"] == "DPoP",
           "a token that says nothing by itself", t["token_type"])
    conf = kmf.admin().call("POST", "/v1/conferences", {
        "title": "Opaque", "starts_at": when(-60), "ends_at": when(3600),
        "invitees": [{"iss": p.url, "sub": "alice"}]}).body["id"]

    def enter(key, token):
        e = rest.Endpoint(kmf.url, kmf.ca, key)
        e.enter(conf, token, rest.ACCESS)
        return e

    tap.ok(enter(key, t["access_token"]).keys()["usage"] == "EKT",
           "RFC 7662: the KMF asks the provider and lets her in")
    tap.ok(verdict(enter, jose.Key(), t["access_token"]) ==
           (400, "invalid_grant"), "not with another key")
    tap.ok(verdict(enter, key, t["access_token"][:-2] + "xx") ==
           (400, "invalid_grant"), "one that the provider does not know")
    tap.ok(verdict(member(kmf, conf, t["access_token"], key).keys)
           == (401, "invalid_token"), "and no keys for it directly")
    p.proc.stop()


def section(label, r, kmf):
    ca = kmf.public_copy(r.p.cert, f"{label}-ca.crt")
    r.label = label
    return "\n".join([
        f"[issuer {label}]", f"url = {r.p.url}", "client_id = perch",
        f"ca_file = {ca}", "scope = openid conf_join",
        f"cooldown_s = {COOLDOWN}", f"keys_max_age_s = {MAX_AGE}"])


def run(w):
    kmf = stack.Kmf(w, None, None, "https://mdd.invalid:1")
    all_ = []
    if idp.present():
        g = idp.Idp(w, kmf.url)
        g.person("Alice", "alice@example.org", PASSWORD)
        all_.append(("glew", Glewlwyd("glewlwyd", g, kmf.url, None)))
    else:
        tap.skip("glewlwyd", "it is not here (see check.sh)")
    if not oidc.missing():
        p = oidc.Idp(w, PEOPLE, {kmf.url: kmf.url})
        all_.append(("node", Oidc("oidc-provider", p, kmf.url, None)))
    else:
        tap.skip("oidc-provider", oidc.missing())
    with open(kmf.conf, "a") as f:
        f.write("\n".join(section(k, r, kmf) for k, r in all_) + "\n")
    kmf.serve()
    kmf.wait_keys()
    for _, r in all_:
        tap.ok("ES256" in r.meta()["dpop_signing_alg_values_supported"],
               f"{r.name} does DPoP")
        direct(kmf, r)
        service(kmf, r)
        rotated(kmf, r)
        outage(kmf, r)
    if not oidc.missing():
        opaque(w, kmf, PEOPLE)
    tap.ok("eyJ" not in kmf.proc.text(), "no token in the KMF's log")


with world.World("perch-providers-") as w:
    try:
        run(w)
    except Exception as e:
        tap.ok(False, f"the providers are asked to the end: {e!r}")
        w.tell(30)
        raise
tap.done()
