#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# perch-kmf over HTTPS, from schedule to end, as its neighbours see it.
import base64
import hashlib
import json
import os
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import jose                                                 # noqa: E402
import rest                                                 # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402


class Scene:
    pass


def test_public_documents(s):
    a = Raw(s.k, "GET", "/.well-known/oauth-authorization-server")
    d = a.json()
    assert a.status == 200 and d["issuer"] == s.k.url
    assert d["token_endpoint"] == s.k.url + "/oauth/token"
    assert d["token_endpoint_auth_methods_supported"] == [
        "none", "private_key_jwt"]
    assert a.get("cache-control") == "no-store"
    keys = Raw(s.k, "GET", "/.well-known/jwks.json").json()["keys"]
    assert len(keys) >= 2 and all("d" not in k for k in keys)
    # the same for every well-formed id: it tells nobody what exists
    for c in (s.conf, NOBODY):
        d = Raw(s.k, "GET", f"/c/{c}").json()
        assert d == {"conference": c, "kmf": s.k.url,
                     "resource": f"{s.k.url}/v1/conferences/{c}",
                     "token_endpoint": s.k.url + "/oauth/token"}, d
        p = "/.well-known/oauth-protected-resource/v1/conferences/" + c
        d = Raw(s.k, "GET", p).json()
        assert d["resource"] == f"{s.k.url}/v1/conferences/{c}"
        assert d["authorization_servers"] == [s.k.url]
        assert d["dpop_bound_access_tokens_required"] is True
    assert Raw(s.k, "GET", "/.well-known/oauth-protected-resource"
               ).json()["resource"] == s.k.url
    assert Raw(s.k, "GET", "/healthz").body == b"ok\n"
    assert Raw(s.k, "GET", "/readyz").status == 200
    m = Raw(s.k, "GET", "/metrics").body.decode()
    assert "perch_kmf_front_requests_total " in m, m


def test_document_of_the_interface(s):
    a = Raw(s.k, "GET", "/openapi.json")
    d = a.json()
    assert a.status == 200 and d["openapi"] == "3.1.0"
    assert "/v1/conferences/{id}/keys" in d["paths"]
    assert a.get("content-type") == "application/json"
    assert "no-store" not in a.get("cache-control")
    etag = a.get("etag")
    b = Raw(s.k, "GET", "/openapi.json", [("If-None-Match", etag)])
    assert b.status == 304 and not b.body and b.get("etag") == etag
    assert Raw(s.k, "GET", "/openapi.json",
               [("If-None-Match", '"other"')]).status == 200


def test_REQ_WS_6_1a_https_only(s):
    """Plain HTTP is no conversation; neither is TLS 1.1."""
    with socket.create_connection(("127.0.0.1", s.k.port), 5) as t:
        t.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert b"HTTP/1" not in t.recv(4096)
        except ConnectionError:
            pass


def test_routes(s):
    a = Raw(s.k, "DELETE", "/healthz")
    assert a.status == 405 and a.get("allow") == "GET, HEAD, OPTIONS"
    a = Raw(s.k, "OPTIONS", f"/v1/conferences/{NOBODY}")
    assert a.status == 204 and not a.body
    assert a.get("allow") == "GET, HEAD, PATCH, DELETE, OPTIONS", a.headers
    a = Raw(s.k, "HEAD", "/healthz")
    assert a.status == 200 and a.get("content-length") == "3" and not a.body
    # a stream has nothing but its body
    assert Raw(s.k, "HEAD", f"/v1/conferences/{s.conf}/events").status == 405
    for p in ("/", "/v1", "/v1/conferences/", "/v1/conferences/c_short",
              f"/v1/conferences/{s.conf}/keys/x", "/c/" + "A" * 24):
        a = Raw(s.k, "GET", p)
        assert a.status == 404 and a.json()["code"] == "not_found", p
        assert a.get("content-type") == "application/problem+json"
        assert a.json()["request_id"].startswith("r_")
    assert Raw(s.k, "POST", f"/v1/conferences/{s.conf}/keys", (),
               b"x" * 5000).status == 413


