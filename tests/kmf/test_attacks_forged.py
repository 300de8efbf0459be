#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Forged requests, one row each (RFC 6750, 7523, 8725, 9068, 9449; the list
# that standards name, and beyond): the right status, the right error in the
# challenge, one dull text, and a line of the log that has the reason and not
# one part of the token. The provider is ours, so that a token can be signed by
# the right key and lie about everything else.
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
from forge import *                                         # noqa: E402,F403
import jose                                                 # noqa: E402
import rest                                                 # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

LEEWAY = 60
BURST, WINDOW = 45, 10.5    # of the log, a little less than it grants
# the one thing that is told: how far the clocks are apart
CLOCK = re.compile(r'error_description="token (expired \d+ s ago|is \d+ s from '
                   r'the future; clocks differ|was issued \d+ s ago)"')
IDP, IDP2 = "https://idp.invalid", "https://other-idp.invalid/"


class Scene:
    pass


# ---- what an attacker has: a token of the provider, and the means to change it

def claims(s, drop=(), **more):
    now = int(time.time())
    c = {"iss": IDP, "aud": s.k.url, "sub": "alice", "client_id": "perch",
         "iat": now, "exp": now + 300, "jti": jose.b64u(os.urandom(8)),
         "email": "alice@example.org", "email_verified": True,
         "cnf": {"jkt": s.key.thumbprint()}, **more}
    return {k: v for k, v in c.items() if k not in drop}


def at(s, header=(), drop=(), signer=None, **more):
    h = {"alg": "ES256", "typ": "at+jwt", "kid": "ec", **dict(header)}
    h = {k: v for k, v in h.items() if v is not None}
    return (signer or s.idp).sign(h, claims(s, drop, **more))


def show(s, token, dpop=None, scheme="DPoP", more=(), path=None,
         method="GET", body=b"", key=None, **how):
    """At a member endpoint, with a good proof unless told otherwise."""
    path = path or s.path
    if dpop is None:
        dpop = proof(key or s.key, method, s.k.url + path.split("?")[0],
                     token, **how)
    h = [("Authorization", f"{scheme} {token}")] if token is not None else []
    h += [("DPoP", p) for p in ([dpop] if isinstance(dpop, str) else dpop)]
    s.sent = pieces(token, *([dpop] if isinstance(dpop, str) else dpop))
    s.tokens.append(token)
    return Raw(s.k, method, path, h + list(more), body)


def post(s, form, dpop=None, more=(), key=None):
    """At the token endpoint."""
    url = s.k.url + "/oauth/token"
    dpop = proof(key or s.key, "POST", url) if dpop is None else dpop
    s.sent = pieces(dpop, *form.values())
    s.tokens += form.values()
    h = [("Content-Type", "application/x-www-form-urlencoded"),
         ("DPoP", dpop), *more]
    return Raw(s.k, "POST", "/oauth/token", h,
               urllib.parse.urlencode(form).encode())


def exchange(s, token, kind=rest.ACCESS, **kw):
    return post(s, {"grant_type": rest.EXCHANGE, "subject_token": token,
                    "subject_token_type": kind,
                    "resource": s.k.url + s.path}, **kw)


def assertion(s, header=(), signer=None, drop=(), **more):
    now, cid = int(time.time()), s.admin.client_id
    c = {"iss": cid, "sub": cid, "aud": s.k.url, "iat": now,
         "exp": now + 120, "jti": jose.b64u(os.urandom(8)), **more}
    for d in drop:
        c.pop(d)
    return (signer or s.admin.key).sign(
        {"alg": "ES256", "typ": "JWT", **dict(header)}, c)


def client(s, text, **kw):
    return post(s, {"grant_type": "client_credentials",
                    "client_assertion_type": rest.ASSERTION,
                    "client_assertion": text}, **kw)


# ---- the rows: name, request, (status, error), reason in the log

INVALID = (401, "invalid_token")
PROOF = (401, "invalid_dpop_proof")
REQUEST = (400, "invalid_request")
GRANT = (400, "invalid_grant")
CLIENT = (401, "invalid_client")


