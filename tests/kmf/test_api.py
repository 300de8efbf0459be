#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The conventions of the HTTP interface (design.md, section 10): requests are
# checked against schema/openapi.yaml with a pointer to the fault, problems
# have a stable code and a request id that the log has too, and what goes for
# one path goes for all.
import json
import pathlib
import sys
import threading
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


def pages(s, path, limit):
    """The items of every page, by next and by Link alike."""
    items, n, target = [], 0, f"{path}limit={limit}"
    while True:
        a = raw(s, "GET", target)
        assert a.status == 200, a.body
        d = a.json()
        assert len(d["items"]) <= limit
        items += d["items"]
        n += 1
        if "next" not in d:
            assert not a.get("link")
            return items, n
        link = a.get("link")
        assert link.endswith('>; rel="next"') and link.startswith("<?"), link
        target = path.split("?")[0] + link[1:].split(">")[0]
        assert f"cursor={d['next']}" in target and f"limit={limit}" in target


def test_pages_of_conferences(s):
    made = [conference(s.admin, f"P{i}", starts_at=when(1000 + i % 3),
                       ends_at=when(1100 + i))["id"] for i in range(7)]
    items, n = pages(s, "/v1/conferences?", 3)
    ids = [c["id"] for c in items]
    assert n > 2 and len(set(ids)) == len(ids) and ids[-7:] == made
    # in order of their start, when asked by time
    items, n = pages(s, f"/v1/conferences?from={when(990)}&to={when(1200)}&",
                     2)
    assert {c["id"] for c in items} == set(made) and n >= 4
    starts = [c["starts_at"] for c in items]
    assert starts == sorted(starts)
    items, _ = pages(s, f"/v1/conferences?to={when(900)}&", 50)
    assert items and not set(made) & {c["id"] for c in items}
    items, _ = pages(s, f"/v1/conferences?from={when(1104)}&", 50)
    assert len(set(made) & {c["id"] for c in items}) == 2, items
    s.admin.call("POST", f"/v1/conferences/{made[0]}/end")
    for query, want in (
            ("state=scheduled", set(made[1:])), ("state=ended", {made[0]}),
            (f"created_by={s.admin.client_id}", set(made)),
            (f"created_by={s.admin.client_id}&state=ended", {made[0]}),
            ("created_by=nobody", set()), ("state=cancelled", set()),
            (f"state=ended&from={when(1)}", {made[0]})):
        items, _ = pages(s, f"/v1/conferences?{query}&", 2)
        assert {c["id"] for c in items} & set(made) == want, query
        assert want or not items, query
    # a cursor is good for its own question only
    d = raw(s, "GET", "/v1/conferences?limit=1").json()
    for query in ("state=scheduled&", f"from={when(1)}&", "created_by=x&"):
        fault(raw(s, "GET", f"/v1/conferences?{query}cursor={d['next']}"),
              "cursor", kind="parameter")
    other = "A" if d["next"][5] != "A" else "B"
    for bad in (d["next"][:5] + other + d["next"][6:], d["next"][:-1],
                d["next"] + "A", "n1"):
        fault(raw(s, "GET", f"/v1/conferences?cursor={bad}"), "cursor",
              kind="parameter")
    fault(raw(s, "GET", f"/v1/conferences/{s.conf}/members?cursor={d['next']}"),
          "cursor", kind="parameter")


