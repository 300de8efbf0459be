#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Providers as they are: floods of unknown kids, outages, lists of groups cut
# short, and what each one's word counts for.
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
from providers import *                                     # noqa: E402,F403
import jose                                                 # noqa: E402
import rest                                                 # noqa: E402
import world                                                # noqa: E402

KIDS = 10000


def p2(s, **kw):
    return at(s, s.key2, {"kid": "two"}, p=s.p2, **kw)


def enter(s, token, conf=None):
    return endpoint(s.k).enter(conf or s.conf, token, rest.ACCESS)


def role(s, token, scope=None):
    """The scopes of a role token, or Refused."""
    form = {"grant_type": rest.EXCHANGE, "subject_token": token,
            "subject_token_type": rest.ACCESS, "resource": s.k.url}
    a = endpoint(s.k).call("POST", "/oauth/token", form=form)
    return set(a.body["scope"].split())


# --- floods ------------------------------------------------------------------
def unsigned(s, kid):
    """All good but for its kid, and a signature that nobody will look at."""
    now = int(time.time())
    head = {"alg": "ES256", "typ": "at+jwt", "kid": kid}
    body = {"iss": s.p.url, "aud": s.k.url, "sub": "mallory",
            "client_id": "perch", "iat": now, "exp": now + 600, "jti": kid,
            "cnf": {"jkt": "A" * 43}}
    return ".".join([jose.b64u(jose.compact(head)),
                     jose.b64u(jose.compact(body)), jose.b64u(bytes(64))])


def flood(s, numbers, answers):
    """One connection, request after request as fast as it answers."""
    path = f"/v1/conferences/{s.conf}"
    with socket.create_connection(("127.0.0.1", s.k.port), 20) as c:
        with world.tls(s.k.ca).wrap_socket(
                c, server_hostname="localhost") as t:
            for n in numbers:
                t.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                           f"Authorization: DPoP {unsigned(s, f'k{n}')}\r\n"
                           "\r\n").encode())
                buf = b""
                while b"\r\n\r\n" not in buf:
                    buf += t.recv(65536)
                head, _, rest_ = buf.partition(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length:")[1]
                           .split()[0])
                while len(rest_) < size:
                    rest_ += t.recv(65536)
                answers.append(int(head.split()[1]))


def test_random_kids_cause_one_fetch_per_cooldown(s):
    """10,000 of them, through all fronts at once; logins go on meanwhile."""
    time.sleep(4.2)
    before, began = s.p.hits.count("/jwks"), time.monotonic()
    answers, threads = [], []
    for i in range(8):
        threads.append(threading.Thread(target=flood, args=(
            s, range(i, KIDS, 8), answers)))
        threads[-1].start()
    time.sleep(0.2)
    assert enter(s, at(s)).keys()["usage"] == "EKT"
    for t in threads:
        t.join()
    took = time.monotonic() - began
    fetched = s.p.hits.count("/jwks") - before
    print(f"# {KIDS} kids in {took:.1f} s, {fetched} fetches")
    assert len(answers) == KIDS and set(answers) <= {401, 503}, set(answers)
    assert 1 <= fetched <= took / 4 + 1, (fetched, took)
    assert answers.count(401) > KIDS / 2


def test_a_new_key_is_found_after_the_flood(s):
    new = jose.Key()
    time.sleep(4.2)
    s.p.publish([jwk(s.key, "one"), jwk(new, "fresh")])
    assert enter(s, at(s, new, {"kid": "fresh"})).keys()["usage"] == "EKT"


# --- outages -----------------------------------------------------------------
def test_keys_work_for_a_bounded_time(s):
    """An outage: first the keys we have, then nothing, then recovery."""
    s.p2.down = True
    try:
        world.wait_for(lambda: "issuer guests: not reached" in
                       s.k.ready_text(), 10, say="readiness to tell")
        enter(s, p2(s))
        e = endpoint(s.k)
        e.path = f"/v1/conferences/{s.conf}"
        e.token = p2(s, cnf={"jkt": e.key.thumbprint()})
        e.keys()                        # and is remembered
        world.wait_for(lambda: "issuer guests: logins refused" in
                       s.k.ready_text(), 20, say="the keys to get too old")
        assert refused(enter, s, p2(s)) == (503, "temporarily_unavailable")
        time.sleep(1.2)
        assert refused(e.keys)[0] == 503
        assert Raw(s.k, "GET", "/readyz").status == 200
        enter(s, at(s))                 # the other issuer's are good
    finally:
        s.p2.down = False
    world.wait_for(lambda: "issuer guests" not in s.k.ready_text(), 10,
                   say="recovery")
    time.sleep(1.2)
    assert e.keys()["usage"] == "EKT"


def test_a_hanging_provider_holds_up_its_own_logins_only(s):
    s.p.hang.clear()
    got = []
    t = threading.Thread(target=lambda: got.append(
        refused(enter, s, at(s, header={"kid": "nowhere"}))))
    try:
        time.sleep(4.2)
        t.start()
        time.sleep(0.3)
        began = time.monotonic()
        enter(s, at(s))
        enter(s, p2(s))
        guest(s.k, s.admin, s.conf)
        # before the one that hangs has its answer
        assert not got or time.monotonic() - began < 2.5, got
        t.join(60)
    finally:
        s.p.hang.set()
    assert got == [(503, "temporarily_unavailable")], got


