#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# /metrics of perch-mdd is what docs/OPERATIONS.md says it is: every name, type,
# label and every value of a label that has few, both ways; and the dashboard
# asks for what is there.
import json
import os
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "tools"), str(TESTS / "e2e")]
import jose
import promtool
import tap
import world
from test_start import Mdd

os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
PAGE = (tap.TOP / "docs" / "OPERATIONS.md").read_text()
BOARD = tap.TOP / "docs" / "grafana" / "perch-mdd.json"
# whole numbers only: a second is too coarse for them
MEANT_SO = [f'{name} use base unit "seconds" instead of "milliseconds"'
            for name in ("perch_mdd_cpu_milliseconds_total",
                         "perch_mdd_leg_rtt_milliseconds")]
FEW = ("kind", "queue", "reason", "result")  # all values are known


def parse(text):
    """{name: (type, {label: values})}, strictly."""
    out, said, last = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            last, words = line[7:].split(" ", 1)
            assert last not in said and words[0].isupper(), line
            said.add(last)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == last and name not in out, line
            assert kind == ("counter" if name.endswith("_total")
                            else "gauge"), line
            out[name] = (kind, {})
        else:
            m = re.fullmatch(r'([a-z_0-9]+)(?:\{([^{}]*)\})? [0-9]+', line)
            assert m and m[1] == last, f"not a sample of {last}: {line!r}"
            for label, value in re.findall(r'(\w+)="([^"]*)"', m[2] or ""):
                out[last][1].setdefault(label, set()).add(value)
    return out


def documented():
    rows = re.findall(
        r"^\| `(perch_mdd_\w+)(?:\{([\w,]+)\})?` \| (\w+) \| (.*) \|$",
        PAGE, re.M)
    assert len(rows) == len({r[0] for r in rows}), "a row twice"
    return {name: (kind, set(labels.split(",")) - {""}, what)
            for name, labels, kind, what in rows}


def table(have, doc):
    tap.ok(not set(have) - set(doc), "every metric has its row",
           set(have) - set(doc))
    tap.ok(len(doc) > 40 and not set(doc) - set(have),
           "and every row its metric", set(doc) - set(have))
    both = set(doc) & set(have)
    tap.ok(all(have[n][0] == doc[n][0] for n in both), "of that type",
           *[n for n in both if have[n][0] != doc[n][0]])
    tap.ok(all(set(have[n][1]) == doc[n][1] for n in both),
           "with these labels",
           *[n for n in both if set(have[n][1]) != doc[n][1]])
    wrong = []
    for n in both:
        values = {v for x in FEW for v in have[n][1].get(x, ())}
        told = set(re.findall(r"`([a-z_]+)`", doc[n][2]))
        if values - told or (values and
                             told - values - {"idle_s", "rate_address"}):
            wrong.append((n, values ^ told))
    tap.ok(not wrong, "and their values", *wrong)


def dashboard(have):
    d = json.loads(BOARD.read_text())
    exprs = [(p["title"], t["expr"]) for p in d["panels"]
             for t in p["targets"]]
    ids = [p["id"] for p in d["panels"]]
    tap.ok(len(ids) == len(set(ids)) > 10 and
           len(exprs) >= len(ids), "a dashboard", len(ids))
    asked = {n for _, e in exprs for n in re.findall(r"perch_mdd_\w+", e)}
    tap.ok(all("perch_mdd_" in e and e.count("(") == e.count(")")
               for _, e in exprs), "every panel asks for something of ours")
    tap.ok(not asked - set(have), "that is there", asked - set(have))
    unseen = {n for n in have if not n.startswith("perch_mdd_leg_")} - asked
    tap.ok(not unseen, "and shows all but single legs", unseen)
    labels = {x for _, e in exprs for x in re.findall(r"by \((\w+)\)", e)}
    tap.ok(labels <= set(FEW), "by labels that are there", labels)
    return [e for _, e in exprs]


def tried(page, exprs):
    name = "promtool agrees with the page and understands the dashboard"
    try:
        wrong = promtool.of_metrics(page, MEANT_SO) + \
            promtool.of_expressions(exprs)
    except tap.Skip as e:
        tap.skip(name, e)
    else:
        tap.ok(not wrong, name, *wrong)


def main():
    key = jose.Key()
    with world.World("perch-mdd-metrics-") as w:
        mdd = Mdd(w, key, workers=1, metrics_legs=10).spawn()
        tap.ok(mdd.join(key)[0] == 201, "a leg")
        world.wait_for(
            lambda: 'leg="' in mdd.ask("GET", "/metrics")[1], 10,
            say="the leg in /metrics")
        page = mdd.ask("GET", "/metrics")[1]
        have = parse(page)
        table(have, documented())
        tried(page, dashboard(have))
        tap.ok(mdd.proc.stop() == 0, "a quiet end", mdd.proc.text()[-500:])


if __name__ == "__main__":
    tap.whole(main)
