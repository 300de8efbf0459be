# SPDX-License-Identifier: Apache-2.0
# Debian's exim as a mail server of our own: as nobody, on two ports of
# loopback (STARTTLS, and TLS from the first octet), into a Maildir. It insists
# on its user of the package, whom libnss-wrapper makes up; its copy is not
# setuid, so it owns nothing but its directory.
import email
import email.policy
import glob
import os
import re
import shutil
import smtplib
import socket

import world

EXIM = os.environ.get("PERCH_EXIM") or "/usr/sbin/exim4"
WRAPPER = glob.glob("/usr/lib/*/libnss_wrapper.so")
NOBODY = 65534
USER, PASSWORD = "perch", "correct horse"

CONFIG = """
primary_hostname = mail.example
spool_directory = {dir}/spool
log_file_path = {dir}/%slog
pid_file_path = {dir}/pid
exim_user = Debian-exim
exim_group = Debian-exim
keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port} : {tls_port}
tls_on_connect_ports = {tls_port}
tls_advertise_hosts = *
tls_certificate = {dir}/tls.crt
tls_privatekey = {dir}/tls.key
deliver_drop_privilege = true
host_lookup =
rfc1413_hosts =
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = acl_rcpt
begin acl
acl_rcpt:
  deny
    local_parts = never
    message = there is nobody of that name
  deny
    !encrypted = *
    message = not without TLS
  deny
    !authenticated = *
    message = who are you
  accept
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {dir}/box
  maildir_format
  user = Debian-exim
  envelope_to_add
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_advertise_condition = ${{if def:tls_in_cipher}}
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}\
{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"""


def missing():
    if not os.access(EXIM, os.X_OK):
        return "no exim4 (PERCH_EXIM)"
    return "" if WRAPPER else "no libnss-wrapper"


class Mta:
    """A certificate by a CA of its own; deaf until .start()."""

    def __init__(self, w):
        self.w = w
        self.uid = NOBODY if os.geteuid() == 0 else os.geteuid()
        self.dir = w.mkdir("mta", self.uid, mode=0o755)
        # ours from now on: who connects before .start() is refused
        self.held = [socket.socket(), socket.socket()]
        for s in self.held:
            s.bind(("127.0.0.1", 0))
        self.port, self.tls_port = (s.getsockname()[1] for s in self.held)
        self.exim = self.dir / "exim"
        shutil.copyfile(EXIM, self.exim)
        self.exim.chmod(0o755)
        who = f"Debian-exim:x:{self.uid}:{self.uid}"
        self.put("passwd", f"root:x:0:0::/:/bin/sh\n{who}::/:/bin/false\n")
        self.put("group", f"root:x:0:\nDebian-exim:x:{self.uid}:\n")
        self.put("config", CONFIG.format(
            dir=self.dir, port=self.port, tls_port=self.tls_port, user=USER,
            password=PASSWORD))
        self.certify()

    def put(self, name, text):
        return self.w.write(self.dir / name, text, self.uid, mode=0o644)

    def certify(self):
        self.ca, ca_key = self.w.certificate("mail-ca")
        crt, key = self.dir / "tls.crt", self.dir / "tls.key"
        self.w.run(["openssl", "req", "-x509", "-CA", self.ca, "-CAkey",
                    ca_key, "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=mail.example", "-addext",
                    "subjectAltName=DNS:localhost", "-addext",
                    "basicConstraints=critical,CA:FALSE",
                    "-keyout", key, "-out", crt])
        if os.geteuid() == 0:
            os.chown(key, self.uid, self.uid)
            os.chown(crt, self.uid, self.uid)

    def start(self):
        env = {"PATH": "/usr/bin:/bin", "LD_PRELOAD": WRAPPER[0],
               "NSS_WRAPPER_PASSWD": str(self.dir / "passwd"),
               "NSS_WRAPPER_GROUP": str(self.dir / "group")}
        for s in self.held:
            s.close()
        self.proc = self.w.spawn(
            "exim", [self.exim, "-C", self.dir / "config", "-bdf", "-q1m"],
            uid=self.uid, env=env)
        self.proc.wait_for(
            lambda: self.greets(smtplib.SMTP, self.port) and
            self.greets(smtplib.SMTP_SSL, self.tls_port), say="a greeting")
        return self

    @staticmethod
    def greets(kind, port):
        """220, and a goodbye."""
        try:
            with kind("127.0.0.1", port, "localhost", timeout=5):
                return True
        except OSError:
            return False

    def log(self):
        log = self.dir / "mainlog"
        return log.read_text(errors="replace") if log.exists() else ""

    def mails(self, address):
        """All that came for the address, in the order of coming."""
        out = []
        new = self.dir / "box" / "new"
        for f in sorted(new.glob("*"), key=lambda f: f.stat().st_mtime_ns):
            raw = f.read_bytes()
            m = re.match(rb"Envelope-to: (.*)\n", raw)
            if m and m[1].decode() == address:
                # RFC 6532: octets above 127 in a header are UTF-8
                out.append(email.message_from_string(
                    raw.decode(), policy=email.policy.default))
        return out

    def take(self, address, n=1, seconds=10):
        """The nth mail to the address, once it is there."""
        return world.wait_for(lambda: self.mails(address)[n - 1:n], seconds,
                              say=f"mail {n} to {address}")[0]
