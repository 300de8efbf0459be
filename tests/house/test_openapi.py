#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# schema/openapi.yaml says all that kmf/route.c serves, and nothing else; its
# JSON, made without a YAML library, is what a YAML library reads; and each
# error code that the sources give has its place in the stable list.
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
import tap

DOCUMENT = tap.TOP / "schema" / "openapi.yaml"
AWK = [os.environ.get("AWK", "awk"), "-f",
       str(tap.TOP / "schema" / "yaml2json.awk")]
METHODS = {"get", "put", "post", "delete", "patch"}

HOW = """To add a path: give it an entry under `paths:` of schema/openapi.yaml, with
operationId, tags, summary, parameters, requestBody (a schema under
components/schemas, additionalProperties: false) and every status it answers;
look at one of its neighbours. A path of kmf/route.c is compared with the
names in braces left out: {c} and {id} are the same. Then `make`, and
`make check TESTS=tests/house/test_openapi.py`."""
CODES = """To add an error code: put it into ProblemCode in schema/openapi.yaml (or into
TokenError, when /oauth/token gives it). A code that no source gives any more
leaves the list only with a new API version."""


def convert(text):
    r = subprocess.run(AWK, input=text, text=True, capture_output=True,
                       timeout=30)
    return r.returncode, r.stdout, r.stderr


def bare(path):
    """/x/{c}/y and /x/{id}/y are the same; {i.ics} is {i}.ics"""
    return re.sub(r"\{\w+(\.\w+)?\}", r"{}\1", path)


def routes(source):
    words = dict(re.findall(r'^#define (\w+)\s+"([^"]*)"', source, re.M))
    out = set()
    for method, path in re.findall(r'\{\s*"([A-Z]+)",\s*([^,]+),', source):
        parts = re.findall(r'"([^"]*)"|(\w+)', path)
        out.add((method, bare("".join(s or words[w] for s, w in parts))))
    return out


def documented(doc):
    return {(m.upper(), bare(p)) for p, item in doc["paths"].items()
            for m in item if m in METHODS}


def refs(node, at="#"):
    if isinstance(node, dict):
        if "$ref" in node:
            yield at, node["$ref"]
        for k, v in node.items():
            yield from refs(v, f"{at}/{k}")
    elif isinstance(node, list):
        for i, v in enumerate(node):
            yield from refs(v, f"{at}/{i}")


def find(doc, ref):
    for name in ref.removeprefix("#/").split("/"):
        if not isinstance(doc, dict) or name not in doc:
            return None
        doc = doc[name]
    return doc


GIVEN = re.compile(
    r'(?:kmf_refuse|front_problem|front_problem_with|front_challenge|'
    r'front_token_error|refuse)\(\s*[&\w]+,\s*\d+,\s*"([a-z_]+)"')


def given():
    """code -> where"""
    out = {}
    for f in tap.sources(".c", rooms=["kmf"]):
        for code in GIVEN.findall(f.read_text()):
            out.setdefault(code, tap.rel(f))
    return out


def yaml_agrees(doc):
    try:
        import yaml
    except ImportError:
        tap.skip("a YAML library reads the same", "no python3-yaml here")
        return
    tap.ok(yaml.safe_load(DOCUMENT.read_text()) == doc,
           "a YAML library reads the same",
           "schema/yaml2json.awk and PyYAML differ about the document:"
           " quote the scalar")


def awk_is_strict():
    code, out, _ = convert('a: 1\nb:\n  - x\n  - k: {m: [1, "two"], n: true}'
                           '\n    l: >-\n      p\n      q\n')
    tap.ok(code == 0 and json.loads(out) == {
        "a": 1, "b": ["x", {"k": {"m": [1, "two"], "n": True}, "l": "p q"}]},
        "each form that the document uses", out)
    for bad in ("a:\n", "a: 1\n   b: 2\n", "a: {b: 1\n", "a: [1\n",
                "a: *x\n", "a:\tb\n", "a: b: c\n", 'a: "b\n', "  a: 1\nb: 2\n",
                "a: [1] x\n", "just text\n", "a:b\n"):
        code, out, err = convert(bad)
        tap.ok(code != 0 and err, f"refused: {bad!r}", out)


