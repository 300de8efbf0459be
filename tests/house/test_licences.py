#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Each file names the licence of its room: kmf/ links liboauth2 and is
# AGPL-3.0-or-later, everything else is Apache-2.0. And no file tells of the
# machine it was written on.
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

# data in formats without comments, or of other people's making
NO_COMMENT = {".json", ".txt", ".bin", ".pem", ".wav", ".jsonl", ".hex", ".vec",
              ".rsp"}
TOP_FILES = ["Makefile.am", "configure.ac", "autogen.sh", "check.sh", "demo.sh"]
TEXT = {".md"}  # prose: the licence file covers it
SPDX = re.compile(r"SPDX-License-Identifier: (\S+)")

# written in pieces, so that this file does not find itself
HERE = ["/wo" + "rk/", "/ro" + "ot/", "far" + "m-", "yard" + "stick",
        "10.255" + ".", "artifact" + "-registry", "/tmp/ba" + "sh_jobs"]
HOME = re.compile("/ho" + r"me/[a-z]")


def licence(path):
    # what links kmf/ shares its licence
    linked = re.match(r"tests/(kmf/|fuzz/fuzz_kmf_).*\.[ch]$", path)
    return "AGPL-3.0-or-later" if linked or path.startswith("kmf/") else \
        "Apache-2.0"


def wrong(path, head):
    found = SPDX.search(head)
    if not found:
        return f"{path}: no SPDX line"
    if found.group(1) != licence(path):
        return f"{path}: {found.group(1)}, but its room is {licence(path)}"
    return None


def leaks(path, text):
    return [f"{path}: {h}" for h in HERE if h in text] + \
           [f"{path}: {m}" for m in HOME.findall(text)]


tap.ok(wrong("kmf/x.c", "/* SPDX-License-Identifier: Apache-2.0 */"),
       "the check sees a wrong licence")
tap.ok(wrong("perc/x.c", "int x;"), "the check sees a missing licence")
tap.ok(leaks("x", "see /wo" + "rk/main"), "the check sees a machine's path")

files = [f for f in tap.sources()] + \
        [tap.TOP / f for f in TOP_FILES if (tap.TOP / f).exists()]
bad, told = [], []
for f in files:
    name = tap.rel(f)
    raw = f.read_bytes()
    corpus = "/corpus/" in name or "/vectors/" in name
    if f.suffix not in NO_COMMENT | TEXT and not corpus:
        w = wrong(name, raw[:600].decode(errors="replace"))
        bad += [w] if w else []
    told += leaks(name, raw.decode(errors="replace"))
tap.ok(len(files) > 50, f"looked at {len(files)} files")
tap.ok(not bad, "an SPDX line with the licence of its room in every file", *bad)
tap.ok(not told, "no path of a machine, no host of a registry", *told)
for name in ("Apache-2.0", "AGPL-3.0-or-later"):
    f = tap.TOP / "LICENSES" / f"{name}.txt"
    tap.ok(f.exists() and f.stat().st_size > 9000, f"the text of {name}")
tap.done()