def test_a_text_in_the_title(s):
    """Anywhere in it; a page looks at a thousand rows at most."""
    for title in ("Board of Trade", "board games", "BOARD \u00c4", "x"):
        conference(s.admin, title)
    s.admin.call("POST", "/v1/conferences", {
        **GOOD, "title": "Board weekly", "rrule": "FREQ=DAILY;COUNT=2"})
    items, n = pages(s, "/v1/conferences?title=oArD%20&", 2)
    assert [i["title"] for i in items] == [
        "Board of Trade", "board games", "BOARD \u00c4", "Board weekly",
        "Board weekly"], items
    assert n == 3
    items, _ = pages(s, "/v1/conferences?title=%C3%84&", 5)
    assert [i["title"] for i in items] == ["BOARD \u00c4"]
    items, _ = pages(s, "/v1/conferences?title=none%25of&", 5)
    assert items == []
    items, _ = pages(s, "/v1/series?title=WEEKLY&", 1)
    assert [i["title"] for i in items] == ["Board weekly"]
    # a cursor is good for its question, of series too
    s.admin.call("POST", "/v1/conferences", {
        **GOOD, "title": "Board again", "rrule": "FREQ=DAILY;COUNT=2"})
    items, n = pages(s, "/v1/series?title=board&", 1)
    assert len(items) == 2 and n == 2
    d = raw(s, "GET", "/v1/series?title=board&limit=1")
    next = d.json()["next"]
    assert f"cursor={next}" in d.get("link")
    fault(raw(s, "GET", f"/v1/series?title=other&cursor={next}"), "cursor",
          kind="parameter")


def test_one_member(s):
    e = guest(s.k, s.admin, s.conf, "One")
    path = f"/v1/conferences/{s.conf}/members"
    a = raw(s, "GET", f"{path}/{e.member}")
    assert a.status == 200 and not a.get("etag")
    assert a.json()["name"] == "One" and a.json()["state"] == "live"
    other = conference(s.admin)["id"]
    problem(raw(s, "GET", f"/v1/conferences/{other}/members/{e.member}"), 404,
            "not_found")


def test_pages_of_invitations_and_members(s):
    conf = conference(s.admin)["id"]
    path = f"/v1/conferences/{conf}"
    made = [invite(s.admin, conf, f"G{i}")["id"] for i in range(5)]
    items, n = pages(s, path + "/invitations?", 2)
    assert [i["id"] for i in items] == made and n == 3
    s.admin.call("DELETE", f"{path}/invitations/{made[1]}", If_Match="*")
    items, _ = pages(s, path + "/invitations?state=revoked&", 2)
    assert [i["id"] for i in items] == [made[1]]
    items, _ = pages(s, path + "/invitations?state=open&", 3)
    assert [i["id"] for i in items] == made[:1] + made[2:]
    inside = [guest(s.k, s.admin, conf, f"M{i}").member for i in range(3)]
    items, n = pages(s, path + "/members?", 1)
    assert [m["member"] for m in items] == inside and n == 3
    s.admin.call("DELETE", f"{path}/members/{inside[0]}")
    items, _ = pages(s, path + "/members?state=evicted&", 5)
    assert [m["member"] for m in items] == inside[:1]
    items, _ = pages(s, path + "/members?state=live&", 1)
    assert [m["member"] for m in items] == inside[1:]


def test_if_match(s):
    """Whoever says what he saw means that, whatever he does then."""
    c = conference(s.admin)
    path = f"/v1/conferences/{c['id']}"
    old = raw(s, "GET", path).get("etag")
    a = raw(s, "PATCH", path, b'{"title": "New"}', [("If-Match", old)])
    assert a.status == 200 and a.get("etag") != old
    for method, sub in (("PATCH", ""), ("DELETE", ""), ("POST", "/end"),
                        ("POST", "/cancel"), ("POST", "/lock")):
        problem(raw(s, method, path + sub, b"{}" if method == "PATCH" else b"",
                    [("If-Match", old)]), 412, "changed")
    # of two who saw the same, one wins
    now = a.get("etag")
    both = []
    for title in (b'{"title": "A"}', b'{"title": "B"}'):
        both.append(raw(s, "PATCH", path, title, [("If-Match", now)]).status)
    assert both == [200, 412], both
    # a list holds what was seen; a weak one is another (RFC 9110, 13.1.1)
    now = raw(s, "GET", path).get("etag")
    problem(raw(s, "DELETE", path, headers=[("If-Match", "W/" + now)]), 412,
            "changed")
    assert raw(s, "DELETE", path, headers=[
        ("If-Match", f'"x", {now}')]).status == 204
    problem(raw(s, "GET", path), 404, "not_found")