awk_is_strict()
code, text, err = convert(DOCUMENT.read_text())
if not tap.ok(code == 0, "the document keeps to its subset of YAML", err):
    tap.done()
doc = json.loads(text)
yaml_agrees(doc)

have = routes((tap.TOP / "kmf" / "route.c").read_text())
want = documented(doc)
tap.ok(len(have) >= 30, "the routes were found", len(have))
tap.ok(routes('#define C "/v1/{c}"\n\t{ "GET", C "/{i.ics}", X },') ==
       {("GET", "/v1/{}/{}.ics")}, "a route is read as it is served")
tap.ok(have <= want, "each route of kmf/route.c is in the document",
       *sorted(f"missing: {m} {p}" for m, p in have - want), HOW)
tap.ok(want <= have, "each path of the document is a route",
       *sorted(f"no route: {m} {p}" for m, p in want - have), HOW)

# Each change is guarded one way: what has an ETag wants to see it again, a
# POST can be repeated by its key, and what is neither says why.
def params(op):
    return {p["$ref"].rpartition("/")[2] for p in op.get("parameters", ())
            if "$ref" in p}


def has_etag(item):
    """Does GET of that path answer with the ETag of what is stored?"""
    return "ETag" in item.get("get", {}).get("responses", {}).get(
        "200", {}).get("headers", {})


def unguarded(doc):
    for path, item in doc["paths"].items():
        for method in METHODS & set(item) - {"get"}:
            op, name = item[method], f"{method.upper()} {path}"
            why = op.get("x-perch-repeatable", "")
            codes, have = set(op["responses"]), params(op)
            seen = "IfMatch" in have and {"412", "428"} <= codes
            once = "IdempotencyKey" in have and "422" in codes
            if method != "post" and has_etag(item):
                good = seen and not why
            elif method == "post" and not why:
                good = once
            else:
                good = bool(why) and not seen
            if not good or ("428" in codes) != seen:
                yield name


tap.ok(sum(has_etag(i) for i in doc["paths"].values()) >= 3,
       "what has an ETag was found")
tap.ok(not list(unguarded(doc)), "each change wants If-Match, takes an"
       " Idempotency-Key, or says why neither", *unguarded(doc))
# and this finds what it is to find
for opid, take in (("deleteSeries", "parameters"), ("evictPerson", "parameters"),
                   ("evictMember", "x-perch-repeatable")):
    less = json.loads(text)
    for item in less["paths"].values():
        for op in item.values():
            if isinstance(op, dict) and op.get("operationId") == opid:
                del op[take]
    tap.ok(list(unguarded(less)), f"{opid} without {take} is found")

ids = [op.get("operationId") for item in doc["paths"].values()
       for m, op in item.items() if m in METHODS]
tap.ok(None not in ids and len(ids) == len(set(ids)),
       "each operation has a name of its own", ids)
broken = [f"{at}: {r}" for at, r in refs(doc) if find(doc, r) is None]
tap.ok(not broken, "each $ref leads somewhere", *broken)
used = {r for _, r in refs(doc)}
unused = [f"#/components/{kind}/{name}"
          for kind, items in doc["components"].items()
          if kind != "securitySchemes" for name in items
          if f"#/components/{kind}/{name}" not in used]
tap.ok(not unused, "each component is used", *unused)

problems = set(doc["components"]["schemas"]["ProblemCode"]["enum"])
errors = set(doc["components"]["schemas"]["TokenError"]["properties"]["error"]
             ["enum"])
codes = given()
tap.ok(len(codes) >= 20, "the sources' codes were found", len(codes))
tap.ok(set(codes) <= problems | errors, "each code given is documented",
       *(f"{f}: {c}" for c, f in sorted(codes.items())
         if c not in problems | errors), CODES)
sources = "".join(f.read_text() for room in ("kmf", "perc")
                  for f in tap.sources(".c", rooms=[room]))
idle = [c for c in sorted(problems) if f'"{c}"' not in sources]
tap.ok(not idle, "each documented code is given somewhere", *idle, CODES)
tap.done()
