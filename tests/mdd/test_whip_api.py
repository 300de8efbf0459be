#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# POST, PATCH, DELETE and OPTIONS of WHIP (RFC 9725) on a running perch-mdd, by
# a client that has a pen and no media: every refusal says what to do.
import http.client
import json
import os
import pathlib
import socket
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools"), str(HERE.parent / "e2e")]
import jose
import plain
import tap
import test_start
import whip
import world

FP = ":".join(["AB"] * 32)
FRAG = "application/trickle-ice-sdpfrag"
OFFER = "\r\n".join([
    "v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
    "a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22,
    "a=fingerprint:sha-256 " + FP, "a=setup:actpass",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=mid:0",
    "a=rtcp-mux", "a=sendrecv", "a=rtpmap:111 opus/48000/2",
    "a=ssrc:1234 cname:x", ""])


def value(sdp, name):
    return next(x for x in sdp.splitlines()
                if x.startswith(name)).split(":", 1)[1]


def refusals(mdd):
    good = mdd.token_for(OFFER)
    for what, offer, token, type, want in [
            ("no token", OFFER, None, whip.SDP, (401, "token_missing")),
            ("a bad token", OFFER, "x.y.z", whip.SDP, (401, "token_invalid")),
            ("JSON", "{}", good, "application/json", (415, "media_type")),
            ("no SDP", "hello", good, whip.SDP, (400, "sdp_malformed")),
            ("another certificate", OFFER.replace("AB:", "AC:", 1), good,
             whip.SDP, (403, "fingerprint_not_in_token")),
            ("another SSRC", OFFER.replace("1234", "1235"), good, whip.SDP,
             (403, "ssrc_not_in_token")),
            ("no rtcp-mux", OFFER.replace("a=rtcp-mux\r\n", ""), good,
             whip.SDP, (422, "sdp_no_media")),
            ("ICE-lite on both sides", OFFER.replace("a=setup", "a=ice-lite"
             "\r\na=setup"), good, whip.SDP, (422, "sdp_no_ice")),
            ("DTLS server on both sides", OFFER.replace("actpass", "passive"),
             good, whip.SDP, (422, "sdp_dtls_role"))]:
        status, head, text = mdd.whip("POST", "/v1/whip", token, offer, type)
        tap.ok((status, whip.problem(text)) == want and
               head["Access-Control-Allow-Origin"] == "*",
               f"{what}: {want[0]} {want[1]}", status, text)
    status, _, text = mdd.whip("POST", "/v1/whip", good,
                               OFFER + "a=" + "x" * 40000, whip.SDP)
    tap.ok(status == 413, "40 KB: 413", status, text)
    for method, path in [("GET", "/v1/whip"), ("PUT", "/v1/whip/l_x"),
                         ("GET", "/v1/whip/l_x")]:
        status, head, _ = mdd.whip(method, path)
        tap.ok(status == 405 and "OPTIONS" in head["Allow"],
               f"{method} {path}: 405", status)


def preflight(mdd):
    for path, method, accept in [("/v1/whip", "POST", "Accept-Post"),
                                 ("/v1/whip/l_x", "PATCH", "Accept-Patch")]:
        status, head, _ = mdd.whip("OPTIONS", path)
        tap.ok(status == 204 and head["Access-Control-Allow-Origin"] == "*" and
               method in head["Access-Control-Allow-Methods"] and
               "Authorization" in head["Access-Control-Allow-Headers"] and
               head[accept], f"OPTIONS {path}", status, dict(head))


def check(answer, host, family):
    """A STUN check as the answer says; true when it is answered well."""
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        port = int(value(answer, "a=candidate").split(" ")[5])
        s.sendto(plain.stun(plain.BINDING, os.urandom(12), [
            (0x0006, f"{value(answer, 'a=ice-ufrag')}:abcd".encode()),
            (0x0024, struct.pack(">I", 1)), (0x802a, os.urandom(8))],
            value(answer, "a=ice-pwd").encode()), (host, port))
        try:
            return s.recv(600)[:2] == b"\x01\x01"
        except TimeoutError:
            return False


