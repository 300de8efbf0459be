# SPDX-License-Identifier: Apache-2.0
# A second implementation of what perc/ does to packets and keys, written from
# the RFCs (3711, 5649, 5764, 7714, 8723, 8870, 9110) without a look at the C
# and on another library, so that the two do not share a misreading. It is
# slow, has no state beyond a receiver's, and knows the interface of
# perc-packet: a method per op, a dict of the answer's members or Refused.
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG = 16
SALT = 12
OHB_B, OHB_M, OHB_P, OHB_Q = 8, 4, 2, 1


class Refused(Exception):
    pass


def need(good, why):
    if not good:
        raise Refused(why)


# RFC 3711 section 4.3 with the lengths of RFC 7714 section 11

def derive(key, salt, label, size):
    x = int.from_bytes(salt + b"\0\0", "big") ^ label << 48
    iv = (x << 16).to_bytes(16, "big")
    enc = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return enc.update(bytes(size))


def session(key, salt, rtcp=False):
    need(len(key) in (16, 32) and len(salt) == SALT, "key")
    base = 3 if rtcp else 0
    return (derive(key, salt, base, len(key)),
            derive(key, salt, base + 2, SALT))


def kdf(key, salt):
    (rk, rs), (ck, cs) = session(key, salt), session(key, salt, True)
    return {"rtp_key": rk, "rtp_salt": rs, "rtcp_key": ck, "rtcp_salt": cs}


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def unseal(key, iv, data, aad):
    need(len(data) >= TAG, "short")
    try:
        return AESGCM(key).decrypt(iv, data, aad)
    except InvalidTag as e:
        raise Refused("auth") from e


# RTP, RFC 3550 section 5

def head_len(p):
    """Header with CSRCs and extension."""
    need(len(p) >= 12 and p[0] >> 6 == 2, "rtp")
    n = 12 + 4 * (p[0] & 15)
    if p[0] & 0x10:
        need(len(p) >= n + 4, "rtp")
        n += 4 + 4 * struct.unpack_from(">H", p, n + 2)[0]
    need(len(p) >= n, "rtp")
    return n


def seq_of(p):
    return struct.unpack_from(">H", p, 2)[0]


def ssrc_of(p):
    return struct.unpack_from(">I", p, 8)[0]


def rtp_iv(salt, p, roc):
    return xor(b"\0\0" + p[8:12] + struct.pack(">I", roc) + p[2:4], salt)


def srtp_protect(key, salt, p, roc):
    n = head_len(p)
    k, s = session(key, salt)
    return p[:n] + AESGCM(k).encrypt(rtp_iv(s, p, roc), p[n:], p[:n])


def srtp_unprotect(key, salt, p, roc):
    n = head_len(p)
    k, s = session(key, salt)
    return p[:n] + unseal(k, rtp_iv(s, p, roc), p[n:], p[:n])


# SRTCP, RFC 7714 section 9: the tag stands before the word with the index

def rtcp_iv(salt, p, index):
    return xor(b"\0\0" + p[4:8] + b"\0\0" + struct.pack(">I", index), salt)


def srtcp_protect(key, salt, p, index, encrypt=True):
    need(len(p) >= 8 and p[0] >> 6 == 2, "rtcp")
    k, s = session(key, salt, True)
    iv = rtcp_iv(s, p, index)
    if encrypt:
        word = struct.pack(">I", index | 1 << 31)
        return p[:8] + AESGCM(k).encrypt(iv, p[8:], p[:8] + word) + word
    word = struct.pack(">I", index)
    return p + AESGCM(k).encrypt(iv, b"", p + word) + word


def srtcp_unprotect(key, salt, p):
    need(len(p) >= 8 + TAG + 4 and p[0] >> 6 == 2, "rtcp")
    k, s = session(key, salt, True)
    word, body = p[-4:], p[:-4]
    index = struct.unpack(">I", word)[0]
    iv = rtcp_iv(s, p, index & 0x7fffffff)
    if index >> 31:
        out = p[:8] + unseal(k, iv, body[8:], p[:8] + word)
    else:
        out = body[:-TAG]
        unseal(k, iv, body[-TAG:], out + word)
    return out, index & 0x7fffffff, bool(index >> 31)


