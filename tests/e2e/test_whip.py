#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# WebRTC endpoints that nobody here wrote meet at perch-mdd: Chromium with
# Chromium, Chromium with werift, `openssl s_client`; and those who offer no
# AEAD profile (aiortc, s_client with the old one) are told so.
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools"), str(HERE.parent / "mdd")]
import chromium
import jose
import media
import plain
import tap
import test_whip_api as pen
import whip
import world

ALL = {"inbound-rtp-audio": "packetsReceived",
       "inbound-rtp-video": "framesDecoded"}


def grows(page, what, field, by, seconds=15):
    """Does that count grow by so much from now on?"""
    start = page.count(what, field)
    try:
        world.wait_for(lambda: page.count(what, field) >= start + by, seconds,
                       0.3, say=f"{by} {field}")
        return True
    except world.Broken:
        return False


def secured(page):
    t = page.stats()["transport"]
    return (t["srtpCipher"].startswith("SRTP_AEAD_AES_") or
            t["srtpCipher"].startswith("AEAD_AES_")) and \
        t["dtlsState"] == "connected"


def two_browsers(w, mdd):
    pages = [whip.Page(chromium.Chromium(w, mdd.cert), mdd, hz=hz)
             for hz in (440, 660)]
    for name, p in zip(("m_a", "m_b"), pages):
        a = p.join(name, "c_two")
        tap.ok(a["status"] == 201 and a["location"] and a["etag"],
               f"Chromium {name}: a page gets answer, Location and ETag", a)
    for name, p in zip(("m_a", "m_b"), pages):
        for what, field in ALL.items():
            tap.ok(grows(p, what, field, 30),
                   f"Chromium {name}: {field} of {what}", p.stats())
        tap.ok(secured(p), f"Chromium {name}: an AEAD profile",
               p.stats()["transport"])
        lost = p.count("inbound-rtp-audio", "packetsLost") + \
            p.count("inbound-rtp-video", "packetsLost")
        tap.ok(lost == 0, f"Chromium {name}: nothing was lost", lost)
    tap.ok(all("a=rtcp-fb:96 transport-cc" in p.answer["text"]
               for p in pages) and
           mdd.metric("perch_mdd_feedback_total") > 20 and
           mdd.metric("perch_mdd_leg_estimate_kbps") > 0,
           "they report arrivals, and congestion control hears it",
           mdd.metric("perch_mdd_feedback_total"))
    # a page reports by its own SSRC or by 1, and its sender is told
    world.wait_for(lambda: pages[0].stats().get("rr-video"), 10,
                   say="a report")
    tap.ok(mdd.metric("perch_mdd_dropped_total", 'reason="ssrc"') == 0,
           "no RTCP of theirs is taken for a stranger's")
    other_room(w, mdd)
    restarted(pages[0], mdd)
    status, _, _ = mdd.whip("DELETE", pages[1].answer["location"],
                            pages[1].token)
    tap.ok(status == 200 and not grows(pages[0], "inbound-rtp-audio",
                                       "packetsReceived", 30, 2),
           "after DELETE nothing comes any more", status)
    for p in pages:
        p.b.close()
        w.closers.remove(p.b.close)


def offer_of(w, cert, **words):
    """The offer of a pen, with that certificate."""
    out = w.run(["openssl", "x509", "-in", cert, "-noout", "-fingerprint",
                 "-sha256"]).stdout.strip().split("=")[1]
    text = pen.OFFER.replace(pen.FP, out)
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def other_room(w, mdd):
    """Who joined the same conference by JSON is somewhere else."""
    cert, key = w.certificate("double")
    leg = plain.Leg(str(cert), str(key), w.logs / "double.log")
    token = mdd.token_for(offer_of(w, cert), "c_two", "m_c")
    status, text = mdd.ask("POST", "/v1/join", token, json.dumps(
        {"ufrag": leg.ufrag, "pwd": leg.pwd}).encode())
    leg.connect(json.loads(text))
    time.sleep(2)
    heard = [p for p in leg.packets if not 192 <= p.data[1] <= 223]
    tap.ok(status == 201 and leg.material and not heard and
           mdd.metric("perch_mdd_conferences") == 2,
           "a leg of Double in that conference hears none of it", heard[:2])
    leg.stop()


