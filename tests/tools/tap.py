# SPDX-License-Identifier: Apache-2.0
# The Test Anything Protocol for our scripts, and where the trees are.
import os
import pathlib
import signal
import sys
import traceback

TOP = pathlib.Path(os.environ.get(
    "top_srcdir", pathlib.Path(__file__).resolve().parents[2])).resolve()
BUILD = pathlib.Path(os.environ.get("top_builddir", TOP / "build")).resolve()
ROOMS = ["perc", "db", "schema", "kmf", "mdd", "agent", "tests", "docs"]

# What a shell starts in the background is deaf to these, and so would be all
# that we start.
for deaf in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT:
    if signal.getsignal(deaf) == signal.SIG_IGN:
        signal.signal(deaf, signal.SIG_DFL)

_n = 0
_bad = 0
witnesses = []      # called at the first failure: what else is known of it


def say(*lines):
    for text in lines:
        for line in str(text).splitlines():
            print("#", line, flush=True)


def ok(good, name, *diag):
    global _n, _bad
    _n += 1
    print(f"{'ok' if good else 'not ok'} {_n} - {name}", flush=True)
    if not good:
        _bad += 1
        say(*diag)
        if _bad == 1:
            for tell in witnesses:
                tell()
    return bool(good)


def skip(name, why):
    global _n
    _n += 1
    print(f"ok {_n} - {name} # SKIP {why}", flush=True)


def done():
    print(f"1..{_n}", flush=True)
    sys.exit(1 if _bad else 0)


def bail(why):
    print(f"Bail out! {why}", flush=True)
    sys.exit(1)


class Skip(Exception):
    """What is needed for this case is not here."""


def run(cases):
    """(name, function, argument) each: one that raises has failed."""
    for name, fn, arg in cases:
        try:
            fn(arg)
        except Skip as e:
            skip(name, e)
        except Exception:  # the verdict, with all we know
            ok(False, name, traceback.format_exc())
        else:
            ok(True, name)
    done()


def whole(main):
    """A script that is one story: what it did not survive has failed too."""
    try:
        main()
    except Exception as e:
        ok(False, f"unexpected: {e!r}", traceback.format_exc())
    done()


def sources(*suffixes, rooms=ROOMS):
    """Files of the rooms as the tree has them, without what a build or a run
    left behind."""
    for room in rooms:
        for path in sorted((TOP / room).rglob("*")):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            if any(p.startswith(".") for p in path.relative_to(TOP).parts):
                continue
            if not suffixes or path.suffix in suffixes:
                yield path


def rel(path):
    return str(pathlib.Path(path).relative_to(TOP))
