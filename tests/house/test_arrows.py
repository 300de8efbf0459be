#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The arrows of the house: kmf -> db -> perc, mdd -> perc, agent -> perc, never
# sideways and never up; and each outside library behind few named files, so
# that it can be audited, faked and replaced there.
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

MAY = {"perc": {"perc"}, "db": {"db", "perc"}, "kmf": {"kmf", "db", "perc"},
       "mdd": {"mdd", "perc"}, "agent": {"agent", "perc"}}

# header -> the files that may include it
LIBRARY = {
    r"microhttpd\.h": {"perc/httpd_int.h"},
    r"gnutls/": {"perc/httpd_int.h"},
    r"curl/": {"perc/httpc_int.h"},
    r"oauth2/": {"kmf/verify.c"},
    r"jwt\.h": {"agent/assertion.c"},
    r"qrencode\.h": {"agent/cliqr.c"},
    r"cjose/": {"perc/jose_cjose.h"},
    r"intel-ipsec-mb\.h": {"perc/gcm_mb.c"},
    r"srtp2/": {"perc/srtcp.c"},
    r"sqlite3\.h": {"db/sqlite.h"},
    r"seccomp\.h": {"perc/sandbox.c"},
    r"linux/landlock\.h": {"perc/sandbox.c"},
    r"re/": {"agent/turn.h"},
    r"openssl/ssl\.h": {"perc/dtls.c", "perc/dtls_id.h", "agent/turntls.c"},
    r"openssl/": {"perc/crypto.c", "perc/es256.c", "perc/keywrap.c",
                  "perc/gcm.c", "perc/gcm_evp.c", "perc/gcm_mb.c",
                  "perc/stun.c", "perc/dtls.c", "perc/dtls_id.c",
                  "perc/dtls_id.h", "kmf/init_cert.c", "agent/assertion.c",
                  "agent/turntls.c"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def includes(text):
    return [(q == '"', name) for q, name in INCLUDE.findall(text)]


def against(room, text):
    """What this text may not include when it stands in that room."""
    bad = []
    for ours, name in includes(text):
        target = name.split("/", 1)[0]
        if ours and name != "config.h" and target not in MAY[room]:
            bad.append(name)
        elif not ours and target in MAY:
            bad.append(name)
    return bad


def foreign(path, text):
    bad = []
    for ours, name in includes(text):
        for pattern, files in LIBRARY.items():
            if not ours and re.match(pattern, name) and path not in files:
                bad.append(name)
    return bad


tap.ok(against("perc", '#include "kmf/msg.h"\n') == ["kmf/msg.h"],
       "the check sees an arrow that points up")
tap.ok(foreign("mdd/leg.c", "#include <sqlite3.h>\n") == ["sqlite3.h"],
       "the check sees a library out of its place")
for room in MAY:
    arrows, places = [], []
    files = list(tap.sources(".c", ".h", rooms=[room]))
    for f in files:
        text = f.read_text()
        arrows += [f"{tap.rel(f)} includes {n}" for n in against(room, text)]
        places += [f"{tap.rel(f)} includes {n}"
                   for n in foreign(tap.rel(f), text)]
    tap.ok(files, f"{room} has sources")
    tap.ok(not arrows, f"{room}: arrows point one way", *arrows)
    tap.ok(not places, f"{room}: outside libraries in their places", *places)
tap.done()