# RFC 8723 section 4: the block is read from its end

def ohb_split(data):
    """What stands before the block, and (pt, seq, marker), None = not in it."""
    need(data, "ohb")
    c = data[-1]
    need(not c & 0xf0 and c & (OHB_M | OHB_B) != OHB_B, "ohb")
    size = 1 + (2 if c & OHB_Q else 0) + (1 if c & OHB_P else 0)
    need(len(data) >= size, "ohb")
    rest, block = data[:-size], data[-size:]
    pt = block[0] & 0x7f if c & OHB_P else None
    seq = struct.unpack(">H", block[-3:-1])[0] if c & OHB_Q else None
    return rest, (pt, seq, bool(c & OHB_B) if c & OHB_M else None)


def ohb_join(pt, seq, m):
    c, out = 0, b""
    if pt is not None:
        out, c = bytes([pt]), c | OHB_P
    if seq is not None:
        out, c = out + struct.pack(">H", seq), c | OHB_Q
    if m is not None:
        c |= OHB_M | (OHB_B if m else 0)
    return out + bytes([c])


# RFC 8723 section 5. The first half of key and salt is the inner one.

def halves(b):
    return b[:len(b) // 2], b[len(b) // 2:]


def bare(p):
    """The header that the inner layer sees: no X, no extension."""
    return bytes([p[0] & 0xef]) + p[1:12 + 4 * (p[0] & 15)]


def double_protect(key, salt, p, inner_roc, outer_roc):
    n = head_len(p)
    (ik, ok), (isalt, osalt) = halves(key), halves(salt)
    b = bare(p)
    sealed = srtp_protect(ik, isalt, b + p[n:], inner_roc)[len(b):]
    return srtp_protect(ok, osalt, p[:n] + sealed + b"\0", outer_roc)


def original(p):
    """A packet after its outer layer, as its sender sealed it."""
    n = head_len(p)
    sealed, (pt, seq, m) = ohb_split(p[n:])
    b = bytearray(bare(p))
    if pt is not None:
        b[1] = b[1] & 0x80 | pt
    if seq is not None:
        b[2:4] = struct.pack(">H", seq)
    if m is not None:
        b[1] = b[1] & 0x7f | m << 7
    return bytes(b) + sealed


def double_unprotect(key, salt, p, inner_roc, outer_roc):
    (ik, ok), (isalt, osalt) = halves(key), halves(salt)
    p = srtp_unprotect(ok, osalt, p, outer_roc)
    inner = srtp_unprotect(ik, isalt, original(p), inner_roc)
    return inner, p[1] & 0x7f, seq_of(p)


def note(was, now, kept):
    """The original kept in the block when a field goes from WAS to NOW."""
    if now is None or now == was:
        return kept
    if kept is None:
        return was
    return None if kept == now else kept


def md_rewrite(rx, tx, p, pt=None, seq=None, m=None, ext=None):
    p = srtp_unprotect(*rx[:2], p, rx[2])
    n = head_len(p)
    body, now = p[n:], (p[1] & 0x7f, seq_of(p), bool(p[1] & 0x80))
    if any(a not in (None, b) for a, b in zip((pt, seq, m), now)):
        # else plain SRTP is enough, section 9: the block is not looked at
        sealed, kept = ohb_split(body)
        body = sealed + ohb_join(*map(note, now, (pt, seq, m), kept))
    h = bytearray(p[:n])
    if pt is not None:
        h[1] = h[1] & 0x80 | pt
    if m is not None:
        h[1] = h[1] & 0x7f | m << 7
    if seq is not None:
        h[2:4] = struct.pack(">H", seq)
    if ext is not None:
        h = h[:12 + 4 * (h[0] & 15)] + ext
        h[0] = h[0] & 0xef | (0x10 if ext else 0)
        need(head_len(h) == len(h), "ext")
    return srtp_protect(*tx[:2], bytes(h) + body, tx[2])


class Layer:
    """Index and replay list of one SSRC at one layer, RFC 3711 section 3.3."""

    def __init__(self, roc, window):
        self.roc, self.s_l, self.window, self.seen = roc, None, window, set()

    def guess(self, seq):
        v = self.roc
        if self.s_l is None:
            pass
        elif self.s_l < 32768:
            v -= seq - self.s_l > 32768
        else:
            v += self.s_l - 32768 > seq
        need(0 <= v < 1 << 32, "index")
        index = v << 16 | seq
        need(index not in self.seen, "replay")
        need(not self.seen or index > max(self.seen) - self.window, "replay")
        return v

    def commit(self, v, seq):
        if self.s_l is None or v > self.roc or (
                v == self.roc and seq > self.s_l):
            self.roc, self.s_l = v, seq
        self.seen.add(v << 16 | seq)


class Receiver:
    """receive_sequence: one receiver, two layers for each SSRC."""

    def __init__(self, key, salt, window=64, inner_roc=0, outer_roc=0):
        (self.ik, self.ok), (self.isalt, self.osalt) = halves(key), halves(salt)
        self.start = (inner_roc, outer_roc, window)
        self.state = {}

    def take(self, p):
        head_len(p)
        iroc, oroc, window = self.start
        inner, outer = self.state.get(ssrc_of(p)) or (
            Layer(iroc, window), Layer(oroc, window))
        seq = seq_of(p)
        v = outer.guess(seq)
        p = srtp_unprotect(self.ok, self.osalt, p, v)
        self.state[ssrc_of(p)] = inner, outer
        outer.commit(v, seq)
        p = original(p)
        v = inner.guess(seq_of(p))
        out = srtp_unprotect(self.ik, self.isalt, p, v)
        inner.commit(v, seq_of(p))
        return out


# RFC 8870

def ekt_wrap(ekt_key, srtp_key, ssrc, roc):
    plain = bytes([len(srtp_key)]) + srtp_key + struct.pack(">II", ssrc, roc)
    return keywrap.aes_key_wrap_with_padding(ekt_key, plain)


def ekt_tail(spi, epoch, cipher):
    return cipher + struct.pack(">HHHB", spi, epoch, len(cipher) + 7, 2)


def ekt_full(ekt_key, srtp_key, ssrc, roc, spi, epoch):
    need(len(ekt_key) >= len(srtp_key), "section 6")
    return ekt_tail(spi, epoch, ekt_wrap(ekt_key, srtp_key, ssrc, roc))


def ekt_open(key, cipher):
    try:
        plain = keywrap.aes_key_unwrap_with_padding(key, cipher)
    except keywrap.InvalidUnwrap as e:
        raise Refused("unwrap") from e
    need(plain and len(plain) == 1 + plain[0] + 8, "unwrap")
    return plain[1:-8], *struct.unpack(">II", plain[-8:])


class Ekt:
    """ekt_process: section 4.3.2, read strictly (docs/ekt.md)."""

    def __init__(self, accept, sets):
        self.accept, self.sets = accept, {s[0]: s[1:] for s in sets}
        self.epochs, self.installed = {}, {}

    def take(self, p):
        """The packet without its field, or Refused."""
        need(len(p) >= 2 and p[0] >> 6 == 2, "rtp")
        if 192 <= p[1] <= 223:
            return p
        need(len(p) >= 12, "rtp")
        if p[-1] == 0:
            head_len(p[:-1])
            return p[:-1]
        need(p[-1] != 1 and len(p) >= 15, "type")
        size = struct.unpack(">H", p[-3:-1])[0]
        need(4 <= size <= len(p) - 12, "length")
        rest, field = p[:-size], p[-size:]
        head_len(rest)
        if p[-1] == 2:
            self.full(ssrc_of(p), field)
        return rest

    def full(self, ssrc, field):
        cipher = field[:-7]
        need(len(cipher) >= 16 and len(cipher) % 8 == 0, "length")
        spi, epoch = struct.unpack(">HH", field[-7:-3])
        need(spi in self.sets, "spi")
        ekt_key, salt = self.sets[spi]
        key, inside, roc = ekt_open(ekt_key, cipher)
        if inside != ssrc:
            return
        need(len(key) in self.accept, "keylen")
        if epoch <= self.epochs.get((spi, ssrc), -1):
            return
        self.epochs[spi, ssrc] = epoch
        self.installed[ssrc] = (key, salt[:SALT], roc)


def ekt_key_parse(body):
    out, at = [], 0
    for _ in range(2):
        need(len(body) >= at + 2, "short")
        n = struct.unpack_from(">H", body, at)[0]
        need(1 <= n <= 256 and len(body) >= at + 2 + n, "length")
        out.append(body[at + 2:at + 2 + n])
        at += 2 + n
    need(len(body) == at + 5, "length")
    spi, hi, lo = struct.unpack_from(">HBH", body, at)
    ttl = hi << 16 | lo
    need(len(out[0]) in (16, 32) and len(out[1]) >= SALT and ttl, "length")
    return {"key": out[0], "salt": out[1][:SALT], "spi": spi, "ttl": ttl}


PROFILES = {7: (16, 12), 8: (32, 12), 9: (32, 24), 10: (64, 24)}


def dtls_split(profile, material):
    need(profile in PROFILES, "profile")
    k, s = PROFILES[profile]
    need(len(material) == 2 * (k + s), "length")
    return {"client_key": material[:k], "server_key": material[k:2 * k],
            "client_salt": material[2 * k:2 * k + s],
            "server_salt": material[2 * k + s:]}


# The Encryption-Key header, docs/http-key.md, by the grammar of RFC 9110

TCHAR = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t !-~\x80-\xff])*"'
PARAM = re.compile(rf"({TCHAR})=({TCHAR}|{QUOTED})")
WANTED = ("keyid", "key", "cipher", "spi", "salt", "ttl", "profile")
B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def b64url(text):
    need(len(text) % 4 != 1 and all(c in B64 for c in text), "base64")
    bits = "".join(f"{B64.index(c):06b}" for c in text)
    n = len(bits) // 8
    need("1" not in bits[n * 8:], "base64")
    return bytes(int(bits[8 * i:8 * i + 8], 2) for i in range(n))