def neighbours(mdd):
    """Who knows packets by their SSRC alone is told whose are there."""
    known = OFFER.replace("1234", "99")
    mid = known.replace("a=rtpmap", "a=extmap:4 urn:ietf:params:rtp-hdrext:"
                        "sdes:mid\r\na=rtpmap")
    for what, offer, told in (("without MID", known, True),
                              ("with MID", mid, False)):
        token = mdd.token_for(offer, member="m_n")
        status, head, answer = mdd.whip("POST", "/v1/whip", token, offer,
                                        whip.SDP)
        tap.ok(status == 201 and ("a=ssrc:1234 cname:" in answer) == told and
               "a=ssrc:99" not in answer, f"{what}: the others' SSRCs are "
               f"{'' if told else 'not '}in the answer", answer)
        mdd.whip("DELETE", head["Location"], token)


def session(mdd):
    token = mdd.token_for(OFFER)
    status, head, answer = mdd.whip("POST", "/v1/whip", token, OFFER, whip.SDP)
    at, etag = head["Location"], head["ETag"]
    tap.ok(status == 201 and head["Content-Type"] == whip.SDP and
           at.startswith("/v1/whip/l_") and etag.startswith('"'),
           "201 with Location and ETag", status, dict(head), answer)
    tap.ok("a=ice-lite" in answer and "a=setup:passive" in answer and
           "SAVPF 111\r\n" in answer, "the answer", answer)
    for host, family in (("127.0.0.1", socket.AF_INET),
                         ("::1", socket.AF_INET6)):
        tap.ok(f" {host} " in answer and check(answer, host, family),
               f"its candidate {host} answers", answer)
    neighbours(mdd)
    other = mdd.token_for(OFFER, member="m_b")
    for method in ("PATCH", "DELETE"):
        status, _, text = mdd.whip(method, at, other, "x", FRAG)
        tap.ok((status, whip.problem(text)) == (404, "leg_unknown"),
               f"{method} with another member's token: 404", status)
    status, _, text = mdd.whip("POST", "/v1/whip", other, OFFER, whip.SDP)
    tap.ok((status, whip.problem(text)) == (409, "ssrc_taken"),
           "his SSRC is taken", status, text)

    frag = "a=ice-ufrag:abcd\r\na=ice-pwd:" + "p" * 22 + "\r\n"
    for what, body, more, want in [
            ("no If-Match", frag, {}, 428), ("an old one", frag,
             {"If_Match": '"i_old"'}, 412),
            ("candidates", frag + "m=audio 9 X 0\r\na=mid:0\r\n"
             "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n",
             {"If_Match": etag}, 204),
            ("nonsense", "x", {"If_Match": etag}, 400)]:
        status, _, text = mdd.whip("PATCH", at, token, body, FRAG, **more)
        tap.ok(status == want, f"PATCH, {what}: {want}", status, text)
    status, _, text = mdd.whip("PATCH", at, token, frag, whip.SDP)
    tap.ok(status == 415, "PATCH of another type: 415", status, text)
    status, head, text = mdd.whip("PATCH", at, token,
                                  frag.replace("abcd", "wxyz"), FRAG,
                                  If_Match="*")
    tap.ok(status == 200 and head["ETag"] not in (None, etag) and
           value(text, "a=ice-pwd") != value(answer, "a=ice-pwd"),
           "ICE restart: 200, another ETag, other credentials", status, text)
    tap.ok(check(text, "127.0.0.1", socket.AF_INET) and
           not check_old(answer), "the new ones count, the old do not", text)

    status, _, text = mdd.ask("PUT", at.replace("whip", "join"),
                              token) + (None,)
    tap.ok(status == 200, "PUT /v1/join/{leg} renews it", status, text)
    status, head, _ = mdd.whip("DELETE", at, token)
    tap.ok(status == 200 and head["Access-Control-Allow-Origin"] == "*",
           "DELETE: 200", status)
    world.wait_for(lambda: mdd.whip("DELETE", at, token)[0] == 404, 5,
                   say="the leg's end")
    tap.ok(True, "and it is gone")


