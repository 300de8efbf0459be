#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Webhooks against a real receiver over HTTPS, which fails, hangs, redirects
# and comes back; and the feed they are made of, over HTTP. The signature is
# checked by code that knows docs/wire/feed.md and nothing else.
import hashlib
import hmac
import http.server
import json
import os
import signal
import socket
import ssl
import threading
import time

import kmfworld
from kmfworld import conference, guest, invite, refused, stack, tap, world

SECRET = "0123456789abcdef0123456789abcdef"


class Receiver:
    """Answers as `script` says, one word a post; then 200."""

    def __init__(self, w, name):
        self.cert, key = w.certificate(name)
        self.posts, self.script, self.lock = [], [], threading.Lock()
        self.hanging = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    word = outer.script.pop(0) if outer.script else "200"
                    late = word in ("slow", "late")
                    word = {"slow": "200", "late": "503"}.get(word, word)
                    outer.posts.append((word, dict(self.headers), body,
                                        self.path))
                if late:
                    outer.hanging.wait(1.5)
                if word == "hang":
                    outer.hanging.wait(20)
                    self.close_connection = True
                    return
                self.send_response(302 if word == "redirect" else
                                   200 if word == "long" else int(word))
                if word == "redirect":
                    self.send_header("Location", outer.url + "/elsewhere")
                n = 200000 if word == "long" else 0
                self.send_header("Content-Length", str(n))
                self.end_headers()
                self.wfile.write(b"x" * n)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, address):
                pass    # who hung up on us did so on purpose

        self.server = Server(("127.0.0.1", 0), Handler)
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.cert, key)
        self.server.socket = c.wrap_socket(self.server.socket,
                                           server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        w.closers.append(self.close)

    def close(self):
        self.hanging.set()
        self.server.shutdown()
        self.server.server_close()

    def taken(self):
        """Events that got a 200, in the order of the posts."""
        with self.lock:
            return [json.loads(b) for word, _, b, _ in self.posts
                    if word == "200"]

    def ids(self):
        return [e["id"] for e in self.taken()]


def signed(headers, body, secret=SECRET):
    fields = [f.split("=", 1) for f in headers["Perch-Signature"].split(",")]
    t = dict(fields)["t"]
    want = hmac.new(secret.encode(), t.encode() + b"." + body,
                    hashlib.sha256).hexdigest()
    return abs(time.time() - int(t)) < 300 and \
        any(hmac.compare_digest(v, want) for k, v in fields if k == "v1")


class Setup:
    def __init__(self, w):
        self.w, self.n = w, 0

    def kmf(self, hooks, secret=SECRET, extra="fronts = 1"):
        """A fresh KMF with webhooks {name: (url, ca, more lines)}."""
        self.n += 1
        d = self.w.dir / f"at{self.n}"
        d.mkdir(0o755)
        file = self.w.write(d / "hook.secret", secret)
        lines = [extra]
        for name, (url, ca, more) in hooks.items():
            lines += [f"[webhook {name}]", f"url = {url}",
                      f"secret_file = {file}", f"ca_file = {ca}", more]

        class At:           # a world of its own directory
            dir = d

            def __getattr__(_, name):
                return getattr(self.w, name)

            def mkdir(_, name, uid=None):
                (d / name).mkdir(0o755)
                return d / name
        return stack.Kmf(At(), mdd_url=kmfworld.MDD,
                         extra="\n".join(lines)).serve()


def feed_ids(admin, types=""):
    out, after = [], "0"
    while after:
        a = admin.call("GET", f"/v1/events?after={after}&limit=3"
                       f"&type={types}").body
        out += [e["id"] for e in a["items"]]
        after = a.get("next")
    return out


def hook(admin, name="main"):
    return [h for h in admin.call("GET", "/v1/webhooks").body["items"]
            if h["name"] == name][0]


def wait_ids(receiver, want, seconds=15):
    world.wait_for(lambda: set(want) <= set(receiver.ids()), seconds,
                   say=f"{len(want)} events, have {len(receiver.ids())}")


def in_order(ids, want):
    """All of want, in order; a repetition only right behind itself."""
    once = [i for n, i in enumerate(ids) if n == 0 or ids[n - 1] != i]
    assert once == want, (once, want)


def test_signed_and_in_order(s):
    r = Receiver(s.w, "plain")
    few = Receiver(s.w, "few")
    k = s.kmf({"main": (r.url + "/in?a=b", r.cert, ""),
               "few": (few.url, few.cert, "types = member.*, epoch.rekeyed")},
              secret=SECRET + "\n" + "f" * 32 + "\n")
    admin = k.admin()
    conf = conference(admin, "Ünïcode \"quoted\"")["id"]
    guest(k, admin, conf, "Ann")
    want = feed_ids(admin)
    assert len(want) == 5
    wait_ids(r, want)
    assert r.ids() == want
    for word, h, body, path in r.posts:
        assert path == "/in?a=b" and h["Content-Type"] == "application/json"
        assert h["Perch-Event-Id"] == json.loads(body)["id"]
        assert h["Perch-Event-Type"] == json.loads(body)["type"]
        assert signed(h, body) and signed(h, body, "f" * 32)
        assert not signed(h, body + b" ") and not signed(h, body, "0" * 32)
        late = dict(h)
        late["Perch-Signature"] = h["Perch-Signature"].replace("t=1", "t=2")
        assert not signed(late, body)
    wait_ids(few, feed_ids(admin, "member.*,epoch.rekeyed"))
    assert [e["type"] for e in few.taken()] == ["member.joined",
                                                "epoch.rekeyed"]
    world.wait_for(lambda: hook(admin)["state"] == "idle", 5)
    assert hook(admin)["delivered"] == 5 and hook(admin)["dead"] == 0
    text = b"".join(p[2] for p in r.posts)
    assert b'"code"' not in text and b'"key"' not in text
    assert k.proc.stop() == 0


def test_trouble_keeps_the_order(s):
    r, well = Receiver(s.w, "trouble"), Receiver(s.w, "well")
    k = s.kmf({"main": (r.url, r.cert, "timeout_s = 1"),
               "well": (well.url, well.cert, "")})
    admin = k.admin()
    r.script = ["500", "hang", "redirect", "long"]
    conf = conference(admin)["id"]
    for n in range(3):
        invite(admin, conf, f"G{n}")
    want = feed_ids(admin)
    wait_ids(well, want, 5)         # it does not wait for the other
    world.wait_for(lambda: len(r.posts) >= 2, 10)
    h = hook(admin)
    assert h["state"] == "failing" and h["tries"] >= 1 and h["last_error"]
    wait_ids(r, want, 40)
    in_order(r.ids(), want)
    first = {p[1]["Perch-Event-Id"] for p in r.posts[:5]}
    assert first == {want[0]}, "nobody overtakes"
    assert all(p[3] == "/" for p in r.posts), "a redirect was followed"
    # each try is signed anew, so that a late one is still fresh
    assert len({p[1]["Perch-Signature"] for p in r.posts[:5]}) >= 4
    assert all(signed(p[1], p[2]) for p in r.posts)
    log = k.proc.text()
    assert "hook.failing name=main" in log and "hook.well name=main" in log
    assert k.proc.stop() == 0


def test_kill_9_loses_nothing(s):
    r = Receiver(s.w, "kill")
    k = s.kmf({"main": (r.url, r.cert, "timeout_s = 60")})
    admin = k.admin()
    conf = conference(admin)["id"]
    r.script = ["200", "200", "hang"]
    for n in range(6):
        invite(admin, conf, f"G{n}")
    want = feed_ids(admin)
    world.wait_for(lambda: len(r.posts) >= 3, 18, say="the third post")
    k.proc.kill()
    r.hanging.set()
    k.serve()
    wait_ids(r, want)
    in_order(r.ids(), want)
    # a fetcher alone that dies is no different
    r.hanging.clear()
    n = len(r.posts)
    r.script = ["hang"]
    admin = k.admin()
    invite(admin, conf, "more")
    world.wait_for(lambda: len(r.posts) == n + 1, 5)
    log = s.w.run(["pgrep", "-P", str(k.proc.p.pid), "kmf-fetcher"])
    os.kill(int(log.stdout.split()[0]), signal.SIGKILL)
    r.hanging.set()
    invite(admin, conf, "last")
    want = feed_ids(admin)
    wait_ids(r, want)
    in_order(r.ids(), want)
    assert k.proc.stop() == 0


def test_what_is_never_taken_is_put_aside(s):
    r = Receiver(s.w, "dead")
    k = s.kmf({"main": (r.url, r.cert, "give_up_s = 2\n"
                        "types = invitation.created")})
    admin = k.admin()
    conf = conference(admin)["id"]
    r.script = ["500"] * 50
    one = invite(admin, conf, "one")["id"]
    world.wait_for(lambda: hook(admin)["dead"] == 1, 15, 0.2)
    dead = admin.call("GET", "/v1/webhooks/main/dead").body["items"]
    assert len(dead) == 1 and dead[0]["why"] == "HTTP status 500"
    assert dead[0]["event"]["data"]["invitation"] == one
    r.script = []
    two = invite(admin, conf, "two")["id"]
    world.wait_for(lambda: [e["data"]["invitation"] for e in r.taken()] ==
                   [two], 15, 0.2, say="the next event")
    text = admin.call("GET", "/metrics").raw.decode()
    assert 'perch_kmf_webhook_dead_total{webhook="main"} 1' in text
    assert 'perch_kmf_webhook_delivered_total{webhook="main"} 1' in text
    assert admin.call("GET", "/v1/webhooks/none/dead").body["items"] == []
    # and once more when somebody asks, the oldest first
    again = "/v1/webhooks/main/redeliver"
    with r.lock:
        r.script += ["500"]
        had = len(r.posts)
    assert admin.call("POST", again).body == {"events": 1}
    world.wait_for(lambda: len(r.posts) > had, 15, 0.1)
    time.sleep(.5)
    with r.lock:
        assert len(r.posts) == had + 1     # one try, and it stays dead
    assert len(admin.call("GET", "/v1/webhooks/main/dead").body["items"]) == 1
    event = dead[0]["event"]["id"]
    key = {"Idempotency_Key": "again"}
    a = admin.call("POST", again, {"event": event}, **key)
    assert a.status == 202 and a.body == {"events": 1}
    world.wait_for(lambda: not admin.call(
        "GET", "/v1/webhooks/main/dead").body["items"], 15, 0.2)
    with r.lock:
        assert json.loads(r.posts[-1][2])["id"] == event
        had = len(r.posts)
    assert admin.call("POST", again, {"event": event}, **key).body == a.body
    for body, path in (({"event": event}, again), ({"event": "1"}, again),
                       ({}, "/v1/webhooks/none/redeliver")):
        assert refused(admin.call, "POST", path, body)[0] == 404, body
    for bad in "x", "1x", "-1", "":
        assert refused(admin.call, "POST", again, {"event": bad})[0] == 400
    assert admin.call("POST", again).body == {"events": 0}
    invite(admin, conference(admin)["id"])  # and those that wait go on
    world.wait_for(lambda: len(r.posts) > had, 15, 0.2)
    assert k.proc.stop() == 0


def test_metadata_addresses_are_refused(s):
    ca = s.w.certificate("none")[0]
    urls = ["https://169.254.169.254/latest", "https://0.0.0.0:9/",
            "https://[::ffff:169.254.1.1]/", "https://[fe80::1]/"]
    k = s.kmf({f"m{n}": (u, ca, "") for n, u in enumerate(urls)})
    admin = k.admin()
    conference(admin)
    for n in range(len(urls)):
        world.wait_for(lambda: hook(admin, f"m{n}")["tries"] > 0, 10)
        why = hook(admin, f"m{n}")["last_error"]
        assert "address that is refused" in why, (urls[n], why)
    assert k.proc.stop() == 0


def test_configuration_is_checked(s):
    ca = s.w.certificate("conf")[0]
    bad = [("http://x.example/", SECRET, "", "must be an https URL"),
           ("https://x.example/", "short", "", "openssl rand"),
           ("https://x.example/", "a\nb\nc\n" * 9, "", "openssl rand"),
           ("https://x.example/", SECRET, "types = member.jumped",
            "names an event"),
           ("https://x.example/", SECRET, "give_up_s = 2592000",
            "events_keep_s")]
    for url, secret, more, say in bad:
        s.n += 1
        d = s.w.dir / f"bad{s.n}"
        d.mkdir()
        s.w.run([s.w.bin("perch-kmf"), "init", d / "state"])
        s.w.write(d / "secret", secret)
        conf = s.w.write(d / "perch-kmf.conf", "\n".join([
            "base_url = https://localhost:1", "mdds = https://m.example",
            f"state_dir = {d}/state", "listen = 127.0.0.1:0",
            "events_keep_s = 300000", "[webhook x]", f"url = {url}",
            "secret_file = secret", f"ca_file = {ca}", more, ""]))
        r = s.w.run([s.w.bin("perch-kmf"), "check-config", "-c", conf],
                    check=False)
        assert r.returncode == 1 and say in r.stderr, (more, r.stderr)
    (d / "perch-kmf.conf").write_text((d / "perch-kmf.conf").read_text()
                                      .replace("give_up_s = 2592000", ""))
    (d / "secret").chmod(0o644)
    r = s.w.run([s.w.bin("perch-kmf"), "check-config", "-c", conf],
                check=False)
    assert "chmod" in r.stderr, r.stderr
    (d / "secret").chmod(0o600)
    s.w.run([s.w.bin("perch-kmf"), "check-config", "-c", conf])


def sse(k, admin, path, *headers):
    h = [f"GET {path} HTTP/1.1", "Host: x", "Accept: text/event-stream",
         f"Authorization: DPoP {admin.token}",
         "DPoP: " + admin.key.dpop("GET", k.url + path.split("?")[0],
                                   admin.token, admin.nonce)]
    s = world.tls(k.ca).wrap_socket(
        socket.create_connection(("127.0.0.1", k.port), 10),
        server_hostname="localhost")
    s.sendall(("\r\n".join(h + list(headers)) + "\r\n\r\n").encode())
    return s


def test_the_feed_over_http(s):
    k = s.kmf({})
    admin = k.admin()
    conf = conference(admin)["id"]
    got = admin.call("GET", "/v1/events?after=0").body
    assert [e["type"] for e in got["items"]] == ["conference.created"]
    start = time.monotonic()
    empty = admin.call("GET", f"/v1/events?after={got['cursor']}&wait=1").body
    assert empty["items"] == [] and empty["cursor"] == got["cursor"]
    assert 0.9 < time.monotonic() - start < 10      # rest.py asks once
    late = threading.Timer(0.5, lambda: invite(k.admin(), conf))
    late.start()
    start = time.monotonic()
    more = admin.call("GET", f"/v1/events?after={got['cursor']}&wait=20").body
    late.join()
    assert [e["type"] for e in more["items"]] == ["invitation.created"]
    assert time.monotonic() - start < 18    # not by the end of its patience
    assert refused(admin.call, "GET", "/v1/events?after=77") == (
        410, "cursor_expired")
    assert refused(admin.call, "GET", "/v1/events?wait=x")[0] == 400
    assert refused(admin.call, "GET", "/v1/events?after=%00")[0] == 400
    sock = sse(k, admin, "/v1/events", f"Last-Event-ID: {got['cursor']}")
    buf = kmfworld.read_until(sock, b"invitation.created\n")
    guest(k, admin, conf, "Ann")
    buf = kmfworld.read_until(sock, b"epoch.rekeyed\n", buf=buf)
    buf = kmfworld.read_until(sock, b"\n\n", buf=buf[buf.index(b"id: "):])
    names = [n for n, _ in kmfworld.events(buf)]
    assert names[:2] == ["invitation.created", "invitation.created"], names
    ids = [d["id"] for _, d in kmfworld.events(buf)]
    assert [l[4:] for l in buf.decode().splitlines()
            if l.startswith("id: ")][:len(ids)] == ids
    assert ids[0] == more["items"][0]["id"]
    sock.close()
    sock = sse(k, admin, "/v1/events?after=77")
    assert b" 410 " in kmfworld.read_until(sock, b"\r\n\r\n")
    sock.close()
    # a member's token opens no feed
    e = guest(k, admin, conf, "Bob")
    assert refused(e.call, "GET", "/v1/events")[0] in (401, 403, 404)
    assert k.proc.stop() == 0


if __name__ == "__main__":
    with world.World("perch-hooks-") as w:
        kmfworld.run(globals(), Setup(w))
