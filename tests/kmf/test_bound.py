#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What a token may be bound to instead of a DPoP key: a TLS certificate (RFC
# 8705), or, where an administrator insists, nothing at all.
import hashlib
import http.client
import json
import pathlib
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kmfworld import *                                      # noqa: E402,F403
from providers import *                                     # noqa: E402,F403
import jose                                                 # noqa: E402
import rest                                                 # noqa: E402
import world                                                # noqa: E402

ROOM = "urn:example:room:42"
CA = "https://pki.example.org/rooms"


class Authority:
    """A CA with the openssl program."""

    def __init__(self, w, name):
        self.w, self.name, self.dir = w, name, w.mkdir(name)
        self.key, self.crt = self.dir / "ca.key", w.dir / f"{name}-ca.crt"
        w.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
               "-subj", f"/CN={name}", "-keyout", self.key,
               "-out", self.crt])
        self.crt.chmod(0o644)
        (self.dir / "index.txt").touch()
        (self.dir / "serial").write_text("01\n")
        (self.dir / "crlnumber").write_text("01\n")
        self.conf = w.write(self.dir / "ca.conf", "\n".join([
            "[ca]", "default_ca = d", "[d]", f"dir = {self.dir}",
            "database = $dir/index.txt", "serial = $dir/serial",
            "crlnumber = $dir/crlnumber", "new_certs_dir = $dir",
            f"certificate = {self.crt}", f"private_key = {self.key}",
            "default_md = sha256", "policy = p", "unique_subject = no",
            "copy_extensions = copy", "default_crl_days = 2",
            "[p]", "commonName = supplied", ""]))

    def device(self, label, san=f"URI:{ROOM}", eku="clientAuth", more=()):
        """(certificate, key) files; more: of openssl ca."""
        key, csr, crt = (self.dir / f"{label}.{x}" for x in
                         ("key", "csr", "crt"))
        ext = ["-addext", f"subjectAltName={san}"] if san else []
        if eku:
            ext += ["-addext", f"extendedKeyUsage={eku}"]
        self.w.run(["openssl", "req", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    f"/CN={label}", "-keyout", key, "-out", csr, *ext])
        self.w.run(["openssl", "ca", "-config", self.conf, "-batch",
                    "-notext", "-in", csr, "-out", crt,
                    *(more or ["-days", "2"])])
        return crt, key

    def revoke(self, pair):
        self.w.run(["openssl", "ca", "-config", self.conf, "-revoke",
                    pair[0]])

    def crl(self):
        path = self.w.dir / f"{self.name}.crl"
        self.w.run(["openssl", "ca", "-config", self.conf, "-gencrl",
                    "-out", path])
        path.chmod(0o644)
        return path


def x5t(pair):
    import ssl
    der = ssl.PEM_cert_to_DER_cert(pathlib.Path(pair[0]).read_text())
    return jose.b64u(hashlib.sha256(der).digest())


def ask(s, method, path, pair=None, form=None, token=None, scheme="Bearer",
        body=None, **headers):
    """One request over a connection with this certificate."""
    ctx = world.tls(s.k.ca)
    if pair:
        ctx.load_cert_chain(*map(str, pair))
    c = http.client.HTTPSConnection("localhost", s.k.port, timeout=15,
                                    context=ctx)
    h = dict(headers)
    if token:
        h["Authorization"] = f"{scheme} {token}"
    if form is not None:
        body = urllib.parse.urlencode(form)
        h["Content-Type"] = "application/x-www-form-urlencoded"
    elif body is not None:
        body = json.dumps(body)
        h["Content-Type"] = "application/json"
    c.request(method, path, body or (b"" if method != "GET" else None), h)
    r = c.getresponse()
    a = rest.Answer(r.status, {k.lower(): v for k, v in r.getheaders()},
                    r.read())
    c.close()
    return a


def cert_form(s, name=ROOM, conf=None):
    return {"grant_type": "client_credentials", "client_id": name,
            "resource": f"{s.k.url}/v1/conferences/{conf or s.conf}"}


def room_token(s, pair, **kw):
    a = ask(s, "POST", "/oauth/token", pair, cert_form(s))
    assert a.status == 200, a.raw
    return a.body


def path(s, what=""):
    return f"/v1/conferences/{s.conf}{what}"


def test_REQ_W_4_a_room_by_its_certificate(s):
    a = room_token(s, s.room)
    assert a["token_type"].lower() == "bearer", a
    cnf = jose.claims(a["access_token"])["cnf"]
    assert cnf == {"x5t#S256": x5t(s.room)}, cnf
    t = a["access_token"]
    r = ask(s, "POST", path(s, "/keys"), s.room, token=t)
    assert r.status == 200, r.raw
    k = rest.encryption_key(r.headers["encryption-key"])
    assert k["usage"] == "EKT"
    d = ask(s, "GET", path(s), s.room, token=t).body
    assert d["you"]["kind"] == "room", d
    r = ask(s, "PUT", path(s, "/lease"), s.room, token=t,
            body={"epoch": int(k["keyid"].split(".")[1])})
    assert r.status == 200, r.raw
    assert ask(s, "GET", path(s, "/roster"), s.room, token=t).status == 200


