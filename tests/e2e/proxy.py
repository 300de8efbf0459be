# SPDX-License-Identifier: Apache-2.0
# The box in the middle: it ends the client's TLS with the server's own
# certificate, as an inspecting proxy does by the customer's leave, and passes
# each answer on when it is whole. What never is whole never comes. `mode`:
# "pass" streams go through; "eat" not one octet of a stream comes out;
# "first" the head and the first piece do, and nothing after; "cut" ends them.
# `stopped`: requests whose path ends so do not reach the server until that is
# changed; `held`: answers to such do not reach the client.
import re
import socket
import ssl
import threading
import time


class Proxy:
    def __init__(self, port, upstream, cert, key, ca, mode="pass"):
        self.upstream, self.mode = upstream, mode
        self.streams = self.opened = 0
        self.stopped = self.held = None
        self.asked = []         # (time, method, path)
        self.answered = []      # (method, path)
        self.front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.front.load_cert_chain(cert, key)
        self.back = ssl.create_default_context(cafile=str(ca))
        self.back.check_hostname = False
        self.sock = socket.create_server(("127.0.0.1", port), backlog=64)
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,),
                             daemon=True).start()

    def serve(self, raw):
        try:
            with self.front.wrap_socket(raw, server_side=True) as s:
                s.settimeout(60)
                while self.request(s):
                    pass
        except (OSError, ValueError):
            pass

    @staticmethod
    def message(s, buf=b""):
        """Head and what is there of the body."""
        while b"\r\n\r\n" not in buf:
            d = s.recv(65536)
            if not d:
                return None, b""
            buf += d
        head, _, body = buf.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n", body

    @staticmethod
    def fill(s, head, body):
        n = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        n = int(n[1]) if n else 0
        while len(body) < n:
            d = s.recv(65536)
            if not d:
                raise OSError("cut")
            body += d
        return body

    def request(self, s):
        head, body = self.message(s)
        if head is None:
            return False
        body = self.fill(s, head, body)
        method, path = head.split(b" ")[:2]
        self.asked.append((time.monotonic(), method.decode(), path.decode()))
        while self.stopped and path.decode().endswith(self.stopped):
            time.sleep(0.02)
        raw = socket.create_connection(("127.0.0.1", self.upstream), 10)
        with self.back.wrap_socket(raw) as up:
            up.settimeout(60)
            up.sendall(head + body)
            head, body = self.message(up)
            if head is None:
                return False
            if b"text/event-stream" in head:
                self.stream(s, up, head + body)
                return False
            body = self.fill(up, head, body)
            self.answered.append((method.decode(), path.decode()))
            while self.held and path.decode().endswith(self.held):
                time.sleep(0.02)
            s.sendall(head + body)
        return True

    def stream(self, s, up, data):
        with self.lock:
            self.opened += 1
            self.streams += 1
        passed, mode = 0, self.mode
        try:
            up.settimeout(0.2)
            while self.mode != "cut" and not self.left(s):
                if data and (mode == "pass" or
                             mode == "first" and passed < 2):
                    s.sendall(data)
                    passed += 1
                try:
                    data = up.recv(65536)
                    if not data:
                        return
                except TimeoutError:
                    data = b""
        finally:
            with self.lock:
                self.streams -= 1

    @staticmethod
    def left(s):
        """Has the client gone? It has nothing more to say."""
        s.settimeout(0.001)
        try:
            return s.recv(1) == b""
        except TimeoutError:
            return False
        finally:
            s.settimeout(60)

    def close(self):
        self.sock.close()
