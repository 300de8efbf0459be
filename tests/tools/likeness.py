#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# How much of SOURCE is heard in RECORDING, as one number between -1 and 1:
#
#	likeness.py SOURCE.wav RECORDING.wav
#
# Two steps. Loudness over time (a value every 10 ms) finds where the recording
# begins; then every second of speech is laid on the recording, sample by
# sample, and its normalised correlation taken. The answer is the median over
# those seconds. Opus at 64 kbit/s keeps the wave itself, so the same speech
# gives more than 0.8; other speech of the same voice stays below 0.3.
import itertools
import math
import operator
import statistics
import sys
import wave
from array import array

RATE = 8000
FRAME = RATE // 100


def read(path):
    """Mono samples at 8 kHz from a 16-bit WAV of 8, 16, 24 or 48 kHz."""
    with wave.open(str(path), "rb") as w:
        if w.getsampwidth() != 2 or w.getframerate() % RATE:
            raise ValueError(f"{path}: want 16 bit, a multiple of 8 kHz")
        # a recorder that was stopped leaves a header without a length
        raw = w.readframes(1 << 30)
        channels, step = w.getnchannels(), w.getframerate() // RATE
    pcm = array("h", raw[:len(raw) // 2 * 2])[::channels]
    if step == 1:
        return [float(x) for x in pcm]
    # a mean over `step` samples is filter enough for speech
    n = len(pcm) // step
    parts = [pcm[i:n * step:step] for i in range(step)]
    return [sum(col) / step for col in zip(*parts)]


def loudness(samples):
    out = []
    for at in range(0, len(samples) - FRAME, FRAME):
        part = samples[at:at + FRAME]
        out.append(math.log1p(math.sqrt(sum(x * x for x in part) / FRAME)))
    return out


class Sums:
    """Sum and sum of squares of any stretch, from running totals."""

    def __init__(self, x):
        self.x = x
        self.s = [0.0, *itertools.accumulate(x)]
        self.q = [0.0, *itertools.accumulate(v * v for v in x)]

    def correlation(self, at, other, o, n):
        """Pearson's, of n values from self[at] and from other[o]."""
        sa, sb = self.s[at + n] - self.s[at], other.s[o + n] - other.s[o]
        va = self.q[at + n] - self.q[at] - sa * sa / n
        vb = other.q[o + n] - other.q[o] - sb * sb / n
        if va <= 1e-9 or vb <= 1e-9:
            return 0.0
        dot = sum(map(operator.mul, self.x[at:at + n], other.x[o:o + n]))
        return (dot - sa * sb / n) / math.sqrt(va * vb)


def align(source, recording, least_s=1.0):
    """(lag in frames, correlation of loudness): source[i] is recording[i+lag].
    """
    a, b = Sums(loudness(source)), Sums(loudness(recording))
    na, nb = len(a.x), len(b.x)
    least = max(1, min(int(least_s * 100), na, nb))
    best = (0, -1.0)
    for lag in range(-na + least, nb - least + 1):
        lo, hi = max(0, -lag), min(na, nb - lag)
        # little overlap correlates by chance: weigh by its share
        c = a.correlation(lo, b, lo + lag, hi - lo)
        c *= math.sqrt((hi - lo) / min(na, nb))
        if c > best[1]:
            best = (lag, c)
    return best


def shift(source, at, recording, around, reach):
    """The best correlation of a second from source[at] within reach samples,
    and where."""
    best = (-1.0, around)
    for o in range(max(0, around - reach),
                   min(around + reach, len(recording.x) - RATE) + 1):
        best = max(best, (source.correlation(at, recording, o, RATE), o))
    return best


def likeness(source, recording):
    """{'likeness', 'seconds', 'start_s', 'loudness'} of two sample lists."""
    lag, loud = align(source, recording)
    values, offset, reach = [], lag * FRAME, 3 * FRAME
    level = math.sqrt(sum(x * x for x in source) / max(1, len(source)))
    a, b = Sums(source), Sums(recording)
    for at in range(0, len(source) - RATE + 1, RATE):
        power = math.sqrt((a.q[at + RATE] - a.q[at]) / RATE)
        if power < 0.3 * level:
            continue            # a pause says nothing
        if at + offset < 0 or at + offset + RATE > len(recording):
            continue            # not recorded
        value, found = shift(a, at, b, at + offset, reach)
        if value > 0.5:         # once found, the clock runs evenly
            offset, reach = found - at, 8
        values.append(value)
    return {"likeness": statistics.median(values) if values else 0.0,
            "lowest": min(values, default=0.0),
            "seconds": len(values), "start_s": -lag / 100,
            "loudness": loud}


def compare(source, recording):
    return likeness(read(source), read(recording))


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: likeness.py SOURCE.wav RECORDING.wav")
    r = compare(sys.argv[1], sys.argv[2])
    print(" ".join(f"{k}={v:.3f}" for k, v in r.items()))


if __name__ == "__main__":
    main()
