#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# One agent in several conferences at once: each has ports, keys, a roster and
# an end of its own, and nothing said in one is heard in the other.
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import meeting                                              # noqa: E402
from people import Ear, Voice                               # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402


class Numbered(Voice):
    """Its frames begin at a number that no other voice reaches."""

    def __init__(self, port, first):
        self.first = first
        super().__init__(port)

    def run(self):
        self.n = self.first
        super().run()


class Day(meeting.Meeting):
    def __init__(self, w):
        super().__init__(w, "Board")
        self.board, self.other = self.conf, self.admin.call(
            "POST", "/v1/conferences", {
                "title": "Lunch", "starts_at": self.conf["starts_at"],
                "ends_at": self.conf["ends_at"], "invitees": [],
                "policy": {}}).body
        self.alice, self.bob, self.carol = (
            self.agent(n).start() for n in ("Alice", "Bob", "Carol"))

    def enter_one(self, conf, agent):
        self.conf = conf
        self.join(agent)

    @staticmethod
    def states(agent):
        """Of the conferences that it is in, by their ids."""
        return {c["conference"]: c for c in agent.json("status")["conferences"]
                if c["state"] == "up"}

    def of(self, agent, conf):
        return self.states(agent)[conf["id"]]

    def into(self, agent, conf):
        return next(i["port"] for i in self.of(agent, conf)["in"]
                    if i["media"] == "audio")

    def ear(self, agent, conf, name):
        s = world.wait_for(lambda: next(
            (s for s in self.of(agent, conf).get("out", [])
             if s["name"] == name and s["media"] == "audio"), None), 15,
            say=f"{name} at {agent.name}")
        return Ear(s["port"])

    def run(self):
        for conf, who in ((self.board, (self.alice, self.bob)),
                          (self.other, (self.alice, self.carol))):
            for agent in who:
                self.enter_one(conf, agent)
        def names():
            return {c: sorted({o["name"] for o in x.get("out", [])})
                    for c, x in self.states(self.alice).items()}
        wanted = {self.board["id"]: ["Bob"], self.other["id"]: ["Carol"]}
        try:
            world.wait_for(lambda: names() == wanted, 15, say="both rosters")
        except world.Broken:
            pass
        tap.ok(names() == wanted,
               "one agent is in two conferences, each with its people",
               names())
        s = self.states(self.alice)
        ports = [i["port"] for c in s.values() for i in c["in"]]
        ports += [o["port"] for c in s.values() for o in c.get("out", [])]
        tap.ok(len(set(ports)) == len(ports), "with ports of their own", ports)
        self.hear()
        self.leave()

    def hear(self):
        ears = {"bob": self.ear(self.bob, self.board, "Alice"),
                "carol": self.ear(self.carol, self.other, "Alice"),
                "from bob": self.ear(self.alice, self.board, "Bob"),
                "from carol": self.ear(self.alice, self.other, "Carol")}
        voices = [Numbered(self.into(a, c), first) for a, c, first in (
            (self.alice, self.board, 1000000), (self.alice, self.other,
                                                2000000),
            (self.bob, self.board, 3000000), (self.carol, self.other,
                                              4000000))]
        wanted = {"bob": 1, "carol": 2, "from bob": 3, "from carol": 4}
        try:
            world.wait_for(lambda: all(len(e.heard) >= 20
                                       for e in ears.values()), 20,
                           say="all four voices")
        except world.Broken:
            pass
        for v in voices:
            v.stop()
        time.sleep(0.5)         # what is on its way, wherever it goes
        got = {k: sorted({n // 1000000 for n in e.heard})
               for k, e in ears.items()}
        tap.ok(got == {k: [n] for k, n in wanted.items()},
               "nothing said in one is heard in the other", got)
        for e in ears.values():
            e.running = False
            e.join()
            e.sock.close()

    def leave(self):
        epoch = self.of(self.alice, self.other)["epoch"]
        self.alice.perch("leave", self.board["id"])
        s = self.states(self.alice)
        tap.ok(list(s) == [self.other["id"]] and
               s[self.other["id"]]["epochs_held"] > 0 and
               s[self.other["id"]]["epoch"] == epoch,
               "left alone, the other goes on with its keys", s)
        self.enter_one(self.board, self.alice)
        tap.ok(len(self.states(self.alice)) == 2, "and in again")
        self.alice.perch("leave", self.other["id"])
        tap.ok(list(self.states(self.alice)) == [self.board["id"]],
               "the other way round too")


def main():
    with world.World("perch-conferences-") as w:
        Day(w).run()
    tap.done()


main()
