# SPDX-License-Identifier: Apache-2.0
# A real perch-kmf for the tests of this directory, and the raw requests that
# a well-behaved client would never make.
import datetime
import json
import os
import pathlib
import socket
import ssl
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "tools")]

import jose                                                 # noqa: E402
import openapi                                              # noqa: E402
import rest                                                 # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

MDD = "https://mdd.invalid:8444"
NOBODY = "c_AAAAAAAAAAAAAAAAAAAAAA"     # well-formed, unknown


def kmf(w, **kw):
    return stack.Kmf(w, mdd_url=MDD, **kw).serve()


def when(minutes):
    t = datetime.datetime.now(datetime.timezone.utc)
    return (t + datetime.timedelta(minutes=minutes)).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


def conference(admin, title="Test", **more):
    return admin.call("POST", "/v1/conferences", {
        "title": title, "starts_at": when(-1), "ends_at": when(60),
        **more}).body


def invite(admin, conf, name="Guest"):
    return admin.call("POST", f"/v1/conferences/{conf}/invitations",
                      {"name": name}).body


def endpoint(k, key=None):
    return rest.Endpoint(k.url, k.ca, key or jose.Key())


def guest(k, admin, conf, name="Guest"):
    """A member by invitation code, keys fetched."""
    e = endpoint(k)
    e.enter(conf, invite(admin, conf, name)["code"])
    e.ekt = e.keys()
    return e


def refused(fn, *args, **kw):
    """(status, code) of a call that must fail."""
    try:
        a = fn(*args, **kw)
    except rest.Refused as e:
        return e.status, e.code
    raise AssertionError(f"was granted: {a}")


def body_is_whole(a):
    return a.get("content-length") in ("", str(len(a.body)))


class Raw:
    """One request as written here, whatever HTTP thinks of it."""
    source = "127.0.0.1"    # failures are counted per address

    def __init__(self, k, method, path, headers=(), body=b"", checked=True):
        self.status, self.headers, self.body = 0, [], b""
        lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{k.port}",
                 "Connection: close"]
        lines += [f"{n}: {v}" for n, v in headers]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        data = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        with socket.create_connection(("127.0.0.1", k.port), 10,
                                      (self.source, 0)) as s:
            with world.tls(k.ca).wrap_socket(
                    s, server_hostname="localhost") as t:
                t.sendall(data)
                out = b""
                try:
                    while d := t.recv(65536):
                        out += d
                except (ConnectionError, ssl.SSLError):
                    pass
        head, _, self.body = out.partition(b"\r\n\r\n")
        head = head.decode("latin-1").split("\r\n")
        if len(head[0].split()) > 1:
            self.status = int(head[0].split()[1])
        self.headers = [tuple(h.split(": ", 1)) for h in head[1:]]
        if checked and body_is_whole(self):
            openapi.check(method, path, self.status,
                          {n.lower(): v for n, v in self.headers}, self.body)

    def get(self, name):
        return ", ".join(v for n, v in self.headers
                         if n.lower() == name.lower())

    def json(self):
        return json.loads(self.body)


def stream(k, e, conf, proof_path=None):
    """An open event stream: (socket, first octets)."""
    path = f"/v1/conferences/{conf}/events"
    proof = e.key.dpop("GET", k.url + path, e.token, e.nonce)
    s = world.tls(k.ca).wrap_socket(
        socket.create_connection(("127.0.0.1", k.port), 10),
        server_hostname="localhost")
    s.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: DPoP {e.token}\r\nDPoP: {proof}\r\n\r\n"
               ).encode())
    buf = b""
    while b"\r\n\r\n" not in buf:
        buf += s.recv(4096)
    return s, buf


def read_until(s, needle, seconds=5, buf=b""):
    end = time.monotonic() + seconds * world.PATIENCE
    s.settimeout(0.5)
    while needle not in buf:
        if time.monotonic() > end:
            raise AssertionError(f"no {needle} in {buf[-500:]}")
        try:
            d = s.recv(65536)
        except TimeoutError:
            continue
        if not d:
            break
        buf += d
    return buf


def events(buf):
    """[(event, data)] of a chunked stream; chunk heads are whole lines."""
    out, name = [], None
    for line in buf.decode("latin-1").splitlines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            out.append((name, json.loads(line[6:])))
    return out


def run(namespace, arg):
    tap.run([(n[5:], f, arg) for n, f in list(namespace.items())
             if n.startswith("test_")])


def tmp(w, name):
    return os.path.join(w.dir, name)