def header_rows(s):
    body = part(claims(s))
    none = [(f"alg {a}", lambda s, a=a, sig=sig: show(
        s, part({"alg": a, "typ": "at+jwt", "kid": "ec"}) + "." + body + "." +
        sig), INVALID, "form|alg")
        for a, sig in (("none", "AA"), ("None", "AA"), ("nOnE", "A" * 86))]
    macs = [(f"HS256 with {what}", lambda s, secret=secret, kid=kid: show(
        s, mac(secret, {"typ": "at+jwt", "kid": kid}, claims(s))), INVALID,
        "alg")
        for what, kid, secret in (
            ("the RSA key's PEM", "rsa", s.rsa.pem.encode()),
            ("the EC key's JWK", "ec", json.dumps(s.idp.public).encode()),
            ("the EC key's x", "ec", jose.unb64u(s.idp.public["x"])),
            ("nothing", "ec", b""))]
    return none + macs + [
        ("no signature at all", lambda s: show(
            s, ".".join(at(s).split(".")[:2])), INVALID, "form"),
        ("RS256 by the RSA key under the EC kid", lambda s: show(
            s, s.rsa.sign({"alg": "RS256", "typ": "at+jwt", "kid": "ec"},
                          claims(s))), INVALID, "key"),
        ("ES256 by the EC key under the RSA kid",
         lambda s: show(s, at(s, {"kid": "rsa"})), INVALID, "key"),
        ("PS256 where the key is for RS256", lambda s: show(
            s, s.rsa.sign({"alg": "PS256", "typ": "at+jwt", "kid": "rsa"},
                          claims(s))), INVALID, "key"),
        ("RS256 with a PSS signature", lambda s: show(
            s, s.rsa.sign({"alg": "RS256", "typ": "at+jwt", "kid": "rsa"},
                          claims(s), pss=True)), INVALID, "signature"),
        ("the key that is for encryption", lambda s: show(
            s, at(s, {"kid": "enc"}, signer=s.enc)), INVALID, "key"),
        *[(f"alg {a}", lambda s, a=a: show(s, at(s, {"alg": a})), INVALID,
           "alg") for a in ("ES384", "EdDSA", "ES256K", "", "es256")],
        ("alg is a list", lambda s: show(s, at(s, {"alg": ["ES256"]})),
         INVALID, "alg"),
        *[(f"kid {what}", lambda s, kid=kid: show(
            s, at(s, {"kid": kid}, signer=s.thief)), INVALID, "kid|form")
          for what, kid in (("unknown", "nobody"), ("SQL", "' OR 1=1 --"),
                            ("path", "../../etc/passwd"),
                            ("NUL", "ec\0"), ("list", ["ec"]),
                            ("left out, keys are several", None),
                            ("long", "k" * 3000))],
        *[(f"{member} of one's own", lambda s, member=member, value=value:
           show(s, at(s, {member: value(s)}, signer=s.thief)), INVALID,
           "signature")
          for member, value in (
              ("jwk", lambda s: s.thief.public),
              ("jku", lambda s: "https://evil.invalid/jwks"),
              ("x5u", lambda s: "https://evil.invalid/cert"),
              ("x5c", lambda s: ["MIIB"]))],
        ("crit", lambda s: show(s, at(s, {"crit": ["exp"]})), INVALID,
         "crit"),
        ("crit b64", lambda s: show(
            s, at(s, {"crit": ["b64"], "b64": False})), INVALID, "crit"),
        ("b64 false", lambda s: show(s, at(s, {"b64": False})), INVALID,
         "crit"),
        *[(f"typ {typ}", lambda s, typ=typ: show(s, at(s, {"typ": typ})),
           INVALID, "typ")
          for typ in ("JWT", "dpop+jwt", "perch-ekt+jwt", "at+jwt ", "",
                      None, ["at+jwt"])],
    ]


