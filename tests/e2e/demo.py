#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The conversation of demo.sh, and its proofs. Everything goes through the real
# programs; what listens in does so from outside.
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import idp                                                  # noqa: E402
import jose                                                 # noqa: E402
import likeness                                             # noqa: E402
import media                                                # noqa: E402
import plain                                                # noqa: E402
import rest                                                 # noqa: E402
import sockets                                              # noqa: E402
import stack                                                # noqa: E402
import world                                                # noqa: E402

SPEECH = """Good morning. This is Alice, and I speak to a conference that
nobody but its members can hear. The server in the middle forwards my voice,
without any means to understand it. In a moment one of us will be sent away.
The key changes while I speak, and those who stay should not hear a gap.
Let us see whether that is so. Thank you all for listening."""
OTHER = """Here is the weather report. Rain in the morning, wind from the
west, later some sunshine over the hills, and temperatures that are rather
low for this time of the year, although no frost is expected near the coast.
The outlook for the weekend is a little better than it was."""
SAME = 0.80         # likeness of the same speech is above
OTHERS = 0.30       # and of another below
PASSWORD = "correct horse battery staple"
EVICT_AT = 8.0      # seconds into the speech

T0 = time.monotonic()


def tell(sentence):
    print(f"{time.monotonic() - T0:6.1f} s  {sentence}", flush=True)


class Proofs:
    def __init__(self):
        self.bad = 0

    def __call__(self, good, sentence):
        self.bad += not good
        print(f"          {'PROVED' if good else 'FAILED'}  {sentence}",
              flush=True)


def speech(w, name, text):
    wav = w.dir / f"{name}.wav"
    raw = w.dir / f"{name}.raw.wav"
    # its sound library leaves a directory in /tmp unless it has another
    env = dict(os.environ, XDG_RUNTIME_DIR=str(w.dir), HOME=str(w.dir))
    w.run(["espeak-ng", "-v", "en", "-s", "150", "-w", raw,
           " ".join(text.split())], env=env)
    w.run(["ffmpeg", "-v", "error", "-y", "-i", raw, "-ar", "48000", "-ac",
           "1", wav])
    raw.unlink()
    wav.chmod(0o644)
    return wav


class Recorder:
    """ffmpeg at somebody's ear: an SDP file in, a WAV file out."""

    def __init__(self, agent, sdp):
        self.wav = agent.dir / "heard.wav"
        self.log = agent.dir / "ffmpeg.log"
        self.port = int(re.search(r"m=audio (\d+)", sdp.read_text()).group(1))
        self.p = world.Proc(
            f"ffmpeg-{agent.name}",
            ["ffmpeg", "-y", "-loglevel", "warning", "-protocol_whitelist",
             "file,udp,rtp", "-analyzeduration", "0", "-probesize", "32",
             "-i", sdp, "-ar", "48000", "-ac", "1", self.wav],
            self.log, uid=agent.uid, env=agent.env)
        agent.w.procs.append(self.p)

    def stop(self):
        """SIGINT lets ffmpeg finish the file's header."""
        self.p.p.send_signal(signal.SIGINT)
        try:
            self.p.p.wait(5)
        except subprocess.TimeoutExpired:
            self.p.stop()
        return self.wav


def speak(agent, wav, port, pt):
    return world.Proc(
        "ffmpeg-speaks",
        ["ffmpeg", "-loglevel", "warning", "-re", "-i", wav, "-c:a",
         "libopus", "-b:a", "64k", "-application", "audio", "-frame_duration",
         "20", "-vbr", "off", "-payload_type", str(pt), "-f", "rtp",
         f"rtp://127.0.0.1:{port}?pkt_size=1200"],
        agent.dir / "speaks.log", uid=agent.uid, env=agent.env)


