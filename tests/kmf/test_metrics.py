#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# /metrics is what docs/OPERATIONS.md says it is, in the format of Prometheus;
# every expression of the dashboard and of the alerts asks for what is there.
# /readyz names its reasons. Logs as JSON are JSON.
import json
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
import promtool                                             # noqa: E402
import tap                                                  # noqa: E402
import world                                                # noqa: E402

PAGE = (tap.TOP / "docs" / "OPERATIONS.md").read_text()


class Scene:
    pass


def scrape(s):
    a = Raw(s.k, "GET", "/metrics")
    assert a.status == 200, a.body
    return a.body.decode()


def parse(text):
    """{name: (type, help, {labels: value})}, strictly."""
    out, kind, said = {}, {}, {}
    last = None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, said_text = line[7:].split(" ", 1)
            assert name not in said, f"{name} twice"
            said[name] = said_text
        elif line.startswith("# TYPE "):
            name, t = line[7:].split(" ")
            assert name in said and name not in kind, line
            assert t in ("counter", "gauge", "histogram"), line
            kind[name], out[name], last = t, (t, said[name], {}), name
        else:
            m = re.fullmatch(r'([a-z_:][a-z0-9_:]*)(\{[^{}]*\})? '
                             r'(-?[0-9.e+]+|\+Inf|NaN)', line)
            assert m, f"not a sample: {line!r}"
            base = re.sub(r"_(bucket|sum|count)$", "", m[1]) \
                if kind[last] == "histogram" else m[1]
            assert base == last, f"{line!r} stands below {last}"
            if m[2]:
                assert re.fullmatch(r'\{[a-z]+="(?:[^"\\\n]|\\.)*"\}', m[2])
            key = m[1] + (m[2] or "")
            assert key not in out[last][2], f"{key} twice"
            out[last][2][key] = float(m[3])
    return out


def documented():
    rows = re.findall(r"^\| `(perch_kmf_\w+)(?:\{(\w+)\})?` \| (\w+) \|",
                      PAGE, re.M)
    return {name: (t, label) for name, label, t in rows}


def test_format(s):
    m = parse(scrape(s))
    assert len(m) > 40
    for name, (t, text, samples) in m.items():
        assert name.startswith("perch_kmf_")
        assert (t == "counter") == name.endswith("_total"), (name, t)
        assert samples, name
        assert text[0].isupper() and "  " not in text, text
        if t == "histogram":
            b = [v for k, v in samples.items() if "_bucket{" in k]
            assert b == sorted(b) and b[-1] == samples[name + "_count"]


def test_promtool(s):
    for wrong in (promtool.of_metrics(scrape(s)),
                  promtool.of_expressions(alerts() + shown())):
        assert not wrong, wrong


def test_as_documented(s):
    have, doc = parse(scrape(s)), documented()
    assert not set(have) - set(doc), f"no row: {set(have) - set(doc)}"
    assert not set(doc) - set(have), f"not there: {set(doc) - set(have)}"
    for name, (t, label) in doc.items():
        assert have[name][0] == t, (name, t)
        labels = {x for k in have[name][2] for x in
                  re.findall(r'(\w+)="', k)} - {"le"}
        assert labels == ({label} if label else set()), (name, labels)


def board():
    return json.loads((tap.TOP / "docs/grafana/perch.json").read_text())


def shown():
    return [t["expr"] for p in board()["panels"] for t in p["targets"]]


def alerts():
    return re.findall(r"^\s+expr: (.*)$", PAGE, re.M)


def asked(expr):
    return set(re.findall(r"\bperch_kmf_\w+", expr))


def names(s):
    out = set()
    for name, (t, _, _) in parse(scrape(s)).items():
        out |= {name + x for x in ("_bucket", "_sum", "_count")} \
            if t == "histogram" else {name}
    return out


def test_dashboard(s):
    d, have, used = board(), names(s), set()
    ids = [p["id"] for p in d["panels"]]
    assert len(ids) == len(set(ids)) > 10
    for p in d["panels"]:
        assert p["targets"], p["title"]
        for t in p["targets"]:
            assert asked(t["expr"]), t["expr"]
            assert asked(t["expr"]) <= have, asked(t["expr"]) - have
            assert t["expr"].count("(") == t["expr"].count(")")
            used |= asked(t["expr"])
    base = {re.sub(r"_(bucket|sum|count)$", "", n) for n in used}
    unseen = {n for n in have if re.sub(r"_(bucket|sum|count)$", "", n)
              not in base and n not in base}
    assert unseen == {"perch_kmf_start_time_seconds",
                      "perch_kmf_secret_memory"}, unseen


