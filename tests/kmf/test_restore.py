#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Backup beside the running KMF and restore: no key of a conference is in it,
# what was revoked since stays revoked, numbers go on, the audit log is one
# chain, and whatever kills us in between, a second run ends it well.
import base64
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
from test_atrest import (cli, die, everything, refused_start,  # noqa: E402
                         sealed_rows)
import tap                                                  # noqa: E402
import world                                                # noqa: E402


def query(path, sql):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = db.execute(sql).fetchall()
    db.close()
    return rows


def backup(k, name):
    to = k.w.dir / name
    to.unlink(missing_ok=True)
    r = cli(k, "backup", str(to))
    assert r.returncode == 0, r.stderr
    return to


def restore(k, path, *more):
    r = cli(k, "restore", *more, str(path))
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


def up(s):
    s.k.serve()
    s.admin = s.k.admin()
    return s.k


def verify(s):
    """perch audit verify on the whole log; what it says."""
    a = s.admin.call("GET", "/v1/audit?format=jsonl&limit=1000")
    f = s.w.dir / "audit.jsonl"
    f.write_bytes(a.raw)
    r = subprocess.run([str(s.w.bin("perch")), "audit", "verify", str(f),
                        "--keys", str(s.k.state / "kmf-keys.json")],
                       text=True, capture_output=True, timeout=20)
    return r.returncode, r.stdout + r.stderr


def scene(s):
    """A conference with two in it, one code open, another to be ended."""
    c = s.conf = conference(s.admin, "Kept")["id"]
    s.ann = guest(s.k, s.admin, c, "Ann")
    s.bob = guest(s.k, s.admin, c, "Bob")
    s.open = invite(s.admin, c, "Open")
    s.other = conference(s.admin, "Will be over")["id"]
    s.othercode = invite(s.admin, s.other, "Late")


def revoke(s):
    p = f"/v1/conferences/{s.conf}"
    s.admin.call("DELETE", f"{p}/members/{s.bob.member}")
    s.admin.call("DELETE", f"{p}/invitations/{s.open['id']}", If_Match="*")
    s.admin.call("POST", f"/v1/conferences/{s.other}/end")


def stays_revoked(s):
    assert refused(endpoint(s.k).enter, s.conf, s.open["code"])
    assert refused(endpoint(s.k).enter, s.other, s.othercode["code"])
    assert refused(s.bob.keys)


def test_a_backup_has_no_key(s):
    scene(s)
    keys = sealed_rows(s.k)
    assert len(keys) >= 2
    b = backup(s.k, "b1")
    assert oct(b.stat().st_mode)[-3:] == "600"
    data = b.read_bytes()
    assert not [x for x in keys if x in data]
    clear = base64.urlsafe_b64decode(s.ann.ekt["key"] + "==")
    assert not [x for x in (clear, clear.hex().encode(),
                            s.ann.ekt["key"].encode()) if x in data]
    assert query(b, "SELECT count(*) FROM conference_key") == [(0,)]
    assert query(b, "SELECT count(*) FROM epoch WHERE sealed_key "
                 "IS NOT NULL") == [(0,)]
    assert query(b, "PRAGMA integrity_check") == [("ok",)]
    n = query(s.k.state / "perch.db", "SELECT count(*) FROM member")
    assert query(b, "SELECT count(*) FROM member") == n
    assert "is there already" in cli(s.k, "backup", str(b)).stderr
    assert s.ann.keys()["keyid"] == s.bob.ekt["keyid"]  # nothing disturbed


def test_it_is_no_database(s):
    b = backup(s.k, "b2")
    s.k.proc.stop()
    keep = s.w.mkdir("keep")
    for f in s.k.state.glob("perch.db*"):
        shutil.move(f, keep / f.name)
    shutil.copy(b, s.k.state / "perch.db")
    assert "is a backup" in refused_start(s.k)
    for f in s.k.state.glob("perch.db*"):
        f.unlink()
    for f in keep.iterdir():
        shutil.move(f, s.k.state / f.name)
    up(s)


def test_restore_beside_a_keeper_is_refused(s):
    r = cli(s.k, "restore", str(backup(s.k, "b3")))
    assert r.returncode == 1 and "stop it" in r.stderr, r.stderr


def test_what_was_revoked_stays_revoked(s):
    """REQ-V-2: a KMF moves as a whole; what it had ended stays so."""
    scene(s)
    b = backup(s.k, "b4")
    was = query(s.k.state / "perch.db", "SELECT epoch, roster_seq FROM "
                f"conference WHERE id = '{s.conf}'")[0]
    first = s.ann.keys()
    revoke(s)
    s.k.proc.stop()
    text = restore(s.k, b)
    assert " 0 audit records are lost" in text, text
    up(s)
    stays_revoked(s)
    ekt = s.ann.keys()          # rejoins: a new epoch, beyond all others
    assert int(ekt["keyid"].split(".")[-1]) > was[0]
    assert ekt["key"] != first["key"] and ekt["spi"] != first["spi"]
    code, out = verify(s)
    assert code == 0, out
    kinds = [i["kind"] for i in s.admin.call(
        "GET", "/v1/audit?limit=1000").body["items"]]
    assert "restored" in kinds and "evicted" in kinds
    r = cli(s.k, "check-db")
    assert r.returncode == 0, r.stdout
    # and a second time, from the same backup
    s.k.proc.stop()
    restore(s.k, b)
    up(s)
    stays_revoked(s)
    again = s.ann.keys()
    assert int(again["keyid"].split(".")[-1]) > \
        int(ekt["keyid"].split(".")[-1])