def form_rows(s):
    """Octets that are no JWT, or not just one."""
    head = '{"alg":"ES256","typ":"at+jwt","kid":"ec"}'

    def text(header, payload):
        return lambda s: show(s, sign_text(s.idp, header, payload))

    body = json.dumps(claims(s))
    twice = body[:-1] + ',"sub":"mallory"}'
    return [
        ("alg twice", text(head[:-1] + ',"alg":"none"}', body), INVALID,
         "form"),
        ("sub twice", text(head, twice), INVALID, "form"),
        ("cnf twice, one of them inside", text(
            head, body[:-1] + ',"cnf":{"jkt":"a","jkt":"b"}}'), INVALID,
         "form"),
        ("payload is a list", text(head, "[]"), INVALID, "form"),
        ("payload is no JSON", text(head, "x"), INVALID, "form"),
        ("payload and more", text(head, body + "{}"), INVALID, "form"),
        ("payload is not UTF-8", text(head, b'{"sub":"\xff"}'), INVALID,
         "form"),
        ("header is a string", text('"x"', body), INVALID, "form"),
        ("deep JSON", text(head, body[:-1] + ',"x":' + deep(700) + "}"),
         INVALID, "form"),
        ("deep JSON in the header", text(
            head[:-1] + ',"x":' + deep(400) + "}", body), INVALID, "form"),
        ("9,000 octets", lambda s: show(s, at(s, x="y" * 6500), dpop=proof(
            s.key, "GET", s.k.url + s.path, "t")), REQUEST, "form"),
        ("two parts", lambda s: show(s, at(s).rpartition(".")[0]), INVALID,
         "form"),
        ("four parts", lambda s: show(s, at(s) + ".AAAA"), INVALID, "form"),
        ("an encrypted one around it", lambda s: show(s, ".".join([
            part({"alg": "ECDH-ES", "enc": "A256GCM", "typ": "at+jwt",
                  "cty": "JWT"}), "", part(b"0" * 12), part(at(s)[:60]),
            part(b"0" * 16)])), INVALID, "form"),
        ("padded", lambda s: show(s, at(s) + "=="), INVALID, "form"),
        ("another alphabet", lambda s: show(
            s, at(s).replace("-", "+").replace("_", "/") + "+/"), INVALID,
         "form|signature"),
        ("one character less", lambda s: show(s, at(s)[:-1]), INVALID,
         "form|signature"),
        ("words after the signature's own end", lambda s: show(
            s, at(s) + "AAAA"), INVALID, "form|signature"),
    ]


def claim_rows(s):
    now = int(time.time())

    def lie(reason, drop=(), **more):
        return (lambda s: show(s, at(s, drop=drop, **more)), INVALID, reason)

    return [(name, *row) for name, row in {
        "iss with a slash": lie("iss", iss=IDP + "/"),
        "iss in capitals": lie("iss", iss=IDP.upper()),
        "iss is a list": lie("iss|form", iss=[IDP]),
        "iss of another provider, key of this one": lie(
            "kid|signature|key", iss=IDP2),
        "iss of the KMF": lie("kid|signature|alg", iss=s.k.url),
        "no aud": lie("aud", drop=["aud"]),
        "aud of another": lie("aud", aud="https://other.invalid"),
        "aud with a slash": lie("aud", aud=s.k.url + "/"),
        "aud of the client, as in an ID token": lie("aud", aud="perch"),
        "aud is a list of others": lie("aud", aud=["a", "b"]),
        "aud is an object": lie("aud", aud={s.k.url: 1}),
        "aud is a list with a number": lie("aud", aud=[1, s.k.url]),
        "expired a second too long ago": lie("exp", exp=now - LEEWAY - 1),
        "exp is text": lie("exp", exp=str(now + 60)),
        "exp is true": lie("exp", exp=True),
        "exp beyond all time": lie("exp", exp=1 << 62),
        "exp below zero": lie("exp", exp=-1),
        "no exp": lie("exp", drop=["exp"]),
        "nbf to come": lie("nbf", nbf=now + LEEWAY + 20),
        "nbf is text": lie("nbf", nbf="now"),
        "iat to come": lie("iat", iat=now + LEEWAY + 20),
        "iat of the day before yesterday": lie("iat", iat=now - 2 * 86400),
        "iat is text": lie("iat", iat=str(now)),
        "no iat": lie("required", drop=["iat"]),
        "no jti": lie("required", drop=["jti"]),
        "no client_id": lie("required|client", drop=["client_id"]),
        "no sub": lie("required|sub", drop=["sub"]),
        "sub is empty": lie("sub", sub=""),
        "sub is a number": lie("sub", sub=7),
        "sub of 600 octets": lie("sub", sub="x" * 600),
        "a service": lie("service", sub="svc", client_id="svc"),
        "somebody acts for somebody": lie("act", act={"sub": "x"}),
        "act is nothing": lie("act", act=None),
        "bound to nothing": lie("cnf", drop=["cnf"]),
        "cnf is text": lie("cnf", cnf="x"),
        "cnf is empty": lie("cnf", cnf={}),
        "cnf of two kinds": lie("cnf", cnf={
            "jkt": s.key.thumbprint(), "x5t#S256": "A" * 43}),
        "cnf of a kind that nobody checks": lie("cnf", cnf={"kid": "x"}),
        "jkt too short": lie("cnf", cnf={"jkt": "A" * 42}),
        "bound to another key": lie("key", cnf={
            "jkt": s.thief.thumbprint()}),
        "bound to a certificate, shown with a proof": lie(
            "bound|certificate", cnf={"x5t#S256": "A" * 43}),
    }.items()]


