#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Opaque tokens (RFC 7662): who asks proves who it is, the answer is decided
# upon by us, and a provider that hangs holds up nobody who does not need it.
import base64
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
from providers import *                                     # noqa: E402,F403
import jose                                                 # noqa: E402
import rest                                                 # noqa: E402
import world                                                # noqa: E402


def word(s, p=None, drop=(), **claims):
    """A new opaque token and what the provider says about it."""
    now = int(time.time())
    token = jose.b64u(f"opaque-{time.time_ns()}".encode()) + "="
    w = {"active": True, "iss": (p or s.p).url, "aud": s.k.url,
         "sub": "alice", "client_id": "perch", "exp": now + 300,
         "scope": "openid", "email": "alice@example.org",
         "email_verified": True, "name": "Alice", **claims}
    for d in drop:
        w.pop(d)
    (p or s.p).words[token] = w
    return token


def enter(s, token, p=None, key=None):
    e = endpoint(s.k, key)
    e.conference, e.path = s.conf, f"/v1/conferences/{s.conf}"
    form = {"grant_type": rest.EXCHANGE, "subject_token": token,
            "subject_token_type": rest.ACCESS, "resource": s.k.url + e.path}
    form["issuer"] = (p or s.p).url
    a = e.call("POST", "/oauth/token", form=form)
    e.token = a.body["access_token"]
    return e


def test_REQ_W_4_an_opaque_token(s):
    token = word(s)
    e = enter(s, token)
    assert e.keys()["usage"] == "EKT"
    assert e.descriptor()["you"]["name"] == "Alice"
    q = s.p.asked[-1]
    assert q["token"] == token and q["token_type_hint"] == "access_token"


def test_we_say_who_asks(s):
    """private_key_jwt at one provider, a secret at the other."""
    enter(s, word(s))
    q = s.p.asked[-1]
    assert q["client_assertion_type"] == rest.ASSERTION
    c = jose.claims(q["client_assertion"])
    assert c["iss"] == c["sub"] == "perch-kmf" and c["aud"] == s.p.url, c
    assert 0 < c["exp"] - time.time() <= 60 and c["jti"]
    enter(s, word(s, s.p2), s.p2)
    basic = s.p2.asked[-1]["basic"].split(" ")
    assert basic[0] == "Basic"
    assert base64.b64decode(basic[1]) == b"perch:p%26ss%20w%C3%B6rd~"


def test_answers_that_do_not_open(s):
    now = int(time.time())
    other = jose.Key()
    cases = {
        "not active": word(s, active=False),
        "the text true": word(s, active="true"),
        "the number 1": word(s, active=1),
        "active missing": word(s, drop=["active"]),
        "iss": word(s, iss=s.p.url + "/"),
        "aud": word(s, aud="https://other.invalid"),
        "aud missing": word(s, drop=["aud"]),
        "sub missing": word(s, drop=["sub"]),
        "expired": word(s, exp=now - 61),
        "nbf": word(s, nbf=now + 120),
        "exp a text": word(s, exp="x"),
        "a service": word(s, sub="svc", client_id="svc"),
        "act": word(s, act={"sub": "x"}),
        "bound to another": word(s, cnf={"jkt": other.thumbprint()}),
        "token_type": word(s, token_type="DPoP"),
        "unknown": "nobody-knows-this",
    }
    s.p.words["no-json"] = b"<html>"
    s.p.words["twice"] = b'{"active":false,"active":true,"sub":"alice"}'
    cases["no JSON"], cases["a member twice"] = "no-json", "twice"
    for why, token in cases.items():
        assert refused(enter, s, token) == (400, "invalid_grant"), why
    key = jose.Key()
    jkt = {"jkt": key.thumbprint()}
    assert refused(enter, s, word(s, cnf=jkt, token_type="Bearer"),
                   key=key) == (400, "invalid_grant")
    # and the near misses that are good
    enter(s, word(s, cnf=jkt, token_type="DPoP"), key=key)
    enter(s, word(s, drop=["iss", "exp", "client_id"]))
    enter(s, word(s, aud=["x", s.k.url]))


