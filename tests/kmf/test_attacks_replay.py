#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What was good once is good once (RFC 9449 section 11.1, RFC 7523): asked a
# thousand times at the same moment on several fronts, and asked again after
# the KMF was killed in the middle of its work. And what an uninvited caller
# hears is what one hears who asks for a hole.
import http.client
import pathlib
import sys
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
from forge import *                                         # noqa: E402,F403
import jose                                                 # noqa: E402
import rest                                                 # noqa: E402
import world                                                # noqa: E402

TIMES, CONNECTIONS = 1000, 40


class Scene:
    pass


def headers(e, dpop):
    return {"Authorization": f"DPoP {e.token}", "DPoP": dpop}


def storm(s, path, choose):
    """TIMES requests on CONNECTIONS, all at once: [(status, error)]."""
    gate, out = threading.Barrier(CONNECTIONS), []

    def ask(n):
        c = http.client.HTTPSConnection("localhost", s.k.port, timeout=60,
                                        context=world.tls(s.k.ca))
        c.connect()
        gate.wait()
        for i in range(TIMES // CONNECTIONS):
            c.request("GET", path, headers=headers(s.e, choose(n + i)))
            r = c.getresponse()
            body = r.read()
            code = json.loads(body).get("code") if r.status != 200 else None
            out.append((r.status, code,
                        "invalid_dpop_proof" in (r.headers.get(
                            "WWW-Authenticate") or "")))
        c.close()

    threads = [threading.Thread(target=ask, args=(n,))
               for n in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out


def judge(out):
    good = [o for o in out if o[0] == 200]
    bad = {o for o in out if o[0] != 200}
    assert len(out) == TIMES, len(out)
    assert len(good) == 1, (len(good), bad)
    assert bad == {(401, "invalid_dpop_proof", True)}, bad


def test_of_a_thousand_equal_ones_one_wins(s):
    url = s.k.url + s.e.path
    one = proof(s.e.key, "GET", url, s.e.token)
    judge(storm(s, s.e.path, lambda i: one))
    assert "role" not in s.e.path
    fronts = {line.split("[front")[1][0] for line in
              s.k.proc.text().splitlines()
              if "front.refuse" in line and "[front" in line}
    assert len(fronts) > 1, f"one front met them all: {fronts}"


def test_the_other_signature_is_no_other_proof(s):
    """Both valid values of s, and a payload with another blank in it: it
    is the jti that counts."""
    url = s.k.url + s.e.path
    one = proof(s.e.key, "GET", url, s.e.token)
    words = json.dumps(jose.claims(one), separators=(", ", ": "))
    head = json.loads(jose.unb64u(one.split(".")[0]))
    kin = [one, twin(one), sign_text(s.e.key, head, words)]
    judge(storm(s, s.e.path, lambda i: kin[i % 3]))


def killed(s):
    """All of it, and started again."""
    s.k.proc.kill()
    s.k.serve()


def test_a_kill_forgets_nothing(s):
    e, url, form = s.e, s.k.url + s.e.path, {
        "grant_type": "client_credentials",
        "client_assertion_type": rest.ASSERTION,
        "client_assertion": s.admin.key.assertion(s.admin.client_id,
                                                  s.k.url)}

    def login():
        return Raw(s.k, "POST", "/oauth/token", [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("DPoP", proof(s.admin.key, "POST", s.k.url + "/oauth/token"))],
            urllib.parse.urlencode(form).encode())

    used = [proof(e.key, "GET", url, e.token) for _ in range(3)]
    late = proof(e.key, "GET", url, e.token)
    ask = lambda p: Raw(s.k, "GET", e.path,                  # noqa: E731
                        list(headers(e, p).items()))
    for p in used:
        assert ask(p).status == 200
    assert login().status == 200
    nonce = nonce_of(s)
    killed(s)
    for p in used + [twin(used[0])]:
        a = ask(p)
        assert a.status == 401 and "invalid_dpop_proof" in a.get(
            "www-authenticate"), (a.status, a.body)
    a = login()
    assert a.status == 401 and a.json()["error"] == "invalid_client", a.body
    assert ask(late).status == 200, "what was not used is good"
    a = keys(s, nonce)
    assert a.status == 401 and "use_dpop_nonce" in a.get(
        "www-authenticate"), "a nonce of an earlier start"
    assert keys(s, a.get("dpop-nonce")).status == 200


def test_a_nonce_changes_nothing_about_that(s):
    """Such a proof is remembered in memory alone: what keeps it from coming
    again after a kill is that its nonce is no good any more."""
    url = s.k.url + s.e.path
    one, late = [proof(s.e.key, "GET", url, s.e.token, nonce=nonce_of(s))
                 for _ in range(2)]
    kin = [one, twin(one)]
    judge(storm(s, s.e.path, lambda i: kin[i % 2]))
    killed(s)
    for p in kin + [late]:
        a = Raw(s.k, "GET", s.e.path, list(headers(s.e, p).items()))
        assert a.status == 401 and "use_dpop_nonce" in a.get(
            "www-authenticate"), (a.status, a.body)
    p = proof(s.e.key, "GET", url, s.e.token, nonce=a.get("dpop-nonce"))
    a = Raw(s.k, "GET", s.e.path, list(headers(s.e, p).items()))
    assert a.status == 200, a.body


def keys(s, nonce=None):
    e, more = s.e, {"nonce": nonce} if nonce else {}
    p = proof(e.key, "POST", s.k.url + e.path + "/keys", e.token, **more)
    return Raw(s.k, "POST", e.path + "/keys", list(headers(e, p).items()))


def nonce_of(s):
    nonce = keys(s).get("dpop-nonce")
    assert nonce
    return nonce


def plain(a):
    """An answer without what differs by itself."""
    body = a.json()
    body.pop("request_id", None)
    return (a.status, body, sorted(
        (n.lower(), "" if n.lower() in ("date", "content-length") else v)
        for n, v in a.headers))


def test_forbidden_is_as_unknown(s):
    """For a guest of another conference, for a person whom nobody invited,
    and for one without any token."""
    bob = jose.Key()
    for method, what in (("GET", ""), ("GET", "/roster"), ("PUT", "/lease"),
                         ("POST", "/keys"), ("GET", "/events")):
        for who in ("guest", "person", "nobody", "forger"):
            seen = []
            for conf in (s.forbidden, NOBODY):
                path = f"/v1/conferences/{conf}{what}"
                key, token = {
                    "guest": lambda: (s.e.key, s.e.token),
                    "person": lambda: (bob, person(s, bob)),
                    "forger": lambda: (bob, person(s, bob, signer=bob)),
                    "nobody": lambda: (None, None)}[who]()
                a = Raw(s.k, method, path)
                if token:
                    nonce = {"nonce": nonce_of(s)} if what == "/keys" else {}
                    p = proof(key, method, s.k.url + path, token, **nonce)
                    a = Raw(s.k, method, path, [
                        ("Authorization", "DPoP " + token), ("DPoP", p),
                        ("Content-Type", "application/json")],
                        b'{"epoch":1}' if method == "PUT" else b"")
                seen.append(plain(a))
            want = 404 if who in ("guest", "person") else 401
            assert seen[0] == seen[1] and seen[0][0] == want, (
                who, method, what, seen)


def person(s, key, signer=None):
    now = int(time.time())
    return (signer or s.idp).sign(
        {"alg": "ES256", "typ": "at+jwt", "kid": "one"},
        {"iss": "https://idp.invalid", "aud": s.k.url, "sub": "bob",
         "client_id": "perch", "iat": now, "exp": now + 300, "jti": "j",
         "email": "bob@example.org", "email_verified": True,
         "cnf": {"jkt": key.thumbprint()}})


def test_forbidden_is_as_unknown_where_tokens_are_made(s):
    key = jose.Key()
    seen = []
    for conf in (s.forbidden, NOBODY):
        a = Raw(s.k, "POST", "/oauth/token", [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("DPoP", proof(key, "POST", s.k.url + "/oauth/token"))],
            urllib.parse.urlencode({
                "grant_type": rest.EXCHANGE,
                "subject_token": person(s, key),
                "subject_token_type": rest.ACCESS,
                "resource": f"{s.k.url}/v1/conferences/{conf}"}).encode())
        seen.append(plain(a))
    assert seen[0] == seen[1] and seen[0][0] == 400, seen


def main():
    s = Scene()
    with world.World("perch-replay-") as w:
        s.idp = jose.Key()
        idp = w.write(w.dir / "idp.json", json.dumps(
            {"keys": [{**s.idp.public, "kid": "one"}]}))
        s.k = kmf(w, extra="\n".join([
            "fronts = 3", "max_conns_per_ip = 0", "[issuer corp]",
            "url = https://idp.invalid", "client_id = perch",
            f"jwks_file = {idp}"]))
        s.k.wait_keys()
        s.admin = s.k.admin()
        s.e = guest(s.k, s.admin, conference(s.admin)["id"])
        s.forbidden = conference(s.admin, invitees=[
            {"email": "alice@example.org"}])["id"]
        run(globals(), s)


if __name__ == "__main__":
    main()