def kind_rows(s):
    """Words of the KMF's own and of others, where an access token belongs."""
    e, roster = s.e, s.roster

    def own(token):
        return lambda s: show(s, token, key=e.key)

    return [
        ("a roster", own(roster), INVALID, "typ"),
        ("a proof", own(proof(e.key, "GET", s.k.url + s.path)), INVALID,
         "iss|form"),
        ("a client's assertion", own(assertion(s)), INVALID, "iss"),
        ("an ID token", lambda s: show(s, at(
            s, {"typ": "JWT"}, aud="perch", drop=["cnf", "client_id"])),
         INVALID, "typ"),
        ("an ID token that calls itself at+jwt", lambda s: show(
            s, at(s, aud="perch", drop=["client_id"])), INVALID, "aud"),
        ("an invitation code", lambda s: show(s, s.code), INVALID, "form"),
        ("token2", own(s.token2), INVALID, "aud|cnf|iss"),
        ("token1 of another conference", lambda s: show(
            s, s.other.token, key=s.other.key), (404, None),
         "another conference"),
        ("a scheduler's token at the keys", lambda s: show(
            s, s.admin.token, key=s.admin.key, method="POST",
            path=s.path + "/keys", nonce=nonce_of(s)),
         (403, None), "kind of token"),
        ("token1 at the scheduler's door", lambda s: show(
            s, e.token, key=e.key, path="/v1/conferences"), (403, None),
         "kind of token"),
        ("a person's token at the scheduler's door", lambda s: show(
            s, at(s), path="/v1/conferences"), (403, None), "kind of token"),
        ("token1 with another's conference inside", lambda s: show(
            s, changed(e.token, conference=s.other.conference), key=e.key),
         INVALID, "signature"),
        ("token1 that lives longer", lambda s: show(
            s, changed(e.token, exp=int(time.time()) + 99999), key=e.key),
         INVALID, "signature"),
        ("token1 under a key of one's own", lambda s: show(
            s, s.thief.sign({"alg": "ES256", "typ": "at+jwt", "kid": s.kid},
                            jose.claims(e.token)), key=e.key), INVALID,
         "signature"),
        ("token1 and a kid that is not there", lambda s: show(
            s, s.thief.sign({"alg": "ES256", "typ": "at+jwt", "kid": "x"},
                            jose.claims(e.token)), key=e.key), INVALID,
         "kid"),
    ]


def changed(token, **more):
    head, _, sig = token.split(".")
    return ".".join([head, part({**jose.claims(token), **more}), sig])


def nonce_of(s):
    a = show(s, s.e.token, key=s.e.key, method="POST", path=s.path + "/keys")
    return a.get("dpop-nonce")