class Demo:
    def __init__(self, w, proofs):
        self.w, self.proved = w, proofs
        base = 61000
        root = os.geteuid() == 0
        self.uid = {n: base + i if root else None for i, n in enumerate(
            ("kmf", "mdd", "Alice", "Bob", "Carol"))}

    # --- the servers ---------------------------------------------------

    def servers(self):
        tell("Alice's words, and others to compare with, are spoken by "
             "espeak-ng.")
        self.said = speech(self.w, "said", SPEECH)
        self.other = speech(self.w, "other", OTHER)
        self.mdd = stack.Mdd(self.w, self.uid["mdd"])
        kmf_port = world.free_port()
        tell("An OpenID provider (glewlwyd) starts; Alice has an account "
             "there.")
        self.idp = idp.Idp(self.w, f"https://localhost:{kmf_port}")
        self.idp.person("Alice", "alice@example.org", PASSWORD)
        self.kmf = stack.Kmf(self.w, self.uid["kmf"], self.idp, self.mdd.url,
                             port=kmf_port)
        tell(f"perch-kmf init made its keys and {self.kmf.state.name}/; it "
             f"serves {self.kmf.url}.")
        self.kmf.serve()
        self.mdd.configure(self.kmf).serve()
        tell(f"perch-mdd serves {self.mdd.url} and UDP port {self.mdd.media};"
             " it was given the KMF's public keys, and will never speak to "
             "it.")

    def schedule(self):
        self.admin = self.kmf.admin()
        now = time.time()
        at = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + s))
              for s in (-60, 3600)]
        self.conference = self.admin.call("POST", "/v1/conferences", {
            "title": "Board meeting", "starts_at": at[0], "ends_at": at[1],
            "invitees": [{"email": "alice@example.org"}]}).body
        self.path = "/v1/conferences/" + self.conference["id"]
        tell(f"The administrator schedules \"{self.conference['title']}\" by "
             f"REST: {self.conference['uri']}")
        self.codes = {}
        for who, name in (("Bob", "Bob"), ("Carol", "Carol"),
                          ("home-made", "Carol (home-made)")):
            email = name.split()[0].lower() + "@guests.example"
            self.codes[who] = self.admin.call(
                "POST", self.path + "/invitations",
                {"email": email, "name": name}).body["code"]
        tell("Alice is invited by her address, Bob and Carol by codes that "
             "work once.")

    # --- the people ----------------------------------------------------

    def join(self):
        self.agents = {n: stack.Agent(self.w, n, self.uid[n], self.kmf,
                                      self.mdd, self.idp).start()
                       for n in ("Alice", "Bob", "Carol")}
        who = "one uid each" if self.uid["Bob"] else \
            "one state directory each (separate uids need root)"
        tell(f"Three agents run, {who}.")
        self.log_in("Alice")
        for n in self.agents:
            began = time.monotonic()
            code = [] if n == "Alice" else ["--code", self.codes[n]]
            self.agents[n].perch("join", self.conference["uri"], *code)
            tell(f"{n} joins: key, forwarder and DTLS-SRTP in "
                 f"{time.monotonic() - began:.2f} s.")

    def log_in(self, name):
        """perch prints a code; a browser elsewhere confirms it."""
        a = self.agents[name]
        p = self.w.spawn("perch-login", [
            self.w.bin("perch"), "login", self.conference["uri"],
            "--device"], uid=a.uid, env=a.env)
        found = world.wait_for(
            lambda: re.search(r"\b([A-Z0-9]{4}-[A-Z0-9]{4})\b", p.text()),
            15, say="a device code")
        self.idp.approve(name, PASSWORD, found.group(1))
        p.p.wait(30)
        if p.p.returncode:
            raise world.Broken("perch login: " + p.text())
        tell(f"{name} logs in at the provider with device code "
             f"{found.group(1)}; no password passed through Perch.")

    def sneak(self):
        """Carol's second endpoint: an openssl, some Python, and her key in
        plain sight."""
        e = rest.Endpoint(self.kmf.url, self.kmf.ca, jose.Key())
        e.enter(self.conference["id"], self.codes["home-made"])
        self.old_key = e.keys()
        cert, key = self.w.certificate("carol-dtls")
        self.leg = plain.Leg(cert, key, self.w.logs / "s_client.log")
        self.w.closers.append(self.leg.stop)
        token2 = e.token2(self.mdd.url, self.leg.x5t)
        m = rest.Client(self.mdd.url, self.mdd.ca, e.key)
        m.documented = False    # another interface
        r = m.send("POST", self.mdd.url + "/v1/join",
                   {"Authorization": f"Bearer {token2}",
                    "Content-Type": "application/json"},
                   jose.compact({"ufrag": self.leg.ufrag,
                                 "pwd": self.leg.pwd}))
        if r.status != 201:
            raise rest.Refused(r.status, r.body)
        self.leg.connect(r.body)
        self.home = e
        tell("Carol also runs a home-made endpoint (openssl and 200 lines of "
             "Python) that")
        tell("keeps its key, SPI "
             f"{self.old_key['spi']}, in plain sight: the worst member we "
             "can think of.")

    # --- the conversation ----------------------------------------------

    def state(self, name):
        """What `perch status --json` says of our one conference."""
        return self.agents[name].json("status")["conferences"][0]

    def sdp(self, listener, speaker="Alice"):
        def there():
            for s in self.state(listener).get("out", []):
                if s["name"] == speaker and s["media"] == "audio" \
                        and s.get("sdp"):
                    return pathlib.Path(s["sdp"])
            return None
        return world.wait_for(there, 10, say=f"{speaker}'s SDP at {listener}")

    def talk(self):
        self.tap = None
        if media.may_tap():
            self.tap = media.Tap()
            self.tap.start()
            tell("We listen to loopback, as the forwarder's operator could.")
        else:
            tell("Only root may listen to loopback: what Carol's home-made "
                 "endpoint is sent must do.")
        into = next(i for i in self.state("Alice")["in"]
                    if i["media"] == "audio")
        self.into = into["port"]
        self.ears = {n: Recorder(self.agents[n], self.sdp(n))
                     for n in ("Bob", "Carol")}
        time.sleep(0.5)
        voice = speak(self.agents["Alice"], self.said, into["port"],
                      into["pt"])
        self.w.procs.append(voice)
        began = self.began = time.time()
        tell(f"Alice speaks: ffmpeg sends Opus to her agent's port "
             f"{into['port']}; ffmpeg writes at Bob and Carol.")
        time.sleep(max(0, began + EVICT_AT - time.time()))
        self.evict()
        voice.p.wait(60)
        time.sleep(1.0)
        tell("Alice has finished.")
        self.heard = {n: r.stop() for n, r in self.ears.items()}

    def members(self):
        return self.admin.call("GET", self.path + "/members").body

    def evict(self):
        before = self.members()
        self.epoch_before = before["epoch"]
        self.evicted_at = time.time()
        for m in before["items"]:
            if m["name"].startswith("Carol") and m["state"] == "live":
                self.admin.call("DELETE", f"{self.path}/members/{m['member']}")
        asked = time.time()

        def changed():
            s = self.state("Bob")
            return s["epoch"] > self.epoch_before and s
        new = world.wait_for(changed, 10, every=0.02,
                             say="the new epoch at Bob")
        self.epoch_after = new["epoch"]
        tell(f"Carol is evicted while Alice speaks "
             f"({(asked - self.evicted_at) * 1000:.0f} ms); epoch "
             f"{self.epoch_before} became {new['epoch']} at Bob after "
             f"{(time.time() - self.evicted_at) * 1000:.0f} ms.")
        # old key 250 ms after the announcement (RFC 8870 4.3.1), then none
        self.quiet_from = time.time() + 1.0

    # --- the proofs ----------------------------------------------------

    def prove_strangers(self):
        """REQ-V-6; REQ-F-4.5a, REQ-F-4.5b: nobody has DTLS with the KMF."""
        try:
            kmf, mdd = (sockets.of(family(d.proc.p.pid))
                        for d in (self.kmf, self.mdd))
        except PermissionError:
            tell("The servers' sockets may not be looked at here (needs "
                 "root); that proof is left out.")
            return
        both = sockets.between(kmf, mdd)
        udp = [s for s in kmf if s.proto == "udp"]
        seen = kmf and {s.proto for s in mdd} == {"tcp", "udp"}
        self.proved(seen and not both and not udp,
                    f"of {len(kmf)} sockets of the KMF {len(both)} are "
                    f"connected with one of the forwarder's {len(mdd)}, and "
                    f"{len(udp)} are UDP: they never speak")

    def prove_speech(self):
        for n in ("Bob", "Carol"):
            same = likeness.compare(self.said, self.heard[n])
            other = likeness.compare(self.other, self.heard[n])
            enough = 12 if n == "Bob" else 3
            self.proved(
                same["likeness"] > SAME and same["seconds"] >= enough and
                other["likeness"] < OTHERS,
                f"{n} heard what Alice said: likeness "
                f"{same['likeness']:.3f} over {same['seconds']} s of speech "
                f"(more than {SAME}); with other speech "
                f"{other['likeness']:.3f} (less than {OTHERS})")

    def local(self, port, after=0.0, before=1e18):
        return [r for r in (media.rtp(p.data) for p in self.tap.between(
            dst=port, after=after, before=before)) if r]

    def prove_forwarder_deaf(self):
        tapped = self.tap.between(dst=self.mdd.media, after=self.began)
        sealed = [r for r in (media.rtp(p.data) for p in tapped)
                  if r and r.pt == 111]
        spoken = self.local(self.into)
        plain_set = {r.payload for r in spoken}
        self.proved(len(sealed) >= len(spoken) > 500,
                    f"{len(spoken)} packets of speech went into Alice's "
                    f"agent, {len(sealed)} sealed ones passed the forwarder")
        inside = sum(any(p in s.payload for p in plain_set)
                     for s in sealed[:200])
        self.proved(inside == 0, "none of them contains what was spoken")
        bob = {r.payload for r in self.local(self.ears["Bob"].port)}
        self.proved(plain_set <= bob, "Bob's agent gave out every one of "
                    f"those {len(plain_set)} payloads, octet for octet")
        errors, value = self.play([s.payload for s in sealed])
        self.proved(value < OTHERS,
                    f"played as Opus they are noise: {errors} decoder errors,"
                    f" likeness {value:.3f}")

    def play(self, payloads):
        """(errors, likeness to what was said) of payloads taken for Opus."""
        wav = self.w.dir / "forwarder.wav"
        opus = self.w.dir / "forwarder.opus"
        media.ogg(opus, payloads)
        r = self.w.run(["ffmpeg", "-v", "error", "-y", "-i", opus, "-ar",
                        "48000", "-ac", "1", wav], check=False)
        value = likeness.compare(self.said, wav)["likeness"] \
            if wav.exists() and wav.stat().st_size > 10000 else 0.0
        return len(r.stderr.splitlines()), value

    def prove_inside_is_noise(self):
        """What the forwarder has when it took its own layer off; and, that
        the method hears speech where there is some, the same opened."""
        early = self.received(before=self.evicted_at)
        errors, value = self.play([self.opener.inner(p) for p in early])
        keys = self.opener.learn(early)
        clear = [self.opener.open(p, keys) for p in early]
        _, heard = self.play([c for c in clear if c])
        self.proved(value < OTHERS and heard > SAME,
                    f"with its own layer off, {len(early)} packets are noise: "
                    f"{errors} errors, likeness {value:.3f}; with a member's "
                    f"key on top, speech: {heard:.3f}")

    def prove_hop_keys_useless(self):
        """What the forwarder holds for Carol's leg, tried as inner key."""
        early = self.received(before=self.evicted_at)
        keys = self.opener.learn(early)
        pick = [p for p in early if media.rtp(p.data).ssrc in keys][:100]
        hop = self.leg.material
        tried = opened = 0
        for p in pick:
            ssrc = media.rtp(p.data).ssrc
            for k in (hop["rx_key"], hop["tx_key"]):
                tried += 1
                opened += self.opener.open(
                    p, {ssrc: (k.hex(), keys[ssrc][1])}) is not None
        self.proved(tried >= 100 and opened == 0,
                    f"the forwarder's keys of Carol's leg opened {opened} of "
                    f"{tried} (they take the outer layer off; the inner one "
                    "stays)")

    def prove_memory_searched(self):
        """REQ-F-6.2b: every 16 octets that the forwarder has, tried as the
        key of one packet; the memory of a small process which has it shows
        that the search finds."""
        early = self.received(before=self.evicted_at)
        keys = self.opener.learn(early)
        packet = next(p for p in early if self.opener.open(p, keys)
                      and len(self.opener.open(p, keys)) >= 16)
        head = media.rtp(packet.data)
        key, roc = keys[head.ssrc]
        session = self.opener.core("kdf", master_key=key,
                                   master_salt=self.opener.salt.hex())
        args = [self.opener.salt.hex(), session["keys"]["rtp_salt"], head.ssrc,
                roc, head.seq, self.opener.inner(packet)[:16].hex(),
                self.opener.open(packet, keys)[:16].hex()]
        tool = self.w.bin("tests/tools/keyscan")

        def scan(pid, *what):
            r = self.w.run([tool, pid, *what], check=False, seconds=600)
            return r.returncode, {k: int(v) for k, v in re.findall(
                r"(\w+)=(\d+)", r.stdout)}
        with keeper_of(key) as pid:
            known, _ = scan(pid, *args)
        total = {"octets": 0, "unreadable": 0, "tried": 0, "found": 0}
        held = 0
        for pid in family(self.mdd.proc.p.pid):
            code, n = scan(pid, *args)
            if code == 2:
                tell("The forwarder's memory may not be read here (needs "
                     "root); that proof is left out.")
                return
            total = {k: total[k] + n.get(k, 0) for k in total}
            held += scan(pid, "find", self.leg.material["tx_key"].hex())[1][
                "found"]
        self.proved(known == 1, "the search finds the key where it is: in a "
                    "process of this script")
        hop = "a hop key of Carol's leg was seen there" if held else \
            "hop keys are out of sight too, in secret memory"
        self.proved(total["tried"] > 10000 and total["found"] == 0,
                    f"{total['tried']} windows of 16 octets in the forwarder's"
                    f" memory were tried as key: {total['found']} fit "
                    f"({total['octets'] / 1e6:.1f} MB read, "
                    f"{total['unreadable'] / 1e6:.1f} MB secret even to root; "
                    f"{hop})")

    def received(self, after=0.0, before=1e18):
        """RTP that the forwarder sent to Carol's home-made endpoint."""
        return [p for p in list(self.leg.packets)
                if after <= p.at < before and media.rtp(p.data)]

    def prove_eviction(self):
        early = self.received(before=self.evicted_at)
        late = self.received(after=self.quiet_from)
        old = self.opener.learn(early)
        good = sum(self.opener.open(p, old) is not None for p in early[-200:])
        self.proved(old and good > 100,
                    "before, Carol's home-made endpoint opened "
                    f"{good} of {len(early[-200:])} packets with her key")
        keys = dict(old)
        keys.update(self.opener.learn(late))
        # the SPI is only a label: try her key under every label seen
        for p in late:
            n = plain.tail_length(p.data)
            if n > 7:
                spi = int.from_bytes(p.data[-7:-5], "big")
                keys.update(self.opener.learn(
                    [p], [dict(self.opener.sets[0], spi=spi)]))
        bad = sum(self.opener.open(p, keys) is not None for p in late)
        self.proved(len(late) > 200 and bad == 0,
                    f"after, the forwarder still sent her {len(late)} packets"
                    f": with her old key she opens {bad}")
        try:
            self.home.keys()
            refused = "was given a key"
        except rest.Refused as e:
            refused = e.code
        self.proved(refused == "evicted",
                    f"and the KMF gives her no other: \"{refused}\"")

    def prove_no_gap(self):
        spoken = self.local(self.into)
        bob = self.local(self.ears["Bob"].port)
        missing = media.gaps([r.seq for r in bob])
        self.proved(len(bob) == len(spoken) and missing == 0,
                    f"Bob got {len(bob)} of {len(spoken)} packets across the "
                    f"change of keys, {missing} missing in sequence")
        log = self.ears["Bob"].log.read_text()
        lost = media.ffmpeg_missing(log)
        self.proved(lost == 0, f"his ffmpeg missed {lost} packets")

        after = self.local(self.ears["Carol"].port, after=self.quiet_from)
        self.proved(not after, f"Carol's own agent gave out {len(after)} "
                    "packets after she was evicted")

    def prove_nothing_undecryptable(self):
        sent = self.state("Alice")["vault"]["counters"]["sent"]
        c = self.state("Bob")["vault"]["counters"]
        names = ("no_key", "unknown_spi", "inner_auth_failed", "replayed",
                 "malformed")
        self.proved(c["opened"] == c["delivered"] == sent > 500 and
                    not any(c[n] for n in names),
                    f"Alice's vault sealed {sent} packets, Bob's opened "
                    f"{c['opened']}; " +
                    ", ".join(f"{n} {c[n]}" for n in names))

    def end(self):
        self.admin.call("POST", self.path + "/end")
        began = time.time()

        def empty():
            return all(c.get("epochs_held", 0) == 0 for n in ("Alice", "Bob")
                       for c in self.agents[n].json("status")["conferences"])
        try:
            gone = world.wait_for(empty, 10, say="empty vaults")
        except world.Broken:
            gone = False
        tell("The administrator ends the conference.")
        self.proved(gone, "the vaults of Alice and Bob hold no key any more, "
                    f"{(time.time() - began) * 1000:.0f} ms later")

        def receipts():
            items = self.admin.call("GET", "/v1/audit?limit=200").body["items"]
            got = [i for i in items if '"receipt"' in json.dumps(i)]
            return len(got) >= 3 and got
        try:
            got = world.wait_for(receipts, 5, every=0.3, say="receipts")
        except world.Broken:
            got = []
        self.proved(len(got) >= 3, f"{len(got)} signed receipts of erasure "
                    "are in the KMF's audit log (Carol's too)")

    def run(self):
        self.servers()
        self.schedule()
        self.join()
        self.sneak()
        self.prove_strangers()
        self.talk()
        core = media.Core(self.w.bin("tests/tools/perc-packet"))
        self.opener = plain.Opener(core, self.leg, self.old_key)
        self.prove_speech()
        if self.tap:
            self.tap.stop()
            self.prove_forwarder_deaf()
            self.prove_no_gap()
        self.prove_nothing_undecryptable()
        self.prove_inside_is_noise()
        self.prove_hop_keys_useless()
        if not world.SANITIZED:     # whose shadow memory has no end
            self.prove_memory_searched()
        self.prove_eviction()
        core.close()
        if not self.w.keep:
            self.end()