def test_REQ_WS_6_3a_key_by_post(s):
    """HTTPS POST with conference and token; 200 with the header alone."""
    e = endpoint(s.k)
    e.enter(s.conf, invite(s.admin, s.conf)["code"])
    a = e.call("POST", e.path + "/keys")
    assert a.status == 200 and a.raw == b""
    assert a.headers["content-length"] == "0"
    assert a.headers["cache-control"] == "no-store"
    p = rest.encryption_key(a.headers["encryption-key"])
    assert p["usage"] == "EKT" and p["cipher"] == "AESKW128"
    assert len(jose.unb64u(p["key"])) == 16
    assert len(jose.unb64u(p["salt"])) == 12
    assert p["keyid"].startswith(s.conf + ".") and p["profile"] == "0009"
    # http-key.md section 5 and 6: what a cache could use is not there
    for h in ("etag", "last-modified", "expires", "age", "content-location",
              "access-control-expose-headers", "content-encoding",
              "content-type", "location"):
        assert h not in a.headers, h
    assert "dpop-nonce" in a.headers
    assert Raw(s.k, "GET", e.path + "/keys").status == 405  # never by GET


def test_REQ_F_5b_token1_is_this_endpoint(s):
    """token1 is bound to key, conference and audience."""
    e = guest(s.k, s.admin, s.conf)
    c = jose.claims(e.token)
    assert c["iss"] == c["aud"] == s.k.url and c["conference"] == s.conf
    assert c["cnf"] == {"jkt": e.key.thumbprint()} and c["sub"] == e.member
    assert c["exp"] - c["iat"] <= 300 and c["scope"] == "member"
    d = e.descriptor()
    assert d["you"]["member"] == e.member and d["mdd"] == MDD
    assert d["mdds"] == [MDD]


def test_REQ_WS_6_2_token2_is_another_token(s):
    e = guest(s.k, s.admin, s.conf)
    x5t = jose.b64u(hashlib.sha256(b"certificate").digest())
    t2 = e.token2(MDD, x5t)
    c = jose.claims(t2)
    assert c["aud"] == MDD and c["cnf"] == {"x5t#S256": x5t}
    assert c["scope"] == "join" and "ssrcs" in c
    # REQ-WC-4.1: the distributor does not learn who that is
    assert not {"name", "email", "identity"} & set(c)
    # useless at the KMF, in either scheme
    for scheme in ("DPoP", "Bearer"):
        proof = e.key.dpop("GET", s.k.url + e.path, t2, e.nonce)
        a = Raw(s.k, "GET", e.path, [("Authorization", f"{scheme} {t2}"),
                                     ("DPoP", proof)])
        assert a.status == 401, (scheme, a.body)
    # not for another conference, MDD or key
    other = conference(s.admin)["id"]
    form = {"grant_type": rest.EXCHANGE, "subject_token": e.token,
            "subject_token_type": rest.ACCESS, "x5t_s256": x5t}
    for more, code in (({"resource": MDD, "conference": other},
                        "invalid_target"),
                       ({"resource": "https://evil.invalid",
                         "conference": s.conf}, "invalid_target"),
                       ({"resource": MDD, "conference": s.conf,
                         "x5t_s256": "short"}, "invalid_request")):
        assert refused(e.call, "POST", "/oauth/token",
                       form={**form, **more}) == (400, code), more
    thief = endpoint(s.k)
    assert refused(thief.call, "POST", "/oauth/token", form={
        **form, "resource": MDD, "conference": s.conf}) == (
            400, "invalid_grant")


def test_REQ_F_3_2a_uninvited(s):
    """Unknown, not invited and evicted sound alike at the token endpoint."""
    other = conference(s.admin)["id"]
    code = invite(s.admin, s.conf)["code"]
    answers = set()
    for conf, c in ((NOBODY, code), (other, code), (s.conf, "no-such-code"),
                    (NOBODY, "no-such-code")):
        answers.add(refused(endpoint(s.k).enter, conf, c))
    assert len(answers) == 1, answers
    # a code is bound to the key of its first use
    first = endpoint(s.k)
    first.enter(s.conf, code)
    first.enter(s.conf, code)
    assert refused(endpoint(s.k).enter, s.conf, code)[0] == 400


