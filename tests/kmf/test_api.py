#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The conventions of the HTTP interface (design.md, section 10): requests are
# checked against schema/openapi.yaml with a pointer to the fault, problems
# have a stable code and a request id that the log has too, and what goes for
# one path goes for all.
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import openapi                                              # noqa: E402
import world                                                # noqa: E402


class Scene:
    pass


def raw(s, method, path, body=b"", headers=(), who=None):
    """As the administrator, but with a body that no client would send."""
    who = who or s.admin
    bare = path.split("?")[0]
    proof = who.key.dpop(method, s.k.url + bare, who.token, who.nonce)
    h = [("Authorization", "DPoP " + who.token), ("DPoP", proof)]
    return Raw(s.k, method, path, h + list(headers), body)


def problem(a, status, code):
    assert a.status == status, (a.status, a.body)
    assert a.get("content-type") == "application/problem+json"
    assert a.get("cache-control") == "no-store"
    d = a.json()
    assert d["status"] == status and d["code"] == code, d
    assert d["request_id"].startswith("r_") and d["title"] and d["detail"], d
    return d


def fault(a, where, status=400, code="invalid_request", kind="pointer"):
    d = problem(a, status, code)
    got = [e.get(kind) for e in d["errors"]]
    assert where in got, (where, d)
    assert all(e["detail"] for e in d["errors"]), d
    return d


def test_answers_are_checked(s):
    """What the clients of these tests hold answers against can say no."""
    assert openapi.jsonschema, "install python3-jsonschema"
    d = openapi.Document(openapi.load())
    path = f"/v1/conferences/{s.conf}"
    a = raw(s, "GET", path)
    kind = {"content-type": "application/json"}
    assert d.complaints("GET", path, 200, kind, a.body) == []
    for bad in ("POST", path + "/rekey", 202, kind, b'{"epoch": "1"}'), \
            ("POST", path + "/rekey", 202, kind, b'{"epoch": 1, "x": 1}'), \
            ("POST", path + "/rekey", 202, kind, b"{}"), \
            ("POST", path + "/rekey", 202, kind, b"{"), \
            ("POST", path + "/rekey", 202, {}, b'{"epoch": 1}'), \
            ("POST", path + "/rekey", 200, kind, b'{"epoch": 1}'), \
            ("GET", path, 200, {"content-type": "text/html"}, a.body), \
            ("GET", path, 200, kind, a.body.replace(b"Z\"", b"\"")), \
            ("GET", path, 404, kind, a.body), \
            ("DELETE", "/healthz", 405, {}, b""), \
            ("GET", "/no/such/path", 200, kind, b"{}"):
        assert d.complaints(*bad), bad


GOOD = {"title": "T", "starts_at": when(-1), "ends_at": when(60)}


def test_faults_in_bodies(s):
    """The member at fault, by its RFC 6901 pointer."""
    for change, where in (
            ({"title": 5}, "/title"), ({"title": ""}, "/title"),
            ({"title": "x" * 201}, "/title"), ({"title": None}, "/title"),
            ({"title": "a\u0001b"}, "/title"),
            ({"titel": "x"}, "/titel"), ({"a/b~c": 1}, "/a~1b~0c"),
            ({"starts_at": "tomorrow"}, "/starts_at"),
            ({"starts_at": "2026-13-01T00:00:00Z"}, "/starts_at"),
            ({"ends_at": when(-5)}, "/ends_at"),
            ({"ends_at": "9999-12-31T23:59:59Z"}, "/ends_at"),
            ({"policy": []}, "/policy"),
            ({"policy": {"lease_s": "15"}}, "/policy/lease_s"),
            ({"policy": {"lease_s": 10 ** 30}}, None),
            ({"policy": {"cipher": "ROT13"}}, "/policy/cipher"),
            ({"policy": {"x": 1}}, "/policy/x"),
            ({"invitees": {}}, "/invitees"),
            ({"invitees": [{}]}, "/invitees/0"),
            ({"invitees": [{"email": "a@b.example"}, {"email": 5}]},
             "/invitees/1/email"),
            ({"invitees": [{"email": "a@b.example", "kind": "cat"}]},
             "/invitees/0/kind"),
            ({"invitees": [{"email": "a@b", "group": "g"}]}, "/invitees/0"),
            ({"invitees": [{"email": "a@b"}] * 1001}, "/invitees")):
        body = json.dumps({**GOOD, **change}).encode()
        a = raw(s, "POST", "/v1/conferences", body)
        fault(a, "" if where is None else where)
    d = fault(raw(s, "POST", "/v1/conferences", b"{}"), "/title")
    assert {e["pointer"] for e in d["errors"]} == {
        "/title", "/starts_at", "/ends_at"}, d
    assert d["detail"] == "/title: is missing", d


