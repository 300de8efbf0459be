#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What eyes miss in form: shell scripts that shellcheck would not pass, C that
# clang-format would write otherwise, functions that grew past a screen, tests
# that are left out without a word.
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

LONG = 60  # lines of one function
FLAT = 80  # in tests, where half of it is a table of cases
C = [f for f in tap.sources(".c", ".h")]

if shutil.which("shellcheck"):
    sh = [str(f) for f in tap.sources(".sh")]
    sh += [str(tap.TOP / f) for f in ("check.sh", "demo.sh", "autogen.sh")
           if (tap.TOP / f).exists()]
    r = subprocess.run(["shellcheck", "-x", "-S", "warning", *sh], text=True,
                       capture_output=True, cwd=tap.TOP)
    tap.ok(r.returncode == 0, f"{len(sh)} shell scripts", r.stdout)
else:
    tap.skip("shell scripts", "no shellcheck here")

if shutil.which("clang-format") and (tap.TOP / ".clang-format").exists():
    r = subprocess.run(["clang-format", "--dry-run", "-Werror",
                        *map(str, (f for f in C if f.suffix == ".c"))],
                       text=True, capture_output=True)
    files = sorted(set(re.findall(r"^(\S+?):\d+", r.stderr, re.M)))
    tap.ok(r.returncode == 0, f"form of {len(C)} C files",
           *(tap.rel(f) for f in files))
else:
    tap.skip("form of the C files", "no clang-format here")


def long_functions(text, most=LONG):
    """Bodies are from a line "{" to the next line "}"."""
    start = None
    for n, line in enumerate(text.splitlines(), 1):
        if line == "{":
            start = n
        elif line == "}" and start:
            if n - start > most:
                yield start, n - start
            start = None


tap.ok(list(long_functions("int\nf(void)\n{\n" + "\t;\n" * 70 + "}\n")),
       "the check sees a long function")
bad = [f"{tap.rel(f)}:{at}: {n} lines" for f in C if f.suffix == ".c"
       for at, n in long_functions(
           f.read_text(), FLAT if tap.rel(f).startswith("tests/") else LONG)]
tap.ok(not bad, f"no function is longer than {LONG} lines", *bad)

bare = [tap.rel(f) for f in C if f.name != "skip.h" and
        re.search(r"\bskip\(\)", f.read_text())]
tap.ok(not bare, "a case that is left out says why", *bare)
tap.done()
