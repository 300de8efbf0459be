#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A TLS server that misbehaves on request, for test_httpc. Prints its ports
# (https, http) and serves until standard input ends.
import os
import socket
import ssl
import sys
import threading
import time

CERT, KEY = sys.argv[1:3]


def read_request(s):
    data = b""
    while b"\r\n\r\n" not in data:
        got = s.recv(65536)
        if not got:
            return None
        data += got
    head, body = data.split(b"\r\n\r\n", 1)
    want = 0
    for line in head.split(b"\r\n")[1:]:
        name, value = line.split(b":", 1)
        if name.lower() == b"content-length":
            want = int(value)
    while len(body) < want:
        body += s.recv(65536)
    return head, body


def answer(s, status, body=b"", *headers):
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body)]
    s.sendall(b"\r\n".join([*lines, *headers]) + b"\r\n\r\n" + body)


def stream(s, parts, gap):
    s.sendall(b"HTTP/1.1 200 OK\r\nDPoP-Nonce: n2\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n")
    for p in parts:
        s.sendall(b"%x\r\n%s\r\n" % (len(p), p))
        time.sleep(gap)


def serve_one(s, head, body):
    target = head.split(b" ")[1]
    if target == b"/echo":
        answer(s, b"200 OK", head + b"\r\n\r\n" + body)
    elif target == b"/nonce":
        answer(s, b"401 Unauthorized", b'{"code":"x"}', b"dpop-NONCE:  n1 ",
               b"X-Two: a", b"X-Two: b")
    elif target == b"/redirect":
        answer(s, b"302 Found", b"", b"Location: https://localhost/echo")
    elif target == b"/big":
        answer(s, b"200 OK", b"x" * 5000)
    elif target == b"/lies":
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        return False
    elif target == b"/headers":
        answer(s, b"200 OK", b"", *[b"X-%d: y" % i for i in range(100)])
    elif target == b"/slow":
        time.sleep(2)
    elif target == b"/continue":
        s.sendall(b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n")
        answer(s, b"200 OK", b"late", b"X-Late: 1")
    elif target == b"/stream":
        stream(s, [b"one", b"two", b"three"], 0.05)
        s.sendall(b"0\r\n\r\n")
    elif target == b"/stall":
        stream(s, [b"one"], 3)
    elif target == b"/hangup":
        return False
    return True


def client(s):
    try:
        while (r := read_request(s)) and serve_one(s, *r):
            pass
        s.close()
    except OSError:
        pass


def listen(context):
    ls = socket.create_server(("127.0.0.1", 0))

    def loop():
        while True:
            s, _ = ls.accept()
            try:
                if context:
                    s = context.wrap_socket(s, server_side=True)
            except OSError:
                continue
            threading.Thread(target=client, args=(s,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
    return ls.getsockname()[1]


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
print(listen(context), listen(None), flush=True)
sys.stdin.read()
os._exit(0)