def test_REQ_F_8_3a_every_key_request_is_checked(s):
    """Authenticated and authorised, per key: evicted means no more."""
    e = guest(s.k, s.admin, s.conf)
    s.admin.call("DELETE", f"/v1/conferences/{s.conf}/members/{e.member}")
    assert refused(e.keys) == (403, "evicted")
    assert refused(e.lease, 1) == (403, "evicted")
    # and another conference's token1 finds nothing, whether it is there
    e = guest(s.k, s.admin, s.conf)
    other = conference(s.admin)["id"]
    bodies = set()
    for c in (other, NOBODY):
        try:
            e.call("POST", f"/v1/conferences/{c}/keys")
            raise AssertionError("granted")
        except rest.Refused as r:
            r.body.pop("request_id")
            bodies.add((r.status, json.dumps(r.body)))
    assert len(bodies) == 1 and (404,) == tuple({b[0] for b in bodies})


def test_lease_roster_and_leave(s):
    e = guest(s.k, s.admin, s.conf)
    epoch = int(e.ekt["keyid"].split(".")[1])
    a = e.lease(epoch)
    assert a["expires_in"] == 15 and a["epoch"] >= epoch
    def listed():  # rosters of a burst of joins are gathered
        r = e.call("GET", e.path + "/roster")
        assert r.headers["content-type"] == "application/jwt"
        c = jose.claims(r.raw.decode())
        return e.member in [m["member"] for m in c["members"]]
    world.wait_for(listed, 4, 0.2, "the member in the roster")
    assert e.call("DELETE", e.path + "/lease").status == 204


def test_sealed_keys(s):
    """To the vault's sealing key, named in the proof; no header then."""
    e = endpoint(s.k)
    e.enter(s.conf, invite(s.admin, s.conf)["code"])
    seal = jose.Key()
    body = json.dumps({"seal_to": seal.public}).encode()
    path = e.path + "/keys"
    nonce = None
    for _ in range(2):
        proof = e.key.dpop("POST", s.k.url + path, e.token, nonce,
                           seal_jkt=seal.thumbprint())
        a = Raw(s.k, "POST", path, [("Authorization", "DPoP " + e.token),
                                    ("DPoP", proof), ("Content-Type",
                                     "application/json")], body)
        nonce = a.get("dpop-nonce")
    assert a.status == 200 and a.get("content-type") == "application/jwt"
    assert not a.get("encryption-key") and a.body.count(b".") == 4
    # another sealing key than the one that the vault signed for
    proof = e.key.dpop("POST", s.k.url + path, e.token, nonce,
                       seal_jkt=jose.Key().thumbprint())
    a = Raw(s.k, "POST", path, [("Authorization", "DPoP " + e.token),
                                ("DPoP", proof)], body)
    assert a.status == 400, a.body


def test_events(s):
    """Epoch, roster and the end arrive as they happen."""
    conf = conference(s.admin)["id"]
    alice = guest(s.k, s.admin, conf, "Alice")
    sock, buf = stream(s.k, alice, conf)
    assert b"200 OK" in buf and b"text/event-stream" in buf, buf
    assert b"no-store" in buf and b"dpop-nonce" in buf.lower()
    bob = guest(s.k, s.admin, conf, "Bob")
    buf = read_until(sock, b'"roster"', buf=buf)
    time.sleep(2.2)  # the join window
    before = len([1 for e in events(buf) if e[0] == "epoch"])
    s.admin.call("DELETE", f"/v1/conferences/{conf}/members/{bob.member}")
    end = time.monotonic() + 5 * world.PATIENCE
    while len([1 for e in events(buf) if e[0] == "epoch"]) <= before:
        assert time.monotonic() < end, events(buf)
        buf += sock.recv(65536)
    last = [d for n, d in events(buf) if n == "epoch"][-1]
    assert jose.claims(last["statement"])["epoch"] == last["epoch"]
    s.admin.call("POST", f"/v1/conferences/{conf}/end")
    buf = read_until(sock, b"event: ended", buf=buf)
    assert ("ended" in [n for n, _ in events(buf)])
    sock.close()
    # nobody opens one with a stranger's token or after the end
    a, buf = stream(s.k, alice, conf)
    assert b"410" in buf.split(b"\r\n")[0], buf
    a.close()


