#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The table of docs/PERFORMANCE.md, "Membership": three runs of perch-load for
# each number of seats, one after the other, and their figures as Markdown.
# The first run has no media, so that what the KMF costs is the KMF's; in the
# second some seats have media; the third has bad lines. For a quiet machine:
#
#	tests/load/table.py [--seats 50,200,1000] [--media 20]
#
# in the build directory, after `make check TESTS=`; about 15 minutes (with
# --runs media alone about 5).
import argparse
import json
import pathlib
import subprocess
import sys
import time

SPREAD = {50: 1, 200: 3, 1000: 10}
RUNS = {
    "plain": ["join", "rekey", "evict", "leave", "mass-leave", "flap"],
    "media": ["join", "evict", "leave", "mass-leave", "flap", "kill"],
    "lag": ["join", "lag"],
}
NONE = {"notes": {}, "counts": None}
WRONG = ("bad_keys", "bad_rosters", "deaf", "lost_streams")
OUT = "media: nothing sent is readable for them after"
GONE = "media: put out or gone, still listening"
# row | run | notes, by the form they have | bound; ~: p50 / p99 / max
ROWS = [
    ("epochs that the joins caused", "plain", ["join: epochs caused"], ""),
    ("joiner's time to key, ms", "plain", "join: time to key~", "p99 1000"),
    ("to key and stream, ms", "plain", "join: time to stream~", ""),
    ("KMF processor time per join, all in, us", "plain",
     ["join: KMF processor time per seat, all in"], ""),
    ("eviction until each other holds the new key, ms", "plain",
     "evict: each other holds the new key~", "p99 500"),
    ("the last other, ms", "plain", "evict: the last other does~", ""),
    ("leaves at random, the same, window of 250 ms included", "plain",
     "leave: each other holds the new key~", "p99 500"),
    ("half leave at once, the same", "plain",
     "mass leave: each other holds the new key~", "p99 500"),
    ("epochs that those leaves caused", "plain",
     ["mass leave: epochs caused"], ""),
    ("one in twenty flaps: epochs in 10 s", "plain",
     ["flap: epochs caused in 10 s"], ""),
    ("rekey, push alone: KMF us, of all", "plain",
     ["rekey, push alone: KMF processor time"], ""),
    ("the same per member (keeper, fronts)", "plain",
     ["rekey, push alone: all, per member",
      "rekey, push alone: keeper, per member",
      "rekey, push alone: fronts, per member"], ""),
    ("the same, times the floor", "plain",
     ["rekey, push alone: times the floor"], "2"),
    ("rekey with leases: KMF us per member", "plain",
     ["rekey, with leases and rosters: all, per member"], ""),
    ("KMF memory (PSS), nobody there, KiB", "plain",
     ["join: KMF memory (PSS), nobody there"], ""),
    ("what it grows by with all in, KiB", "plain",
     ["join: KMF memory (PSS), what it grew by"], ""),
    ("the same for each seat (fronts), both connections, KiB", "plain",
     ["join: KMF memory (PSS) per seat", "join: of which fronts"], "64"),
    ("eviction until nothing sent is readable for who is out, ms", "media",
     f"evict: {OUT}~", "p99 1000"),
    ("of so many with media", "media", [f"evict: {GONE}"], ""),
    ("leave at random, the same, window of 250 ms included", "media",
     f"leave: {OUT}~", "p99 1000"),
    ("of so many", "media", [f"leave: {GONE}"], ""),
    ("half leave at once, the same", "media", f"mass-leave: {OUT}~",
     "p99 1000"),
    ("of so many", "media", [f"mass-leave: {GONE}"], ""),
    ("KMF killed in a rekey: listens again after, ms", "media",
     ["kill: the KMF listens again, after the kill"], ""),
    ("who had not the key by then has it after, ms", "media",
     "kill: they hold the new key, after the kill~", ""),
    ("of those, who has media, ms", "media",
     "kill: those with media do~", "1500"),
    ("KMF killed in a rekey: all on one epoch again after, ms", "media",
     ["kill: all on one epoch, with streams, after"], ""),
    ("seats lost by that, epochs", "media",
     ["kill: seats lost", "kill: epochs, the rekey itself included"], "0, 1"),
    ("bad lines hold a new key after, ms", "lag",
     "lag: bad lines hold the new key~", ""),
    ("the others beside them, ms", "lag",
     "lag: the others hold the new key~", ""),
]
MEDIA = [
    ("late joiner waits for a Full field, ms",
     "media: waiting for a Full field~", "100 and a frame"),
    ("or for the senders' switch to an epoch that he has, ms",
     "media: waiting for the switch~", "250 more"),
    ("nothing sent is readable for who is out after, ms", f"{OUT}~",
     "p99 1000"),
    ("packets that they read past the bound",
     ["media: packets read by them past the bound"], "0"),
    ("packets opened at stayers",
     ["media: packets opened at stayers"], ""),
    ("packets undecryptable at stayers",
     ["media: packets undecryptable at stayers"], "0"),
    ("packets opened at who came in less than 3 s before",
     ["media: packets opened at newcomers"], ""),
    ("packets undecryptable there",
     ["media: packets undecryptable at newcomers"], ""),
    ("packets lost on the road",
     ["media: packets lost on the road"], ""),
    ("longest time from sealing a packet to reading it, ms",
     ["media: longest wait of a packet to be read"], ""),
]


