# SPDX-License-Identifier: Apache-2.0
# A WHIP client (RFC 9725) around whoever makes the offer: tokens for it, the
# POST, and a Chromium that sends tones and a moving picture.
import json
import time

import jose
import test_start

SDP = "application/sdp"


def fingerprint(offer):
    """The x5t#S256 that the token must have."""
    line = next(x for x in offer.splitlines()
                if x.lower().startswith("a=fingerprint:sha-256 "))
    return jose.b64u(bytes.fromhex(line.split(" ")[1].replace(":", "")))


def ssrcs(offer):
    """Its own, without those that repair others."""
    lines = offer.splitlines()
    repair = {x.split(" ")[2] for x in lines
              if x.startswith("a=ssrc-group:FID")}
    found = [x[7:].split(" ")[0] for x in lines if x.startswith("a=ssrc:")]
    return [int(s) for s in dict.fromkeys(found) if s not in repair]


class Mdd(test_start.Mdd):
    """With WHIP, and tokens as a KMF would write them for an offer."""

    def token_for(self, offer, conference="c_1", member="m_a", **claims):
        now = int(time.time())
        return self.key.sign(
            {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid}, {
                "iss": test_start.KMF, "aud": self.url, "sub": member,
                "scope": "join", "client_id": "a-page",
                "conference": conference, "ssrcs": ssrcs(offer) or [7],
                "cnf": {"x5t#S256": fingerprint(offer)}, "iat": now,
                "exp": now + 600, "jti": "j", **claims})

    def whip(self, method, path, token=None, body=None, type=None, **more):
        """Status, headers, body."""
        import urllib.error
        import urllib.request

        import world
        q = urllib.request.Request(self.url + path, method=method,
                                   data=body and body.encode())
        if token:
            q.add_header("Authorization", "Bearer " + token)
        if type:
            q.add_header("Content-Type", type)
        for name, value in more.items():
            q.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(
                    q, timeout=10, context=world.tls(self.cert)) as a:
                return a.status, a.headers, a.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.headers, e.read().decode()

    def metric(self, name, label=""):
        """Summed over the workers."""
        return sum(float(x.rsplit(" ", 1)[1])
                   for x in self.ask("GET", "/metrics")[1].splitlines()
                   if x.startswith(name + "{") and label in x)


def problem(text):
    return json.loads(text)["code"]


OFFER = """
    const cert = await RTCPeerConnection.generateCertificate(
        {name: 'ECDSA', namedCurve: 'P-256'});
    const pc = window.pc = new RTCPeerConnection({certificates: [cert]});
    window.tracks = [];
    pc.ontrack = e => {
        window.tracks.push(e.track.kind);
        const v = document.createElement(e.track.kind);
        v.srcObject = new MediaStream([e.track]);
        v.autoplay = true;
        v.muted = true;
        document.body.append(v);
    };
    if (audio) {
        const ac = window.ac = new AudioContext();
        const tone = ac.createOscillator();
        const out = ac.createMediaStreamDestination();
        tone.frequency.value = hz;
        tone.connect(out);
        tone.start();
        ac.resume();
        pc.addTransceiver(out.stream.getAudioTracks()[0],
                          {direction: 'sendrecv'});
    }
    if (video) {
        const c = document.createElement('canvas');
        c.width = 320;
        c.height = 240;
        document.body.append(c);
        const g = c.getContext('2d');
        let n = 0;
        setInterval(() => {
            g.fillStyle = `hsl(${n++ * 7 % 360} 80% 50%)`;
            g.fillRect(0, 0, 320, 240);
            g.fillStyle = 'black';
            g.fillRect(n * 3 % 300, 100, 40, 40);
        }, 66);
        pc.addTransceiver(c.captureStream(15).getVideoTracks()[0],
                          {direction: 'sendrecv'});
    }
    for (let i = 0; i < more; i++)
        pc.addTransceiver('audio', {direction: 'recvonly'});
    await pc.setLocalDescription();
    return pc.localDescription.sdp;
"""

POST = """
    const a = await fetch(url + '/v1/whip', {
        method: 'POST', body: window.pc.localDescription.sdp,
        headers: {'Content-Type': 'application/sdp',
                  'Authorization': 'Bearer ' + token}});
    let text = await a.text();
    if (a.status !== 201)
        return {status: a.status, text};
    if (via)
        text = text.replaceAll(` ${via[0]} typ host`, ` ${via[1]} typ host`);
    await window.pc.setRemoteDescription({type: 'answer', sdp: text});
    return {status: a.status, text, location: a.headers.get('Location'),
            etag: a.headers.get('ETag')};
"""

STATS = """
    const out = {state: window.pc.connectionState,
                 ice: window.pc.iceConnectionState};
    for (const s of (await window.pc.getStats()).values()) {
        if (s.type === 'inbound-rtp' || s.type === 'outbound-rtp')
            (out[s.type + '-' + s.kind] ||= []).push(s);
        if (s.type === 'transport')
            out.transport = s;
        if (s.type === 'remote-inbound-rtp')
            (out['rr-' + s.kind] ||= []).push(s);
    }
    return out;
"""


class Page:
    """A peer connection in a tab of a Chromium."""

    def __init__(self, browser, mdd, **how):
        self.b, self.mdd = browser, mdd
        self.how = {"audio": True, "video": True, "more": 0, "hz": 440, **how}
        browser.visit("about:blank")

    def join(self, member, conference="c_1", via=None):
        """via: the MDD's port and that of a relay before it."""
        self.offer = self.b.run(OFFER, **self.how)
        self.token = self.mdd.token_for(self.offer, conference, member)
        self.answer = self.b.run(POST, url=self.mdd.url, token=self.token,
                                 via=via)
        return self.answer

    def stats(self):
        return self.b.run(STATS)

    def count(self, what, field):
        """Summed over the streams of that kind."""
        return sum(s.get(field, 0) for s in self.stats().get(what, []))