RESTART = """
    await pc.setLocalDescription(await pc.createOffer({iceRestart: true}));
    const sdp = pc.localDescription.sdp;
    const pick = n => sdp.split('\\r\\n').find(l => l.startsWith(n)) + '\\r\\n';
    const a = await fetch(url + at, {method: 'PATCH',
        body: pick('a=ice-ufrag') + pick('a=ice-pwd'),
        headers: {'Content-Type': 'application/trickle-ice-sdpfrag',
                  'If-Match': '*', 'Authorization': 'Bearer ' + token}});
    const frag = await a.text();
    if (a.status !== 200)
        return frag;
    const of = (t, n) => t.split('\\r\\n').find(l => l.startsWith(n));
    let next = answer;
    for (const n of ['a=ice-ufrag', 'a=ice-pwd'])
        next = next.replaceAll(of(answer, n), of(frag, n));
    await pc.setRemoteDescription({type: 'answer', sdp: next});
    return '';
"""


def restarted(page, mdd):
    why = page.b.run(RESTART, url=mdd.url, at=page.answer["location"],
                     token=page.token, answer=page.answer["text"])
    tap.ok(why == "", "Chromium: ICE restart by PATCH", why)
    tap.ok(grows(page, "inbound-rtp-audio", "packetsReceived", 50) and
           page.stats()["ice"] in ("connected", "completed"),
           "and media goes on", page.stats())


def werift(w, mdd):
    where = os.environ.get("PERCH_WERIFT", "")
    if not shutil.which("node") or not os.path.isdir(where + "/node_modules"):
        tap.skip("werift", "no node, or no PERCH_WERIFT")
        return
    page = whip.Page(chromium.Chromium(w, mdd.cert), mdd, video=False, more=1)
    tap.ok(page.join("m_a", "c_other")["status"] == 201, "Chromium joins")
    p = subprocess.Popen(["node", HERE / "werift/peer.mjs", where], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=open(w.logs / "werift.log", "w"),
                         preexec_fn=media.die_with_parent)
    w.closers.append(p.kill)
    offer = json.loads(p.stdout.readline())["offer"]
    status, _, answer = mdd.whip(
        "POST", "/v1/whip", mdd.token_for(offer, "c_other", "m_b"), offer,
        whip.SDP)
    tap.ok(status == 201, "werift joins", status, answer)
    # It hears only SSRCs that its SDP names; they stand in the roster.
    answer += f"a=ssrc:{whip.ssrcs(page.offer)[0]} cname:chromium\r\n"
    p.stdin.write(json.dumps({"answer": answer}) + "\n")
    p.stdin.flush()
    end, last = time.monotonic() + 20, {}
    while time.monotonic() < end and sum(
            s["packets"] for s in last.get("got", {}).values()) < 50:
        last = json.loads(p.stdout.readline())
    got = last.get("got", {})
    tap.ok(list(got) == [str(whip.ssrcs(page.offer)[0])] and
           list(got.values())[0]["pt"] == 97,
           "werift hears Chromium, by its own payload type", last)
    tap.ok(grows(page, "inbound-rtp-audio", "packetsReceived", 50),
           "Chromium hears werift", page.stats())
    p.kill()
    page.b.close()
    w.closers.remove(page.b.close)


def s_client(w, mdd):
    """The same door, opened with a command that every Unix has."""
    cert, key = w.certificate("client")
    leg = plain.Leg(str(cert), str(key), w.logs / "s_client.log")
    offer = offer_of(w, cert, abcd=leg.ufrag)
    status, _, answer = mdd.whip("POST", "/v1/whip", mdd.token_for(
        offer, "c_cli"), offer, whip.SDP)
    tap.ok(status == 201, "s_client: 201", status, answer)
    join = {"host": "127.0.0.1",
            "port": int(pen.value(answer, "a=candidate").split(" ")[5]),
            "ufrag": pen.value(answer, "a=ice-ufrag"),
            "pwd": pen.value(answer, "a=ice-pwd")}
    leg.connect(join)
    tap.ok(leg.material and len(leg.material["tx_key"]) == 16,
           "s_client: SRTP_AEAD_AES_128_GCM has keys")
    leg.stop()
    refused(w, mdd, join, cert, key)