def test_a_certificate_with_a_proof_binds_to_the_proof(s):
    key = jose.Key()
    proof = key.dpop("POST", s.k.url + "/oauth/token")
    a = ask(s, "POST", "/oauth/token", s.room, cert_form(s), DPoP=proof)
    assert a.status == 200 and a.body["token_type"] == "DPoP", a.raw
    e = endpoint(s.k, key)
    e.path, e.token = path(s), a.body["access_token"]
    assert jose.claims(e.token)["cnf"] == {"jkt": key.thumbprint()}
    assert e.keys()["usage"] == "EKT"       # no certificate needed now


def test_REQ_W_4_2_a_stolen_token_fails(s):
    """Over another certificate, over none, as DPoP: RFC 8705 3."""
    t = room_token(s, s.room)["access_token"]
    assert ask(s, "POST", path(s, "/keys"), s.room, token=t).status == 200
    for pair in (s.other, s.foreign, None):
        a = ask(s, "POST", path(s, "/keys"), pair, token=t)
        assert a.status == 401, (pair, a.status)
        assert 'error="invalid_token"' in a.headers["www-authenticate"]
    key = jose.Key()
    proof = key.dpop("POST", s.k.url + path(s, "/keys"), t)
    a = ask(s, "POST", path(s, "/keys"), s.room, token=t, scheme="DPoP",
            DPoP=proof)
    assert a.status == 401, a.raw


def test_certificates_that_are_no_good(s):
    cases = {
        "it has expired": s.expired,
        "not for TLS clients": s.server, "it was revoked": s.revoked,
        "it has another name": s.other, "a CA, not a device": s.selfsigned,
        "not valid yet": s.early, "of another CA": s.stranger,
    }
    for why, pair in cases.items():
        a = ask(s, "POST", "/oauth/token", pair, cert_form(s))
        assert a.status == 401 and a.body["error"] == "invalid_client", \
            (why, a.raw)
        assert why in s.k.proc.text(), why
    # one that says it is somebody else
    a = ask(s, "POST", "/oauth/token", s.room, cert_form(s, "urn:x"))
    assert a.status == 401, a.raw
    for name in ("", ROOM + "\0", ROOM[:-1]):
        a = ask(s, "POST", "/oauth/token", s.room, cert_form(s, name))
        assert a.status in (400, 401), a.raw
    # none at all
    a = ask(s, "POST", "/oauth/token", None, cert_form(s))
    assert a.status == 400 and a.body["error"] == "invalid_dpop_proof"


def test_an_uninvited_room(s):
    a = ask(s, "POST", "/oauth/token", s.other,
            cert_form(s, "urn:example:room:7"))
    assert a.status == 400 and a.body["error"] == "invalid_target", a.raw


def test_a_name_of_another_kind_is_no_name(s):
    """The other issuer takes the common name, of its own CA's devices."""
    a = ask(s, "POST", "/oauth/token", s.foreign, cert_form(s, "phone-1"))
    assert a.status == 400 and a.body["error"] == "invalid_target", a.raw
    a = ask(s, "POST", "/oauth/token", s.room, cert_form(s, "room-42"))
    assert a.status == 401, a.raw


def test_token2_over_the_certificate(s):
    t = room_token(s, s.room)["access_token"]
    form = {"grant_type": rest.EXCHANGE, "subject_token": t,
            "subject_token_type": rest.ACCESS, "resource": MDD,
            "conference": s.conf, "x5t_s256": "A" * 43}
    assert ask(s, "POST", "/oauth/token", s.room, form).status == 200
    assert ask(s, "POST", "/oauth/token", s.other, form).status == 400
    proof = jose.Key().dpop("POST", s.k.url + "/oauth/token")
    assert ask(s, "POST", "/oauth/token", None, form,
               DPoP=proof).status == 400


def test_a_providers_token_bound_to_a_certificate(s):
    t = at(s, cnf={"x5t#S256": x5t(s.other)})
    assert ask(s, "POST", path(s, "/keys"), s.other, token=t).status == 200
    for pair in (s.room, None):
        assert ask(s, "POST", path(s, "/keys"), pair, token=t).status == 401
    # and exchanged
    form = {"grant_type": rest.EXCHANGE, "subject_token": t,
            "subject_token_type": rest.ACCESS,
            "resource": s.k.url + path(s)}
    a = ask(s, "POST", "/oauth/token", s.other, form)
    assert a.status == 200, a.raw
    assert jose.claims(a.body["access_token"])["cnf"] == \
        {"x5t#S256": x5t(s.other)}
    assert ask(s, "POST", "/oauth/token", s.room, form).status == 400


