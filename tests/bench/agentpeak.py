#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# How many packets a second one agent carries on one processor, in each
# direction: measured, not reckoned from what a packet costs.
#
#   tests/bench/agentpeak.py [--quick]
#
# A real agent, front and vault, has the last processor to itself; the program
# beside it, the other agent, the servers and the road between (agentroad.c)
# have the first. Sending, the road counts what leaves the agent for the
# distributor, and drops it. Receiving, the road first keeps what a real sender
# and a real distributor made for this agent, and plays it at the wanted rate
# while they rest. What the application sent or the road played, less what came
# out at the other end, was lost. A rate is carried if the median of its runs
# lost less than 0.1 % and really had that rate. Judged on a machine that does nothing else.
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "tools"),
                str(HERE)]

from benchkit import cpu, drops, family, machine            # noqa: E402
import meeting                                              # noqa: E402
from people import state                                    # noqa: E402
import stack                                                # noqa: E402
import world                                                # noqa: E402

OCTETS = 1200
LOST = 0.1          # per cent
FILL = 20000, 8     # at which the road is given what it keeps
STEP = 10000
GIVEN = 0.98        # of what was wanted
CPUS = sorted(os.sched_getaffinity(0))


def pin(agent, cpus):
    for pid in family(agent.proc).values():
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cpus)


class Peak(meeting.Meeting):
    def __init__(self, w, runs):
        self.runs = runs
        os.sched_setaffinity(0, CPUS[:1])   # and whom we start
        mdd = stack.Mdd(w)
        # What is kept was encrypted before it is played: no new key (which
        # comes at nine tenths of a key's age) may come in between.
        super().__init__(w, "How much", mdd, "max_leg_pps = 400000\n"
                         "max_leg_kbps = 8000000\n"
                         "media_listen = 127.0.0.2",
                         policy={"max_epoch_age_s": 7200})
        self.alice, self.bob = (self.agent(n) for n in ("Alice", "Bob"))
        self.spare = world.free_udp()
        self.road = subprocess.Popen(
            [world.BUILD / "tests/bench/agentroad", "127.0.0.1", "127.0.0.2",
             str(mdd.media)], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def tell(self, command):
        self.road.stdin.write(command + "\n")
        self.road.stdin.flush()
        return json.loads(self.road.stdout.readline())

    def app(self, rate, count, burst):
        """So many packets from Alice's program; what it says of itself."""
        return json.loads(self.w.run(
            [world.BUILD / "tests/bench/agentapp",
             meeting.into(self.alice, "video")["port"], self.spare, rate,
             OCTETS, max(1, round(count / rate)), burst, "yield"]).stdout)

    def sending(self, rate, burst):
        r = self.app(rate, rate, burst)
        return r["sent"], self.tell("count")["counted"], r["ms"]

    def fill(self, count):
        self.tell(f"hold {count}")
        pin(self.alice, CPUS[-1:])
        while self.tell("count")["kept"] < count:
            self.app(FILL[0], FILL[0], FILL[1])
        pin(self.alice, CPUS[:1])

    def receiving(self, rate, burst):
        self.fill(rate)
        self.before = self.meter(self.bob)
        r = self.tell(f"play {rate} {burst}")
        return r["kept"], r["heard"], r["ms"]

    def meter(self, agent):
        kids = {n: p for n, p in family(agent.proc).items()
                if n != "supervisor"}
        count = state(agent)["vault"]["counters"]
        return cpu(kids.values()), {
            **drops({**kids, "road": self.road.pid}),
            **{n: count[n] for n in ("send_refused", "local_dropped",
                                     "not_delivered")},
            "leg": state(agent)["leg"]["dropped"]}

    def one(self, agent, way, rate, burst):
        """Per cent lost, packets a second, share of the processor, where."""
        self.before = self.meter(agent)
        sent, out, ms = way(rate, burst)
        used, lost = self.meter(agent)
        return (100 * (1 - out / sent), 1000 * sent / ms,
                100 * 1000 * (used - self.before[0]) / ms,
                {n: lost[n] - self.before[1].get(n, 0) for n in lost})

    def rate(self, agent, way, what, rate, burst):
        runs = [self.one(agent, way, rate, burst) for _ in range(self.runs)]
        lost, real, share = (statistics.median(r[i] for r in runs)
                             for i in range(3))
        where = {n: sum(r[3].get(n, 0) for r in runs) for n in runs[0][3]}
        where = ", ".join(f"{n} {k}" for n, k in where.items() if k)
        print(f"| {what} | {burst} | {rate:,} | {real:,.0f} | {lost:.2f} | "
              f"{min(r[0] for r in runs):.2f} to "
              f"{max(r[0] for r in runs):.2f} | {share:.0f} | {where} |",
              flush=True)
        return lost < LOST and real >= GIVEN * rate

    def highest(self, agent, way, what, burst, first, last):
        """The last before the first that is too high; the table goes on to
        the second."""
        best, failed = 0, 0
        for rate in range(first, last + 1, STEP):
            if not self.rate(agent, way, what, rate, burst):
                failed += 1
            elif not failed:
                best = rate
            if failed == 2:
                break
        return best

    def go(self, bursts, first, last):
        for a in (self.alice, self.bob):
            self.join(a.start())
        self.tell("ear " + str(
            meeting.stream(self.bob, "Alice", "video")["port"]))
        print("\n| | burst | packets/s wanted | given | lost %, median | of "
              f"{self.runs} runs | of its processor % | dropped at |\n"
              "|---|---:|---:|---:|---:|---:|---:|---|")
        found = []
        # what is sunk is more than a distributor could number on behind
        for what, agent, way in (("receiving", self.bob, self.receiving),
                                 ("sending", self.alice, self.sending)):
            self.tell("sink" if what == "sending" else "pass")
            pin(agent, CPUS[-1:])
            for burst in bursts:
                found.append((what, burst, self.highest(
                    agent, way, what, burst, first, last)))
            pin(agent, CPUS[:1])
        print()
        for what, burst, best in found:
            print(f"{what}, {burst} at a time: {best:,} packets a second "
                  f"with less than {LOST} % lost")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--quick", action="store_true", help="seconds, not minutes")
    quick = a.parse_args().quick
    print(machine())
    if len(CPUS) < 2:
        sys.exit("agentpeak: one processor is not enough")
    with world.World("perch-peak-") as w:
        Peak(w, 1 if quick else 3).go((1, 8), 40000,
                                      60000 if quick else 120000)


main()