def test_bodies_that_are_no_bodies(s):
    path = f"/v1/conferences/{s.conf}/explain"
    deep = b'{"subject": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    for bad in (b"", b" ", b"{", b"[]", b"null", b'"x"', b"{} {}", b"{}x",
                b"\xff\xfe{}", b'{"subject": "\xff"}', b'{"subject": "\\ud800"}',
                b'{"subject": "\\u0000"}', b'{"a": 1, "a": 1}', deep,
                b'{"a": ' + b"9" * 400 + b"}", b'{"a": 1e999}', b"{'a': 1}",
                b'{"subject": NaN}', b"\x00", b'{"a": 1,}'):
        fault(raw(s, "POST", path, bad), "")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "json",
                 "application/json; charset=utf-16", "application/jsonp", "*/*",
                 "multipart/form-data; boundary=x"):
        problem(raw(s, "POST", path, b"{}", [("Content-Type", kind)]), 415,
                "unsupported_media_type")
    two = [("Content-Type", "application/json")] * 2
    problem(raw(s, "POST", path, b"{}", two), 415, "unsupported_media_type")
    for kind in ("application/json", "Application/JSON;charset=UTF-8"):
        a = raw(s, "POST", path, json.dumps(
            {"subject": {"email": "a@b.example"}}).encode(),
            [("Content-Type", kind)])
        assert a.status == 200, (kind, a.body)


def test_faults_in_queries(s):
    for query, where in (
            ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"),
            ("limit=1.5", "limit"), ("state=lively", "state"),
            ("stat=live", "stat"), ("cursor=nothing", "cursor"),
            ("cursor=" + "n" * 201, "cursor"), ("cursor=%ff", "cursor"),
            ("limit=1&limit=2", ""), ("limit", ""), ("&", "")):
        fault(raw(s, "GET", "/v1/conferences?" + query), where,
              kind="parameter")
    for good in ("limit=1", "state=", "", "state=live&limit=100"):
        a = raw(s, "GET", "/v1/conferences?" + good)
        assert a.status == 200, (good, a.body)
    # on a path that has no parameters, too
    fault(raw(s, "GET", f"/v1/conferences/{s.conf}?x=1"), "x",
          kind="parameter")


def test_faults_in_fields(s):
    body = json.dumps(GOOD).encode()
    path = f"/v1/conferences/{s.conf}"
    fault(raw(s, "PATCH", path, b'{"title": "x"}'), "If-Match", 428,
          "if_match_required", "header")
    problem(raw(s, "PATCH", path, b'{"title": "x"}', [("If-Match", '"0"')]),
            412, "changed")
    fault(raw(s, "POST", "/v1/conferences", body,
              [("Idempotency-Key", "k" * 129)]), "Idempotency-Key",
          kind="header")


def test_size(s):
    problem(raw(s, "POST", f"/v1/conferences/{s.conf}/keys", b"x" * 5000),
            413, "too_large")
    problem(raw(s, "POST", "/v1/conferences", b"x" * 10_000_000), 413,
            "too_large")
    problem(raw(s, "GET", f"/v1/conferences/{s.conf}?limit=%"), 400,
            "bad_request")


def test_the_request_id_is_in_the_log(s):
    d = problem(Raw(s.k, "GET", f"/v1/conferences/{s.conf}"), 401,
                "unauthorized")
    world.wait_for(lambda: d["request_id"] in s.k.proc.text(), 3, 0.1,
                   "the id in the log")


def test_rates(s):
    """Five seconds' worth at once, then 429 and when to come back."""
    with world.World("perch-rate-") as w:
        r = Scene()
        r.k = kmf(w, extra="fronts = 1\nrate_person = 2\nrate_address = 8")
        r.admin = r.k.admin()
        conf = conference(r.admin)["id"]
        member = guest(r.k, r.admin, conf)
        answers = [raw(r, "GET", "/v1/conferences") for _ in range(14)]
        assert [a.status for a in answers[:6]] == [200] * 6, answers
        late = answers[-1]
        problem(late, 429, "rate_limited")
        # somebody else is somebody else
        assert raw(r, "GET", member.path, who=member).status == 200
        time.sleep(int(late.get("retry-after")))
        assert raw(r, "GET", "/v1/conferences").status == 200
        # an address is one, whoever asks; who watches is not counted
        class Neighbour(Raw):
            source = "127.0.0.2"
        many = [Neighbour(r.k, "GET", "/healthz").status for _ in range(60)]
        assert many == [200] * 60
        for _ in range(400):
            a = Neighbour(r.k, "GET", f"/c/{NOBODY}")
            if a.status == 429:
                break
        assert a.status == 429 and a.get("retry-after")
        a = Neighbour(r.k, "POST", "/oauth/token")
        assert a.status == 429 and a.json()["error"] == "slow_down"
        assert a.get("retry-after")
        assert Raw(r.k, "GET", f"/c/{NOBODY}").status == 200


def main():
    s = Scene()
    with world.World("perch-api-") as w:
        s.w = w
        s.k = kmf(w)
        s.admin = s.k.admin()
        s.conf = conference(s.admin)["id"]
        run(globals(), s)


if __name__ == "__main__":
    main()
