#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What an auditor reads must stand in the page that explains it: every kind of
# audit record has its row in docs/wire/audit.md, and the page has no other.
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

source = (tap.TOP / "kmf" / "audit.c").read_text()
header = (tap.TOP / "kmf" / "keeper_int.h").read_text()
page = (tap.TOP / "docs" / "wire" / "audit.md").read_text()

named = dict(re.findall(r'\[(KMF_AUDIT_\w+)\] = "(\w+)"', source))
enum = set(re.findall(r"\bKMF_AUDIT_[A-Z0-9_]+\b",
                      header.split("enum kmf_audit_kind {")[1].split("}")[0]))
tap.ok(len(enum) > 10, "the enumeration was found")
tap.ok(enum == set(named), "every kind has a name", *(enum ^ set(named)))

rows = set()
for line in page.split("\n## Records\n")[1].splitlines():
    if line.startswith("| `"):
        rows |= set(re.findall(r"`(\w+)`", line.split("|")[1]))
missing = sorted(set(named.values()) - rows)
tap.ok(not missing, "docs/wire/audit.md has every kind", *missing)
extra = sorted(rows - set(named.values()))
tap.ok(not extra, "docs/wire/audit.md has no other", *extra)

cef = (tap.TOP / "perc" / "cef.c").read_text()
known = set(re.findall(r'\{ "(\w+)", \d+ \}', cef))
tap.ok(known <= set(named.values()), "severities are of kinds there are",
       *(known - set(named.values())))
tap.done()