def places(s):
    """One of each that a path may name: {name in the document: id}"""
    c = conference(s.admin)
    i = invite(s.admin, c["id"], "Guest")
    m = guest(s.k, s.admin, c["id"], "Member")
    series = s.admin.call("POST", "/v1/conferences", {
        **GOOD, "rrule": "FREQ=DAILY;COUNT=2",
        "invitees": [{"email": "ann@example.org"}]}).body
    c = s.admin.call("GET", f"/v1/conferences/{c['id']}").body
    return {"id": c["id"], "iid": i["id"], "mid": m.member,
            "sid": series["id"], "vid": "v_" + "A" * 22, "name": "none"}


def test_every_etag_is_demanded(s):
    """REQ design 10: whatever GET gives an ETag to is neither changed nor
    deleted by whom has not seen it."""
    doc = Raw(s.k, "GET", "/openapi.json").json()
    tried = []
    for template, item in doc["paths"].items():
        if "ETag" not in item.get("get", {}).get("responses", {}).get(
                "200", {}).get("headers", {}):
            continue
        path = template.format(**places(s)) if "{" in template else template
        for method in {"patch", "delete"} & set(item):
            body = b'{"title": "x"}' if method == "patch" else b""
            seen = raw(s, "GET", path).get("etag")
            assert seen, path
            fault(raw(s, method.upper(), path, body), "If-Match", 428,
                  "if_match_required", "header")
            problem(raw(s, method.upper(), path, body,
                        [("If-Match", '"99"')]), 412, "changed")
            assert raw(s, "GET", path).get("etag") == seen
            a = raw(s, method.upper(), path, body, [("If-Match", seen)])
            assert a.status in (200, 204), (method, path, a.body)
            tried.append((method, template))
            path = template.format(**places(s))
    assert len(tried) == 5, tried


def test_an_invitations_etag(s):
    """What was made, read and used: an ETag each."""
    e = guest(s.k, s.admin, s.conf, "Used")
    made = raw(s, "POST", f"/v1/conferences/{s.conf}/invitations", b"{}")
    path = made.get("location")[len(s.k.url):]
    assert raw(s, "GET", path).get("etag") == made.get("etag")
    used = [i for i in s.admin.call(
        "GET", f"/v1/conferences/{s.conf}/invitations?state=used&limit=200"
        ).body["items"] if i.get("name") == "Used"][0]
    p = f"/v1/conferences/{s.conf}/invitations/{used['id']}"
    problem(raw(s, "DELETE", p, headers=[("If-Match", made.get("etag"))]),
            412, "changed")
    assert e.keys()
    assert raw(s, "DELETE", p, headers=[
        ("If-Match", raw(s, "GET", p).get("etag"))]).status == 204


