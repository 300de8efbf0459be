#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The minimum list of attacks on the KMF's intake (RFC 6750, 9068, 9449), one
# after the other against a real one: every refusal with its status, its error
# and its challenge, and the same dull text for all.
import hashlib
import hmac
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import jose                                                 # noqa: E402
import rest                                                 # noqa: E402
import world                                                # noqa: E402

ORDER = int("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
            16)


class Scene:
    pass


def fresh_nonce(s, e):
    """One that the KMF gave just now."""
    proof = e.key.dpop("POST", s.k.url + e.path + "/keys", e.token)
    a = Raw(s.k, "POST", e.path + "/keys",
            [("Authorization", "DPoP " + e.token), ("DPoP", proof)])
    return a.get("dpop-nonce")


def ask(s, token, proof, method="GET", path=None, scheme="DPoP", more=()):
    h = [("Authorization", f"{scheme} {token}")] if token else []
    h += [("DPoP", p) for p in
          (proof if isinstance(proof, list) else [proof]) if p]
    return Raw(s.k, method, path or s.e.path, h + list(more))


def good(s, **kw):
    return s.e.key.dpop("GET", s.k.url + s.e.path, s.e.token, **kw)


def refuse(a, status, error, s):
    assert a.status == status, (a.status, a.body)
    c = a.get("www-authenticate")
    assert c.count("DPoP realm") == 1 and 'algs="ES256"' in c, c
    if error is None:
        assert "error" not in c, c  # RFC 6750 3.1
    else:
        assert f'error="{error}"' in c, (c, error)
    d = a.json()
    assert d["detail"] == "credentials are missing or not good for this"
    assert a.get("cache-control") == "no-store"
    assert s.e.token not in a.body.decode()


def test_the_good_one_passes(s):
    a = ask(s, s.e.token, good(s))
    assert a.status == 200, a.body
    assert ask(s, s.e.token, good(s), scheme="dpop").status == 200


def test_intake(s):
    refuse(ask(s, None, None), 401, None, s)
    refuse(ask(s, "x", good(s), scheme="Basic"), 401, None, s)
    two = [("Authorization", "DPoP " + s.e.token)]
    refuse(ask(s, s.e.token, good(s), more=two), 400, "invalid_request", s)
    refuse(ask(s, s.e.token, good(s),
               path=s.e.path + "?access_token=" + s.e.token), 400,
           "invalid_request", s)
    for bad in ("", "a b", "a,b", "tok\u00e9n", "=x", s.e.token + " x"):
        a = ask(s, bad, good(s))
        assert a.status in (400, 401), (bad, a.status)


def test_REQ_W_4_2_a_moved_token_fails(s):
    """Credentials are bound to the endpoint where they were given."""
    thief = jose.Key()
    proof = thief.dpop("GET", s.k.url + s.e.path, s.e.token)
    refuse(ask(s, s.e.token, proof), 401, "invalid_token", s)


def test_REQ_V_7_the_token_alone_is_useless(s):
    """Who sees token1 (a script of the application) can do nothing."""
    refuse(ask(s, s.e.token, None), 401, "invalid_dpop_proof", s)
    refuse(ask(s, s.e.token, None, scheme="Bearer"), 401, "invalid_token", s)
    refuse(ask(s, s.e.token, good(s), scheme="Bearer"), 401, "invalid_token",
           s)


def forge(s, header=None, claims=None, key=None, drop=()):
    h = {"alg": "ES256", "typ": "at+jwt", "kid": s.kid, **(header or {})}
    c = {**jose.claims(s.e.token), **(claims or {})}
    for d in drop:
        c.pop(d)
    return (key or jose.Key()).sign(h, c)


def test_alg_none_and_hs256(s):
    c = jose.claims(s.e.token)
    head, body, sig = s.e.token.split(".")
    for alg in ("none", "None", "NONE"):
        h = jose.b64u(jose.compact({"alg": alg, "typ": "at+jwt",
                                    "kid": s.kid}))
        for tail in ("", sig):
            refuse(ask(s, f"{h}.{body}.{tail}" if tail else f"{h}.{body}.A",
                       good(s)), 401, "invalid_token", s)
    jwks = Raw(s.k, "GET", "/.well-known/jwks.json").json()
    for k in jwks["keys"]:
        for secret in (json.dumps(k).encode(), jose.compact(k),
                       jose.unb64u(k["x"]), b""):
            h = jose.b64u(jose.compact({"alg": "HS256", "typ": "at+jwt",
                                        "kid": k["kid"]}))
            t = f"{h}.{jose.b64u(jose.compact(c))}"
            m = hmac.new(secret, t.encode(), hashlib.sha256).digest()
            refuse(ask(s, f"{t}.{jose.b64u(m)}", good(s)), 401,
                   "invalid_token", s)