def intake_rows(s):
    t = s.e.token
    form = [("Content-Type", "application/x-www-form-urlencoded")]

    def fields(*values):
        return lambda s: show(
            s, None, [proof(s.e.key, "GET", s.k.url + s.path, t)],
            more=[("Authorization", v) for v in values])

    return [
        ("nothing", fields(), (401, None), "no credentials"),
        ("another scheme", fields("Basic eDp5"), (401, None), "scheme"),
        ("the scheme alone", fields("DPoP"), REQUEST, "form"),
        ("two fields", fields("DPoP " + t, "DPoP " + t), REQUEST, "twice"),
        ("both schemes", fields("DPoP " + t, "Bearer " + t), REQUEST,
         "twice"),
        ("two tokens in one field", fields(f"DPoP {t}, DPoP {t}"), REQUEST,
         "form"),
        ("two tokens, a blank between", fields(f"DPoP {t} {t}"), REQUEST,
         "form"),
        ("a quoted token", fields(f'DPoP "{t}"'), REQUEST, "form"),
        ("in the query", lambda s: show(
            s, None, [], path=f"{s.path}?access_token={t}"), REQUEST,
         "query"),
        ("in the query too", lambda s: show(
            s, t, key=s.e.key, path=s.path + "?access_token=x"), REQUEST,
         "query"),
        ("in the body", lambda s: show(
            s, None, [], method="POST", path=s.path + "/keys",
            more=form, body=b"access_token=" + t.encode()), (401, None),
         "no credentials"),
        ("bound, as Bearer", lambda s: show(s, t, [], scheme="Bearer"),
         INVALID, "bearer"),
        ("bound, as Bearer, with its proof", lambda s: show(
            s, t, scheme="Bearer", key=s.e.key), INVALID, "bearer"),
        ("bound by the provider, as Bearer", lambda s: show(
            s, at(s), [], scheme="Bearer"), INVALID, "bearer"),
        ("unbound, as Bearer", lambda s: show(
            s, at(s, drop=["cnf"]), [], scheme="Bearer"), INVALID, "cnf"),
        ("RFC 8705: bound to a certificate that is not there", lambda s: show(
            s, at(s, cnf={"x5t#S256": "A" * 43}), [], scheme="Bearer"),
         INVALID, "certificate"),
    ]


def proof_rows(s):
    e, now, url = s.e, int(time.time()), s.k.url + s.path

    def lie(reason, status=PROOF, **how):
        return (lambda s: show(s, e.token, proof(
            how.get("key", e.key), "GET", how.get("url", url), e.token,
            **{k: v for k, v in how.items() if k not in ("key", "url")})),
            status, reason)

    def host(name):
        return lie("htu", url=url.replace("localhost", name))

    return [(name, *row) for name, row in {
        "ath of another token": lie("ath", ath=ath("other")),
        "no ath": lie("ath", drop=["ath"]),
        "ath is a list": lie("ath", ath=[ath(e.token)]),
        "too old": lie("old", iat=now - 125),
        "from the future": lie("future", iat=now + 140),
        "iat is text": lie("iat", iat=str(now)),
        "iat is not there": lie("iat", drop=["iat"]),
        "iat below zero": lie("iat", iat=-1),
        "no jti": lie("jti", drop=["jti"]),
        "jti is empty": lie("jti", jti=""),
        "jti of a kilobyte": lie("jti", jti="j" * 1024),
        "jti is a number": lie("jti", jti=7),
        "no htm": lie("htm", drop=["htm"]),
        "htm of another method": lie("htm", htm="PUT"),
        "htm in lower case": lie("htm", htm="get"),
        "no htu": lie("htu", drop=["htu"]),
        "another host": host("kmf.invalid"),
        "another name of this host": host("127.0.0.1"),
        "a host below ours": host("localhost.evil.invalid"),
        "user and host": host("localhost@evil.invalid"),
        "another port": lie("htu", url=url.replace(
            f":{s.k.port}", ":443")),
        "another path": lie("htu", url=url + "/keys"),
        "trailing slash": lie("htu", url=url + "/"),
        "dot segments": lie("htu", url=url.replace("/v1/", "/v1/x/..//")),
        "http": lie("htu", url=url.replace("https", "http")),
        "another conference": lie("htu", url=url.replace(
            s.e.conference, s.other.conference)),
        "typ JWT": lie("typ", header={"typ": "JWT"}),
        "typ at+jwt": lie("typ", header={"typ": "at+jwt"}),
        "no typ": lie("typ", drop=["typ"]),
        "alg none": lie("alg", header={"alg": "none"}),
        "a MAC": (lambda s: show(s, e.token, mac(
            jose.unb64u(e.key.public["x"]), {
                "typ": "dpop+jwt", "jwk": e.key.public},
            {"jti": "x", "htm": "GET", "htu": url, "iat": now,
             "ath": ath(e.token)})), PROOF, "alg"),
        "alg RS256": lie("alg", header={"alg": "RS256"}),
        "private key in it": lie("private", header={"jwk": e.key.jwk}),
        "no key in it": lie("jwk", drop=["jwk"]),
        "key is oct": lie("jwk|private", header={
            "jwk": {"kty": "oct", "k": "AAAA"}}),
        "key is not on the curve": lie("jwk|signature", header={
            "jwk": {**e.key.public, "x": jose.b64u(b"\1" * 32)}}),
        "key under jku": lie("jwk", drop=["jwk"], header={
            "jku": "https://evil.invalid/jwks"}),
        "crit": lie("crit", header={"crit": ["b64"], "b64": False}),
        "signed by another key": lie("signature", signer=s.thief),
        "another's key, honestly": lie("another key", INVALID,
                                       key=s.thief),
        "no proof": (lambda s: show(s, e.token, []), PROOF, "DPoP"),
        "two proofs": (lambda s: show(s, e.token, [
            proof(e.key, "GET", url, e.token) for _ in range(2)]), PROOF,
            "DPoP"),
        "no JWT": (lambda s: show(s, e.token, "x.y"), PROOF, "compact"),
        "long": (lambda s: show(s, e.token, "x" * 9000), PROOF, "compact"),
        "claims twice": (lambda s: show(s, e.token, sign_text(
            e.key, {"alg": "ES256", "typ": "dpop+jwt", "jwk": e.key.public},
            '{"jti":"a","jti":"b"}')), PROOF, "compact|object"),
        "the token's other signature, its first one's proof": (
            lambda s: show(s, twin(e.token), proof(
                e.key, "GET", url, e.token)), PROOF, "ath"),
    }.items()]


