# SPDX-License-Identifier: Apache-2.0
# A home-made endpoint: everything perch-agent must not do, with the tools of
# any Unix. It keeps its EKT key in plain sight (rest.Endpoint), lets `openssl
# s_client` do the DTLS handshake and print the exporter's output, and stays at
# the MDD for as long as it is let. It is what an attacker among the members
# would build, so what it cannot open is a proof worth printing.
import binascii
import hashlib
import hmac
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

import jose
import media
import world

COOKIE = 0x2112a442
BINDING, SUCCESS = 0x0001, 0x0101


def stun(kind, txid, attrs, password):
    """RFC 8489: attributes, MESSAGE-INTEGRITY, FINGERPRINT."""
    body = b""
    for number, value in attrs:
        body += struct.pack(">HH", number, len(value)) + value + \
            b"\0" * (-len(value) % 4)

    def head(extra):
        return struct.pack(">HHI", kind, len(body) + extra, COOKIE) + txid
    mac = hmac.new(password, head(24) + body, hashlib.sha1).digest()
    body += struct.pack(">HH", 0x0008, 20) + mac
    crc = binascii.crc32(head(8) + body) ^ 0x5354554e
    body += struct.pack(">HHI", 0x8028, 4, crc)
    return head(0) + body


class Leg(threading.Thread):
    """One UDP socket at the MDD: STUN by us, DTLS by s_client, RTP kept."""

    def __init__(self, cert, key, log):
        super().__init__(daemon=True)
        self.cert, self.key, self.log = cert, key, log
        der = ssl.PEM_cert_to_DER_cert(open(cert).read())
        self.x5t = jose.b64u(hashlib.sha256(der).digest())
        self.ufrag, self.pwd = jose.b64u(os.urandom(6)), \
            jose.b64u(os.urandom(18))
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.bind(("127.0.0.1", 0))
        self.inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inside.bind(("127.0.0.1", 0))
        self.packets, self.bound, self.running = [], False, True
        self.material = None

    def connect(self, join, seconds=10, profile="SRTP_AEAD_AES_128_GCM"):
        """join: the MDD's answer. Returns when the hop keys are there."""
        self.mdd = (join["host"], join["port"])
        self.user = f"{join['ufrag']}:{self.ufrag}".encode()
        self.mddpwd = join["pwd"].encode()
        self.start()
        world.wait_for(lambda: self.bound, seconds, say="a STUN answer")
        self.p = subprocess.Popen(
            ["openssl", "s_client", "-dtls1_2", "-mtu", "1200", "-connect",
             "127.0.0.1:%d" % self.inside.getsockname()[1],
             "-cert", self.cert, "-key", self.key,
             "-use_srtp", profile,
             "-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "56"],
            stdin=subprocess.PIPE, stdout=open(self.log, "w"),
            stderr=subprocess.STDOUT, preexec_fn=media.die_with_parent)

        def exported():
            ended = self.p.poll() is not None       # before its last words
            found = re.search(r"Keying material: ([0-9A-F]+)",
                              open(self.log).read())
            if ended and not found:
                raise world.Broken("s_client ended")
            return found and bytes.fromhex(found.group(1))
        m = world.wait_for(exported, seconds, say="the DTLS handshake")
        # RFC 5764 4.2: client key, server key, client salt, server salt
        self.material = {"tx_key": m[:16], "rx_key": m[16:32],
                         "tx_salt": m[32:44], "rx_salt": m[44:56]}
        return self

    def ask(self):
        self.out.sendto(stun(BINDING, os.urandom(12), [
            (0x0006, self.user), (0x0024, struct.pack(">I", 1)),
            (0x802a, os.urandom(8)), (0x0025, b"")], self.mddpwd), self.mdd)

    def run(self):
        self.out.settimeout(0.05)
        self.inside.settimeout(0.001)
        local, asked = None, 0.0
        while self.running:
            if time.monotonic() - asked > (5 if self.bound else 0.2):
                self.ask()
                asked = time.monotonic()
            try:
                data, _ = self.out.recvfrom(2048)
            except TimeoutError:
                data = b""
            if data and data[0] < 4:
                self.bound |= data[:2] == struct.pack(">H", SUCCESS)
            elif data and 20 <= data[0] < 64 and local:
                self.inside.sendto(data, local)
            elif data and 128 <= data[0] < 192:
                self.packets.append(media.Packet(time.time(), 0, 0, data))
            try:
                data, local = self.inside.recvfrom(2048)
                self.out.sendto(data, self.mdd)
            except TimeoutError:
                pass

    def stop(self):
        self.running = False
        if hasattr(self, "p"):
            self.p.kill()
            self.p.wait()
        self.join(2)
        self.out.close()
        self.inside.close()


def tail_length(packet):
    """Octets of the EKTField (RFC 8870 4.1): Short is one zero octet, a Full
    one ends with its length and type 2."""
    if packet[-1:] == b"\0":
        return 1
    if packet[-1:] == b"\2" and len(packet) > 19:
        return struct.unpack(">H", packet[-3:-1])[0]
    return 0


class Opener:
    """Opens what a leg was sent, with one EKT key, by our core."""

    def __init__(self, core, leg, ektkey):
        self.core, self.hop = core, leg.material
        self.salt = jose.unb64u(ektkey["salt"])
        self.sets = [{"spi": int(ektkey["spi"]), "salt": self.salt.hex(),
                      "key": jose.unb64u(ektkey["key"]).hex()}]

    def learn(self, packets, sets=None):
        """Sender keys that the Full EKTFields give: {ssrc: key as hex}."""
        r = self.core("ekt_process", accept=[16], sets=sets or self.sets,
                      packets=[p.data.hex() for p in packets])
        keys = {}
        for one in r.get("results", []):
            for ssrc, k in one.get("installed", {}).items():
                keys[int(ssrc, 16)] = (k["key"], k["roc"])
        return keys

    def inner(self, packet):
        """The payload with the outer layer off: what the forwarder sees."""
        n = tail_length(packet.data)
        r = self.core("srtp_unprotect", master_key=self.hop["rx_key"].hex(),
                      master_salt=self.hop["rx_salt"].hex(), roc=0,
                      packet=packet.data[:len(packet.data) - n].hex())
        return media.rtp(bytes.fromhex(r["packet"])).payload

    def open(self, packet, keys):
        """The payload that was said, or None."""
        head = media.rtp(packet.data)
        if not head or head.ssrc not in keys:
            return None
        key, roc = keys[head.ssrc]
        n = tail_length(packet.data)
        r = self.core("double_unprotect",
                      master_key=key + self.hop["rx_key"].hex(),
                      master_salt=self.salt.hex() + self.hop["rx_salt"].hex(),
                      packet=packet.data[:len(packet.data) - n].hex(),
                      inner_roc=roc, outer_roc=0)
        if not r.get("ok"):
            return None
        return media.rtp(bytes.fromhex(r["inner"])).payload