def test_foreign_keys_and_kids(s):
    mine = jose.Key()
    for h in ({}, {"kid": "unknown"}, {"kid": "' OR 1=1 --"},
              {"kid": "../../etc/passwd"}, {"kid": mine.kid,
                                            "jwk": mine.public},
              {"jku": "https://evil.invalid/jwks"}, {"kid": ["x"]},
              {"x5u": "https://evil.invalid/c"}, {"crit": ["exp"]}):
        t = forge(s, h, key=mine)
        p = s.e.key.dpop("GET", s.k.url + s.e.path, t)
        refuse(ask(s, t, p), 401, "invalid_token", s)


def test_a_changed_token(s):
    head, body, sig = s.e.token.split(".")
    c = jose.claims(s.e.token)
    for change in ({"conference": NOBODY}, {"scope": "admin"},
                   {"exp": c["exp"] + 9999}, {"cnf": {"jkt": "A" * 43}}):
        b = jose.b64u(jose.compact({**c, **change}))
        refuse(ask(s, f"{head}.{b}.{sig}", good(s)), 401, "invalid_token", s)
    for t in (f"{head}.{body}", f"{head}.{body}.{sig}.x", head,
              f"{head}.{body}.{sig[:-4]}", f".{body}.{sig}",
              "A" * 9000):
        a = ask(s, t, good(s))
        assert a.status in (400, 401), (t[:20], a.status)


def test_other_kinds_of_jwt(s):
    """A roster, a proof or an assertion never passes as access token."""
    e = guest(s.k, s.admin, s.conf)
    e.lease(1)
    roster = e.call("GET", e.path + "/roster").raw.decode()
    for t in (roster, good(s),
              s.e.key.assertion("admin", s.k.url)):
        p = s.e.key.dpop("GET", s.k.url + s.e.path, t)
        refuse(ask(s, t, p), 401, "invalid_token", s)


def proof_with(s, header=None, payload=None, drop=(), key=None):
    key = key or s.e.key
    h = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.public,
         **(header or {})}
    p = {"jti": jose.b64u(hashlib.sha256(str(time.time()).encode()).digest()),
         "htm": "GET", "htu": s.k.url + s.e.path, "iat": int(time.time()),
         "ath": jose.b64u(hashlib.sha256(s.e.token.encode()).digest()),
         **(payload or {})}
    for d in drop:
        p.pop(d, None)
        h.pop(d, None)
    return key.sign(h, p)


def test_proofs_that_lie(s):
    now = int(time.time())
    url = s.k.url + s.e.path
    for why, args in {
            "ath of another": dict(payload={"ath": "A" * 43}),
            "no ath": dict(drop=["ath"]),
            "old": dict(payload={"iat": now - 600}),
            "future": dict(payload={"iat": now + 600}),
            "iat as text": dict(payload={"iat": str(now)}),
            "no iat": dict(drop=["iat"]),
            "no jti": dict(drop=["jti"]),
            "jti of a kilobyte": dict(payload={"jti": "j" * 1500}),
            "htm": dict(payload={"htm": "POST"}),
            "htm in lower case": dict(payload={"htm": "get"}),
            "another host": dict(payload={"htu": url.replace(
                "localhost", "127.0.0.1")}),
            "another port": dict(payload={"htu": "https://localhost:1"
                                          + s.e.path}),
            "trailing slash": dict(payload={"htu": url + "/"}),
            "another path": dict(payload={"htu": url + "x"}),
            "http": dict(payload={"htu": url.replace("https", "http")}),
            "typ": dict(header={"typ": "JWT"}),
            "alg none": dict(header={"alg": "none"}),
            "private jwk": dict(header={"jwk": s.e.key.jwk}),
            "no jwk": dict(drop=["jwk"]),
            "crit": dict(header={"crit": ["b64"], "b64": False}),
            }.items():
        a = ask(s, s.e.token, proof_with(s, **args))
        assert a.status == 401, (why, a.status)
        refuse(a, 401, "invalid_dpop_proof", s)
    # htu is compared without query and fragment, and normalised
    for htu in (url + "?x=1", url.replace("https", "HTTPS"),
                url.replace("localhost", "LOCALHOST")):
        a = ask(s, s.e.token, proof_with(s, payload={"htu": htu}))
        assert a.status == 200, (htu, a.body)
    refuse(ask(s, s.e.token, [good(s), good(s)]), 401, "invalid_dpop_proof",
           s)
    refuse(ask(s, s.e.token, "a.b"), 401, "invalid_dpop_proof", s)
    refuse(ask(s, s.e.token, "x" * 9000), 401, "invalid_dpop_proof", s)


