#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Every condition in a row of kmf/claims.c has its pair in test_mcdc.c: they
# are counted in the source, so a new one without a pair is a failure here.
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

SOURCE = (tap.TOP / "kmf" / "claims.c").read_text()
PAIRS = (tap.TOP / "tests" / "kmf" / "test_mcdc.c").read_text()
# a helper's conditions count for the row that asks it, once
HELPERS = {"cnf": "is_thumbprint"}


def body(name):
    text = re.search(rf"^static bool\n{name}\(.*?\n\{{(.*?)^\}}", SOURCE,
                     re.M | re.S).group(1)
    return re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", text, flags=re.S)


def conditions(text):
    """Operands of && and ||, of if, of ?: and of what is returned."""
    returned = [e for e in re.findall(r"\breturn\s+([^;]*);", text)
                if e not in ("true", "false") and "?" not in e]
    return len(re.findall(r"&&|\|\|", text)) + text.count("?") + \
        len(re.findall(r"\bif \(", text)) + len(returned)


assert conditions("if (a && b) return true; return c || d;") == 4
assert conditions("return a;") == 1
rows = re.findall(r'\{ "(\w+)", (is_\w+), PERC_ERR', SOURCE)
tap.ok(len(rows) >= 18, "the rows are found")
pairs = re.findall(r'^\t\{ "(\w+)",\s*"([^"]+)"', PAIRS, re.M)
tap.ok(len(pairs) == len(set(pairs)), "no condition is named twice")
for row, fn in rows:
    want = conditions(body(fn))
    if row in HELPERS:
        want += conditions(body(HELPERS[row]))
    have = sum(r == row for r, _ in pairs)
    tap.ok(have == want, f"row {row}: {want} conditions, each with a pair",
           f"{have} pairs in test_mcdc.c")
tap.done()