def test_codes_and_assertions_still_need_a_proof(s):
    code = invite(s.admin, s.conf)["code"]
    form = {"grant_type": rest.EXCHANGE, "subject_token": code,
            "subject_token_type": rest.CODE, "resource": s.k.url + path(s)}
    a = ask(s, "POST", "/oauth/token", s.room, form)
    assert a.status == 400 and a.body["error"] == "invalid_dpop_proof"
    form = {"grant_type": "client_credentials", "client_assertion_type":
            rest.ASSERTION, "client_assertion": "x.y.z"}
    a = ask(s, "POST", "/oauth/token", s.room, form)
    assert a.status == 400 and a.body["error"] == "invalid_dpop_proof"


def test_who_has_no_certificate_is_not_bothered(s):
    assert guest(s.k, s.admin, s.conf).ekt["usage"] == "EKT"
    for p, flag in (("oauth-protected-resource", True),
                    ("oauth-authorization-server", True)):
        o = Raw(s.k, "GET", f"/.well-known/{p}").json()
        assert o["tls_client_certificate_bound_access_tokens"] is flag
    assert "tls_client_auth" in o["token_endpoint_auth_methods_supported"]


# --- bearer ------------------------------------------------------------------
def test_bearer_is_off_by_default(s):
    a = ask(s, "POST", path(s, "/keys"), token=at(s))
    assert a.status == 401
    a = ask(s, "POST", path(s, "/keys"), token=at(s), scheme="DPoP",
            DPoP=jose.Key().dpop("POST", s.k.url + path(s, "/keys"), at(s)))
    assert a.status == 401


def test_bearer_where_the_administrator_insists(s):
    loose = {"key": s.key2, "p": s.p2, "header": {"kid": "two"}}
    t = at(s, **loose)
    a = ask(s, "POST", path(s, "/keys"), token=t)
    assert a.status == 200 and "encryption-key" in a.headers, a.raw
    # plain form only: a sealed answer needs a proof that says for whom
    a = ask(s, "POST", path(s, "/keys"), token=t,
            body={"seal_to": jose.Key().public})
    assert a.status in (400, 401, 403), a.raw
    # what is bound stays bound, whatever the setting
    for cnf in ({"jkt": jose.Key().thumbprint()}, {"x5t#S256": "A" * 43}):
        t = at(s, cnf=cnf, **loose)
        assert ask(s, "POST", path(s, "/keys"), token=t).status == 401
    # and a token of ours never comes so
    e = guest(s.k, s.admin, s.conf)
    assert ask(s, "POST", path(s, "/keys"), token=e.token).status == 401


def test_the_risk_is_said_aloud(s):
    assert "allow_bearer" in s.k.proc.text()
    r = s.w.run([s.w.bin("perch-kmf"), "check-config", "-c", s.k.conf],
                check=False)
    assert "warning: [issuer loose]: allow_bearer" in r.stderr, r.stderr
    assert "email_domains is not set" in r.stderr, r.stderr


def main():
    s = Scene()
    with world.World("perch-bound-") as w:
        s.w, s.p, s.p2 = w, Provider(w, "corp"), Provider(w, "loose")
        s.key, s.key2 = jose.Key(), jose.Key()
        s.p.publish([jwk(s.key, "one")])
        s.p2.publish([jwk(s.key2, "two")])
        ca, ca2 = Authority(w, "rooms"), Authority(w, "phones")
        s.room = ca.device("room-42")
        s.other = ca.device("room-7", "URI:urn:example:room:7")
        s.foreign = ca2.device("phone-1")
        s.expired = ca.device("old", more=["-startdate", "20200101000000Z",
                                           "-enddate", "20200102000000Z"])
        s.early = ca.device("early", more=["-startdate", "20400101000000Z",
                                           "-enddate", "20410102000000Z"])
        s.server = ca.device("server", eku="serverAuth")
        s.revoked = ca.device("lost")
        s.selfsigned = w.certificate("own")
        s.stranger = Authority(w, "elsewhere").device("x")
        ca.revoke(s.revoked)
        s.k = kmf(w, extra="\n".join([
            "fronts = 1", f"client_ca = {s.selfsigned[0]}",
            s.p.config("corp"), s.p2.config("loose", "allow_bearer = yes"),
            "[issuer rooms]", f"url = {CA}", "certificate = yes",
            f"ca_file = {ca.crt}", f"crl_file = {ca.crl()}",
            "[issuer phones]", "url = https://pki.example.org/phones",
            "certificate = yes", f"ca_file = {ca2.crt}", "subject_from = cn",
        ]))
        s.admin = s.k.admin()
        s.conf = conference(s.admin, invitees=[
            {"email": "alice@example.org"},
            {"iss": CA, "sub": ROOM}])["id"]
        s.k.wait_keys()
        run(globals(), s)


if __name__ == "__main__":
    main()