def test_replay(s):
    p = good(s)
    assert ask(s, s.e.token, p).status == 200
    for _ in range(3):  # whichever front it meets
        refuse(ask(s, s.e.token, p), 401, "invalid_dpop_proof", s)
    # the same proof with the other valid s of ECDSA is the same jti
    p = good(s)
    text, _, sig = p.rpartition(".")
    raw = jose.unb64u(sig)
    other = ORDER - int.from_bytes(raw[32:], "big")
    twin = text + "." + jose.b64u(raw[:32] + other.to_bytes(32, "big"))
    assert ask(s, s.e.token, p).status == 200
    refuse(ask(s, s.e.token, twin), 401, "invalid_dpop_proof", s)


def test_nonce(s):
    """Key requests need one of ours; a wrong one fails everywhere."""
    url, path = s.k.url + s.e.path + "/keys", s.e.path + "/keys"
    a = ask(s, s.e.token, s.e.key.dpop("POST", url, s.e.token), "POST", path)
    refuse(a, 401, "use_dpop_nonce", s)
    nonce = a.get("dpop-nonce")
    assert nonce and "," not in nonce
    assert not a.get("encryption-key")
    a = ask(s, s.e.token, s.e.key.dpop("POST", url, s.e.token, nonce), "POST",
            path)
    assert a.status == 200 and a.get("encryption-key"), a.body
    for bad in ("x", nonce[:-2] + "AA", "A" * 27, nonce + "A"):
        a = ask(s, s.e.token, s.e.key.dpop("POST", url, s.e.token, bad),
                "POST", path)
        refuse(a, 401, "use_dpop_nonce", s)
        refuse(ask(s, s.e.token, good(s, nonce=bad)), 401, "use_dpop_nonce",
               s)


def token_call(s, form, proof=True, more=(), raw=None, key=None, path=None):
    import urllib.parse
    h = [("Content-Type", "application/x-www-form-urlencoded"), *more]
    if proof:
        h.append(("DPoP", (key or jose.Key()).dpop(
            "POST", s.k.url + "/oauth/token")))
    return Raw(s.k, "POST", path or "/oauth/token", h,
               raw or urllib.parse.urlencode(form).encode())


def oauth_error(a):
    d = a.json()
    assert set(d) == {"error", "error_description"}, d
    assert a.get("pragma") == "no-cache"
    return a.status, d["error"]


def test_token_endpoint_intake(s):
    code = invite(s.admin, s.conf)["code"]
    form = {"grant_type": rest.EXCHANGE, "subject_token": code,
            "subject_token_type": rest.CODE,
            "resource": f"{s.k.url}/v1/conferences/{s.conf}"}
    text = ("&".join(f"{k}={v}" for k, v in form.items())).encode()
    assert oauth_error(token_call(s, form, proof=False)) == (
        400, "invalid_dpop_proof")
    for raw in (text + b"&grant_type=client_credentials",
                text + b"&resource=x", text + b"&%zz=1", text + b"&x",
                text + b"&=1", text + b"&a=%00", text + b"&a=b%0d%0a",
                b"&".join(b"p%d=1" % i for i in range(30))):
        assert oauth_error(token_call(s, {}, raw=raw)) == (
            400, "invalid_request"), raw
    for more in ({"actor_token": "x"}, {"actor_token_type": "x"},
                 {"requested_token_type": "urn:x"}):
        assert oauth_error(token_call(s, {**form, **more})) == (
            400, "invalid_request"), more
    assert oauth_error(token_call(s, {"grant_type": "password"})) == (
        400, "unsupported_grant_type")
    for missing in ("subject_token", "subject_token_type", "resource"):
        f = {k: v for k, v in form.items() if k != missing}
        assert oauth_error(token_call(s, f)) == (400, "invalid_request")
    assert oauth_error(token_call(s, form, more=[("Authorization",
                                                  "Basic eDp5")])) == (
        400, "invalid_request")
    assert oauth_error(token_call(s, form, path="/oauth/token?x=1")) == (
        400, "invalid_request")
    a = Raw(s.k, "POST", "/oauth/token", [("Content-Type",
            "application/json")], b"{}")
    assert oauth_error(a) == (400, "invalid_request")
    for r in ("https://evil.invalid/v1/conferences/" + s.conf,
              s.k.url + "/v1/conferences/" + s.conf + "/",
              s.k.url + "/v1/conferences/../" + s.conf):
        assert oauth_error(token_call(s, {**form, "resource": r})) == (
            400, "invalid_target"), r
    # none of that used the code up
    assert token_call(s, form).status == 200


