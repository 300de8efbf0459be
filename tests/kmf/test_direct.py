#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A provider's own token at the member endpoints, as it is: bound to a DPoP
# key, looked at like any other, and the conference right from the invitations.
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
from providers import *                                     # noqa: E402,F403
import jose                                                 # noqa: E402
import rest                                                 # noqa: E402
import world                                                # noqa: E402


def direct(s, key=None, conf=None, **kw):
    """An endpoint that shows its provider's token instead of token1."""
    e = endpoint(s.k, key)
    e.conference = conf or s.conf
    e.path = f"/v1/conferences/{e.conference}"
    kw.setdefault("cnf", {"jkt": e.key.thumbprint()})
    e.token = at(s, kw.pop("signer", None), **kw)
    return e


def guests(s):
    """The other provider's tokens."""
    return {"signer": s.key2, "p": s.p2, "header": {"kid": "two"}}


def test_REQ_WS_6_3a_the_providers_token_fetches_the_key(s):
    e = direct(s)
    k = e.keys()
    assert k["usage"] == "EKT", k
    epoch = int(k["keyid"].split(".")[1])
    assert e.lease(epoch)["expires_in"] > 0
    d = e.descriptor()
    assert d["you"]["name"] == "Alice", d
    a = e.call("GET", e.path + "/roster")
    assert d["you"]["member"] in str(jose.claims(a.raw.decode()))
    sock, head = stream(s.k, e, s.conf)
    assert b" 200 " in head.split(b"\r\n")[0], head
    sock.close()
    assert e.call("DELETE", e.path + "/lease").status == 204


def test_one_person_one_key_one_member(s):
    key = jose.Key()
    a, b = direct(s, key), direct(s, key, jti="other")
    c = endpoint(s.k, key).enter(s.conf, at(s), rest.ACCESS)
    for e in (a, b, c):
        e.keys()
    ids = {e.descriptor()["you"]["member"] for e in (a, b, c)}
    assert len(ids) == 1, ids
    assert direct(s).descriptor()["you"]["member"] not in ids


def test_the_audience_setting_counts(s):
    assert direct(s, aud="perch-api").keys()["usage"] == "EKT"
    assert direct(s, aud=["x", s.k.url]).keys()["usage"] == "EKT"


def test_tokens_that_do_not_open(s):
    now = int(time.time())
    other = jose.Key()
    cases = {
        "unbound": dict(drop=["cnf"]),
        "bound to another": dict(cnf={"jkt": other.thumbprint()}),
        "bound to a certificate": dict(cnf={"x5t#S256": "A" * 43}),
        "bound to both": dict(cnf={"jkt": "A" * 43, "x5t#S256": "A" * 43}),
        "aud": dict(aud="https://other.invalid"),
        "expired": dict(exp=now - 61),
        "typ": dict(header={"typ": "JWT"}),
        "an ID token": dict(header={"typ": "JWT"}, aud="perch"),
        "act": dict(act={"sub": "x"}),
        "a service": dict(sub="svc", client_id="svc"),
        "another's key": dict(signer=other),
        "client": dict(client_id="elsewhere", **guests(s)),
    }
    for why, kw in cases.items():
        assert refused(direct(s, **kw).keys) == (401, "invalid_token"), why
    e = direct(s, **guests(s))      # client_id perch is allowed there
    assert e.keys()["usage"] == "EKT"


def test_REQ_W_4_2_bound_tokens_never_as_bearer(s):
    e = direct(s)
    for token in (e.token, at(s)):
        a = Raw(s.k, "POST", e.path + "/keys",
                [("Authorization", f"Bearer {token}")])
        assert a.status == 401 and "invalid_token" in a.get(
            "WWW-Authenticate"), a.headers


def test_the_proof_is_checked_every_time(s):
    e = direct(s)
    e.keys()        # from now on the token is remembered
    thief = endpoint(s.k)
    thief.path, thief.token = e.path, e.token
    assert refused(thief.keys) == (401, "invalid_token")
    proof = e.key.dpop("GET", s.k.url + e.path, e.token, e.nonce)
    h = [("Authorization", f"DPoP {e.token}"), ("DPoP", proof)]
    assert Raw(s.k, "GET", e.path, h).status == 200
    assert Raw(s.k, "GET", e.path, h).status == 401     # replayed
    h = [("Authorization", f"DPoP {e.token}")]
    assert Raw(s.k, "GET", e.path, h).status == 401     # none


