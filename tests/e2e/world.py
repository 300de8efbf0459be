# SPDX-License-Identifier: Apache-2.0
# One throw-away world: directories, free ports, processes that die with it.
import atexit
import http.client
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse

TOP = pathlib.Path(os.environ.get(
    "top_srcdir", pathlib.Path(__file__).resolve().parents[2])).resolve()
BUILD = pathlib.Path(os.environ.get("top_builddir", TOP / "build")).resolve()


# The programs lock themselves in, and a leak checker cannot look out of that;
# leaks are the unit tests' business.
SANITIZED = (BUILD / "config.h").exists() and \
    "define PERCH_SANITIZED" in (BUILD / "config.h").read_text()
if SANITIZED:
    os.environ["ASAN_OPTIONS"] = ":".join(filter(None, [
        os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))


# What is waited for comes at once on an idle machine with a fast disk. How much
# longer another may take says nothing about the thing tested.
PATIENCE = 4


class Broken(Exception):
    """The world did not come up: not a verdict about the thing tested."""


class Ports:
    """Ports below those that the kernel gives to whoever asks for any, so
    that nobody comes between the choice and its use; beside it a name that
    lasts as long as we do keeps the other tests of this machine away
    (tests/tools/port.c asks for the same name)."""
    FIRST, END = 4096, 10240        # above stand stack.Agent's ranges
    held = []

    @classmethod
    def take(cls, kind):
        for _ in range(1000):
            port = random.randrange(cls.FIRST, cls.END)
            name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                name.bind(f"\0perch-test-port-{port}")
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind(("0.0.0.0", port))
            except OSError:
                name.close()
                continue
            cls.held.append(name)
            return port
        raise Broken("no port is free")


def free_port(kind=socket.SOCK_STREAM):
    return Ports.take(kind)


def free_udp():
    return free_port(socket.SOCK_DGRAM)


def wait_for(what, seconds=10, every=0.05, say="that"):
    """Call `what` until it is true; its value, or Broken. The seconds are an
    idle machine's: who needs a true upper bound measures it."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise Broken(f"waited {seconds} s in vain for {say}")
        time.sleep(every)


def listening(port):
    """Only that the kernel takes connections: who will answer them may still
    be busy, or about to give up."""
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def answers(url, ca):
    """A server on this host answers a GET of it with 200."""
    u = urllib.parse.urlsplit(url)
    c = http.client.HTTPSConnection(u.hostname, u.port, timeout=5,
                                    context=tls(ca))
    try:
        c.request("GET", u.path)
        return c.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        c.close()


class Proc:
    """A daemon with its log, as a user of its own when we are root."""

    def __init__(self, name, argv, log, uid=None, env=None, cwd=None):
        self.name, self.log, self.uid = name, pathlib.Path(log), uid
        as_user = {}
        if uid is not None and os.geteuid() == 0:
            as_user = {"user": uid, "group": uid, "extra_groups": []}
        with open(self.log, "ab") as out:
            self.since = out.tell()     # what a namesake before us wrote
            self.p = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, env=env, cwd=cwd, start_new_session=True,
                **as_user)

    def alive(self):
        return self.p.poll() is None

    def text(self):
        return self.log.read_text(errors="replace")

    def words(self):
        """The log of this process alone."""
        return self.log.read_bytes()[self.since:].decode(errors="replace")

    def note(self, what):
        with open(self.log, "a") as out:
            out.write(f"(the test) {what}\n")

    def wait_for(self, what, seconds=10, say="a sign"):
        """Call `what` until it is true, while we live; what we said is in
        the failure."""
        def seen():
            alive = self.alive()        # first: its last words count
            value = what()
            if not value and not alive:
                raise Broken(f"{self.name} ended ({self.p.returncode})")
            return value
        try:
            return wait_for(seen, seconds, say=f"{say} of {self.name}")
        except Broken as e:
            raise Broken(f"{e}:\n{self.words()[-2000:]}") from None

    def wait_log(self, needle, seconds=10):
        return self.wait_for(lambda: needle in self.words(), seconds,
                             f"'{needle}'")

    def family(self):
        """Who lives of its session. A killed process may be in a write that
        cannot be interrupted, with its locks and files, when its parent and
        its ports are gone; as a zombie it has none of them any more."""
        out = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                f = stat.read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if f[3] == str(self.p.pid) and f[0] not in "ZX":
                out.append(int(stat.parent.name))
        return out

    def gone(self, seconds=15):
        wait_for(lambda: not self.family(), seconds,
                 say=f"the last process of {self.name} to be gone")

    def kill(self):
        """kill -9 of the first: the rest die with it, and only then is there
        nothing left that could stand in the way of a successor."""
        self.p.kill()
        self.p.wait()
        self.gone()

    def stop(self, seconds=30):
        """Ask, then insist; the exit status."""
        if self.alive():
            self.p.send_signal(signal.SIGTERM)
            try:
                self.p.wait(seconds)
            except subprocess.TimeoutExpired:
                self.note(f"SIGKILL: it has not stopped for {seconds} s")
                os.killpg(self.p.pid, signal.SIGKILL)
                self.p.wait()
                self.gone()
        return self.p.returncode


class World:
    """`with World() as w:` everything is gone afterwards, unless kept."""

    def __init__(self, prefix="perch-e2e-", keep=False):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
        self.dir.chmod(0o755)
        self.keep, self.procs, self.closers = keep, [], []
        self.logs = self.dir / "log"
        self.logs.mkdir()
        try:
            import tap      # not beside demo.py
            tap.witnesses.append(self.tell)
        except ImportError:
            pass
        atexit.register(self.close)
        signal.signal(signal.SIGTERM, lambda *_: exit(143))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind and kind is not SystemExit:
            self.tell()
        self.close()

    def tell(self, lines=15):
        """The end of every log, for whoever reads the failure."""
        for p in {p.log: p for p in self.procs}.values():   # the last of each
            state = "runs" if p.alive() else f"ended {p.p.returncode}"
            print(f"# --- {p.name} ({state})")
            for line in p.text().splitlines()[-lines:]:
                print("#    ", line, flush=True)

    def bin(self, name):
        """Where the program is. Other users may not look into the build
        directory, so as root the world has copies."""
        path = BUILD / name
        if not path.exists():
            raise Broken(f"{path} is not built")
        if os.geteuid() != 0 or not name.startswith("perch"):
            return str(path)
        to = self.dir / "bin"
        if not to.exists():
            to.mkdir(mode=0o755)
            for program in BUILD.glob("perch*"):
                if program.is_file() and os.access(program, os.X_OK):
                    shutil.copy(program, to / program.name)
        return str(to / name)

    def mkdir(self, name, uid=None, mode=0o700):
        d = self.dir / name
        d.mkdir(mode=mode, parents=True, exist_ok=True)
        d.chmod(mode)
        if uid is not None and os.geteuid() == 0:
            os.chown(d, uid, uid)
        return d

    def write(self, path, text, uid=None, mode=0o600):
        path = pathlib.Path(path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(fd, "w") as f:
            f.write(text)
        if uid is not None and os.geteuid() == 0:
            os.chown(path, uid, uid)
        return path

    def spawn(self, name, argv, **kw):
        p = Proc(name, argv, self.logs / f"{name}.log", **kw)
        self.procs.append(p)
        return p

    def run(self, argv, uid=None, env=None, check=True, seconds=60):
        as_user = {}
        if uid is not None and os.geteuid() == 0:
            as_user = {"user": uid, "group": uid, "extra_groups": []}
        r = subprocess.run([str(a) for a in argv], text=True, env=env,
                           stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=seconds, **as_user)
        if check and r.returncode:
            raise Broken(f"{' '.join(map(str, argv))}: {r.returncode}\n"
                         f"{r.stdout}{r.stderr}")
        return r

    def certificate(self, name, uid=None, san="IP:127.0.0.1"):
        """A self-signed P-256 certificate for this host; (cert, key)."""
        cert, key = self.dir / f"{name}.crt", self.dir / f"{name}.key"
        old = os.umask(0o077)
        self.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                  "-subj", f"/CN={name}", "-addext",
                  f"subjectAltName=DNS:localhost,{san}",
                  "-keyout", key, "-out", cert])
        os.umask(old)
        cert.chmod(0o644)
        if uid is not None and os.geteuid() == 0:
            os.chown(key, uid, uid)
        return cert, key

    def close(self):
        if self.keep:
            return
        for c in reversed(self.closers):
            c()
        self.closers = []
        for p in reversed(self.procs):
            p.stop()
        self.procs = []
        shutil.rmtree(self.dir, ignore_errors=True)


def tls(ca):
    return ssl.create_default_context(cafile=str(ca))