def test_stream_of_a_member_without_lease(s):
    e = endpoint(s.k)
    e.enter(s.conf, invite(s.admin, s.conf)["code"])
    sock, buf = stream(s.k, e, s.conf)      # gives up after ten seconds
    assert b"200 OK" in buf, buf
    sock.close()


def test_heartbeat(s):
    e = guest(s.k, s.admin, s.conf)
    sock, buf = stream(s.k, e, s.conf)
    read_until(sock, b": hb\n\n", 11, buf)
    sock.close()


def test_before_and_after(s):
    """Too early says when to come; over says that it is over."""
    conf = conference(s.admin, starts_at=when(30), ends_at=when(60))["id"]
    e = endpoint(s.k).enter(conf, invite(s.admin, conf)["code"])
    nonce = None
    for _ in range(2):
        a = Raw(s.k, "POST", e.path + "/keys", [
            ("Authorization", "DPoP " + e.token),
            ("DPoP", e.key.dpop("POST", s.k.url + e.path + "/keys", e.token,
                                nonce))])
        nonce = a.get("dpop-nonce")
    assert a.status == 403 and a.json()["code"] == "too_early", a.body
    assert 0 < int(a.get("retry-after")) <= 30 * 60
    assert not a.get("encryption-key")
    s.admin.call("POST", f"/v1/conferences/{conf}/end")
    assert refused(e.keys) == (410, "ended")


def test_idempotency(s):
    body = {"title": "Once", "starts_at": when(1), "ends_at": when(9)}
    ids = {s.admin.call("POST", "/v1/conferences", body,
                        Idempotency_Key="k1").body["id"] for _ in range(3)}
    assert len(ids) == 1, ids
    assert refused(s.admin.call, "POST", "/v1/conferences", body,
                   Idempotency_Key="k" * 300)[0] == 400


def test_scheduler(s):
    a = s.admin.call("POST", "/v1/conferences", {
        "title": "Weekly", "starts_at": when(10), "ends_at": when(70),
        "invitees": [{"email": "alice@example.org"}]},
        Idempotency_Key="one")
    assert a.status == 201 and a.headers["etag"]
    assert a.headers["location"].endswith(a.body["id"])
    path = "/v1/conferences/" + a.body["id"]
    assert refused(s.admin.call, "PATCH", path, {"title": "x"})[0] == 428
    assert refused(s.admin.call, "PATCH", path, {"title": "x"},
                   If_Match='"no"')[0] == 412
    b = s.admin.call("PATCH", path, {"title": "Daily"},
                     If_Match=a.headers["etag"])
    assert b.body["title"] == "Daily"
    assert s.admin.call("GET", "/v1/conferences?limit=1").body["items"]
    i = invite(s.admin, a.body["id"])
    ics = s.admin.call("GET", f"{path}/invitations/{i['id']}.ics")
    assert ics.headers["content-type"].startswith("text/calendar")
    assert s.admin.call("DELETE", f"{path}/invitations/{i['id']}",
                        If_Match="*").status == 204
    assert s.admin.call("POST", path + "/explain", {
        "subject": {"email": "alice@example.org"}}).body["rules"]
    assert s.admin.call("GET", "/v1/audit?limit=2").body["items"]
    assert s.admin.call("DELETE", path, If_Match="*").status == 204
    # a client token never gets a key
    assert refused(s.admin.call, "POST",
                   f"/v1/conferences/{s.conf}/keys")[0] == 403
    # and a member schedules nothing
    e = guest(s.k, s.admin, s.conf)
    assert refused(e.call, "POST", "/v1/conferences", {})[0] == 403


def main():
    s = Scene()
    with world.World("perch-front-") as w:
        s.w = w
        s.k = kmf(w)
        s.admin = s.k.admin()
        s.conf = conference(s.admin)["id"]
        run(globals(), s)


if __name__ == "__main__":
    main()