def number(v):
    return f"{v:.0f}" if v >= 100 or v == int(v) else f"{v:.1f}"


def cell(notes, names):
    """p50 / p99 / max of what ends with ~, else the first (and the others)."""
    if isinstance(names, str):
        v = [notes.get(names[:-1] + q) for q in (" p50", " p99", " max")]
        return "–" if None in v else " / ".join(map(number, v))
    v = [notes.get(n) for n in names]
    if None in v:
        return "–"
    rest = ", ".join(map(number, v[1:]))
    return number(v[0]) + (f" ({rest})" if rest else "")


def run(a, seats, name):
    media = {"plain": 0, "media": a.media, "lag": a.media}[name]
    args = ["tests/load/perch-load", "--json", "-n", str(seats), "-t",
            str(SPREAD.get(seats, max(1, seats // 100)))]
    if media:
        args += ["--media", str(min(media, seats))]
    if name == "lag":
        args += ["-l", "300"]
    t0 = time.monotonic()
    p = subprocess.run(args + RUNS[name], stdout=subprocess.PIPE)
    report = json.loads(p.stdout)
    print(f"{seats} seats, {name}: {time.monotonic() - t0:.0f} s, "
          f"status {p.returncode}", file=sys.stderr, flush=True)
    report["notes"] = {r["name"]: r["value"] for r in report["results"]}
    return report


def line(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def table(sizes, reports):
    line("", *(f"{n:,}" for n in sizes), "bound")
    print("|---|" + "---:|" * (len(sizes) + 1))
    for label, which, names, bound in ROWS:
        line(label, *(cell(reports[n][which]["notes"], names)
                      for n in sizes), bound)
    # a kill ends all streams, which is no fault
    line("keys or rosters that did not open, streams lost, by run", *(
        ", ".join(str(sum(reports[n][w]["counts"][k] for k in WRONG
                          if (w, k) != ("media", "lost_streams")))
                  for w in RUNS if reports[n][w]["counts"]) for n in sizes),
         "0")


def line_fit(points):
    """a and b of y = a + b x, by least squares."""
    n = len(points)
    mx, my = (sum(p[i] for p in points) / n for i in (0, 1))
    b = sum((x - mx) * (y - my) for x, y in points) / \
        sum((x - mx) ** 2 for x, _ in points)
    return my - b * mx, b


def grows(sizes, notes, name, what, floor, bound):
    """A row: what there is without members, and what each one adds."""
    points = [(n, notes[n][name]) for n in sizes if name in notes[n]]
    if len(points) < 2:
        return
    (x0, y0), (x1, y1) = points[-2:]
    a, b = line_fit(points)
    line(what, number(a), f"{b:.1f}", f"{(y1 - y0) / (x1 - x0):.1f}",
         f"{floor:.1f}" if floor else "", f"{b / floor:.2f}" if floor else "",
         bound)


def slopes(sizes, reports):
    """What grows with who is there, by least squares, beside the floor."""
    notes = {n: reports[n]["plain"]["notes"] for n in sizes}
    most = notes[max(sizes)]
    if len(sizes) < 2 or not most:
        return
    print()
    line("by least squares", "fixed", "each member",
         "each between the last two", "floor of a member", "times", "bound")
    print("|---|" + "---:|" * 6)
    grows(sizes, notes, "rekey, push alone: KMF processor time",
          "rekey, push alone: KMF us",
          most.get("floor: one AES-256-GCM seal", 0) +
          most.get("floor: one TLS record, 760 octets", 0), "2 times")
    grows(sizes, notes, "rekey, with leases and rosters: KMF processor time",
          "rekey with leases: KMF us", 0, "")
    grows(sizes, notes, "join: KMF memory (PSS), what it grew by",
          "KMF memory (PSS), KiB, beyond that with nobody there", 0, "64")


def media_table(size, reports):
    """One column for each thing that was done."""
    done = [(w, s) for w in ("media", "lag") for s in RUNS[w]
            if (w, s) != ("lag", "join") and reports[w]["counts"]]
    if not done:
        return
    print(f"\n{size:,} seats:\n")
    line("", *(s for _, s in done), "bound")
    print("|---|" + "---:|" * (len(done) + 1))
    for label, names, bound in MEDIA:
        line(label, *(cell(reports[w]["notes"], f"{s}: {names}"
                           if isinstance(names, str) else
                           [f"{s}: {n}" for n in names])
                      for w, s in done), bound)


def main():
    p = argparse.ArgumentParser(description="the table of Membership")
    p.add_argument("--seats", default="50,200,1000")
    p.add_argument("--media", type=int, default=20)
    p.add_argument("--runs", default=",".join(RUNS),
                   help="of plain, media, lag; the others' cells stay empty")
    a = p.parse_args()
    if not pathlib.Path("tests/load/perch-load").exists():
        p.error("run it in the build directory, after make check TESTS=")
    sizes = [int(n) for n in a.seats.split(",")]
    done = a.runs.split(",")
    reports = {n: {w: run(a, n, w) if w in done else NONE for w in RUNS}
               for n in sizes}
    m = reports[sizes[0]][done[0]]["machine"]
    print(f"{m['cpu']}, {m['processors']} processors, {m['system']} "
          f"{m['release']}, load {m['load']:.1f} before.\n")
    table(sizes, reports)
    slopes(sizes, reports)
    for n in sizes:
        media_table(n, reports[n])


main()
