# SPDX-License-Identifier: Apache-2.0
# Tokens and proofs as an attacker would write them: any header, any octets,
# signed by whatever key is at hand.
import hashlib
import hmac
import json
import os
import subprocess
import time

import jose
import providers

# the order of P-256: s and ORDER - s verify alike (FIPS 186-4)
ORDER = int("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
            16)


class Rsa(providers.Rsa):
    """With its public key as PEM, and the other padding if asked."""

    def __init__(self, w, name):
        super().__init__(w, name)
        self.pem = w.run(["openssl", "pkey", "-in", self.path,
                          "-pubout"]).stdout

    def sign(self, header, payload, pss=None):
        if pss is None:
            return super().sign(header, payload)
        text = part(header) + "." + part(payload)
        how = ["-sigopt", "rsa_padding_mode:pss", "-sigopt",
               "rsa_pss_saltlen:32"] if pss else []
        sig = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.path, *how],
            input=text.encode(), check=True, capture_output=True).stdout
        return text + "." + jose.b64u(sig)


def part(what):
    """One part of a JWS: an object, or text or octets as they are."""
    if isinstance(what, str):
        what = what.encode()
    return jose.b64u(what if isinstance(what, bytes) else jose.compact(what))


def sign_text(key, header, payload):
    """ES256 over parts that need not be objects: duplicate members, and
    whatever else json.dumps would not write."""
    text = part(header) + "." + part(payload)
    return text + "." + jose.b64u(key.octets(text))


def mac(secret, header, payload):
    text = part({**header, "alg": "HS256"}) + "." + part(payload)
    return text + "." + jose.b64u(hmac.new(secret, text.encode(),
                                           hashlib.sha256).digest())


def twin(jws):
    """The other valid signature of the same words."""
    text, _, sig = jws.rpartition(".")
    raw = jose.unb64u(sig)
    other = ORDER - int.from_bytes(raw[32:], "big")
    return text + "." + jose.b64u(raw[:32] + other.to_bytes(32, "big"))


def ath(token):
    return jose.b64u(hashlib.sha256(token.encode()).digest())


def proof(key, method, url, token=None, header=(), drop=(), signer=None,
          **claims):
    """RFC 9449, with a few things wrong."""
    h = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.public, **dict(header)}
    p = {"jti": jose.b64u(os.urandom(16)), "htm": method, "htu": url,
         "iat": int(time.time()), **claims}
    if token and "ath" not in p:
        p["ath"] = ath(token)
    for d in drop:
        h.pop(d, None)
        p.pop(d, None)
    return (signer or key).sign(h, p)


def pieces(*texts):
    """What of these must never stand in a log."""
    return {p for t in texts if t for p in t.split(".") if len(p) > 15}


def deep(n):
    return '{"a":' * n + "1" + "}" * n


def reasons(text):
    """[(id, reason)] of a KMF's log."""
    out = []
    for line in text.splitlines():
        if "front.refuse " in line:
            out.append(line.split('reason="', 1)[1].split('"', 1)[0])
    return out


__all__ = ["ORDER", "Rsa", "ath", "deep", "json", "mac", "part", "pieces",
           "proof", "reasons", "sign_text", "twin"]
