// SPDX-License-Identifier: Apache-2.0
// A WebRTC endpoint of another make (werift, TypeScript all the way down to
// DTLS and SRTP): prints its offer, takes the answer, sends Opus-like packets,
// and says once in a while what it got.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters,
    RtpHeader, RtpPacket } =
    createRequire(process.argv[2] + "/x.js")("werift");

const say = o => process.stdout.write(JSON.stringify(o) + "\n");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const pc = new RTCPeerConnection({
    iceServers: [],
    codecs: { audio: [new RTCRtpCodecParameters({
        mimeType: "audio/opus", clockRate: 48000, channels: 2,
        payloadType: 97 })], video: [] },
});
const track = new MediaStreamTrack({ kind: "audio" });
const got = {};
pc.ontrack = e => e.track.onReceiveRtp.subscribe(p => {
    const s = got[p.header.ssrc] ||= { packets: 0, pt: p.header.payloadType };
    s.packets++;
});
const sender = pc.addTransceiver(track, { direction: "sendrecv" });
await pc.setLocalDescription(await pc.createOffer());
say({ offer: pc.localDescription.sdp });
await pc.setRemoteDescription(
    { type: "answer", sdp: JSON.parse((await lines.next()).value).answer });

let seq = 100;
setInterval(() => {
    if (pc.connectionState !== "connected")
        return;
    track.writeRtp(new RtpPacket(new RtpHeader({
        payloadType: 97, sequenceNumber: seq & 0xffff, timestamp: seq * 960,
        ssrc: 1, marker: false }), Buffer.from("78fffe", "hex")));
    seq++;
}, 20);
setInterval(() => say({ state: pc.connectionState, sent: seq - 100, got }),
    300);
