# SPDX-License-Identifier: Apache-2.0
# What Prometheus' own program thinks of our metrics and of what asks for them.
import json
import os
import shutil
import subprocess

import tap

# where tests/tools/install.sh put it, or the package
PROGRAM = shutil.which(os.environ.get("PERCH_PROMTOOL") or "promtool")


def complaints(what, text):
    """Lines; none if all is well."""
    if not PROGRAM:
        raise tap.Skip("no promtool here (see check.sh)")
    r = subprocess.run([PROGRAM, "check", *what], input=text, text=True,
                       capture_output=True)
    if r.returncode == 0:
        return []
    return (r.stdout + r.stderr).splitlines() or [f"exit {r.returncode}"]


def of_metrics(page, but=()):
    """What is wrong with an answer of /metrics, but for what is meant so."""
    return [x for x in complaints(["metrics"], page) if x not in but]


def of_expressions(exprs):
    """The same of the language in which alerts and dashboards ask."""
    rules = [{"record": f"perch:expression:{i}",
              "expr": e.replace("$__rate_interval", "5m")}
             for i, e in enumerate(exprs)]
    return complaints(["rules", "/dev/stdin"], json.dumps(
        {"groups": [{"name": "perch", "rules": rules}]}))