def test_a_good_answer_is_remembered_for_a_moment(s):
    token = word(s)
    enter(s, token)
    n = len(s.p.asked)
    enter(s, token)
    assert len(s.p.asked) == n
    # never for a key: the opaque token opens no member endpoint, be it
    # bound, known and shown with its key
    key = jose.Key()
    token = word(s, cnf={"jkt": key.thumbprint()}, token_type="DPoP")
    e = enter(s, token, key=key)
    assert e.keys()["usage"] == "EKT"
    n, e.token = len(s.p.asked), token
    assert refused(e.keys) == (401, "invalid_token")
    assert len(s.p.asked) == n


def test_which_issuer(s):
    """Two introspect: without a word from the client nobody is asked."""
    e = endpoint(s.k)
    form = {"grant_type": rest.EXCHANGE, "subject_token": word(s),
            "subject_token_type": rest.ACCESS,
            "resource": f"{s.k.url}/v1/conferences/{s.conf}"}
    n = len(s.p.asked) + len(s.p2.asked)
    for hint in ({}, {"issuer": "https://nobody.invalid"}):
        assert refused(e.call, "POST", "/oauth/token",
                       form={**form, **hint}) == (400, "invalid_grant")
    assert len(s.p.asked) + len(s.p2.asked) == n
    # its issuer does not vouch for the other's tokens
    assert refused(enter, s, word(s), s.p2) == (400, "invalid_grant")


def test_a_provider_that_fails(s):
    s.p.down = True
    e = endpoint(s.k)
    try:
        assert refused(enter, s, word(s)) == \
            (503, "temporarily_unavailable")
    finally:
        s.p.down = False


def test_a_provider_that_hangs_holds_up_nobody_else(s):
    """Fetches and questions of the one hang; all others are served."""
    guest(s.k, s.admin, s.conf)
    s.p.hang.clear()
    took = []

    def stuck():
        t = time.monotonic()
        a = refused(enter, s, word(s))
        took.append((a, time.monotonic() - t))
    waiting = [threading.Thread(target=stuck) for _ in range(20)]
    try:
        for t in waiting:
            t.start()
        time.sleep(0.3)
        t = time.monotonic()
        guest(s.k, s.admin, s.conf)
        enter(s, word(s, s.p2), s.p2)
        assert Raw(s.k, "GET", "/healthz").status == 200
        # before one of those that hang has its answer
        assert not took or time.monotonic() - t < 2.5, took
        for t in waiting:
            t.join(60)
    finally:
        s.p.hang.set()
    assert len(took) == 20
    for answer, seconds in took:
        assert answer == (503, "temporarily_unavailable"), answer
        assert seconds < 30, seconds    # 4 are given to the provider
    enter(s, word(s))


def main():
    s = Scene()
    with world.World("perch-introspect-") as w:
        s.p, s.p2 = Provider(w, "corp"), Provider(w, "guests")
        s.key = jose.Key()
        s.p.publish([jwk(s.key, "one")])
        s.p2.publish([jwk(s.key, "one")])
        key = w.write(w.dir / "ask.jwk", json.dumps(jose.Key().jwk))
        secret = w.write(w.dir / "ask.secret", "p&ss wörd~\n")
        s.k = kmf(w, extra="fronts = 1\n" + s.p.config(
            "corp", f"introspection = yes\nintrospection_key = {key}\n"
            "introspection_client_id = perch-kmf") + s.p2.config(
            "guests", f"introspection = yes\n"
            f"introspection_secret = {secret}"))
        s.admin = s.k.admin()
        s.conf = conference(s.admin, invitees=[
            {"email": "alice@example.org"}])["id"]
        s.k.wait_keys()
        run(globals(), s)


if __name__ == "__main__":
    main()
