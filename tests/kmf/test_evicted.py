#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# REQ-W-5 over HTTPS: a person is put out, the KMF is killed without a word
# and starts again, and nothing that they hold or get anew opens anything.
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
from providers import *                                     # noqa: E402,F403
import jose                                                 # noqa: E402
import rest                                                 # noqa: E402
import world                                                # noqa: E402

BOB = {"sub": "bob", "email": "bob@example.org", "name": "Bob"}


def crash(k):
    k.proc.kill()
    k.serve()
    k.wait_keys()


def bob(s, key=None):
    """By the provider's own token."""
    e = endpoint(s.k, key)
    e.path = f"/v1/conferences/{s.conf}"
    e.token = at(s, cnf={"jkt": e.key.thumbprint()}, **BOB)
    return e


def out(s, exchanged, direct):
    assert refused(exchanged.keys) == (403, "evicted")      # its token1
    assert refused(exchanged.lease, 1)[0] in (403, 404)
    assert refused(direct.keys) == (403, "evicted")
    assert refused(bob(s).keys) == (404, "not_found")       # another key
    assert refused(endpoint(s.k).enter, s.conf, at(s, **BOB),
                   rest.ACCESS) == (400, "invalid_target")
    assert refused(exchanged.call, "POST", "/oauth/token", form={
        "grant_type": rest.EXCHANGE, "subject_token": exchanged.token,
        "subject_token_type": rest.ACCESS, "resource": MDD,
        "conference": s.conf, "x5t_s256": "A" * 43,
    }) == (400, "invalid_target")


def test_REQ_W_5_evicted_is_out_for_good(s):
    one = endpoint(s.k).enter(s.conf, at(s, **BOB), rest.ACCESS)
    one.keys()
    two = bob(s)
    two.keys()
    sock, head = stream(s.k, one, s.conf)
    assert b" 200 " in head.split(b"\r\n")[0], head
    a = s.admin.call("POST", f"/v1/conferences/{s.conf}/evict", {
        "subject": {"iss": s.p.url, "sub": "bob"}})
    assert a.body == {"endpoints": 2}, a.body
    read_until(sock, b"event: evicted", buf=head)
    sock.close()
    out(s, one, two)
    crash(s.k)
    out(s, one, two)


def test_evicted_before_the_first_login(s):
    s.admin = s.k.admin()
    a = s.admin.call("POST", f"/v1/conferences/{s.conf}/evict", {
        "subject": {"email": "carol@example.org"}})
    assert a.body == {"endpoints": 0}, a.body
    crash(s.k)
    assert refused(endpoint(s.k).enter, s.conf, at(
        s, sub="carol", email="carol@example.org"),
        rest.ACCESS) == (400, "invalid_target")
    e = endpoint(s.k).enter(s.conf, at(s), rest.ACCESS)     # alice may
    assert e.keys()["usage"] == "EKT"


def main():
    s = Scene()
    with world.World("perch-evicted-") as w:
        s.p, s.key = Provider(w, "corp"), jose.Key()
        s.p.publish([jwk(s.key, "one", alg="ES256")])
        s.k = kmf(w, extra="fronts = 1\n" + s.p.config("corp"))
        s.admin = s.k.admin()
        s.conf = conference(s.admin, invitees=[
            {"email": f"{n}@example.org"}
            for n in ("alice", "bob", "carol")])["id"]
        s.k.wait_keys()
        run(globals(), s)


if __name__ == "__main__":
    main()
