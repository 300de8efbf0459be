#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A man page that does not name an option is a lie by omission: everything that
# --help and --help-config print stands in docs/man, each page is clean mdoc,
# and each page shows an example.
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

MAN = tap.TOP / "docs" / "man"
# program, its page, the page of its configuration file
PROGRAMS = [("perch-kmf", "perch-kmf.8", "perch-kmf.conf.5"),
            ("perch-mdd", "perch-mdd.8", "perch-mdd.conf.5"),
            ("perch-agent", "perch-agent.8", "perch-agent.conf.5"),
            ("perch", "perch.1", None),
            ("perch-vault", "perch-vault.8", "perch-vault.conf.5"),
            ("perch-turn", "perch-turn.8", None)]


def run(*argv):
    r = subprocess.run(argv, text=True, capture_output=True, timeout=20)
    return r.returncode, r.stdout + r.stderr


def options(text):
    """Long options and the one-letter ones that help prints."""
    return set(re.findall(r"(?<![\w-])(--?[a-zA-Z][a-zA-Z0-9-]*)", text))


def names(text):
    """Configuration names: "name = value", and "#name =" where a default
    holds."""
    return set(re.findall(r"^#?([a-z][a-z0-9_]+) =", text, re.M))


def shown(page):
    """The page as a reader sees it, without the marks."""
    text = page.read_text()
    text = re.sub(r"^\.(Fl|Cm|Ic|It|Op|Nm|Ar|Li|Sy)\b", "", text, flags=re.M)
    flags = {"-" + f for f in re.findall(r"\bFl (-?[\w-]+)", text)}
    for line in re.findall(r"^.*\bFl .*$", page.read_text(), re.M):
        flags |= {"-" + w for w in re.findall(r"(?<=Fl )(-?[\w-]+)", line)}
        flags |= {"-" + w for w in re.findall(r"(?<= )(-?[\w-]+)", line)}
    return flags, set(re.findall(r"[\w-]+", text))


def check_page(path, page):
    code, text = run(path, "--help")
    flags, words = shown(MAN / page)
    tap.ok(code == 0 and len(text) > 100, f"{path.name} --help", text)
    missing = sorted(o for o in options(text) if o not in flags)
    tap.ok(not missing, f"{page} names every option", *missing)
    verbs = set(re.findall(rf"^\s+{path.name} ([a-z][a-z-]+)", text, re.M))
    missing = sorted(v for v in verbs if v not in words)
    tap.ok(not missing, f"{page} names every command", *missing)
    tap.ok("EXAMPLES" in (MAN / page).read_text(), f"{page} has an example")


def check_settings(path, conf):
    code, text = run(path, "--help-config")
    found = names(text)
    tap.ok(code == 0 and len(found) > 3, f"{path.name} --help-config", text)
    have = (MAN / conf).read_text()
    missing = sorted(n for n in found
                     if not re.search(rf"^\.It Ic {n}\b", have, re.M))
    tap.ok(not missing, f"{conf} names every setting", *missing)
    extra = set(re.findall(r"^\.It Ic ([a-z_0-9]+) =", have, re.M)) - found
    tap.ok(not extra, f"{conf} names no other", *sorted(extra))


for program, page, conf in PROGRAMS:
    path = tap.BUILD / program
    pages = [p for p in (page, conf) if p]
    if not tap.ok(path.exists() and all((MAN / p).exists() for p in pages),
                  f"{program}: {' and '.join(pages)}"):
        continue
    if page:
        check_page(path, page)
    if conf:
        check_settings(path, conf)

if not shutil.which("mandoc"):
    tap.skip("mandoc -T lint", "no mandoc here")
else:
    for f in sorted(MAN.glob("*.[1-8]")):
        code, text = run("mandoc", "-T", "lint", "-W", "warning", f)
        tap.ok(code == 0, f"{f.name} is clean mdoc", text)
tap.done()
