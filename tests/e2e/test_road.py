#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The main road, as demo.sh walks it, with every proof a line of TAP.
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import demo                                                 # noqa: E402
import idp                                                  # noqa: E402
import netns                                                # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

for tool in ("ffmpeg", "espeak-ng", "openssl"):
    if not shutil.which(tool):
        tap.skip("the main road", f"no {tool} here")
        tap.done()
if not idp.present():
    tap.skip("the main road", "no glewlwyd here (see check.sh)")
    tap.done()

demo.tell = tap.say
try:
    netns.enter()       # who listens to loopback hears this test alone
except tap.Skip as e:
    tap.say(e)
with world.World("perch-road-") as w:
    try:
        demo.Demo(w, tap.ok).run()
    except Exception as e:      # the world's state says more than a trace
        tap.ok(False, f"the road is walked to its end: {e!r}")
        w.tell()
        raise
tap.done()