def tries(mdd):
    """A thief of the token elsewhere ends tries of his own, not the owner's."""
    offer = OFFER.replace("1234", "77")
    token = mdd.token_for(offer, member="m_t")
    _, head, _ = mdd.whip("POST", "/v1/whip", token, offer, whip.SDP)
    for _ in range(3):
        c = http.client.HTTPSConnection(
            "localhost", mdd.port, timeout=10, context=world.tls(mdd.cert),
            source_address=("127.0.0.2", 0))
        c.request("POST", "/v1/whip", offer, {
            "Authorization": "Bearer " + token, "Content-Type": whip.SDP})
        a = c.getresponse()
        text = a.read()
        c.close()
        tap.ok(a.status == 201, "the thief's try", a.status, text)
    status, _, text = mdd.whip("DELETE", head["Location"], token)
    tap.ok(status == 200, "the owner's is still there", status, text)


def check_old(answer):
    return check(answer, "127.0.0.1", socket.AF_INET)


def over6(mdd, key):
    """The join API at ::1, by somebody who has no other family."""
    def ask(method, path, token, body):
        c = http.client.HTTPSConnection("localhost", mdd.port, timeout=10,
                                        context=world.tls(mdd.cert))
        raw = socket.create_connection(("::1", mdd.port), 10)
        c.sock = world.tls(mdd.cert).wrap_socket(
            raw, server_hostname="localhost")
        c.request(method, path, body, {"Authorization": "Bearer " + token})
        a = c.getresponse()
        text = a.read().decode()
        c.close()
        return a.status, text
    body = json.dumps({"ufrag": "mine", "pwd": "x" * 24})
    status, text = ask("POST", "/v1/join", mdd.token(key), body)
    leg = json.loads(text)
    tap.ok(status == 201 and leg["host6"] == "::1",
           "listen = [::1]: a join", status, text)
    status, text = ask("PUT", f"/v1/join/{json.loads(text)['leg']}",
                       mdd.token(key), None)
    tap.ok(status == 200, "and its renewal", status, text)
    try:
        socket.create_connection(("127.0.0.1", mdd.port), 2).close()
        tap.ok(False, "and nowhere else")
    except OSError:
        tap.ok(True, "and nowhere else")


def main():
    key = jose.Key()
    with world.World("perch-whip-") as w:
        mdd = whip.Mdd(w, key)
        mdd.spawn("perch-mdd-off", workers=1)
        status, _, text = mdd.whip("POST", "/v1/whip", mdd.token_for(OFFER),
                                   OFFER, whip.SDP)
        tap.ok((status, whip.problem(text)) == (404, "whip_off"),
               "off by default: 404 that says so", status, text)
        mdd.proc.stop()
        mdd.spawn(workers=1, whip="yes", media_host6="::1")
        refusals(mdd)
        preflight(mdd)
        session(mdd)
        tries(mdd)
        mdd.proc.stop()
        mdd.spawn("perch-mdd-6", workers=1, media_host6="::1",
                  listen=f"[::1]:{mdd.port}")
        over6(mdd, key)
        mdd.proc.stop()
        for more in ({"media_host6": "127.0.0.1"}, {"media_host6": "::"},
                     {"media_host6": "::1", "media_host": "::1"},
                     {"media_host6": "::1", "media_listen": "127.0.0.1"}):
            code, said = mdd.run("check-config", **more)
            tap.ok(code == 1 and "media_" in said, f"{more} is refused", said)


if __name__ == "__main__":
    tap.whole(main)
