#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# People whom the identity provider gives a role administrate by their login,
# without a key file: perch asks the agent, the agent the KMF, with a role
# token that is bound to the vault's key and leaves neither.
import json
import pathlib
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"), str(HERE.parent / "tools")]

import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402
from test_idp import Idp, serve                             # noqa: E402

MDD = "https://mdd.invalid:8444"


class Scene:
    def __init__(self, w):
        cert, key = w.certificate("idp")
        serve(w, Idp, cert, key)
        Idp.reset()
        self.w = w
        self.kmf = stack.Kmf(w, mdd_url=MDD, extra="\n".join([
            "fronts = 1", "[issuer corp]", f"url = {Idp.base}",
            "client_id = perch", f"ca_file = {cert}",
            "scheduler_values = planners", "auditor_values = revision"]))
        self.kmf.serve().wait_keys()
        mdd = types.SimpleNamespace(ca=cert)
        self.agent = stack.Agent(w, "Ann", None, self.kmf, mdd,
                                 types.SimpleNamespace(cert=cert)).start()

    def perch(self, *args, code=0):
        r = self.agent.perch(*args, check=False)
        assert r.returncode == code, (args, r.returncode, r.stdout, r.stderr)
        return r

    def json(self, *args):
        return json.loads(self.perch(*args, "--json").stdout)

    def login(self, groups, **how):
        self.agent.perch("logout", check=False)
        Idp.reset(claims={"groups": groups, "name": "Ann",
                          "email": "ann@corp.example"}, **how)
        self.perch("login", "--kmf", self.kmf.url, "--device", "--no-qr")


def test_a_scheduler_schedules(s):
    s.login(["planners", "others"])
    c = s.json("conference", "create", "--title", "By role", "--invite",
               "bob@example.org")
    assert c["created_by"].startswith("p_")
    s.perch("conference", "update", c["id"], "--title", "By a role")
    assert s.json("conference", "show", c["id"])["title"] == "By a role"
    code = s.json("invite", "add", c["id"], "--name", "Guest")["code"]
    assert len(code) == 22
    assert "BEGIN:VCALENDAR" in s.perch(
        "invite", "ics", c["id"],
        s.json("invite", "list", c["id"])["items"][0]["id"]).stdout
    assert [e["type"] for e in map(json.loads, s.perch(
        "events", "--json", "--conference", c["id"]).stdout.splitlines())] \
        == ["conference.created", "conference.updated", "invitation.created"]
    # others' conferences are holes, and the audit log is not for schedulers
    other = s.kmf.admin().call("POST", "/v1/conferences", {
        "title": "Other", "starts_at": c["starts_at"],
        "ends_at": c["ends_at"]}).body["id"]
    s.perch("conference", "show", other, code=1)
    assert s.perch("events", "--conference", other).stdout == ""
    s.perch("audit", "list", code=1)
    s.perch("conference", "delete", c["id"])


def test_an_auditor_reads(s):
    s.login("revision")
    assert s.json("webhooks") == {"items": []}
    kinds = [r["kind"] for r in s.json("audit", "list")]
    assert "conference_created" in kinds
    assert "conference.created" in s.perch("events").stdout
    s.perch("conference", "create", "--title", "x", code=1)


def test_no_role_no_rights(s):
    s.login(["others"])
    r = s.perch("conference", "list", code=1)
    assert "no role" in r.stderr, r.stderr
    # a role that is taken away is gone with the next token, 5 minutes at most
    s.login(["planners"])
    s.perch("conference", "list")
    s.login([])
    s.perch("conference", "list", code=1)


def test_not_logged_in(s):
    s.agent.perch("logout", check=False)
    r = s.perch("conference", "list", code=4)
    assert "perch login" in r.stderr, r.stderr
    s.perch("conference", "list", "--kmf", "https://other.example", code=4)
    r = s.perch("conference", "list", "--socket", "/nowhere", code=3)
    assert "--client" in r.stderr, r.stderr


def test_a_key_file_goes_before_unless_kmf_is_said(s):
    s.login(["others"])
    file = s.kmf.state / "admin-client.jwk"
    s.perch("conference", "list", "--client", file, "--ca", s.kmf.ca)
    s.perch("conference", "list", "--client", file, "--ca", s.kmf.ca,
            "--kmf", s.kmf.url, code=1)


def test_the_agent_asks_nothing_else(s):
    """The socket takes no path but the interface's."""
    import socket
    s.login(["planners"])
    path = s.agent.env["XDG_RUNTIME_DIR"] + "/perch/agent.sock"
    for bad in ({"method": "GET", "path": "/oauth/token"},
                {"method": "TRACE", "path": "/v1/conferences"},
                {"method": "GET", "path": "/v1/conferences HTTP/1.1\r\nX: y"},
                {"method": "GET", "path": "/v1/../oauth/token"},
                {"method": "GET", "path": "@evil.example/v1/"},
                {"method": "GET"}, {"path": "/v1/conferences"}):
        with socket.socket(socket.AF_UNIX) as u:
            u.settimeout(10)
            u.connect(path)
            u.sendall(json.dumps({"id": 1, "cmd": "admin", **bad}).encode() +
                      b"\n")
            a = json.loads(u.makefile().readline())
        assert "error" in a, (bad, a)


def main():
    with world.World("perch-role-") as w:
        s = Scene(w)
        try:
            tap.run([(n[5:], f, s) for n, f in list(globals().items())
                     if n.startswith("test_")])
        finally:
            log = s.agent.proc.text() + s.kmf.proc.text()
            if "eyJ" in log:
                print("# a token is in the log")
                sys.exit(1)


if __name__ == "__main__":
    main()
