# SPDX-License-Identifier: Apache-2.0
# A headless Chromium of Debian's, driven through its pipe: a pointer that
# clicks what is on the screen, a keyboard that types where the focus is.
import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time

import world

PROGRAMS = ["chromium-headless-shell", "chromium"]


def present():
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def spki(w, cert):
    """A certificate that it shall trust beside the system's."""
    public = w.run(["openssl", "x509", "-in", cert, "-noout",
                    "-pubkey"]).stdout.encode()
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"],
                         input=public, capture_output=True,
                         check=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Chromium:
    def __init__(self, w, *certs):
        to, mine_out = self.pair()
        mine_in, back = self.pair()
        argv = [present(), "--headless", "--remote-debugging-pipe",
                f"--user-data-dir={w.mkdir('chromium')}", "--disable-gpu",
                "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-sync",
                "--ignore-certificate-errors-spki-list=" +
                ",".join(spki(w, c) for c in certs)]
        if os.geteuid() == 0:   # its sandbox wants an ordinary user
            argv.append("--no-sandbox")

        def fds():
            os.dup2(to, 3)
            os.dup2(back, 4)

        log = open(w.logs / "chromium.log", "wb")
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, preexec_fn=fds,
                                  pass_fds=(3, 4), start_new_session=True)
        log.close()
        os.close(to)
        os.close(back)
        self.out, self.inp = mine_out, os.fdopen(mine_in, "rb")
        self.n, self.rest, self.session = 0, b"", None
        w.closers.append(self.close)
        target = self.ask("Target.createTarget", url="about:blank")
        self.session = self.ask("Target.attachToTarget", flatten=True,
                                targetId=target["targetId"])["sessionId"]

    @staticmethod
    def pair():
        """A pipe whose ends stay clear of 3 and 4."""
        ends = os.pipe()
        high = [fcntl.fcntl(e, fcntl.F_DUPFD_CLOEXEC, 20) for e in ends]
        for e in ends:
            os.close(e)
        return high

    def close(self):
        self.p.terminate()
        try:
            self.p.wait(5)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        os.close(self.out)
        self.inp.close()

    def message(self):
        while b"\0" not in self.rest:
            more = self.inp.read1(65536)
            if not more:
                raise world.Broken("chromium went away")
            self.rest += more
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def ask(self, method, **params):
        self.n += 1
        m = {"id": self.n, "method": method, "params": params}
        if self.session:
            m["sessionId"] = self.session
        os.write(self.out, json.dumps(m).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") != self.n:
                continue
            if "error" in answer:
                raise world.Broken(f"chromium: {method}: {answer['error']}")
            return answer["result"]

    def js(self, expression):
        r = self.ask("Runtime.evaluate", expression=expression,
                     returnByValue=True)
        return r["result"].get("value")

    def run(self, body, **values):
        """An async function's body, with `values` as its constants; what it
        returns, or Broken with what it threw."""
        head = "".join(f"const {k} = {json.dumps(v)};"
                       for k, v in values.items())
        r = self.ask("Runtime.evaluate", awaitPromise=True, userGesture=True,
                     returnByValue=True,
                     expression=f"(async () => {{ {head} {body} }})()")
        if "exceptionDetails" in r:
            raise world.Broken(f"chromium: {r['exceptionDetails']}")
        return r["result"].get("value")

    def visit(self, url):
        self.ask("Page.navigate", url=url)

    def url(self):
        return self.js("location.href") or ""

    def text(self):
        return self.js("document.body ? document.body.innerText : ''") or ""

    def click(self, selector, seconds=15):
        """With the pointer, in the middle of the first that is seen."""
        find = f"""(() => {{
            for (const e of document.querySelectorAll({json.dumps(selector)})) {{
                e.scrollIntoView({{block: 'center'}});
                const r = e.getBoundingClientRect();
                if (r.width && r.height && !e.disabled)
                    return [r.x + r.width / 2, r.y + r.height / 2];
            }}
            return null;
        }})()"""
        x, y = world.wait_for(lambda: self.js(find), seconds, 0.1,
                              say=f"{selector} at {self.url()}")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y,
                     button="left", clickCount=1)
        time.sleep(0.1)

    def write(self, selector, text):
        self.click(selector)
        self.ask("Input.insertText", text=text)
