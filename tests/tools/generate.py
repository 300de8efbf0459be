# SPDX-License-Identifier: Apache-2.0
# Values for a JSON Schema: ones that it allows, and ones that it hardly does.
# Everything comes out of one random.Random, so a seed repeats a run.
import copy
import json

TIMES = ["0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z",
         "2026-02-30T00:00:00Z", "2026-11-21T25:00:00Z", "2026-11-21T09:30:60Z",
         "2026-11-21T09:30:00", "2026-11-21", "2026-11-21T09:30:00+99:99",
         "2026-11-21T09:30:00-23:59", "+2026-11-21T09:30:00Z",
         "20261121T093000Z", "1e9", "now", "-1", "2026-W47-6",
         "2026-11-21T09:30:00.999999999999Z", "9999999999-01-01T00:00:00Z"]
ZONES = ["Europe/Berlin", "UTC", "Mars/Olympus", "../../etc/passwd",
         "Europe/Berlin\u0000", "GMT+25", ":/etc/localtime", "", "Etc/GMT-99"]
RULES = ["FREQ=WEEKLY", "FREQ=SECONDLY;COUNT=100000", "FREQ=DAILY;COUNT=5",
         "FREQ=DAILY;UNTIL=99991231T000000Z", "FREQ=YEARLY;BYMONTHDAY=31;"
         "BYMONTH=2;COUNT=9", "RRULE:FREQ=DAILY;COUNT=2", "FREQ=DAILY;COUNT=-1",
         "FREQ=DAILY;INTERVAL=0;COUNT=3", "FREQ=MINUTELY;COUNT=999999999999",
         "FREQ=WEEKLY;BYDAY=" + "MO," * 200, "FREQ=DAILY;BYSETPOS=999;COUNT=2",
         "FREQ=DAILY\r\nATTENDEE:x;COUNT=1"]
TEXTS = ["", " ", "x", "\u0000", "\u0007", "a\nb", "\u2028", "\ufeff", "\ud7ff",
         "\U0001f600" * 40, "e\u0301" * 50, "\u202eevil", "'; DROP TABLE x;--",
         "../../..", "%00", "%n%s%s", "\\", "\"", "<script>", "\x7f", "a@b",
         "@", "a@b@c", "a b@c.example", "x" * 201, "y" * 5000, "http://[",
         "c_AAAAAAAAAAAAAAAAAAAAAA", "NaN", "null", "-0", "\t", "A" * 24]
NUMBERS = [0, -1, 1, 2 ** 31, 2 ** 32, -2 ** 31, 2 ** 53 + 1, 2 ** 63 - 1,
           -2 ** 63, 2 ** 63, 10 ** 40, 0.5, 1e308, -1e-308]
STRANGE = TEXTS + TIMES + ZONES + RULES + NUMBERS + [
    None, True, False, [], {}, [[]], [None], {"": {}}, {"a": 1}]


