#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What lies on the disk: an old copy of the database is refused, a root key is
# replaced while everybody works and whatever kills us in between, and a key
# that was destroyed is in no file any more.
import base64
import fcntl
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import rest                                                 # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

DB = ("perch.db", "perch.db-wal", "perch.db-shm")


def cli(k, *argv, timeout=30):
    return subprocess.run([str(k.w.bin("perch-kmf")), argv[0], "-c",
                           str(k.conf), *argv[1:]], text=True,
                          capture_output=True, timeout=timeout)


def die(k):
    """kill -9; the roles die with their parent."""
    k.proc.kill()


def snapshot(k, name):
    to = k.w.dir / name
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for f in DB:
        if (k.state / f).exists():
            shutil.copy(k.state / f, to / f)
    return to


def put_back(k, snap):
    for f in DB:
        (k.state / f).unlink(missing_ok=True)
        if (snap / f).exists():
            shutil.copy(snap / f, k.state / f)


def refused_start(k):
    r = subprocess.run([str(k.w.bin("perch-kmf")), "serve", "-c",
                        str(k.conf)], text=True, capture_output=True,
                       timeout=20)
    assert r.returncode != 0, r.stderr
    return r.stderr


def everything(k):
    """Every octet below the state directory."""
    return b"".join(p.read_bytes() for p in sorted(k.state.rglob("*"))
                    if p.is_file())


def test_check_db_beside_the_keeper(s):
    r = cli(s.k, "check-db")
    assert r.returncode == 0 and "good" in r.stdout, r.stdout + r.stderr


def test_an_old_copy_is_refused(s):
    k = s.k
    guest(k, s.admin, s.conf, "Old")
    k.proc.stop()
    old = snapshot(k, "old")
    k.serve()
    s.admin = k.admin()
    victim = guest(k, s.admin, s.conf, "Evicted")
    s.admin.call("DELETE", f"/v1/conferences/{s.conf}/members/"
                 f"{victim.member}")
    k.proc.stop()
    new = snapshot(k, "new")
    put_back(k, old)
    text = refused_start(k)
    assert "old copy" in text and "perch-kmf restore" in text, text
    put_back(k, new)
    k.serve()
    s.admin = k.admin()
    assert refused(victim.keys)[0] in (401, 403, 404)


def test_root_gen_is_not_optional(s):
    k = s.k
    k.proc.stop()
    gen = (k.state / "root.gen").read_bytes()
    (k.state / "root.gen").unlink()
    assert "root.gen" in refused_start(k)
    n = int(gen.split()[3])
    bad = gen.replace(b" %d " % n, b" %d " % (n - 1), 1)
    (k.state / "root.gen").write_bytes(bad)
    assert "damaged" in refused_start(k)
    (k.state / "root.gen").write_bytes(gen)
    # the journal is made anew of a database that is the newest
    (k.state / "revoked.log").unlink()
    k.serve()
    s.admin = k.admin()
    assert (k.state / "revoked.log").stat().st_size > 0


def test_kill_9_is_no_old_copy(s):
    k = s.k
    for _ in range(4):
        for _ in range(random.randrange(1, 12)):
            invite(s.admin, s.conf)
        die(k)
        k.serve()
        s.admin = k.admin()