def client_form(assertion):
    return {"grant_type": "client_credentials",
            "client_assertion_type": rest.ASSERTION,
            "client_assertion": assertion}


def test_client_assertions(s):
    Raw.source = "127.0.0.2"
    k, cid, now = s.admin.key, s.admin.client_id, int(time.time())
    good = {"iss": cid, "sub": cid, "aud": s.k.url, "iat": now,
            "exp": now + 120, "jti": "j"}

    def sign(change=(), header=(), key=k):
        c = {**good, "jti": jose.b64u(hashlib.sha256(
            repr((change, header, time.time())).encode()).digest()),
            **dict(change)}
        c = {n: v for n, v in c.items() if v is not None}
        return key.sign({"alg": "ES256", "typ": "JWT", **dict(header)}, c)

    a = token_call(s, client_form(sign()))
    assert a.status == 200 and a.json()["token_type"] == "DPoP"
    assert token_call(s, client_form(sign(
        {"aud": s.k.url + "/oauth/token"}))).status == 200
    assert token_call(s, client_form(sign(
        {"aud": ["https://x.invalid", s.k.url]}))).status == 200
    for change, header in (
            ({"aud": "https://x.invalid"}, {}), ({"aud": None}, {}),
            ({"exp": now - 120}, {}), ({"exp": now + 900}, {}),
            ({"exp": None}, {}), ({"exp": str(now + 60)}, {}),
            ({"iss": "other"}, {}), ({"sub": "other"}, {}),
            ({"jti": None}, {}), ({"nbf": now + 600}, {}),
            ({}, {"typ": "dpop+jwt"}), ({}, {"typ": "at+jwt"}),
            ({}, {"alg": "none"}), ({}, {"crit": ["x"]})):
        a = token_call(s, client_form(sign(change, header)))
        assert oauth_error(a) == (401, "invalid_client"), (change, header)
    a = token_call(s, client_form(sign(key=jose.Key())))
    assert oauth_error(a) == (401, "invalid_client")
    # an assertion is good once
    once = sign()
    assert token_call(s, client_form(once)).status == 200
    assert oauth_error(token_call(s, client_form(once)))[0] == 401


def test_the_log_has_reasons_and_no_token(s):
    ask(s, forge(s), good(s))
    world.wait_for(lambda: "front.refuse" in s.k.proc.text(), 3)
    text = s.k.proc.text()
    assert 'reason="signature"' in text, text[-3000:]
    assert s.e.token[:60] not in text
    for part in s.e.token.split("."):
        assert part not in text


def test_guessing_codes_is_slow(s):
    """After sixty failures this address waits, another does not."""
    Raw.source = "127.0.0.3"
    seen = set()
    for i in range(200):
        a = token_call(s, {"grant_type": rest.EXCHANGE,
                           "subject_token": f"guess-{i}",
                           "subject_token_type": rest.CODE,
                           "resource": f"{s.k.url}/v1/conferences/{s.conf}"})
        seen.add(a.status)
        if a.status == 429:
            assert a.get("retry-after")
            break
    assert seen <= {400, 429} and 429 in seen, seen
    Raw.source = "127.0.0.4"
    assert token_call(s, {"grant_type": "x"}).status == 400


def main():
    s = Scene()
    with world.World("perch-attacks-") as w:
        # one front: the count of failures is each front's own
        s.k = kmf(w, extra="fronts = 1")
        s.admin = s.k.admin()
        s.conf = conference(s.admin)["id"]
        s.e = guest(s.k, s.admin, s.conf)
        s.kid = json.loads(jose.unb64u(s.e.token.split(".")[0]))["kid"]
        run(globals(), s)


if __name__ == "__main__":
    main()
