#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Three people with sound and picture, and GStreamer as everybody's program:
# VP8 and H.264 in one conference, RTCP feedback both ways. Encoders make one
# key frame, at their start, and no other unless asked: who comes later sees
# something only because the request finds its way through agents and MDD.
import pathlib
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import meeting                                              # noqa: E402
from people import state                                    # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import vlc                                                  # noqa: E402
import world                                                # noqa: E402

ELEMENTS = ("vp8enc", "vp8dec", "x264enc", "avdec_h264", "opusenc", "opusdec",
            "rtpbin", "rtph264pay", "videotestsrc")
NEVER = 100000      # frames between key frames
VIDEO = {           # payload type, encoder, payloader, decoder
    "VP8": (96, f"vp8enc deadline=1 cpu-used=8 keyframe-max-dist={NEVER} "
                "target-bitrate=200000 error-resilient=default ! "
                "rtpvp8pay mtu=1100", "rtpvp8depay ! vp8dec"),
    "H264": (97, f"x264enc tune=zerolatency speed-preset=ultrafast "
                 f"key-int-max={NEVER} bitrate=200 ! "
                 "rtph264pay config-interval=-1 mtu=1100",
             "rtph264depay ! avdec_h264"),
}


def missing():
    if not shutil.which("gst-launch-1.0"):
        return "gst-launch-1.0"
    for e in ELEMENTS:
        if subprocess.run(["gst-inspect-1.0", "--exists", e]).returncode:
            return "GStreamer's " + e
    return None


def pair():
    """Two UDP ports that are free, one above the other."""
    while True:
        port = world.free_udp()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                continue