# --- what its word counts for ------------------------------------------------
def test_addresses_of_other_domains_do_not_count(s):
    assert enter(s, p2(s, email="bob@guests.example", sub="bob")).keys()
    assert refused(enter, s, p2(s, email="alice@example.org", sub="eve")) \
        == (400, "invalid_target")
    assert refused(enter, s, p2(s, email="bob@guests.example.evil.example",
                                sub="eve2")) == (400, "invalid_target")


def test_groups_that_were_left_out_are_not_no_groups(s):
    conf = conference(s.admin, invitees=[{"group": "staff"}])["id"]
    assert enter(s, at(s, groups=["x", "staff"]), conf).keys()
    try:
        enter(s, at(s, sub="b", email="b@x.example"), conf)
        raise AssertionError("granted")
    except rest.Refused as e:
        plain = e.body["error_description"]
    for more in ({"_claim_names": {"groups": "src1"}, "_claim_sources": {
                     "src1": {"endpoint": "https://graph.invalid"}}},
                 {"hasgroups": True},
                 {"groups": [f"g{i}" for i in range(65)]}):
        seen = s.k.proc.text().count("front.groups_partial")
        try:
            enter(s, at(s, sub="b", email="b@x.example", **more), conf)
            raise AssertionError("granted")
        except rest.Refused as e:
            assert e.body["error_description"] != plain, e.body
            assert "group" in e.body["error_description"], e.body
        assert s.k.proc.text().count("front.groups_partial") == seen + 1


def test_REQ_W_4_roles_by_claim_group_and_scope(s):
    """Values of a claim within a claim, and words of scope."""
    t = at(s, realm_access={"roles": ["perch-admins", "other"]})
    assert role(s, t) == {"admin"}
    t = at(s, scope="openid perch:schedule")
    assert role(s, t) == {"scheduler"}
    t = at(s, realm_access={"roles": ["revision", "planners"]})
    assert role(s, t) == {"scheduler", "auditor"}
    # the other issuer: groups, as by default
    assert role(s, p2(s, groups=["audit"])) == {"auditor"}
    for token in (at(s), at(s, realm_access={"roles": ["perch-admin"]}),
                  at(s, groups=["perch-admins"]), at(s, roles="admin"),
                  at(s, realm_access="perch-admins"),
                  p2(s, groups=["perch-admins"])):
        assert refused(role, s, token) == (400, "invalid_scope")


def test_a_configured_actor_may_act(s):
    for act in ({"sub": "other"}, {"sub": ["gateway"]}, "gateway",
                {"act": {"sub": "gateway"}}):
        assert refused(enter, s, at(s, act=act)) == (400, "invalid_grant")
    enter(s, at(s, act={"sub": "gateway", "act": {"sub": "other"}}))
    assert refused(enter, s, p2(s, email="bob@guests.example", act={
        "sub": "gateway"})) == (400, "invalid_grant")


def test_later_says_when(s):
    """503 and 429 have Retry-After, and RFC 6749's form."""
    Raw.source = "127.0.0.9"
    try:
        for _ in range(250):     # each front counts
            a = Raw(s.k, "POST", "/oauth/token", [
                ("Content-Type", "application/x-www-form-urlencoded")],
                b"grant_type=x")
            if a.status == 429:
                break
    finally:
        Raw.source = "127.0.0.1"
    assert a.status == 429 and int(a.get("Retry-After")) > 0, a.headers
    assert a.get("Content-Type") == "application/json", a.headers
    assert a.json()["error"] == "slow_down", a.body


def test_the_end_answers_who_still_waits(s):
    """Logins that wait for a provider when the KMF is told to stop."""
    time.sleep(4.2)
    s.p.hang.clear()
    got, hits = [], len(s.p.hits)

    def wait():
        try:
            got.append(refused(enter, s, at(s, header={"kid": "never"})))
        except OSError:
            got.append("cut")
    threads = [threading.Thread(target=wait) for _ in range(4)]
    for t in threads:
        t.start()
    world.wait_for(lambda: len(s.p.hits) > hits, say="a fetch that hangs")
    time.sleep(0.2)
    assert not got, got
    assert s.k.proc.stop() == 0, s.k.proc.text()[-500:]
    for t in threads:
        t.join(20)
    s.p.hang.set()
    assert len(got) == 4 and (503, "temporarily_unavailable") in got, got


def main():
    s = Scene()
    with world.World("perch-issuer-") as w:
        s.p, s.p2 = Provider(w, "corp"), Provider(w, "guests")
        s.key, s.key2 = jose.Key(), jose.Key()
        s.p.publish([jwk(s.key, "one", alg="ES256")])
        s.p2.publish([jwk(s.key2, "two")])
        s.k = kmf(w, extra="fronts = 3\n" + s.p.config(
            "corp", "roles_claim = realm_access.roles\n"
            "admin_values = perch-admins\n"
            "scheduler_values = planners, perch:schedule\n"
            "auditor_values = revision\nallowed_actors = gateway") +
            s.p2.config("guests", "keys_max_age_s = 6\n"
                        "email_domains = guests.example\n"
                        "auditor_values = audit"))
        s.admin = s.k.admin()
        s.conf = conference(s.admin, invitees=[
            {"email": "alice@example.org"}, {"email": "bob@guests.example"},
            {"iss": s.p2.url, "sub": "alice"}])["id"]
        s.k.wait_keys()
        run(globals(), s)


if __name__ == "__main__":
    main()