def test_a_killed_keeper_may_linger(s):
    """Its lock outlives its port while the disk is slow."""
    k = s.k
    die(k)
    with open(k.state / "perch.db-lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        k.start()
        k.proc.wait_log("keeper.waits")
    k.proc.wait_log("kmf.ready")
    s.admin = k.admin()
    assert "keeper.refused" not in k.proc.words()


def root_traces(k, key):
    return key in everything(k)


def test_rewrap_while_everybody_works(s):
    k = s.k
    e = guest(k, s.admin, s.conf, "Stays")
    old = (k.state / "root.key").read_bytes()
    code = s.admin.call("POST", f"/v1/conferences/{s.conf}/invitations",
                        {"name": "Twice"}, Idempotency_Key="rewrap-1").body
    r = cli(k, "rewrap")
    assert r.returncode == 0, r.stdout + r.stderr
    new = (k.state / "root.key").read_bytes()
    assert new != old and len(new) == 32
    assert oct((k.state / "root.key").stat().st_mode)[-3:] == "600"
    assert not root_traces(k, old)
    assert not list(k.state.glob("root.key.*"))
    again = s.admin.call("POST", f"/v1/conferences/{s.conf}/invitations",
                         {"name": "Twice"}, Idempotency_Key="rewrap-1").body
    assert again == code
    assert e.keys() == e.ekt
    r = cli(k, "check-db")
    assert r.returncode == 0, r.stdout
    k.proc.stop()
    k.serve()
    s.admin = k.admin()
    assert e.keys()["keyid"]
    assert "none is under way" in cli(k, "rewrap", "--status").stdout


def test_rewrap_survives_kill_9_anywhere(s):
    k = s.k
    for n in range(60):     # so that a pass takes some slices
        s.admin.call("POST", f"/v1/conferences/{s.conf}/invitations",
                     {"name": "x"}, Idempotency_Key=f"many-{time.time()}")
    for delay in (0, 0.02, 0.3, 0.8, 1.0, 1.05, 1.1, 1.2):
        old = (k.state / "root.key").read_bytes()
        p = subprocess.Popen([str(k.w.bin("perch-kmf")), "rewrap", "-c",
                              str(k.conf)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(delay)
        p.kill()
        p.wait()
        die(k)
        if delay == 0:          # as one that was killed in the middle of it
            (k.state / "root.key.new.making").write_bytes(b"half of a key")
        k.serve()
        s.admin = k.admin()
        world.wait_for(lambda: not list(k.state.glob("root.key.*")), 15,
                       say="the rewrap to go on by itself")
        if (k.state / "root.key").read_bytes() != old:
            assert not root_traces(k, old)
        guest(k, s.admin, s.conf, "After")
        r = cli(k, "check-db")
        assert r.returncode == 0, r.stdout


def test_root_key_from_a_credential(s):
    k = s.k
    k.proc.stop()
    text = k.conf.read_text()
    creds = k.w.mkdir("creds")
    shutil.move(k.state / "root.key", creds / "corp")
    os.chmod(creds / "corp", 0o440)     # as systemd's access list shows
    k.conf.write_text("root_key = credential:corp\n" + text)
    assert "LoadCredential" in refused_start(k)
    os.environ["CREDENTIALS_DIRECTORY"] = str(creds)
    try:
        k.serve()
        s.admin = k.admin()
        r = cli(k, "rewrap")
        assert r.returncode == 1 and "corp_new" in r.stderr, r.stderr
        k.proc.stop()
        # the next one beside it: it rewraps at the start, by itself
        (creds / "corp_new").write_bytes(os.urandom(32))
        os.chmod(creds / "corp_new", 0o400)
        k.serve()
        world.wait_for(lambda: "is done" in
                       cli(k, "rewrap", "--status").stdout, 10,
                       say="the rewrap")
        k.proc.stop()
        shutil.move(creds / "corp_new", creds / "corp")
        k.serve()
        s.admin = k.admin()
        guest(k, s.admin, s.conf)
        k.proc.stop()
    finally:
        del os.environ["CREDENTIALS_DIRECTORY"]
        k.conf.write_text(text)
        shutil.move(creds / "corp", k.state / "root.key")
        os.chmod(k.state / "root.key", 0o600)
        k.serve()
        s.admin = k.admin()


def sealed_rows(k):
    """Every sealed conference, epoch and delivery key of this moment."""
    import sqlite3
    db = sqlite3.connect(f"file:{k.state}/perch.db?mode=ro", uri=True)
    rows = [r[0] for q in (
        "SELECT sealed_key FROM conference_key",
        "SELECT sealed_key FROM epoch WHERE sealed_key IS NOT NULL",
        "SELECT sealed_delivery FROM member WHERE sealed_delivery "
        "IS NOT NULL") for r in db.execute(q)]
    db.close()
    return rows


def test_a_key_that_was_destroyed_is_nowhere(s):
    """No key is ever there in the clear; what is over is not there sealed."""
    k = s.k
    conf = conference(s.admin, "To be erased")["id"]
    clear, sealed = [], []
    for n in range(3):      # each join is a new epoch
        e = guest(k, s.admin, conf, f"G{n}")
        for part in ("key", "salt"):
            raw = base64.urlsafe_b64decode(e.ekt[part] + "==")
            if part == "key":
                clear += [raw, e.ekt[part].encode(), raw.hex().encode()]
        sealed += sealed_rows(k)
        time.sleep(2.1)
    assert len(set(clear)) >= 6 and sealed
    copy = k.state / "made-while-it-ran.backup"     # one more of the files
    assert cli(k, "backup", str(copy)).returncode == 0 and copy.stat().st_size
    s.admin.call("POST", f"/v1/conferences/{conf}/end")
    left = set(sealed) - set(sealed_rows(k))
    assert len(left) >= 3, "the end destroyed nothing"
    world.wait_for(lambda: not [x for x in left if x in everything(k)], 12,
                   say="the sealed keys to be gone from all files")
    data = everything(k)
    assert not [c for c in clear if c in data]
    tmp = b"".join(p.read_bytes() for p in k.w.dir.rglob("*")
                   if p.is_file() and k.state in p.parents)
    assert not [c for c in clear if c in tmp]
    copy.unlink()


def test_a_full_disk_is_503_in_time(s):
    """A file system of its own, filled to the last octet."""
    d = s.w.mkdir("small")
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", d],
                       capture_output=True)
    if r.returncode != 0:
        raise tap.Skip("cannot mount a file system: " + r.stderr.decode())
    k = s.k
    try:
        k.proc.stop()
        shutil.copytree(k.state, d / "state")
        os.chmod(d / "state", 0o700)
        k.conf.write_text(k.conf.read_text().replace(
            f"state_dir = {k.state}", f"state_dir = {d}/state"))
        k.serve()
        s.admin = k.admin()
        e = guest(k, s.admin, s.conf, "Full")
        victim = guest(k, s.admin, s.conf, "Victim")
        f = os.open(d / "filler", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(f, b"x" * 4096)
        except OSError:
            os.close(f)
        full = 0
        for n in range(40):     # the log may have room for some
            start = time.monotonic()
            try:
                invite(s.admin, s.conf, "x" * 100)
            except rest.Refused as x:
                assert x.status == 503, x
                full += 1
            assert time.monotonic() - start < 5
        assert full > 20, full
        assert refused(s.admin.call, "DELETE", f"/v1/conferences/{s.conf}"
                       f"/members/{victim.member}")[0] == 503
        (d / "filler").unlink()
        s.admin.call("DELETE", f"/v1/conferences/{s.conf}/members/"
                     f"{victim.member}")
        assert refused(victim.keys)
        assert e.keys()["keyid"]
        r = cli(k, "check-db")
        assert r.returncode == 0, r.stdout
        k.proc.stop()
        for f in k.state.iterdir():
            if f.is_file():
                f.unlink()
        for f in (d / "state").iterdir():
            if f.is_file():
                shutil.copy2(f, k.state / f.name)
        k.conf.write_text(k.conf.read_text().replace(
            f"state_dir = {d}/state", f"state_dir = {k.state}"))
    finally:
        subprocess.run(["umount", "-l", d])
    k.serve()
    s.admin = k.admin()


def main():
    class Scene:
        pass
    s = Scene()
    with world.World("perch-atrest-") as w:
        s.w = w
        s.k = kmf(w)
        s.admin = s.k.admin()
        s.conf = conference(s.admin)["id"]
        run(globals(), s)


if __name__ == "__main__":
    main()