def grant_rows(s):
    """Where tokens are made."""
    def idt(**how):
        how.setdefault("aud", "perch")
        return lambda s: exchange(
            s, at(s, {"typ": "JWT"}, **{"drop": ["cnf", "client_id"], **how}),
            ID)

    ID = "urn:ietf:params:oauth:token-type:id_token"
    now = int(time.time())
    rows = [
        ("an access token as an ID token", lambda s: exchange(s, at(s), ID),
         GRANT, "typ"),
        ("an ID token as an access token", lambda s: exchange(
            s, at(s, {"typ": "JWT"}, aud="perch")), GRANT, "typ"),
        ("an ID token for another client", idt(aud="other"), GRANT, "aud"),
        ("an ID token for two, given to nobody", idt(
            aud=["perch", "other"]), GRANT, "azp"),
        ("an ID token for two, given to another", idt(
            aud=["perch", "other"], azp="other"), GRANT, "azp"),
        ("an ID token that is over", idt(exp=now - LEEWAY - 1), GRANT, "exp"),
        ("bound to another key", lambda s: exchange(
            s, at(s, cnf={"jkt": s.thief.thumbprint()})), GRANT, "key"),
        ("no provider's", lambda s: exchange(
            s, at(s, iss="https://evil.invalid")), GRANT, "iss"),
        ("a scheduler's token as subject", lambda s: exchange(
            s, s.admin.token, key=s.admin.key), GRANT, "."),
        ("an actor", lambda s: post(s, {
            "grant_type": rest.EXCHANGE, "subject_token": at(s),
            "subject_token_type": rest.ACCESS, "actor_token": at(s),
            "actor_token_type": rest.ACCESS,
            "resource": s.k.url + s.path}), REQUEST, "actor|malformed|."),
        ("a proof of another endpoint", lambda s: exchange(
            s, at(s), dpop=proof(s.key, "POST", s.k.url + s.path)),
         (400, "invalid_dpop_proof"), "htu"),
        ("a proof with ath", lambda s: exchange(s, at(s), dpop=proof(
            s.key, "POST", s.k.url + "/oauth/token", "x")),
         (400, "invalid_dpop_proof"), "ath"),
        ("a code and credentials in the header", lambda s: exchange(
            s, "x", rest.CODE, more=[("Authorization", "Basic eDp5")]),
         REQUEST, "form"),
        ("a code that is none", lambda s: exchange(s, "w_guess", rest.CODE),
         (400, "invalid_target"), "no such conference"),
        ("RFC 8693: for another KMF", lambda s: post(s, {
            "grant_type": rest.EXCHANGE, "subject_token": at(s),
            "subject_token_type": rest.ACCESS,
            "resource": "https://evil.invalid" + s.path}),
         (400, "."), "."),
    ]
    once = assertion(s)
    good = client(s, once)
    tap.ok(good.status == 200, "an assertion is good once", good.body)
    rows += [
        ("an assertion again", lambda s: client(s, once), CLIENT, "used before"),
        ("the other signature of one that was used", lambda s: client(
            s, twin(once)), CLIENT, "used before"),
        *[(f"an assertion: {name}", lambda s, how=how: client(
            s, assertion(s, **how)), CLIENT, reason)
          for name, how, reason in (
              ("for another", {"aud": "https://x.invalid"}, "aud"),
              ("for nobody", {"drop": ["aud"]}, "aud"),
              ("living too long", {"exp": now + 900}, "life"),
              ("over", {"exp": now - LEEWAY - 1}, "exp"),
              ("without jti", {"drop": ["jti"]}, "required"),
              ("by another key", {"signer": s.thief}, "signature"),
              ("of nobody", {"sub": "nobody", "iss": "nobody"}, "client"),
              ("iss and sub differ", {"iss": "nobody"}, "iss"),
              ("typ dpop+jwt", {"header": {"typ": "dpop+jwt"}}, "typ"),
              ("typ at+jwt", {"header": {"typ": "at+jwt"}}, "typ"),
              ("alg none", {"header": {"alg": "none"}}, "signature|alg"),
              ("crit", {"header": {"crit": ["x"]}}, "signature|crit"))],
    ]
    return rows


