# SPDX-License-Identifier: Apache-2.0
# What the agent's benches read of processes: time, drops, the machine's own.
import os
import pathlib
import platform
import re

TICKS = os.sysconf("SC_CLK_TCK")
PROC = pathlib.Path("/proc")


def family(proc):
    """The agent's processes: who supervises, front and vault."""
    out = {"supervisor": proc.p.pid}
    for d in PROC.iterdir():
        try:
            if d.name.isdigit() and int((d / "stat").read_text().rsplit(
                    ")", 1)[1].split()[1]) == proc.p.pid:
                name = (d / "cmdline").read_bytes().split(b"\0")[0]
                out["vault" if b"vault" in name else "front"] = int(d.name)
        except OSError:
            continue
    return out


def cpu(pids):
    """Seconds of processor, user and system."""
    return sum(int((PROC / f"{p}/schedstat").read_text().split()[0]) / 1e9
               for p in pids)


def sockets(pid):
    found = set()
    for f in (PROC / f"{pid}/fd").iterdir():
        try:
            found |= set(re.findall(r"^socket:\[(\d+)\]", os.readlink(f)))
        except OSError:
            continue
    return found


def drops(kids):
    """Of {name: pid}: datagrams that came to each and found its queues full.
    Empty where another's descriptors are not shown."""
    try:
        whose = {s: n for n, p in kids.items() for s in sockets(p)}
    except PermissionError:
        return {}
    out = dict.fromkeys(kids, 0)
    for f in ("udp", "udp6"):
        for line in (PROC / "net" / f).read_text().splitlines()[1:]:
            field = line.split()
            if field[9] in whose:
                out[whose[field[9]]] += int(field[12])
    return out


def stolen():
    """Seconds of all processors that their host gave to others; and all."""
    f = [int(n) for n in (PROC / "stat").read_text().split("\n")[0].split()[1:]]
    return f[7] / TICKS, sum(f[:8]) / TICKS


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), "unknown processor")
    load = os.getloadavg()[0]
    return (f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, "
            f"load {load:.1f} before")
