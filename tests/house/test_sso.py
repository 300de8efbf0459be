#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The guides for identity providers cannot be run here, but their settings can
# be read: each [issuer] of docs/sso passes perch-kmf's own check, and each
# option of a perch command is one.
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

GUIDES = sorted((tap.TOP / "docs" / "sso").glob("*.md"))


def run(*argv):
    r = subprocess.run(argv, text=True, capture_output=True, timeout=30)
    return r.returncode, r.stdout + r.stderr


def blocks(text):
    """Indented blocks, as lines without the indent."""
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.M):
        yield "\n".join(line[4:] for line in block.splitlines())


def settings(kmf, guide, directory):
    found = [b for b in blocks(guide.read_text()) if "[issuer " in b]
    tap.ok(len(found) == 1, f"{guide.name} has one section", len(found))
    conf = directory / f"{guide.stem}.conf"
    conf.write_text((directory / "perch-kmf.conf").read_text() + found[0])
    code, text = run(kmf, "check-config", "-c", conf)
    tap.ok(code == 0, f"{guide.name}: perch-kmf understands it", text)
    conf.write_text(conf.read_text().replace("client_id", "klient_id"))
    code, text = run(kmf, "check-config", "-c", conf)
    tap.ok(code != 0 and "klient_id" in text,
           f"{guide.name}: and would not understand another name", text)


def commands(perch, guide):
    known = set(re.findall(r"--[a-z]+", run(perch, "--help")[1]))
    used = set()
    for line in re.findall(r"\bperch [a-z].*", guide.read_text()):
        used |= set(re.findall(r"--[a-z]+", line))
    tap.ok("--login" in used and used <= known,
           f"{guide.name} shows perch as it is", *sorted(used - known))


kmf, perch = tap.BUILD / "perch-kmf", tap.BUILD / "perch"
tap.ok(len(GUIDES) >= 4, "there are guides", *GUIDES)
with tempfile.TemporaryDirectory() as tmp:
    state = pathlib.Path(tmp) / "kmf"
    code, text = run(kmf, "init", state, "--url", "https://kmf.example.org",
                     "--mdd", "https://mdd.example.net:8444")
    if not tap.ok(code == 0 and (state / "perch-kmf.conf").exists(),
                  "perch-kmf init", text):
        tap.done()
    for guide in GUIDES:
        settings(kmf, guide, state)
        commands(perch, guide)
tap.done()