class Person:
    """An agent, and GStreamer beside it."""

    def __init__(self, w, name, kmf, mdd, codec, pattern):
        self.w, self.name, self.codec, self.pattern = w, name, codec, pattern
        self.agent = stack.Agent(w, name, None, kmf, mdd).start()
        self.procs, self.since = {}, {}

    def launch(self, what, pipeline):
        p = self.procs[what] = self.w.spawn(
            f"{self.name}-{what}", ["gst-launch-1.0", "-e", "-m", "-q"] +
            pipeline.split(), env=dict(self.agent.env,
                                       GST_REGISTRY=str(self.w.dir / "gst")))
        return p

    def join(self, uri, code):
        self.agent.perch("join", uri, "--code", code)

    def send(self):
        ins = {i["media"]: i for i in state(self.agent)["in"]}
        a, v = ins["audio"], ins["video"]
        pt, encoder, _ = VIDEO[self.codec]
        own = pair()    # RTP leaves from the first, RTCP comes to the second
        self.launch("send", f"""
            rtpbin name=b rtp-profile=avpf
            videotestsrc is-live=true pattern={self.pattern} !
              video/x-raw,width=160,height=120,framerate=15/1 ! {encoder}
              pt={pt} ! b.send_rtp_sink_0
            b.send_rtp_src_0 ! udpsink host=127.0.0.1 port={v['port']}
              bind-address=127.0.0.1 bind-port={own} sync=false async=false
            b.send_rtcp_src_0 ! udpsink host=127.0.0.1 sync=false async=false
              port={v['rtcp_port']}
            udpsrc address=127.0.0.1 port={own + 1} ! b.recv_rtcp_sink_0
            audiotestsrc is-live=true freq={300 + 100 * len(self.name)} !
              audioconvert ! audioresample ! opusenc ! rtpopuspay pt={a['pt']}
              ! udpsink host=127.0.0.1 port={a['port']} async=false""")

    def out(self, name, media):
        return next((s for s in state(self.agent).get("out", [])
                     if s["name"] == name and s["media"] == media), None)

    def hear(self, other):
        """Picture and sound of that one, into files of raw samples."""
        self.since[other.name] = time.monotonic()
        for media in ("video", "audio"):
            s = world.wait_for(lambda: self.out(other.name, media), 10,
                               say=f"{other.name}'s {media} at {self.name}")
            to = self.file(other, media)
            if media == "video":
                pt, _, decoder = VIDEO[other.codec]
                caps = (f"application/x-rtp,media=video,clock-rate=90000,"
                        f"payload={pt},encoding-name={other.codec},"
                        "rtcp-fb-nack-pli=true,rtcp-fb-nack=true")
                rest = (f"{decoder} ! videoconvert ! video/x-raw,format=GRAY8,"
                        f"width=160,height=120 ! filesink location={to} "
                        "sync=false async=false")
            else:
                caps = ("application/x-rtp,media=audio,clock-rate=48000,"
                        f"payload={s['pt']},encoding-name=OPUS")
                rest = ("rtpopusdepay ! opusdec ! audioconvert ! audio/x-raw,"
                        f"format=S16LE,channels=1 ! filesink location={to} "
                        "sync=false async=false")
            self.launch(f"{media}-of-{other.name}", f"""
                rtpbin name=b rtp-profile=avpf do-retransmission=false
                udpsrc address=127.0.0.1 port={s['port']} caps={caps} !
                  b.recv_rtp_sink_0
                udpsrc address=127.0.0.1 port={s['rtcp_port']} !
                  b.recv_rtcp_sink_0
                b. ! {rest}
                b.send_rtcp_src_0 ! udpsink host=127.0.0.1 port={s['rtcp_to']}
                  sync=false async=false""")

    def file(self, other, media):
        return self.w.dir / f"{self.name}-{media}-of-{other.name}"

    def frames(self, other):
        f = self.file(other, "video")
        return f.stat().st_size // (160 * 120) if f.exists() else 0

    def loud(self, other):
        """Seconds of sound that is not silence."""
        f = self.file(other, "audio")
        data = f.read_bytes() if f.exists() else b""
        data = memoryview(data[:len(data) // 2 * 2]).cast("h")
        return sum(1 for i in range(0, len(data) - 480, 480)
                   if max(data[i:i + 480]) > 1000) / 100

    def last_frame(self, other):
        data = self.file(other, "video").read_bytes()
        n = len(data) // (160 * 120)
        return data[(n - 1) * 160 * 120:n * 160 * 120]

    def brightness(self, other):
        frame = self.last_frame(other)
        return sum(frame) / len(frame)


class Picture(meeting.Meeting):
    def __init__(self, w):
        super().__init__(w, "Pictures")
        # what each shows is told apart by its brightness
        self.people = [Person(w, n, self.kmf, self.mdd, c, p)
                       for n, c, p in (("Alice", "VP8", "white"),
                                       ("Bob", "H264", "black"),
                                       ("Carol", "VP8", "smpte"))]

    def come(self, p, others):
        p.join(self.conf["uri"], self.code(p.name))
        for o in others:
            p.hear(o)
        p.send()

    def run(self):
        alice, bob, carol = self.people
        alice.join(self.conf["uri"], self.code("Alice"))
        alice.send()
        time.sleep(2)       # her only key frame of her own is long gone
        self.come(bob, [alice])
        alice.hear(bob)
        self.seen(bob, alice, "the second sees the first: VP8, by a key frame "
                  "asked for")
        self.seen(alice, bob, "the first sees the second: H.264")
        time.sleep(2)
        for p in (alice, bob):
            p.before = self.unopened(p)
        self.come(carol, [alice, bob])
        for p in (alice, bob):
            p.hear(carol)
        for p, o in ((carol, alice), (carol, bob), (alice, carol),
                     (bob, carol)):
            self.seen(p, o, f"{p.name} sees {o.name}: {o.codec}")
        for p in self.people:
            for o in self.people:
                if o is not p:
                    self.heard(p, o)
        self.who_is_who()
        self.sdp()
        self.vlc()
        self.feedback()

    def seen(self, p, other, what):
        try:
            world.wait_for(lambda: p.frames(other) >= 10, 15, say="a picture")
            took = time.monotonic() - p.since[other.name]
        except world.Broken:
            took = None
        tap.ok(took is not None, what + (f" ({took:.1f} s)" if took else ""),
               p.frames(other), *(
                   (q.name, state(q.agent)["vault"]["counters"],
                    state(q.agent)["leg"]) for q in (p, other)))

    def heard(self, p, other):
        try:
            world.wait_for(lambda: p.loud(other) > 1, 10, say="sound")
        except world.Broken:
            pass
        tap.ok(p.loud(other) > 1, f"{p.name} hears {other.name}",
               p.loud(other))

    def who_is_who(self):
        alice, bob, carol = self.people
        got = [carol.brightness(alice), carol.brightness(bob)]
        tap.ok(got[0] > 200 and got[1] < 60,
               "each picture is its sender's: white and black", got)

    def sdp(self):
        _, bob, carol = self.people
        s = carol.out("Bob", "video")
        text = pathlib.Path(s["sdp"]).read_text()
        tap.ok(s["pt"] == 97 and "a=rtpmap:97 H264/90000" in text and
               "packetization-mode=1" in text,
               "the SDP file says what really comes", text)
        if not shutil.which("ffmpeg"):
            tap.skip("ffmpeg opens the same file", "no ffmpeg here")
            return
        carol.procs["video-of-Bob"].stop()  # the port is for one program
        r = self.w.run(["ffmpeg", "-v", "error", "-protocol_whitelist",
                        "file,udp,rtp", "-i", s["sdp"], "-an", "-frames:v",
                        "5", "-pix_fmt", "gray", "-f", "rawvideo", "-"],
                       check=False, seconds=40)
        tap.ok(r.returncode == 0 and len(r.stdout) >= 5 * 160 * 120,
               "ffmpeg opens the same file and sees, though it asks for no "
               "key frame", r.returncode, len(r.stdout), r.stderr[-500:])

    def vlc(self):
        """Given the file and nothing else, VLC sees and hears Alice; and Bob
        by the SDP file, where it has live555."""
        lack = vlc.missing()
        if lack:
            tap.skip("VLC opens the media link", f"no {lack} here")
            return
        alice, _, carol = self.people
        kind, what = (("sdp", "SDP file") if vlc.live555() else
                      ("vlc", "media link"))
        seen, heard = None, None
        for media in ("video", "audio"):
            carol.procs[f"{media}-of-Alice"].stop()
        sees, hears = (vlc.Vlc(self.w, m, carol.out("Alice", m)[kind])
                       for m in ("video", "audio"))
        try:
            world.wait_for(lambda: len(sees.pictures()) > 2, 40, say="VLC")
            seen = sees.brightness()
            world.wait_for(lambda: hears.loud() > 50, 40, say="VLC")
            heard = True
        except world.Broken:
            pass
        tap.ok(isinstance(seen, int) and seen > 200,
               f"VLC opens the {what} by itself and sees Alice: VP8", seen,
               sees.proc.text()[-1500:])
        tap.ok(heard, "and hears her: Opus", hears.loud(),
               hears.proc.text()[-1500:])
        for v in (sees, hears):
            v.proc.stop()
        if kind == "sdp":
            self.vlc_h264(carol)

    def vlc_h264(self, carol):
        v = vlc.Vlc(self.w, "h264", carol.out("Bob", "video")["sdp"])
        seen = None
        try:
            world.wait_for(lambda: len(v.pictures()) > 2, 40, say="VLC")
            seen = v.brightness()
        except world.Broken:
            pass
        tap.ok(isinstance(seen, int) and seen < 60, "and sees Bob: H.264",
               seen, v.proc.text()[-1500:])
        v.proc.stop()

    def feedback(self):
        alice = self.people[0]
        c = state(alice.agent)["vault"]["counters"]
        tap.ok(c["key_frames"] >= 2 and c["rtcp_out"] > 0 and c["rtcp_in"] > 0,
               "RTCP goes both ways: sender reports, and key frames asked for",
               c)
        # a newcomer hears the last packets of the epoch before, in vain
        for p in self.people[:2]:
            c = self.unopened(p)
            tap.ok(c == p.before, f"nothing was undecryptable at {p.name}, who"
                   " stayed", p.before, c)

    @staticmethod
    def unopened(p):
        c = state(p.agent)["vault"]["counters"]
        return [c[n] for n in ("inner_auth_failed", "no_key", "pt_refused")]


lack = missing()
if lack:
    tap.skip("three people with sound and picture", f"no {lack} here")
    tap.done()
with world.World("perch-gst-") as w:
    Picture(w).run()
tap.done()
