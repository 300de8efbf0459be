#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The administrator's side of `perch` against a real KMF: every noun, tables on
# terminals of several widths, local times, JSON, pages, completion, and an
# exit status for each way to fail.
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import unicodedata

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "kmf"), str(HERE.parent / "e2e"),
                str(HERE.parent / "tools")]

from kmfworld import conference, guest, stack, tap, world   # noqa: E402

MDD = "https://mdd.invalid:8444"
IDS = r"[a-z]_[A-Za-z0-9_-]{22}"


class Scene:
    def __init__(self, w):
        self.w = w
        self.kmf = stack.Kmf(w, mdd_url=MDD, extra="fronts = 1").serve()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(w.dir),
                    "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
                    "TZ": "Europe/Berlin",
                    "PERCH_CA": str(self.kmf.ca),
                    "PERCH_CLIENT": str(self.kmf.state / "admin-client.jwk")}
        for k, v in os.environ.items():
            if k.startswith(("ASAN_", "UBSAN_")):
                self.env[k] = v
        self.bin = w.bin("perch")

    def perch(self, *args, code=0, env=None):
        r = subprocess.run([self.bin, *map(str, args)], text=True,
                           env={**self.env, **(env or {})},
                           stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=40)
        assert r.returncode == code, (args, r.returncode, r.stdout, r.stderr)
        return r

    def json(self, *args):
        return json.loads(self.perch(*args, "--json").stdout)

    def on_terminal(self, columns, *args):
        """What a terminal of that many columns shows."""
        up, down = pty.openpty()
        fcntl.ioctl(down, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 50, columns, 0, 0))
        p = subprocess.Popen([self.bin, *args], stdout=down, stderr=down,
                             stdin=down, env=self.env)
        os.close(down)
        out = b""
        try:
            while d := os.read(up, 65536):
                out += d
        except OSError:
            pass
        os.close(up)
        assert p.wait(60) == 0, out
        return out.decode().replace("\r\n", "\n")

    def schedule(self, title, *more):
        return self.json("conference", "create", "--title", title, *more)


def width(s):
    return sum(0 if unicodedata.combining(c) else
               2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in s)


def test_life_of_a_conference(s):
    c = s.schedule("Board", "--invite", "alice@example.org", "--host",
                   "bob@example.org", "--group", "board", "--domain",
                   "example.com", "--policy", '{"lease_s": 20}')
    assert [(i.get("email") or i.get("group") or i.get("domain"), i["role"])
            for i in c["invitees"]] == [
        ("alice@example.org", "member"), ("bob@example.org", "host"),
        ("board", "member"), ("example.com", "member")]
    assert c["policy"]["lease_s"] == 20
    shown = s.perch("conference", "show", c["uri"]).stdout
    assert "Board" in shown and "bob@example.org" in shown
    s.perch("conference", "update", c["id"], "--title", "The board",
            "--invite", "carol@example.org", "--uninvite", "board",
            "--for", "90")
    n = s.json("conference", "show", c["id"])
    assert n["title"] == "The board" and n["policy"]["lease_s"] == 20
    assert n["starts_at"] == c["starts_at"] and n["ends_at"] > c["ends_at"]
    kept = {i["id"] for i in n["invitees"]} & \
        {i["id"] for i in c["invitees"]}
    assert len(n["invitees"]) == 4 and len(kept) == 3, n["invitees"]
    assert "nobody of that name" in s.perch(
        "conference", "update", c["id"], "--uninvite", "x", code=2).stderr
    assert "say what" in s.perch("conference", "update", c["id"],
                                 code=2).stderr
    assert "locked" in s.perch("conference", "lock", c["id"]).stdout
    assert s.json("conference", "show", c["id"])["locked"]
    s.perch("conference", "unlock", c["id"])
    assert not s.json("conference", "show", c["id"])["locked"]
    s.perch("conference", "extend", c["id"], "--for", "10")
    assert s.json("conference", "show", c["id"])["ends_at"] > n["ends_at"]
    s.perch("conference", "extend", c["id"], code=2)
    s.perch("conference", "cancel", c["id"], "--reason", "rain")
    assert s.json("conference", "show", c["id"])["state"] == "cancelled"
    assert "" != s.perch("conference", "lock", c["id"], code=1).stderr
    s.perch("conference", "delete", c["id"])
    r = s.perch("conference", "show", c["id"], code=1)
    assert "perch conference list" in r.stderr, r.stderr


