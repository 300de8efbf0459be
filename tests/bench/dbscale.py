#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Does a key request cost more when the database is large? Fills the database
# of a real perch-kmf with conferences and ten invitations for each, then asks
# it over real sockets, one request after the other on one connection:
#
#   tests/bench/dbscale.py [--conferences N] [--requests N] [--keep-going]
#
# Sizes are 1,000, then N (default 100,000), in a directory of its own that is
# removed afterwards; a million need about 3 GB. Says medians in milliseconds.
# Exit 1 when a median at N is more than twice (and 1 ms) that at 1,000.
import argparse
import http.client
import json
import os
import pathlib
import sqlite3
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "kmf")]
from kmfworld import *                                      # noqa: E402,F403
import world                                                # noqa: E402

EACH = 10       # invitations of a conference


def columns(db, table):
    return [r[1] for r in db.execute(f"PRAGMA table_info({table})")]


def fill(path, template, invitation, have, want):
    """Copies of one conference and of one invitation, under other ids."""
    db = sqlite3.connect(path, isolation_level=None)
    for p in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000",
              "foreign_keys = OFF", "temp_store = MEMORY"):
        db.execute("PRAGMA " + p)
    later = [r[0] for r in db.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'trigger'")]
    for name, in db.execute("SELECT name FROM sqlite_schema WHERE "
                            "type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    count = ("WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 "
             "FROM n WHERE i + 1 < ?2) ")

    def copy(table, key, values, first, last):
        cols = columns(db, table)
        what = [values.get(c, f't."{c}"') for c in cols]
        db.execute("BEGIN")
        db.execute(f"INSERT INTO {table} ({', '.join(cols)}) {count}"
                   f"SELECT {', '.join(what)} FROM n, {table} t "
                   "WHERE t.id = ?3", (first, last, key))
        db.execute("COMMIT")

    for a in range(have, want, 100000):
        b = min(a + 100000, want)
        copy("conference", template, {
            "no": "NULL", "id": "printf('c_%022d', i)",
            "title": "printf('Conference %d', i)",
            "created_by": "printf('client%d', i / 100)"}, a, b)
        copy("invitation", invitation, {
            "no": "NULL", "id": "printf('i_%022d', i)",
            "conference": f"printf('c_%022d', i / {EACH})",
            "code_hash": "printf('%043d', i)"}, a * EACH, b * EACH)
    for sql in later:
        db.execute(sql)
    db.execute("UPDATE tally SET n = (SELECT count(*) FROM conference) "
               "WHERE name = 'conference'")
    db.execute("PRAGMA journal_mode = WAL")
    db.close()


class Line:
    """One kept connection; proofs are made before the clock starts."""

    def __init__(self, who):
        self.who = who
        self.c = http.client.HTTPSConnection("localhost",
                                             int(who.base.split(":")[-1]),
                                             context=who.context)

    def once(self, method, path):
        body = b"" if method == "POST" else None
        for _ in range(2):
            h = {"Authorization": f"DPoP {self.who.token}",
                 "DPoP": self.who.key.dpop(
                     method, self.who.base + path.split("?")[0],
                     self.who.token, self.who.nonce)}
            start = time.perf_counter()
            self.c.request(method, path, body, h)
            r = self.c.getresponse()
            data = r.read()
            spent = time.perf_counter() - start
            self.who.nonce = r.headers.get("DPoP-Nonce", self.who.nonce)
            if r.status == 200:
                return spent, data
            if r.status == 429:
                time.sleep(float(r.headers.get("Retry-After", "1")))
            last = (r.status, data)
        raise AssertionError(last)

    def median(self, n, method, path):
        return statistics.median(self.once(method, path)[0]
                                 for _ in range(n)) * 1000


def measure(k, conf, n, size):
    admin = k.admin()
    e = guest(k, admin, conf)
    deep = json.loads(Line(admin).once(
        "GET", "/v1/conferences?limit=50")[1])
    line, member, out = Line(admin), Line(e), {}
    out["key request"] = member.median(n, "POST",
                                       f"/v1/conferences/{conf}/keys")
    out["first page of 50"] = line.median(n, "GET",
                                          "/v1/conferences?limit=50")
    nxt = deep.get("next")
    if nxt:
        q = nxt.split("?", 1)[1] if "?" in str(nxt) else f"cursor={nxt}"
        out["next page of 50"] = line.median(n, "GET",
                                             f"/v1/conferences?{q}"
                                             + ("" if "limit=" in q
                                                else "&limit=50"))
    # one that is found at once, and one that is nowhere: a page of a search
    # looks through so many rows and no more, then gives a cursor
    out["title, found"] = line.median(
        n, "GET", "/v1/conferences?title=conference&limit=50")
    out["title, nowhere"] = line.median(
        n, "GET", "/v1/conferences?title=nowhere&limit=50")
    out["a conference"] = line.median(n, "GET", "/v1/conferences/"
                                      f"c_{size - 1:022d}")
    out["its invitations"] = line.median(
        n, "GET", f"/v1/conferences/c_{size - 1:022d}/invitations")
    out["metrics"] = line.median(n, "GET", "/metrics")
    return out


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--conferences", type=int, default=100000)
    a.add_argument("--requests", type=int, default=200)
    a = a.parse_args()
    sizes = [n for n in (1000, 100000, 1000000) if n < a.conferences]
    sizes.append(a.conferences)
    results, have = [], 0
    with world.World("perch-dbscale-") as w:
        k = kmf(w)
        admin = k.admin()
        template = conference(admin, "Template")["id"]
        inv = invite(admin, template)["id"]
        conf = conference(admin, "Measured")["id"]
        for size in sizes:
            k.proc.stop()
            start = time.monotonic()
            fill(k.state / "perch.db", template, inv, have, size)
            have = size
            spent = time.monotonic() - start
            start = time.monotonic()
            k.serve()
            mb = (k.state / "perch.db").stat().st_size >> 20
            print(f"{size} conferences, {size * EACH} invitations, {mb} MiB: "
                  f"filled in {spent:.0f} s, started in "
                  f"{time.monotonic() - start:.1f} s", flush=True)
            results.append(measure(k, conf, a.requests, size))
            for name, ms in results[-1].items():
                print(f"  {name:20} {ms:8.2f} ms", flush=True)
        k.proc.stop()
    bad = [name for name, ms in results[-1].items()
           if name in results[0] and ms > 2 * results[0][name] + 1]
    for name in bad:
        print(f"NOT FLAT: {name}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
