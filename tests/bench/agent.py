#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What an agent costs: two real ones, a real KMF and MDD, and plain RTP between
# two ports of loopback.
#
#   tests/bench/agent.py [--quick]
#
# Says, for one agent sending and for one receiving, the processor time of a
# packet in front and vault together; how long a packet is under way through
# both agents and the MDD, beside how late this machine wakes who sleeps, of
# which a packet meets half a dozen; what an idle
# agent uses; and how long it is from `perch join` to the first packet heard:
# by who joins alone, while the key is being changed, just after another.
# How many a core carries: agentpeak.py. Judged on a machine that does nothing else.
import argparse
import http.client
import json
import pathlib
import select
import socket
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "tools"),
                str(HERE)]

from benchkit import cpu, family, machine, stolen           # noqa: E402
import meeting                                              # noqa: E402
import world                                                # noqa: E402

FIRST_PORTS = 64        # of the stream that a newcomer hears first


def memory(pids, what):
    """Kilobytes of that line of smaps_rollup, all together."""
    return sum(int(line.split()[1]) for p in pids for line in pathlib.Path(
        f"/proc/{p}/smaps_rollup").read_text().splitlines()
        if line.startswith(what + ":"))


class Bench(meeting.Meeting):
    def __init__(self, w, quick):
        self.seconds = 2 if quick else 8
        self.runs = 5   # at the rate whose delay is bounded
        # one core's worth of packets of one leg is above the usual limit
        super().__init__(w, "How fast", mdd_extra="max_leg_pps = 200000\n"
                         "max_leg_kbps = 1000000\nmetrics_open = yes")
        self.alice, self.bob = (self.agent(n) for n in ("Alice", "Bob"))
        self.carol = self.agent("Carol")
        self.seq = 0        # of the picture that newcomers wait for

    def idle(self):
        for name, members in (("no conference", None), ("one", self.bob)):
            if members:
                self.join(self.alice)
                self.join(self.bob)
            pids = list(family(self.alice.proc).values())
            time.sleep(1)
            before = cpu(pids)
            time.sleep(self.seconds)
            share = 100 * (cpu(pids) - before) / self.seconds
            print(f"idle, {name:13}  CPU {share:5.2f} %   resident"
                  f" {memory(pids, 'Rss') / 1024:5.1f} MB"
                  f" (proportional {memory(pids, 'Pss') / 1024:.1f})")

    def run(self, rate, octets, burst):
        ends = [[p for n, p in family(a.proc).items() if n != "supervisor"]
                for a in (self.alice, self.bob)]
        before = [cpu(e) for e in ends]
        r = json.loads(self.w.run(
            [world.BUILD / "tests/bench/agentapp", meeting.into(self.alice, "video")["port"],
             meeting.stream(self.bob, "Alice", "video")["port"], rate, octets, self.seconds, burst]).stdout)
        return r, [1e6 * (cpu(e) - b) / max(1, n) for e, b, n in zip(
            ends, before, (r["sent"], r["received"]))]

    def paced(self):
        """Packets that the distributor dropped because it judged a road too
        narrow by the delays that it saw."""
        c = http.client.HTTPSConnection(
            "localhost", self.mdd.port, timeout=10,
            context=world.tls(self.mdd.ca))
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        c.close()
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if line.startswith("perch_mdd_paced_total") and
                   'result="dropped"' in line)

    def line(self, rate, octets, burst, runs):
        """Medians; of p99, and of how late a sleeper wakes, the range too."""
        paced, (steal, total) = self.paced(), stolen()
        rs = [self.run(rate, octets, burst) for _ in range(runs)]
        steal, total = (b - a for a, b in zip((steal, total), stolen()))

        def ms(name):
            v = [r.get(name, 0) / 1e3 for r, _ in rs]
            return (f"{statistics.median(v):.2f} ({min(v):.2f} to "
                    f"{max(v):.2f})")
        lost = 100 * (1 - sum(r["received"] for r, _ in rs) /
                      sum(r["sent"] for r, _ in rs))
        us = [statistics.median(u[i] for _, u in rs) for i in range(2)]
        paced = 100 * (self.paced() - paced) / sum(r["sent"] for r, _ in rs)
        print(f"| {rate:,} | {octets:,} | {burst} | {runs} | {lost:.2f} | "
              f"{paced:.2f} | "
              f"{us[0]:.0f} | {us[1]:.0f} | {ms('p50_us')} | {ms('p99_us')} | "
              f"{ms('late_p99_us')} | {100 * steal / total:.1f} |",
              flush=True)

    def media(self, rates):
        print("\n| packets/s | octets | burst | runs | lost % | by the distributor's pacing | sending us | "
              "receiving us | through both and the MDD, ms p50 | p99 | "
              "p99 by which a sleeping program wakes late | stolen % |\n"
              "|" + "---:|" * 12)
        for rate in rates:
            for octets, burst in ((160, 1), (1200, 1), (1200, 8)):
                self.line(rate, octets, burst, self.runs if rate == rates[0]
                          else 1)

    def first_heard(self, times, what="", rekeying=False, second=False):
        """From the start of `perch join` to a packet at the application. Who
        leaves before has the key changed; `rekeying` does not wait for that.
        `second`: somebody else began to join 200 ms ago."""
        took = []
        for i in range(times):
            epoch = self.epoch()
            self.bob.perch("leave")
            if second and i > 0:
                self.carol.perch("leave")
            codes = [self.code(f"{n} {i}") for n in ("Bob", "Carol")]
            if not rekeying:
                world.wait_for(lambda: self.epoch() > epoch, 20, say="epoch")
                self.pictures([], time.monotonic() + 1.5)
            other = self.start_join(self.carol, codes[1]) if second else None
            ears = self.ears()
            if other:
                self.pictures([], time.monotonic() + 0.2)
            took.append(self.one_join(codes[0], ears))
            if other:
                other.p.wait(20)
            for s in ears:
                s.close()
        print(f"\nperch join to first packet heard{what}: median "
              f"{statistics.median(took):.0f} ms of "
              f"{', '.join(f'{t:.0f}' for t in took)}", flush=True)

    def ears(self):
        """At all ports that a newcomer may be given."""
        ears = []
        for n in range(FIRST_PORTS):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                s.bind(("127.0.0.1", self.base() + 2 * n))
                ears.append(s)
            except OSError:
                s.close()
        return ears

    def base(self):
        text = pathlib.Path(self.w.dir / "bob-vault.conf").read_text()
        return int(text.split("local_out_base = ")[1].split()[0])

    def epoch(self):
        return meeting.state(self.alice)["epoch"]

    def pictures(self, ears, end):
        """Alice's picture, 200 packets a second: until one is heard."""
        app = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        app.connect(("127.0.0.1", meeting.into(self.alice, "video")["port"]))
        ready = []
        while not ready and time.monotonic() < end:
            self.seq += 1
            head = bytes([0x80, 96]) + (self.seq & 0xffff).to_bytes(2, "big")
            try:
                app.send(head + (self.seq * 450).to_bytes(4, "big") + b"PERC" +
                         bytes(200))
            except ConnectionRefusedError:
                pass
            ready, _, _ = select.select(ears, [], [], 0.005)
        app.close()
        return ready

    def start_join(self, agent, code):
        return self.w.spawn("join", [
            self.w.bin("perch"), "join", self.conf["uri"], "--code", code],
            env=agent.env)

    def one_join(self, code, ears):
        began = time.monotonic()
        p = self.start_join(self.bob, code)
        if not self.pictures(ears, began + 20):
            raise world.Broken("nothing was heard within 20 s: " + p.text())
        took = 1000 * (time.monotonic() - began)
        p.p.wait(20)
        return took


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--quick", action="store_true", help="seconds, not minutes")
    quick = a.parse_args().quick
    print(machine())
    with world.World("perch-bench-") as w:
        b = Bench(w, quick)
        b.alice.start()
        b.bob.start()
        b.idle()
        b.media((2000,) if quick else (2000, 10000, 20000, 40000))
        times = 3 if quick else 15
        b.first_heard(times)
        b.first_heard(times, ", a rekey under way", rekeying=True)
        b.carol.start()
        b.first_heard(times, ", the second within 200 ms", second=True)


main()