def test_series(s):
    c = s.schedule("Weekly", "--start", "2027-03-01 10:00", "--for", "30",
                   "--rrule", "FREQ=WEEKLY;COUNT=8",
                   "--exdate", "2027-03-15 10:00")
    assert c["tzid"] == "Europe/Berlin" and c["id"].startswith("s_")
    o = s.json("conference", "occurrences", c["id"])["items"]
    starts = [i["starts_at"] for i in o]
    assert len(o) == 7 and "2027-03-15T09:00:00Z" not in starts
    # ten o'clock on the wall on either side of the change of clocks
    assert starts[0] == "2027-03-01T09:00:00Z"
    assert starts[-1] == "2027-04-19T08:00:00Z", starts
    text = s.perch("conference", "occurrences", c["id"]).stdout
    assert text.count(" 10:00") == 7, text
    assert c["id"] in s.perch("conference", "list", "--series").stdout
    one = s.schedule("Once")
    assert "s_..." in s.perch("conference", "occurrences", one["id"],
                              code=2).stderr
    s.perch("conference", "update", c["id"], "--title", "Each week",
            "--invite", "alice@example.org")
    n = s.json("conference", "show", c["id"])
    assert n["title"] == "Each week" and len(n["invitees"]) == 1
    assert "Each week" in s.perch("conference", "show", c["uri"]).stdout
    told = [json.loads(x) for x in s.perch(
        "events", "--json", "--conference", c["id"]).stdout.splitlines()]
    assert [e["type"] for e in told] == ["series.created", "series.updated"]
    assert told[1]["data"]["title"] == "Each week"
    assert told[0]["data"]["rrule"] == "FREQ=WEEKLY;COUNT=8"
    s.perch("conference", "cancel", c["id"])
    assert s.json("conference", "show", c["id"])["state"] == "cancelled"
    s.perch("conference", "delete", c["id"])


def test_people(s):
    c = s.schedule("People", "--invite", "alice@example.org")
    r = s.perch("invite", "add", c["id"], "--name", "Ann")
    code = re.search(r"code (\S+)", r.stdout).group(1)
    assert len(code) == 22
    guests = s.json("invite", "list", c["id"])["items"]
    assert [g["name"] for g in guests] == ["Ann"] and code not in str(guests)
    assert "Ann" in s.perch("invite", "list", c["id"]).stdout
    ics = s.perch("invite", "ics", c["id"], guests[0]["id"]).stdout
    assert ics.startswith("BEGIN:VCALENDAR") and code not in ics
    out = s.w.dir / "one.ics"
    s.perch("invite", "ics", c["id"], guests[0]["id"], "--out", out)
    assert "BEGIN:VEVENT" in out.read_text()
    assert s.perch("invite", "resend", c["id"], guests[0]["id"],
                   code=1).stderr        # no mail server is configured
    e = guest(s.kmf, s.kmf.admin(), c["id"], "Ben")
    m = s.json("members", c["id"])
    assert [i["name"] for i in m["items"]] == ["Ben"] and m["epoch"] == 1
    text = s.perch("conference", "members", c["id"]).stdout
    assert "Ben" in text and "of 1 on epoch 1" in text
    why = s.perch("explain", c["id"], "--email", "alice@example.org").stdout
    assert "Would get the key" in why and "invited" in why
    why = s.json("explain", c["id"], "--email", "mallory@example.org")
    assert not why["allowed"]
    assert "who?" in s.perch("explain", c["id"], code=2).stderr
    s.perch("conference", "rekey", c["id"])
    s.perch("evict", c["id"], e.member)
    assert s.json("members", c["id"])["items"][0]["state"] == "evicted"
    s.perch("invite", "revoke", c["id"], guests[0]["id"])
    assert s.json("invite", "list", c["id"])["items"][0]["state"] == "revoked"
    # the names of before
    old = s.json("conference", "invite", c["id"], "--name", "Old",
                 "--email", "old@guests.example")
    assert len(old["code"]) == 22
    s.perch("conference", "evict", c["id"], "m_" + 22 * "A", code=1)
    # who has never been in is put out by what they are invited as
    r = s.perch("evict", c["id"], "--email", "dave@example.org")
    assert "Evicted" in r.stdout
    assert not s.json("explain", c["id"], "--email",
                      "dave@example.org")["allowed"]
    for bad in (["evict", c["id"]],
                ["evict", c["id"], "m_x", "--email", "a@b.example"]):
        assert "whom?" in s.perch(*bad, code=2).stderr
    s.perch("conference", "end", c["id"])