def number(text, low, high):
    need(re.fullmatch("0|[1-9][0-9]{0,8}", text), "number")
    need(low <= int(text) <= high, "number")
    return int(text)


def groups(value):
    """The list of groups, each a dict of its parameters."""
    at, group = 0, {}
    while True:
        at += len(re.match(r"[ \t]*", value[at:])[0])
        m = PARAM.match(value, at)
        if m:
            name, text = m[1].lower(), m[2]
            if text[0] == '"':
                text = re.sub(r"\\(.)", r"\1", text[1:-1])
            need(name not in group, "repeated")
            group[name] = text
            at = m.end()
            at += len(re.match(r"[ \t]*", value[at:])[0])
        if at == len(value) or value[at] == ",":
            if group:
                yield group
            group = {}
            if at == len(value):
                return
        else:
            need(value[at] == ";", "syntax")
        at += 1


def ekt_group(g):
    need(all(n in g for n in WANTED) and "dh" not in g, "missing")
    need(re.fullmatch(r"[A-Za-z0-9._~-]{1,64}", g["keyid"]), "keyid")
    need(g["cipher"] in ("AESKW128", "AESKW256"), "cipher")
    need(g["profile"] in ("0009", "000A"), "profile")
    need(g.get("mode", "sendrecv") in ("sendrecv", "recvonly"), "mode")
    key, salt = b64url(g["key"]), b64url(g["salt"])
    need(len(key) == (16 if g["cipher"] == "AESKW128" else 32), "key")
    need(len(salt) == SALT, "salt")
    need(g["profile"] == "0009" or len(key) == 32, "profile")
    return {"keyid": g["keyid"], "usage": "EKT", "key": key.hex(),
            "cipher": g["cipher"], "spi": number(g["spi"], 0, 65535),
            "salt": salt.hex(), "ttl": number(g["ttl"], 1, 0xffffff),
            "profile": g["profile"]}


def encryption_key_parse(value):
    found = list(groups(value))
    keys = [ekt_group(g) for g in found if g.get("usage") == "EKT"]
    need(keys or all("usage" in g for g in found), "usage")
    for name in ("keyid", "spi"):
        need(len({k[name] for k in keys}) == len(keys), "twice")
    return {"keys": keys}