def test_idempotency(s):
    """At once, one after the other, for each kind of POST that does more
    the second time."""
    body = json.dumps(GOOD).encode()
    key = [("Idempotency-Key", "same")]
    answers, threads = [], []
    for _ in range(8):
        threads.append(threading.Thread(target=lambda: answers.append(
            raw(s, "POST", "/v1/conferences", body, key))))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(answers) == 8 and {a.status for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    assert len({a.get("location") for a in answers}) == 1
    other = json.dumps({**GOOD, "title": "Other"}).encode()
    fault(raw(s, "POST", "/v1/conferences", other, key), "Idempotency-Key",
          422, "idempotency_conflict", "header")
    # the key goes with the path, too
    e = guest(s.k, s.admin, s.conf)
    path = f"/v1/conferences/{s.conf}"
    fault(raw(s, "POST", path + "/rekey", b"", key), "Idempotency-Key", 422,
          "idempotency_conflict", "header")
    a = raw(s, "POST", path + "/rekey", b"", [("Idempotency-Key", "r")])
    time.sleep(1)
    b = raw(s, "POST", path + "/rekey", b"", [("Idempotency-Key", "r")])
    assert a.status == b.status == 202 and a.body == b.body
    c = raw(s, "POST", path + "/rekey")
    assert c.json()["epoch"] > a.json()["epoch"]
    assert e.lease(1)["epoch"] >= a.json()["epoch"]
    # what was refused is not remembered
    k = [("Idempotency-Key", "late")]
    fault(raw(s, "POST", "/v1/conferences", b'{"title": 5}', k), "/title")
    assert raw(s, "POST", "/v1/conferences", body, k).status == 201


BODIES = {"/v1/conferences": GOOD,
          "/v1/conferences/{id}/extend": {"by_s": 60},
          "/v1/conferences/{id}/evict": {"subject": {"email": "x@y.example"}}}


def audit_settled(s):
    """The last row's number, once no more come of themselves."""
    last = [audit_last(s)]

    def same():
        last.append(audit_last(s))
        return last[-1] == last[-2]
    time.sleep(.3)
    world.wait_for(same, every=.3, say="the log to come to rest")
    return last[-1]


def audit_last(s):
    """Of what the administrator did: members come and go by themselves."""
    after, last = 0, None
    while True:
        d = s.admin.call("GET", f"/v1/audit?after={after}&limit=200"
                         f"&actor={s.admin.client_id}").body
        if d["items"]:
            last = d["items"][-1]["seq"]
        if "next" not in d:
            return last
        after = d["next"]


def test_every_post_can_be_repeated(s):
    """Same key, same answer, and nothing happens the second time. What is
    sent by mail is tried in test_mail.py, webhooks in test_hooks.py."""
    doc = Raw(s.k, "GET", "/openapi.json").json()
    tried = []
    for template, item in doc["paths"].items():
        post = item.get("post", {})
        if "x-perch-repeatable" in post or not post or \
                template.endswith("/send") or "webhooks" in template:
            continue
        at = places(s)
        body = BODIES.get(template)
        if template.endswith("/occurrences"):
            body = {"recurrence_id": s.admin.call(
                "GET", f"/v1/series/{at['sid']}").body["starts_at"]}
        body = b"" if body is None else json.dumps(body).encode()
        key = [("Idempotency-Key", "again" + template)]
        path = template.format(**at)
        a = raw(s, "POST", path, body, key)
        assert a.status in (200, 201, 202), (template, a.body)
        before = audit_settled(s)       # a rekey may take its time
        b = raw(s, "POST", path, body, key)
        assert (a.status, a.body, a.get("etag"), a.get("location")) == \
            (b.status, b.body, b.get("etag"), b.get("location")), template
        assert audit_last(s) == before, template
        fault(raw(s, "POST", path, b'{"a": 1}', key), "/a")
        tried.append(template)
    assert len(tried) >= 11, tried


def limited(ask):
    """The answer to who asks too often; one alone may be too slow for it."""
    found, other = [], []

    def again():
        for _ in range(100):
            a = ask()
            (found if a.status == 429 else other).append(a)
            if found:
                return
    threads = [threading.Thread(target=again) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return (found or other)[0]


def test_rates(s):
    """Five seconds' worth at once, then 429 and when to come back."""
    with world.World("perch-rate-") as w:
        r = Scene()
        r.k = kmf(w, extra="fronts = 1\nrate_person = 2\n"
                  "rate_address = 8\nrate_watch = 8")
        r.admin = r.k.admin()
        conf = conference(r.admin)["id"]
        member = guest(r.k, r.admin, conf)
        answers = []    # a slow machine earns more while it asks
        while len(answers) < 60 and (not answers or answers[-1].status == 200):
            answers.append(raw(r, "GET", "/v1/conferences"))
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
        # the first two make the keeper work
        for method, path in (("GET", "/readyz"), ("GET", "/metrics"),
                             ("GET", f"/c/{NOBODY}"),
                             ("POST", "/oauth/token")):
            a = limited(lambda: Neighbour(r.k, method, path))
            assert a.status == 429 and a.get("retry-after"), path
        assert a.json()["error"] == "slow_down"
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