def test_tables_fit_the_terminal(s):
    title = "Größe 会議 of \x1b[31mred\x1b[0m titles that are far too long" \
        .replace("\x1b", "")
    c = conference(s.kmf.admin(), title)
    wide = s.perch("conference", "list").stdout
    assert title in wide
    for columns in (80, 100, 120):
        lines = s.on_terminal(columns, "conference", "list").splitlines()
        assert max(map(width, lines)) <= columns, (columns, lines)
        assert any(c["id"] in x for x in lines), "an id was cut"
        heads = {width(x[:x.index(re.search(IDS, x).group())])
                 for x in lines[1:]}
        assert len(heads) == 1, ("columns are not straight", lines)
        assert columns > 100 or any("…" in x for x in lines)
    narrow = s.on_terminal(20, "conference", "list")
    assert c["id"] in narrow


def test_times_are_those_here(s):
    c = s.schedule("Clock", "--start", "2027-07-01 10:30", "--for", "30")
    assert c["starts_at"] == "2027-07-01T08:30:00Z"
    assert "2027-07-01 10:30" in s.perch("conference", "list").stdout
    assert "10:30 CEST" in s.perch("conference", "show", c["id"]).stdout
    assert "08:30 UTC" in s.perch("conference", "show", c["id"],
                                  "--utc").stdout
    c = s.schedule("Far", "--start", "2027-07-01 10:30", "--tz",
                   "America/New_York")
    assert c["starts_at"] == "2027-07-01T14:30:00Z"
    assert "no time like" in s.perch("conference", "create", "--title", "x",
                                     "--start", "soon", code=2).stderr


def test_pages_follow_by_themselves(s):
    admin = s.kmf.admin()
    for n in range(104):
        conference(admin, f"Many {n}")
    items = s.json("conference", "list")
    assert "next" not in items
    got = [c["title"] for c in items["items"]
           if c["title"].startswith("Many")]
    assert sorted(got) == sorted(f"Many {n}" for n in range(104))
    table = s.perch("conference", "list", "--state", "scheduled").stdout
    assert table.count("Many ") == 104


def test_events(s):
    c = s.schedule("Followed")
    text = s.perch("events", "--conference", c["id"]).stdout
    assert "conference.created" in text and "title Followed" in text
    p = subprocess.Popen([s.bin, "events", "--follow", "--json",
                          "--conference", c["id"]], text=True, env=s.env,
                         stdout=subprocess.PIPE)
    lines = []
    threading.Thread(target=lambda: lines.extend(  # as they come
        json.loads(x) for x in p.stdout), daemon=True).start()

    def followed():         # it begins with what comes, once it is there
        s.perch("invite", "add", c["id"], "--name", "Ann")
        return lines
    try:
        world.wait_for(followed, 10, 0.3, say="the first event")
        s.perch("conference", "end", c["id"])
        world.wait_for(lambda: lines[-1]["type"] == "conference.ended", 10,
                       say="the last event")
        assert {e["type"] for e in lines[:-1]} == {"invitation.created"}
    finally:
        p.send_signal(signal.SIGINT)
        p.wait(60)
    rest = s.perch("events", "--json", "--after", lines[0]["id"],
                   "--conference", c["id"]).stdout
    assert [json.loads(x)["id"] for x in rest.splitlines()] == \
        [e["id"] for e in lines[1:]]
    assert "no longer kept" in s.perch("events", "--after", "999999",
                                       code=1).stderr
    assert "[webhook" in s.perch("webhooks").stdout
    assert s.json("webhooks") == {"items": []}
    assert s.json("webhooks", "dead", "none") == {"items": []}


