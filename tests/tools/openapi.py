# SPDX-License-Identifier: Apache-2.0
# Every answer of perch-kmf that a test sees is held against
# schema/openapi.yaml: status, content type, fields and body. The clients of
# tests/e2e/rest.py and tests/kmf/kmfworld.py do so by themselves; without
# python3-jsonschema they do not, and tests/kmf/test_api.py says so.
import json
import re
import subprocess

import tap

try:
    import jsonschema
except ImportError:
    jsonschema = None

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+$")


def load():
    built = tap.BUILD / "schema" / "openapi.json"
    if built.is_file():
        return json.loads(built.read_text())
    schema = tap.TOP / "schema"
    return json.loads(subprocess.run(
        ["awk", "-f", schema / "yaml2json.awk", schema / "openapi.yaml"],
        check=True, capture_output=True, text=True).stdout)


class Document:
    def __init__(self, doc):
        self.doc, self.validators = doc, {}
        self.paths = []
        for template, item in doc["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+?", re.escape(template))
            self.paths.append((re.compile(pattern + "$"), item))
        # the longer template first: {iid}.ics before {iid}
        self.paths.sort(key=lambda p: -len(p[0].pattern))
        self.formats = None
        if jsonschema:
            self.formats = jsonschema.FormatChecker(formats=())
            self.formats.checks("date-time")(
                lambda v: not isinstance(v, str) or bool(TIME.match(v)))
            self.formats.checks("uri")(
                lambda v: not isinstance(v, str) or bool(URI.match(v)))

    def deref(self, node):
        while isinstance(node, dict) and "$ref" in node:
            at = self.doc
            for name in node["$ref"].removeprefix("#/").split("/"):
                at = at[name]
            node = at
        return node

    def operation(self, method, path):
        """(operation, its path item), None for what is not there"""
        for pattern, item in self.paths:
            if pattern.match(path):
                name = "get" if method == "HEAD" else method.lower()
                return item.get(name), item
        return None, None

    def responses(self, method, path, status):
        """What the path promises, and what any path may answer."""
        op, _ = self.operation(method, path)
        return [self.deref(r[str(status)])
                for r in (op["responses"] if op else {},
                          self.doc["x-perch-anywhere"]) if str(status) in r]

    def validate(self, schema, value):
        """complaints"""
        key = json.dumps(schema)
        if key not in self.validators:
            self.validators[key] = jsonschema.Draft202012Validator(
                {**schema, "components": self.doc["components"]},
                format_checker=self.formats)
        return [f"/{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
                for e in self.validators[key].iter_errors(value)]

    def content(self, response, kind, body):
        bare = kind.split(";")[0].strip()
        known = response.get("content", {})
        if response.get("x-perch-any-body"):
            return []
        if not kind:
            return [] if not body else ["a body without Content-Type"]
        if bare not in known:
            return [f"Content-Type {kind}, documented: {sorted(known)}"]
        if not bare.endswith(("/json", "+json")):
            return []
        try:
            value = json.loads(body)
        except ValueError as e:
            return [f"the body: {e}"]
        return self.validate(self.deref(known[bare].get("schema", {})), value)

    def complaints(self, method, target, status, headers, body):
        """What the document does not say of this answer; headers: a dict
        with names in lower case."""
        worst = [f"status {status} is not documented"]
        for n, response in enumerate(self.responses(
                method, target.split("?")[0], status)):
            bad = [f"the field {n} is missing"
                   for n, h in response.get("headers", {}).items()
                   if self.deref(h).get("required") and
                   n.lower() not in headers]
            if method != "HEAD":
                bad += self.content(response, headers.get("content-type", ""),
                                    body)
            if not bad:
                return []
            worst = worst if n else bad
        return worst


_document = None


def check(method, target, status, headers, body):
    """AssertionError when perch-kmf answered what the document does not
    say."""
    global _document
    if jsonschema is None or status == 0:
        return
    if _document is None:
        _document = Document(load())
    bad = _document.complaints(method, target, status, headers, body)
    if bad:
        raise AssertionError("\n".join(
            [f"schema/openapi.yaml does not allow {status} as answer to "
             f"{method} {target}:", *bad, repr(body[:600])]))
