#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A header is a contract that is read, and compiles, without anything else.
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
         "-Wno-unused-parameter", "-fsyntax-only", "-x", "c",
         f"-I{tap.TOP}", f"-I{tap.BUILD}"]
FLAGS += os.environ.get("HOUSE_CFLAGS", "").split()


def compiles(cc, text):
    r = subprocess.run([cc, *FLAGS, "-"], input=text, text=True,
                       capture_output=True)
    return r.returncode == 0, r.stderr


for cc in ("gcc", "clang"):
    if not shutil.which(cc):
        tap.skip(f"headers with {cc}", f"no {cc} here")
        continue
    good, _ = compiles(cc, "struct hidden { thing_t x; };\n")
    tap.ok(not good, f"{cc} refuses what does not compile")
    for f in tap.sources(".h"):
        name = tap.rel(f)
        good, err = compiles(cc, f'#include "{name}"\n#include "{name}"\n')
        tap.ok(good, f"{name} alone with {cc}", err)
tap.done()