def test_exit_statuses(s):
    s.perch(code=2)
    s.perch("conference", code=2)
    s.perch("conference", "jump", code=2)
    s.perch("conference", "list", "--rrule", "x", code=2)
    s.perch("conference", "show", code=2)
    s.perch("conference", "show", "nonsense", code=2)
    s.perch("conference", "list", "--frobnicate", code=2)
    r = s.perch("conference", "create", "--title", "x", "--policy",
                '{"lease_s": 0}', code=1)
    assert "/policy" in r.stderr, r.stderr
    gone = s.w.write(s.w.dir / "gone.jwk", (
        s.kmf.state / "admin-client.jwk").read_text().replace(
            f":{s.kmf.port}", f":{world.free_port()}"))
    r = s.perch("conference", "list", "--client", gone, code=3)
    assert "perch doctor" in r.stderr, r.stderr
    other = json.loads((s.kmf.state / "admin-client.jwk").read_text())
    other["client_id"] = "nobody"
    other = s.w.write(s.w.dir / "other.jwk", json.dumps(other))
    s.perch("conference", "list", "--client", other, code=4)
    r = s.perch("conference", "list", "--client", "/nowhere", code=2)
    assert "--client" in r.stderr
    s.perch("status", "--socket", "/nowhere/sock", code=3)


def complete(s, line, shell="bash"):
    words = line.split(" ")
    script = f"""source <({s.bin} completion bash)
COMP_WORDS=({' '.join(w or '""' for w in words)}); COMP_CWORD={len(words) - 1}
_perch; printf '%s\\n' "${{COMPREPLY[@]}}" """
    r = subprocess.run(["bash", "-c", script], text=True, env=s.env,
                       capture_output=True, timeout=10)
    assert r.returncode == 0 and not r.stderr, r.stderr
    return r.stdout.split()


def test_completion(s):
    first = complete(s, "perch ")
    assert {"join", "conference", "invite", "events", "audit"} <= set(first)
    assert len(first) == len(set(first))
    assert complete(s, "perch conf") == ["conference"]
    assert "occurrences" in complete(s, "perch conference ")
    assert complete(s, "perch conference lo") == ["lock"]
    assert "--rrule" in complete(s, "perch conference create --")
    assert "--code" not in complete(s, "perch conference create --")
    assert "--follow" in complete(s, "perch events --")
    assert complete(s, "perch unsub") == ["unsubscribe"]
    assert "--last-n" in complete(s, "perch subscribe --")
    assert complete(s, "perch invite add c --kind r") == ["room", "recorder"]
    assert complete(s, "perch --client f conference lis") == ["list"]
    assert complete(s, "perch webhooks ") == ["dead", "redeliver"]
    s.perch("completion", "fish", code=2)
    # it offers exactly what --help names
    helped = set(re.findall(r"^  perch (\S+)", s.perch("--help").stdout,
                            re.M))
    assert helped == set(first), helped ^ set(first)


def test_help(s):
    r = s.perch("explain", "--help").stdout
    assert r.startswith("usage: perch explain CONFERENCE"), r
    assert "--invitation" in r and "--code" not in r, r
    r = s.perch("conference", "--help").stdout
    assert "conference create --title" in r and "invite add" not in r, r
    r = s.perch("conference", "lock", "--help").stdout
    assert "let nobody else in" in r and "--kmf URL" in r, r
    r = s.perch("nonsense", "--help", code=2)
    assert "no such command: nonsense" in r.stderr, r


def test_completion_of_zsh(s):
    if subprocess.run(["sh", "-c", "command -v zsh"],
                      capture_output=True).returncode:
        raise tap.Skip("no zsh here")
    r = subprocess.run(["zsh", "-f", "-c", f"""source <({s.bin} completion zsh)
whence _perch >/dev/null && echo defined; echo $_comps[perch]"""],
                       text=True, env=s.env, capture_output=True, timeout=20)
    assert r.stdout.split() == ["defined", "_bash_complete", "-o", "_perch"] \
        or "defined" in r.stdout and "_bash_complete" in r.stdout, r


if __name__ == "__main__":
    with world.World("perch-cli-") as w:
        scene = Scene(w)
        tap.run([(n[5:], f, scene) for n, f in list(globals().items())
                 if n.startswith("test_")])