class Generator:
    def __init__(self, rng, document):
        self.rng, self.doc = rng, document

    def text(self, s):
        r, form = self.rng, s.get("format")
        if form == "date-time":
            return (f"2026-12-{r.randint(1, 28):02}T{r.randint(0, 23):02}:"
                    f"{r.randint(0, 59):02}:00Z")
        if form == "email":
            return f"p{r.randint(0, 99)}@example.org"
        if form == "uri":
            return f"https://host{r.randint(0, 9)}.example/x"
        low, high = s.get("minLength", 0), s.get("maxLength", 40)
        n = r.choice([low, high, r.randint(low, high)])
        return "".join(r.choice("abcXYZ 09-_\u00e9\u4e2d") if low != high else
                       r.choice("abcXYZ09-_") for _ in range(min(n, 400)))

    def valid(self, schema):
        """Something that the schema allows."""
        s, r = self.doc.deref(schema), self.rng
        if "const" in s:
            return s["const"]
        if "enum" in s:
            return r.choice(s["enum"])
        kind = s.get("type", "object")
        kind = r.choice(kind) if isinstance(kind, list) else kind
        if kind == "object":
            return self.object(s)
        if kind == "array":
            n = min(s.get("maxItems", 3), s.get("minItems", 0) +
                    r.randint(0, 2))
            return [self.valid(s.get("items", {})) for _ in range(n)]
        if kind == "integer":
            low = s.get("minimum", -5)
            high = s.get("maximum", low + 1000)
            return r.choice([low, high, r.randint(low, high)])
        return {"string": lambda: self.text(s), "null": lambda: None,
                "boolean": lambda: r.random() < 0.5,
                "number": r.random}[kind]()

    def object(self, s):
        r, known = self.rng, s.get("properties", {})
        need = set(s.get("required", []))
        allowed = set(known)
        if "oneOf" in s:    # our forms: which members must be there
            forms = [set(self.doc.deref(f).get("required", []))
                     for f in s["oneOf"]]
            form = r.choice(forms)
            need |= form
            allowed -= set().union(*forms) - form
        return {n: self.member(n, sub) for n, sub in known.items()
                if n in need or (n in allowed and r.random() < 0.4)}

    def member(self, name, schema):
        """What a schema cannot say: these are texts with a grammar."""
        if name == "rrule":
            return self.rng.choice(RULES)
        if name == "tzid":
            return self.rng.choice(ZONES)
        return self.valid(schema)

    # --- and then something goes wrong ---
    def places(self, value, at=()):
        yield at
        if isinstance(value, dict):
            for k in value:
                yield from self.places(value[k], at + (k,))
        elif isinstance(value, list):
            for i, v in enumerate(value):
                yield from self.places(v, at + (i,))

    def mutated(self, value):
        """One to three changes anywhere in it."""
        value = copy.deepcopy(value)
        for _ in range(self.rng.randint(1, 3)):
            value = self.change(value, self.rng.choice(
                list(self.places(value))))
        return value

    def change(self, value, at):
        r = self.rng
        if not at:
            if not isinstance(value, dict) or r.random() < 0.3:
                return r.choice(STRANGE)
            value[r.choice(["", "x", "id", "Title", "a/b~c", "\u00e9" * 90,
                            "__proto__"])] = r.choice(STRANGE)
            return value
        parent = value
        for step in at[:-1]:
            parent = parent[step]
        what = r.random()
        if what < 0.25:
            del parent[at[-1]]
        elif what < 0.35:
            parent[at[-1]] = [parent[at[-1]]] * r.choice([0, 2, 1200])
        elif what < 0.45:
            parent[at[-1]] = {"a": parent[at[-1]]}
        else:
            parent[at[-1]] = copy.deepcopy(r.choice(STRANGE))
        return value

    def broken(self, text):
        """Octets that are no longer the JSON they were."""
        r, n = self.rng, len(text)
        at = r.randint(0, n)
        return r.choice([
            lambda: text[:at],
            lambda: text[:at] + b"\xff" + text[at:],
            lambda: text[:at] + b"\x00" + text[at:],
            lambda: text[:at] + bytes([r.randint(0, 255)]) + text[at + 1:],
            lambda: text + r.choice([b"x", b"{}", b"\x00", b",", text]),
            lambda: b"\xef\xbb\xbf" + text,
            lambda: text.decode().encode("utf-16"),
            lambda: b"[" * r.choice([17, 500, 30000]) + text,
            lambda: b'{"a":' * 3000 + b"1" + b"}" * 3000,
            lambda: b'{"title": "a", "title": "b"' +
            (b"," + text[1:] if len(text) > 2 else b"}"),
            lambda: b'{"x": ' + b"9" * r.choice([30, 5000]) + b"}",
            lambda: b'{"x": 1e' + b"9" * 9 + b"}",
            lambda: text.replace(b":", b":\n" * 500),
            lambda: b"%s" % (b" " * r.choice([70000, 200000])),
            lambda: b"",
        ])()


def compact(value):
    return json.dumps(value, separators=(",", ":"),
                      ensure_ascii=False).encode("utf-8", "surrogatepass")
