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


def correlation(a, b):
    n = min(len(a), len(b))
    if n == 0:
        return 0.0
    a, b = a[:n], b[:n]
    ma, mb = sum(a) / n, sum(b) / n
    saa = sum(x * x for x in a) - n * ma * ma
    sbb = sum(x * x for x in b) - n * mb * mb
    if saa <= 1e-9 or sbb <= 1e-9:
        return 0.0
    return (sum(map(operator.mul, a, b)) - n * ma * mb) / math.sqrt(saa * sbb)


def align(source, recording, least_s=1.0):
    """(lag in frames, correlation of loudness): source[i] is recording[i+lag].
    """
    a, b = loudness(source), loudness(recording)
    least = min(int(least_s * 100), len(a), len(b))
    best = (0, -1.0)
    for lag in range(-len(a) + least, len(b) - least + 1):
        lo, hi = max(0, -lag), min(len(a), len(b) - lag)
        # little overlap correlates by chance: weigh by its share
        c = correlation(a[lo:hi], b[lo + lag:hi + lag])
        c *= math.sqrt((hi - lo) / min(len(a), len(b)))
        if c > best[1]:
            best = (lag, c)
    return best


def shift(piece, recording, around, reach):
    """The best correlation of piece within reach samples, and where."""
    best = (-1.0, around)
    for at in range(around - reach, around + reach + 1):
        if at < 0 or at + len(piece) > len(recording):
            continue
        part = recording[at:at + len(piece)]
        best = max(best, (correlation(piece, part), at))
    return best


def likeness(source, recording):
    """{'likeness', 'seconds', 'start_s', 'loudness'} of two sample lists."""
    lag, loud = align(source, recording)
    values, offset, reach = [], lag * FRAME, 3 * FRAME
    level = math.sqrt(sum(x * x for x in source) / max(1, len(source)))
    for at in range(0, len(source) - RATE + 1, RATE):
        piece = source[at:at + RATE]
        power = math.sqrt(sum(x * x for x in piece) / RATE)
        if power < 0.3 * level:
            continue            # a pause says nothing
        if at + offset < 0 or at + offset + RATE > len(recording):
            continue            # not recorded
        value, found = shift(piece, recording, at + offset, reach)
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