def test_key_requests_need_the_nonce(s):
    e = direct(s)
    proof = e.key.dpop("POST", s.k.url + e.path + "/keys", e.token)
    a = Raw(s.k, "POST", e.path + "/keys",
            [("Authorization", f"DPoP {e.token}"), ("DPoP", proof)])
    assert a.status == 401 and "use_dpop_nonce" in a.get("WWW-Authenticate")


def test_uninvited_is_as_unknown(s):
    e = direct(s, sub="mallory", email="mallory@example.org")
    seen = set()
    for conf in (s.conf, NOBODY):
        e.path = f"/v1/conferences/{conf}"
        seen.add(refused(e.keys))
    assert seen == {(404, "not_found")}, seen


def test_not_for_schedulers(s):
    e = direct(s)
    assert refused(e.call, "GET", "/v1/conferences") == \
        (403, "insufficient_scope")


def test_new_keys_void_what_was_remembered(s):
    """The token was good and is cached; the provider withdraws the key."""
    key = jose.Key()
    s.p.publish([jwk(s.key, "one"), jwk(key, "leaked")])
    time.sleep(4.2)
    e = direct(s, signer=key, header={"kid": "leaked"})
    e.keys()
    s.p.publish([jwk(s.key, "one")])
    time.sleep(4.2)
    refused(direct(s, header={"kid": "whatever"}).keys)     # one fetch
    assert refused(e.keys) == (401, "invalid_token")
    assert direct(s).keys()["usage"] == "EKT"


def test_one_kid_another_key(s):
    """Rotation under the same name: the new key verifies, the old no more."""
    new = jose.Key()
    s.p.publish([jwk(new, "one")])
    time.sleep(4.2)
    refused(direct(s, header={"kid": "once"}).keys)         # one fetch
    old, s.key = s.key, new
    try:
        assert direct(s).keys()["usage"] == "EKT"
        e = direct(s, signer=old)
        assert refused(e.keys) == (401, "invalid_token")
    finally:
        s.key = old
        s.p.publish([jwk(s.key, "one")])
        time.sleep(4.2)
        refused(direct(s, header={"kid": "again"}).keys)


def test_clocks_that_differ_are_told(s):
    now = int(time.time())
    for claims, text in (({"iat": now + 200}, "s from the future"),
                         ({"exp": now - 100}, "token expired")):
        e = direct(s, **claims)
        try:
            e.keys()
            raise AssertionError("granted")
        except rest.Refused as r:
            assert text in r.body["detail"], r.body
        try:
            endpoint(s.k).enter(s.conf, at(s, **claims), rest.ACCESS)
            raise AssertionError("granted")
        except rest.Refused as r:
            assert text in r.body["error_description"], r.body
    assert "from the future; clocks differ" in s.k.proc.text()
    e = direct(s, iat=now + 200, **guests(s))
    assert e.keys()["usage"] == "EKT"   # leeway_s = 300 there


def main():
    s = Scene()
    with world.World("perch-direct-") as w:
        s.p, s.p2 = Provider(w, "corp"), Provider(w, "guests")
        s.key, s.key2 = jose.Key(), jose.Key()
        s.p.publish([jwk(s.key, "one", alg="ES256")])
        s.p2.publish([jwk(s.key2, "two")], oidc=False)
        s.k = kmf(w, extra="fronts = 1\n" +
                  s.p.config("corp", "audience = perch-api") +
                  s.p2.config("guests", "allowed_clients = perch\n"
                              "leeway_s = 300\ndiscovery = oauth2"))
        s.admin = s.k.admin()
        s.conf = conference(s.admin, invitees=[
            {"email": "alice@example.org"}])["id"]
        s.k.wait_keys()
        run(globals(), s)


if __name__ == "__main__":
    main()
