# SPDX-License-Identifier: Apache-2.0
# ES256, DPoP and client assertions with the openssl program: a second,
# independent writer of what our own C writes, for tests that play a client of
# another make. Slow (a process per signature) and that is fine.
import base64
import hashlib
import json
import os
import subprocess
import time

# DER: SEQUENCE { INTEGER 1, OCTET STRING d, [0] prime256v1, [1] point }
_EC_HEAD = bytes.fromhex("30770201010420")
_EC_MID = bytes.fromhex("a00a06082a8648ce3d030107a14403420004")


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(obj):
    return json.dumps(obj, separators=(",", ":")).encode()


def claims(jwt):
    """What a compact JWS says; verifies nothing."""
    return json.loads(unb64u(jwt.split(".")[1]))


def _der_to_raw(der):
    """ECDSA-Sig-Value to the 64 octets of RFC 7518 3.4."""
    out, at = b"", 2 if der[1] < 128 else 3
    for _ in range(2):
        n = der[at + 1]
        out += der[at + 2:at + 2 + n].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + n
    return out


class Key:
    """One P-256 key, from a private JWK or made here."""

    def __init__(self, jwk=None):
        if jwk is None:
            der = subprocess.run(
                ["openssl", "ecparam", "-name", "prime256v1", "-genkey",
                 "-noout", "-outform", "DER"], check=True,
                capture_output=True).stdout
            d, point = der[7:39], der[-64:]
            jwk = {"kty": "EC", "crv": "P-256", "x": b64u(point[:32]),
                   "y": b64u(point[32:]), "d": b64u(d)}
        self.jwk = jwk
        self.public = {k: jwk[k] for k in ("crv", "kty", "x", "y")}
        self.kid = jwk.get("kid", self.thumbprint())
        der = _EC_HEAD + unb64u(jwk["d"]) + _EC_MID + unb64u(jwk["x"]) + \
            unb64u(jwk["y"])
        self.fd = os.memfd_create("key")
        os.write(self.fd, b"-----BEGIN EC PRIVATE KEY-----\n" +
                 base64.encodebytes(der) + b"-----END EC PRIVATE KEY-----\n")

    def close(self):
        os.close(self.fd)

    def thumbprint(self):
        """RFC 7638: the required members, in order, without spaces."""
        text = json.dumps(self.public, sort_keys=True, separators=(",", ":"))
        return b64u(hashlib.sha256(text.encode()).digest())

    def sign(self, header, payload):
        text = b64u(compact(header)) + "." + b64u(compact(payload))
        return text + "." + b64u(self.octets(text))

    def octets(self, text):
        """The 64 octets of an ES256 signature."""
        der = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign",
             f"/proc/self/fd/{self.fd}"], input=text.encode(), check=True,
            capture_output=True, pass_fds=[self.fd]).stdout
        return _der_to_raw(der)

    def dpop(self, method, url, token=None, nonce=None, **more):
        """A proof of RFC 9449."""
        payload = {"jti": b64u(os.urandom(16)), "htm": method, "htu": url,
                   "iat": int(time.time()), **more}
        if token:
            payload["ath"] = b64u(hashlib.sha256(token.encode()).digest())
        if nonce:
            payload["nonce"] = nonce
        return self.sign({"alg": "ES256", "typ": "dpop+jwt",
                          "jwk": self.public}, payload)

    def assertion(self, client_id, audience):
        """RFC 7523: private_key_jwt."""
        now = int(time.time())
        return self.sign({"alg": "ES256", "typ": "JWT", "kid": self.kid},
                         {"iss": client_id, "sub": client_id,
                          "aud": audience, "iat": now, "exp": now + 120,
                          "jti": b64u(os.urandom(16))})
