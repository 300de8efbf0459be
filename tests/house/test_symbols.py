#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The link line is the access policy (design.md section 1): a program that may
# not hold an end-to-end key does not even contain the code to use one. We ask
# the linked binaries, not the makefile.
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

# the receiver and the sender of end-to-end media; perc_forward_ is the
# distributor's half of RFC 8723 and belongs to the forwarder
E2E = re.compile(r"^perc_(ekt|double|kwp)_")


def archive(name):
    """Functions that this convenience archive defines."""
    lib = tap.BUILD / ".libs" / f"{name}.a"
    if not lib.exists():
        return set()
    out = subprocess.run(["nm", "--defined-only", "-g", lib], text=True,
                         capture_output=True).stdout
    return {l.split()[-1] for l in out.splitlines() if re.match(r"\S+ \w ", l)}


def symbols(binary):
    out = subprocess.run(["nm", binary], text=True, check=True,
                         capture_output=True).stdout
    return {l.split()[-1] for l in out.splitlines()}


def binary(name):
    for path in (tap.BUILD / name, tap.BUILD / "agent" / name,
                 tap.BUILD / "mdd" / name, tap.BUILD / "kmf" / name):
        real = path.parent / ".libs" / name
        if real.is_file():
            return real
        if path.is_file():
            return path
    return None


members = archive("libperce2e")
tap.ok(any(E2E.match(s) for s in members),
       "libperce2e defines the end-to-end functions")
vault = binary("perch-vault")
if tap.ok(vault, "perch-vault is linked"):
    have = symbols(vault)
    tap.ok({s for s in have if E2E.match(s)} and have & members,
           "perch-vault contains them, so this test can fail")
for name in ("perch-mdd", "perch-agent", "perch-turn", "perch-kmf", "perch"):
    b = binary(name)
    if not tap.ok(b, f"{name} is linked"):
        continue
    have = symbols(b)
    tap.ok(len(have) > 20, f"{name} is not stripped")
    bad = sorted({s for s in have if E2E.match(s)} | (have & members))
    tap.ok(not bad, f"{name} contains no end-to-end symbol", *bad)
# the other way: the vault cannot speak to a network through a library of ours
if vault:
    net = {s for s in symbols(vault)
           if re.match(r"^(MHD_|curl_|SSL_|gnutls_|srtp_|perc_httpc?d?_)", s)}
    tap.ok(not net, "perch-vault contains no TLS, no HTTP, no libsrtp",
           *sorted(net))
    out = subprocess.run(["objdump", "-p", vault], text=True, check=True,
                         capture_output=True).stdout
    needed = re.findall(r"NEEDED\s+(\S+)", out)
    bad = [n for n in needed
           if re.match(r"lib(ssl|curl|gnutls|microhttpd|srtp|nss)", n)]
    tap.ok(needed and not bad, "perch-vault is linked with "
           + " ".join(n.split(".")[0] for n in needed), *bad)
tap.done()