@contextlib.contextmanager
def keeper_of(key):
    """A process whose memory has these octets; its pid. We have hundreds of
    megabytes by now, in which to look takes minutes."""
    with subprocess.Popen(
            [sys.executable, "-c", "import sys\n"
             "key = bytes.fromhex(sys.stdin.readline())\n"
             "print(len(key), flush=True)\nsys.stdin.read()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        p.stdin.write(key + "\n")
        p.stdin.flush()
        p.stdout.readline()
        yield p.pid
        p.stdin.close()


def family(pid):
    """pid and every process below it."""
    out = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            out += family(int(child))
    return out


def main():
    keep = "--keep" in sys.argv[1:]
    proofs = Proofs()
    with world.World("perch-demo-", keep=keep) as w:
        d = Demo(w, proofs)
        try:
            d.run()
        except (world.Broken, rest.Refused, OSError) as e:
            w.tell()
            print(f"The demonstration broke off: {e}")
            w.keep = False
            return 1
        if keep:
            how_to_play(d)
    print(f"{time.monotonic() - T0:6.1f} s  " + (
        "Everything that was claimed was proved." if not proofs.bad else
        f"{proofs.bad} proofs FAILED."))
    return 1 if proofs.bad else 0


AS = """#!/bin/sh
# as PERSON COMMAND...: what that person types
p=$(echo "$1" | tr A-Z a-z)
shift
export HOME={dir}/$p XDG_RUNTIME_DIR={dir}/$p
exec {become} "$@"
"""


def how_to_play(d):
    """Two scripts in the world's directory: be somebody, and stop it all."""
    w = d.w
    uids = "\n".join(f"[ $p != {n.lower()} ] || uid={a.uid}"
                     for n, a in d.agents.items())
    become = "setpriv --reuid=$uid --regid=$uid --clear-groups" \
        if d.uid["Bob"] else ""
    w.write(w.dir / "as", AS.format(dir=w.dir, become=become).replace(
        "exec", uids + "\nexec", 1), mode=0o755)
    pids = " ".join(str(p.p.pid) for p in w.procs if p.alive())
    w.write(w.dir / "stop", f"#!/bin/sh\nkill {pids}\nsleep 2\n"
            f"rm -rf {w.dir}\n", mode=0o755)
    run = f"{w.dir}/as"
    print(f"""
Everything still runs. Alice's agent takes Opus on 127.0.0.1:{d.into}. Try:

    {run} bob {w.bin('perch')} status
    {run} bob {w.bin('perch')} roster
    {run} alice ffmpeg -re -i {d.said} -c:a libopus \\
        -payload_type 111 -f rtp rtp://127.0.0.1:{d.into}
    {run} bob {w.bin('perch')} leave
    ls {w.logs}

and stop it all with

    {w.dir}/stop
""")


if __name__ == "__main__":
    sys.exit(main())