GROUPS = [("token", header_rows), ("form", form_rows), ("claims", claim_rows),
          ("kind", kind_rows), ("intake", intake_rows), ("proof", proof_rows),
          ("grant", grant_rows)]


# ---- looking at an answer and at the log

def error_of(a, status, error):
    """What is wrong with this answer, or None."""
    if a.status != status:
        return f"status {a.status} {a.body[:300]}"
    challenge, body = a.get("www-authenticate"), a.json()
    if a.get("cache-control") != "no-store":
        return "may be cached"
    if "error_description" in body:     # RFC 6749 section 5.2
        return None if error == "." or body["error"] == error \
            else f"error {body}"
    if status == 401 or error:
        if challenge.count("DPoP ") != 1:
            return f"challenge {challenge}"
        said = challenge.split('error="')[1].split('"')[0] \
            if 'error="' in challenge else None
        words = challenge.replace(f'error="{said}"', "")
        if said != error or "error_description" in words and \
                not CLOCK.search(words):
            return f"challenge {challenge}"
    elif challenge:
        return f"a challenge for {status}: {challenge}"
    return None


def log_says(s, mark, reason):
    """What is wrong with the log since mark, or None."""
    end = time.monotonic() + 3
    while True:
        new = s.k.proc.text()[mark:]
        for r in reasons(new):
            if any(word in r for word in reason.split("|")):
                return None
        if time.monotonic() > end:
            return f"the log has {reasons(new)} for {reason}: {new[-500:]}"
        time.sleep(0.02)


def pace(s):
    """The log forgets what comes too often; this is not about that."""
    s.count += 1
    if s.count == 1:
        s.began = time.monotonic()
    elif s.count > BURST:
        time.sleep(max(0, s.began + WINDOW - time.monotonic()))
        s.count, s.began = 1, time.monotonic()


def attack(s, name, fn, want, reason):
    pace(s)
    mark, s.sent = len(s.k.proc.text()), set()
    Raw.source = f"127.0.1.{s.n % 200 + 1}"     # failures count per address
    s.n += 1
    a = fn(s)
    wrong = error_of(a, *want)
    if not wrong and reason:
        wrong = log_says(s, mark, reason.replace("|.", "") if reason != "."
                         else "")
    text = s.k.proc.text()[mark:] + a.body.decode(errors="replace") + \
        str(a.headers)
    leaked = [p for p in s.sent if p in text]
    tap.ok(not wrong and not leaked, name, wrong or f"told: {leaked}")


