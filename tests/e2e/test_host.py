#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Hosts do what is theirs with `perch`, without a key file, a role or even a
# login: their agent is in the conference. Who is there as a member may not.
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import meeting                                              # noqa: E402
from people import state                                    # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402


class Hosted(meeting.Meeting):
    def __init__(self, w):
        super().__init__(w, "Hosted")
        self.ann = self.agent("Ann").start()
        self.ann.perch("join", self.conf["uri"], "--code",
                       self.admin.call("POST", self.at("invitations"), {
                           "name": "Ann", "role": "host"}).body["code"])
        self.bob = self.enter("Bob")
        self.eve = self.enter("Eve")

    def show(self):
        return self.admin.call("GET", self.at("")[:-1]).body

    def by(self, who, *args, code=0):
        """A command on this conference by that person's agent."""
        words = [*args]
        words.insert(2 if args[0] == "conference" else 1, self.conf["id"])
        r = who.perch(*words, check=False)
        assert r.returncode == code, (words, r.returncode, r.stdout, r.stderr)
        return r.stdout + r.stderr


def test_a_host_locks_and_extends(s):
    ends = s.show()["ends_at"]
    s.by(s.ann, "conference", "lock")
    assert s.show()["locked"]
    s.by(s.ann, "conference", "unlock")
    assert not s.show()["locked"]
    s.by(s.ann, "conference", "extend", "--for", "90")
    assert s.show()["ends_at"] > ends


def test_a_host_sees_and_sends_away(s):
    seen = s.by(s.ann, "members")
    assert "Bob" in seen and "Eve" in seen, seen
    eve = state(s.eve)["member"]
    s.by(s.ann, "evict", eve)
    world.wait_for(lambda: s.eve.json("status")["conferences"] == [] or
                   state(s.eve)["state"] == "over", 10, say="Eve to be out")
    before = state(s.bob)["epoch"]
    s.by(s.ann, "conference", "rekey")
    world.wait_for(lambda: state(s.bob)["epoch"] > before, 10,
                   say="the host's rekey")


def test_a_member_may_not(s):
    for args in (("conference", "lock"), ("members",), ("conference", "end"),
                 ("evict", state(s.ann)["member"])):
        assert "log in first" in s.by(s.bob, *args, code=4)
    assert not s.show()["locked"]
    # nor a host what is the scheduler's, or in another conference
    s.by(s.ann, "conference", "cancel", code=1)
    other = s.admin.call("POST", "/v1/conferences", {
        "title": "Other", "starts_at": s.conf["starts_at"],
        "ends_at": s.conf["ends_at"]}).body
    r = s.ann.perch("conference", "lock", other["id"], check=False)
    assert r.returncode == 4, (r.returncode, r.stderr)


def test_a_host_ends_it(s):
    s.by(s.ann, "conference", "end")
    assert s.show()["state"] == "ended"


def main():
    with world.World("perch-host-") as w:
        s = Hosted(w)
        tap.run([(n[5:], f, s) for n, f in list(globals().items())
                 if n.startswith("test_")])


if __name__ == "__main__":
    main()
