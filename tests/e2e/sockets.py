# SPDX-License-Identifier: Apache-2.0
# Which network sockets a set of processes has, and who is connected with whom,
# as /proc tells it.
import collections
import pathlib
import re

Socket = collections.namedtuple("Socket", "proto local remote")
HEAD = 1        # line of the table


def table(pid):
    """{inode: Socket} of the network that pid is in."""
    out = {}
    for name in "tcp", "tcp6", "udp", "udp6":
        text = pathlib.Path(f"/proc/{pid}/net/{name}").read_text()
        for line in text.splitlines()[HEAD:]:
            f = line.split()
            out[f[9]] = Socket(name[:3], f[1], f[2])
    return out


def of(pids):
    """Those that the processes hold; PermissionError where we may not see."""
    known, found = table(pids[0]), {}
    for pid in pids:
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                link = fd.readlink()
            except FileNotFoundError:       # closed since
                continue
            m = re.fullmatch(r"socket:\[(\d+)\]", str(link))
            if m and m[1] in known:
                found[m[1]] = known[m[1]]
    return list(found.values())


def between(some, others):
    """Pairs that are the two ends of one connection."""
    ends = {(s.proto, s.local, s.remote) for s in others}
    return [s for s in some if (s.proto, s.remote, s.local) in ends]