def refused(w, mdd, join, cert, key):
    """The old profile alone: an alert, a log line, a count."""
    before = mdd.metric("perch_mdd_dtls_no_profile_total")
    cert, key = w.certificate("old")
    leg = plain.Leg(str(cert), str(key), w.logs / "s_client_old.log")
    offer = offer_of(w, cert, **{"1234": "99"})
    _, _, answer = mdd.whip("POST", "/v1/whip", mdd.token_for(
        offer, "c_old"), offer, whip.SDP)
    join = {**join, "ufrag": pen.value(answer, "a=ice-ufrag"),
            "pwd": pen.value(answer, "a=ice-pwd")}
    try:
        leg.connect(join, 4, "SRTP_AES128_CM_SHA1_80")
        tap.ok(False, "s_client with AES-CM is refused")
    except world.Broken:
        text = open(leg.log).read()
        tap.ok("alert handshake failure" in text,
               "s_client with AES-CM: alert handshake_failure", text[:800])
    leg.stop()
    world.wait_for(lambda: mdd.metric("perch_mdd_dtls_no_profile_total") >
                   before, 5, say="the count")
    tap.ok("no AEAD profile offered" in mdd.proc.text(),
           "and the log says why")


AIORTC = """
import asyncio, json, sys
from aiortc import RTCPeerConnection, RTCSessionDescription
async def main():
    pc = RTCPeerConnection()
    pc.addTransceiver("audio")
    await pc.setLocalDescription(await pc.createOffer())
    print(json.dumps({"offer": pc.localDescription.sdp}), flush=True)
    answer = json.loads(await asyncio.to_thread(sys.stdin.readline))["answer"]
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    for _ in range(80):
        await asyncio.sleep(0.1)
        if pc.connectionState in ("failed", "closed", "connected"):
            break
    print(json.dumps({"state": pc.connectionState}), flush=True)
    await pc.close()
asyncio.run(main())
"""


def aiortc(w, mdd):
    """Debian's knows SRTP_AES128_CM_SHA1_80 alone."""
    if subprocess.run(["/usr/bin/python3", "-c", "import aiortc"],
                      capture_output=True).returncode:
        tap.skip("aiortc", "no python3-aiortc")
        return
    before = mdd.metric("perch_mdd_dtls_no_profile_total")
    p = subprocess.Popen(["/usr/bin/python3", "-c", AIORTC], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=open(w.logs / "aiortc.log", "w"),
                         preexec_fn=media.die_with_parent)
    w.closers.append(p.kill)
    offer = json.loads(p.stdout.readline())["offer"]
    status, _, answer = mdd.whip("POST", "/v1/whip", mdd.token_for(
        offer, "c_aio"), offer, whip.SDP)
    p.stdin.write(json.dumps({"answer": answer}) + "\n")
    p.stdin.flush()
    state = json.loads(p.stdout.readline() or '{"state": "?"}')["state"]
    tap.ok(status == 201 and state == "failed",
           "aiortc offers no AEAD profile, and fails", status, state)
    world.wait_for(lambda: mdd.metric("perch_mdd_dtls_no_profile_total") >
                   before, 5, say="the count")
    tap.ok(True, "which is counted")


def main():
    with world.World("perch-webrtc-") as w:
        mdd = whip.Mdd(w, jose.Key())
        mdd.spawn(workers=1, whip="yes", metrics_legs=20)
        if chromium.present():
            two_browsers(w, mdd)
            werift(w, mdd)
        else:
            tap.skip("Chromium", "there is none")
        s_client(w, mdd)
        aiortc(w, mdd)
        tap.ok("Sanitizer" not in mdd.proc.text(), "no sanitizer complained")
    tap.done()


if __name__ == "__main__":
    main()