def near_misses(s):
    """Beside each refusal stands something good, or the table proves
    nothing."""
    now = int(time.time())
    for name, fn in {
            "the token itself": lambda: show(s, at(s)),
            "RS256": lambda: show(s, s.rsa.sign(
                {"alg": "RS256", "typ": "at+jwt", "kid": "rsa"}, claims(s))),
            "application/at+JWT": lambda: show(
                s, at(s, {"typ": "application/at+JWT"})),
            "ours last in aud": lambda: show(
                s, at(s, aud=["https://x.invalid", s.k.url])),
            "expired within the leeway": lambda: show(
                s, at(s, exp=now - LEEWAY + 15)),
            "a proof nearly too old": lambda: show(
                s, at(s), iat=now - 100),
            "htu in capitals, with a query": lambda: show(
                s, s.e.token, proof(s.e.key, "GET", (
                    s.k.url + s.path).replace("https", "HTTPS").replace(
                        "localhost", "LOCALHOST") + "?x", s.e.token)),
            "the scheme in lower case": lambda: show(
                s, s.e.token, scheme="dpop", key=s.e.key),
            "an ID token": lambda: exchange(
                s, at(s, {"typ": "JWT"}, aud="perch",
                      drop=["cnf", "client_id"]),
                "urn:ietf:params:oauth:token-type:id_token"),
            "an access token": lambda: exchange(s, at(s))}.items():
        a = fn()
        tap.ok(a.status == 200, "good: " + name, a.status, a.body)


def two_libraries(s):
    """Whatever token a row showed: liboauth2, which the KMF asks, and cjose
    by itself say the same of its signature, under each of the keys."""
    tokens = sorted({t for t in s.tokens if t and t.count(".") == 2 and
                     not set(t) & set("\t\r\n\0")})
    ask = [(k, t) for t in tokens for k in (s.idp.public, s.rsa.public,
                                            s.thief.public)]
    out = subprocess.run(
        [tap.BUILD / "tests/kmf/verdict"], text=True, capture_output=True,
        input="".join(f"{json.dumps(k)}\t{t}\n" for k, t in ask), timeout=60)
    rows = [r.split() for r in out.stdout.splitlines()]
    apart = [(t[:60], r) for (_, t), r in zip(ask, rows) if r[0] != r[1]]
    good = sum(r[0] == "1" for r in rows)
    bad = sum(r[0] == "0" for r in rows)
    tap.ok(out.returncode == 0 and len(rows) == len(ask) and not apart and
           good > 20 and bad > 20,
           f"two libraries agree on {len(tokens)} tokens", out.stderr, good,
           bad, *apart)


def prepare(w, s):
    s.idp, s.thief, s.enc, s.key = (jose.Key() for _ in range(4))
    s.rsa = Rsa(w, "rsa.pem")
    keys = w.write(w.dir / "idp.json", json.dumps({"keys": [
        {**s.idp.public, "kid": "ec", "use": "sig", "alg": "ES256"},
        {**s.rsa.public, "kid": "rsa", "use": "sig", "alg": "RS256"},
        {**s.enc.public, "kid": "enc", "use": "enc"}]}))
    others = w.write(w.dir / "other.json", json.dumps({"keys": [
        {**s.thief.public, "kid": "theirs"}]}))
    # one front: the burst of its log is each front's own
    s.k = kmf(w, extra="\n".join([
        "fronts = 1", "[issuer corp]", f"url = {IDP}", "client_id = perch",
        f"jwks_file = {keys}", "[issuer other]", f"url = {IDP2}",
        "client_id = perch", f"jwks_file = {others}"]))
    s.k.wait_keys()
    s.admin = s.k.admin()
    alice = [{"email": "alice@example.org"}]
    confs = [conference(s.admin, invitees=alice)["id"] for _ in range(2)]
    s.e, s.other = (guest(s.k, s.admin, c) for c in confs)
    s.e.lease(1)
    s.path = s.e.path
    s.roster = s.e.call("GET", s.path + "/roster").raw.decode()
    s.kid = json.loads(jose.unb64u(s.e.token.split(".")[0]))["kid"]
    s.token2 = s.e.token2(MDD, "A" * 43)
    s.code = invite(s.admin, confs[0])["code"]
    s.n, s.count, s.tokens = 0, 0, []


def main():
    s = Scene()
    with world.World("perch-forged-") as w:
        prepare(w, s)
        near_misses(s)
        for group, rows in GROUPS:
            if sys.argv[1:] and group not in sys.argv[1:]:
                continue
            for name, fn, want, reason in rows(s):
                attack(s, f"{group}: {name}", fn, want, reason)
        near_misses(s)
        if not sys.argv[1:]:
            two_libraries(s)
        tap.ok(s.n >= 60 or sys.argv[1:], f"{s.n} forged requests were refused")
    tap.done()


if __name__ == "__main__":
    main()
