# SPDX-License-Identifier: Apache-2.0
# oidc-provider on Node, set up by oidc/provider.mjs, and a browser for its
# pages: forms and redirects with a cookie jar, as a person would click.
import html
import http.client
import http.cookies
import json
import os
import pathlib
import re
import shutil
import signal
import urllib.parse

import world

HERE = pathlib.Path(__file__).resolve().parent / "oidc"
# where tests/tools/install.sh put its modules
MODULES = pathlib.Path(os.environ.get("PERCH_OIDC", HERE)) / "node_modules"


def missing():
    """Why it cannot run here, or None."""
    if not shutil.which("node"):
        return "no node here"
    if not (MODULES / "oidc-provider").exists():
        return "oidc-provider is not installed (see check.sh)"
    return None


class Idp:
    """resources: what may be asked for, and the audience that it gets."""

    def __init__(self, w, people, resources, name="oidc", **more):
        self.port = world.free_port()
        self.url = f"https://localhost:{self.port}"
        self.cert, key = w.certificate(name)
        self.dir = w.mkdir(name)
        # modules are looked for beside the script
        shutil.copy(HERE / "provider.mjs", self.dir)
        (self.dir / "node_modules").symlink_to(MODULES)
        conf = w.write(self.dir / "conf.json", json.dumps({
            "issuer": self.url, "port": self.port, "key": str(key),
            "cert": str(self.cert), "people": people,
            "resources": resources,
            "default_resource": next(iter(resources)), **more}))
        self.argv = ["node", self.dir / "provider.mjs", conf]
        self.w = w
        self.start()

    def start(self):
        self.proc = self.w.spawn("oidc-provider", self.argv,
                                 env={"PATH": os.environ["PATH"],
                                      "NODE_ENV": "test"})
        meta = self.url + "/.well-known/openid-configuration"
        self.proc.wait_for(lambda: world.answers(meta, self.cert), 20,
                           "metadata")

    def rotate(self):
        before = self.proc.text().count("rotated")
        self.proc.p.send_signal(signal.SIGHUP)
        world.wait_for(lambda: self.proc.text().count("rotated") > before,
                       say="a new key")


class Browser:
    def __init__(self, idp):
        self.idp, self.context = idp, world.tls(idp.cert)
        self.cookies = {}

    def once(self, method, url, form=None):
        u = urllib.parse.urlsplit(urllib.parse.urljoin(self.idp.url, url))
        c = http.client.HTTPSConnection("localhost", self.idp.port,
                                        timeout=10, context=self.context)
        headers = {"Cookie": "; ".join(f"{k}={v}"
                                       for k, v in self.cookies.items())}
        data = None
        if form is not None:
            data = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        c.request(method, u.path + ("?" + u.query if u.query else ""), data,
                  headers)
        r = c.getresponse()
        for line in r.headers.get_all("Set-Cookie") or []:
            for k, m in http.cookies.SimpleCookie(line).items():
                self.cookies[k] = m.value
        text = r.read().decode()
        c.close()
        return r.status, r.headers.get("Location"), text

    def visit(self, url, login):
        """Log in and say yes wherever a page asks; the URL at which the
        provider sends the browser away, or the last page."""
        method, form = "GET", None
        for _ in range(12):
            status, to, text = self.once(method, url, form)
            method, form = "GET", None
            if to:
                if not urllib.parse.urljoin(self.idp.url, to).startswith(
                        self.idp.url):
                    return to
                url = to
                continue
            page = re.search(r'<form[^>]*action="([^"]+)"', text)
            if not page:
                return text
            url = html.unescape(page.group(1))
            form = dict(re.findall(
                r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text))
            if 'type="password"' in text:
                form.update(login=login, password="any")
            method = "POST"
        return text