def test_the_database_is_gone(s):
    scene(s)
    b = backup(s.k, "b5")
    revoke(s)
    s.k.proc.stop()
    for f in s.k.state.glob("perch.db*"):
        f.unlink()
    text = restore(s.k, b)
    assert " 0 audit records are lost" not in text, text
    up(s)
    stays_revoked(s)
    s.ann.keys()
    code, out = verify(s)
    assert code == 0 and "were lost when a backup was restored" in out, out
    r = cli(s.k, "check-db")
    assert r.returncode == 0, r.stdout
    # the gap is one only where the record says so
    lines = (s.w.dir / "audit.jsonl").read_text().splitlines()
    cut = [x for x in lines if '"restored"' not in x]
    (s.w.dir / "cut.jsonl").write_text("\n".join(cut) + "\n")
    r = subprocess.run([str(s.w.bin("perch")), "audit", "verify",
                        str(s.w.dir / "cut.jsonl"), "--keys",
                        str(s.k.state / "kmf-keys.json")], text=True,
                       capture_output=True, timeout=20)
    assert r.returncode != 0, r.stdout


def test_without_the_journal(s):
    scene(s)
    b = backup(s.k, "b6")
    revoke(s)
    s.k.proc.stop()
    log = (s.k.state / "revoked.log").read_bytes()
    lines = log.splitlines(True)
    for bad in (None, b"".join(lines[:-1]), b"".join(lines[:-2] + lines[-1:]),
                log[:-40] + b"x" * 39 + b"\n"):
        if bad is None:
            (s.k.state / "revoked.log").unlink()
        else:
            (s.k.state / "revoked.log").write_bytes(bad)
        r = cli(s.k, "restore", str(b))
        assert r.returncode == 1 and "--accept-loss" in r.stderr, r.stderr
    restore(s.k, b, "--accept-loss")
    up(s)
    assert refused(s.ann.keys)          # nobody can vouch for her code
    assert refused(endpoint(s.k).enter, s.conf, s.open["code"])
    guest(s.k, s.admin, s.conf, "Invited anew")


def test_of_another_kmf(s):
    b = backup(s.k, "b7")
    db = sqlite3.connect(b)
    db.execute("UPDATE meta SET id = 'somebody else'")
    db.commit()
    db.close()
    s.k.proc.stop()
    r = cli(s.k, "restore", str(b))
    assert r.returncode == 1 and "another KMF" in r.stderr, r.stderr
    up(s)


def test_a_damaged_backup_changes_nothing(s):
    b = backup(s.k, "b8")
    data = bytearray(b.read_bytes())
    for at in range(8192, len(data) - 4096, 4096):
        data[at:at + 64] = os.urandom(64)
    b.write_bytes(data)
    s.k.proc.stop()
    before = (s.k.state / "perch.db").read_bytes()
    r = cli(s.k, "restore", str(b))
    assert r.returncode == 1, r.stdout
    assert (s.k.state / "perch.db").read_bytes() == before
    up(s)


def test_after_a_rewrap(s):
    scene(s)
    b = backup(s.k, "b9")
    assert cli(s.k, "rewrap").returncode == 0
    revoke(s)
    s.k.proc.stop()
    for f in s.k.state.glob("perch.db*"):
        f.unlink()
    text = restore(s.k, b)      # its signing keys open no more
    assert "new signing keys" in text, text
    up(s)
    stays_revoked(s)
    s.k.keys = s.k.public_copy("kmf-keys.json", "kmf-keys.json")


def killed(s, argv, delay):
    p = subprocess.Popen(argv, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    time.sleep(delay)
    p.kill()
    p.wait()


def test_kill_9_in_a_backup(s):
    to = s.w.dir / "killed"
    bin = str(s.w.bin("perch-kmf"))
    for delay in (0.005, 0.01, 0.02, 0.03, 0.05):
        to.unlink(missing_ok=True)
        killed(s, [bin, "backup", "-c", str(s.k.conf), str(to)], delay)
        if to.exists():
            assert query(to, "PRAGMA integrity_check") == [("ok",)]
            assert query(to, "SELECT backup_ms > 0 FROM meta") == [(1,)]
    backup(s.k, "killed")
    assert not (s.w.dir / "killed.partial").exists()


def test_kill_9_in_a_restore(s):
    scene(s)
    b = backup(s.k, "b10")
    revoke(s)
    bin = str(s.w.bin("perch-kmf"))
    for delay in (0.01, 0.02, 0.03, 0.035, 0.04, 0.045, 0.05, 0.06, 0.08):
        s.k.proc.stop()
        killed(s, [bin, "restore", "-c", str(s.k.conf), str(b)], delay)
        try:
            up(s)
        except world.Broken as e:       # then it says what to do
            assert "perch-kmf restore" in str(e), e
            restore(s.k, b)
            up(s)
        stays_revoked(s)
        assert s.ann.keys()["keyid"]
        r = cli(s.k, "check-db")
        assert r.returncode == 0, r.stdout
    assert not list(s.k.state.glob("*restoring*"))


def main():
    class Scene:
        pass
    s = Scene()
    with world.World("perch-restore-") as w:
        s.w = w
        s.k = kmf(w)
        s.admin = s.k.admin()
        cases = {n: f for n, f in globals().items()
                 if n.startswith("test_") and callable(f)}
        run(cases, s)


if __name__ == "__main__":
    main()