def test_alerts(s):
    assert len(alerts()) > 5
    for e in alerts():
        assert asked(e) and asked(e) <= names(s), e


def value(s, name):
    return parse(scrape(s))[name][2][name]


def test_they_count(s):
    """Whichever front is asked; and a front that died leaves what it
    counted."""
    before = value(s, "perch_kmf_front_requests_total")
    for _ in range(20):
        assert Raw(s.k, "GET", "/healthz").status == 200
    asked_ = [before]

    def told():
        asked_.append(value(s, "perch_kmf_front_requests_total"))
        return asked_[-1] - before >= 20
    world.wait_for(told, 5, 0.3, say="the fronts to tell")
    # that question is a request, too
    assert asked_[-1] - before <= 20 + 5 + len(asked_), asked_
    assert value(s, "perch_kmf_front_answers_2xx_total") >= 20
    e, f = value(s, "perch_kmf_epochs_total"), \
        value(s, "perch_kmf_login_failures_total")
    conf = conference(s.admin)["id"]
    m = guest(s.k, s.admin, conf)
    assert value(s, "perch_kmf_epochs_total") == e + 1
    assert value(s, "perch_kmf_members_live") == 1
    sock, _ = stream(s.k, m, conf)
    world.wait_for(lambda: value(s, "perch_kmf_front_streams") == 1, 5, 0.3,
                   say="the stream to count")
    assert value(s, "perch_kmf_members_streams") == 1
    assert value(s, "perch_kmf_members_behind") == 0
    time.sleep(1)
    guest(s.k, s.admin, conf, "Second")     # epoch 2, unconfirmed at m
    world.wait_for(lambda: value(s, "perch_kmf_members_behind") == 1, 5, 0.3,
                   say="one to be behind")
    sock.close()
    Raw(s.k, "POST", "/oauth/token", body=b"x=y")
    world.wait_for(lambda: value(s, "perch_kmf_login_failures_total") > f, 4)
    assert value(s, "perch_kmf_audit_rows") > 5
    assert value(s, "perch_kmf_fronts") == 2


def test_ready_names_its_reasons(s):
    a = Raw(s.k, "GET", "/readyz")
    v = a.json()
    assert a.status == 200 and v["ready"] is True
    assert v["checks"]["database"] == {"ok": True}
    assert v["checks"]["certificate"]["ok"] is True
    nobody = v["checks"]["issuer:nobody"]
    assert nobody["ok"] is False and nobody["reason"]
    rows = set(re.findall(r"^\| `([\w:]+)` \| (?:yes|no) \|", PAGE, re.M))
    for name in v["checks"]:
        assert name.split(":")[0] in {r.split(":")[0] for r in rows}, name
    assert Raw(s.k, "GET", "/healthz").body == b"ok\n"


def test_certificate_soon_over(s):
    cert, key = s.w.certificate("old")
    r = subprocess.run(
        ["openssl", "x509", "-in", cert, "-signkey", key, "-days", "3",
         "-out", s.w.dir / "short.crt"], capture_output=True)
    assert r.returncode == 0, r.stderr
    k = kmf(s.w2, extra=f"tls_cert = {s.w.dir / 'short.crt'}\n"
            f"tls_key = {key}\nlog_format = json")
    k.ca = s.w.dir / "short.crt"
    c = Raw(k, "GET", "/readyz").json()["checks"]["certificate"]
    assert c["ok"] is False and "expires in" in c["reason"], c
    Raw(k, "POST", "/oauth/token", body=b"x=y")
    k.proc.wait_log("front.refuse")
    assert k.proc.stop() == 0
    lines = [json.loads(x) for x in k.proc.text().splitlines()]
    assert {"main", "keeper", "front0"} <= {x["role"] for x in lines} | \
        {"front0"}
    refuse = [x for x in lines if x.get("event") == "front.refuse"][0]
    assert refuse["id"].startswith("r_") and refuse["peer"] == "127.0.0.1"
    assert refuse["route"] == "POST /oauth/token" and refuse["time"]


def main():
    s = Scene()
    with world.World("perch-metrics-") as w, \
            world.World("perch-metrics2-") as w2:
        s.w, s.w2 = w, w2
        secret = w.write(w.dir / "hook.secret", "0123456789abcdef0123\n",
                         mode=0o600)
        s.k = kmf(w, extra=f"fronts = 2\n[issuer nobody]\n"
                  f"url = https://localhost:{world.free_port()}\n"
                  f"[webhook one]\nurl = https://localhost:1/\n"
                  f"secret_file = {secret}")
        s.admin = s.k.admin()
        run(globals(), s)


if __name__ == "__main__":
    main()
