#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# perch doctor before one misconfiguration after the other, a row each: what is
# wrong, in which words, and what to do. The provider is the one of
# test_idp.py, which can be misconfigured in ways that real ones cannot be
# brought to by script; the KMF and the agent are real.
import json
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"),
                str(HERE.parent / "tools")]

import jose                                                 # noqa: E402
import stack                                                # noqa: E402
import tap                                                  # noqa: E402
import test_idp                                             # noqa: E402
import world                                                # noqa: E402
from test_idp import Idp                                    # noqa: E402

KEY = jose.Key()


def at(s, header=(), **claims):
    """An access token of the provider's, and no ID token."""
    now = int(time.time())
    c = {"iss": Idp.base, "aud": s.kmf.url, "sub": "alice",
         "client_id": "perch", "iat": now, "exp": now + 300, "jti": "j",
         **claims}
    return {"id_token": None, "access_token": Idp.key.sign(
        {"alg": "ES256", "typ": "at+jwt", **dict(header)},
        {k: v for k, v in c.items() if v is not None})}


# what is wrong: how the provider is, {(subject, check): (words, advice)}
def discovery_rows():
    return [
        ("a slash too many in the issuer",
         {"meta": {"issuer": Idp.base + "/"}},
         {("Liar", "issuer"): ("calls itself", "slash")}),
        ("another issuer", {"meta": {"issuer": "https://sso.example"}},
         {("Liar", "issuer"): ("sso.example", "copy .* url")}),
        ("no discovery document", {"page": (404, {})},
         {("Liar", "discovery"): ("404", "URL")}),
        ("a page instead of JSON", {"page": (200, "<html>")},
         {("Liar", "discovery"): ("no JSON", "URL")}),
        ("no keys", {"meta": {"jwks_uri": None}},
         {("Liar", "keys"): ("no jwks_uri", "https")}),
        ("keys over http", {"meta": {"jwks_uri": "http://localhost/k"}},
         {("Liar", "keys"): ("https", "https")}),
        ("keys of algorithms that nobody takes", {"jwks": [
            {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "alg": "EdDSA"}]},
         {("Liar", "keys"): ("none of an algorithm", "RS256")}),
        ("keys for encryption only", {"jwks": [
            {**KEY.public, "use": "enc"}]},
         {("Liar", "keys"): ("none", "RS256")}),
        ("no way to log in", {"meta": {
            "device_authorization_endpoint": None}},
         {("Liar", "login"): ("neither", "PKCE")}),
        ("a clock that is five minutes ahead", {"ahead": 300},
         {("Liar", "clock"): (r"(299|300|301) s ahead of", "NTP")}),
        ("a clock that is behind", {"ahead": -90},
         {("Liar", "clock"): (r"\d+ s behind", "NTP")}),
    ]


def login_rows(s):
    now = int(time.time())
    good = {"email": "a@example.org", "email_verified": True,
            "groups": ["staff"]}
    refused = {("login", "audience"): ("not accept|cannot|token", ".")}
    return [
        ("nothing", {"claims": good}, {}),
        ("many groups", {"claims": {**good, "groups": [
            f"g{i}" for i in range(65)]}},
         {("login", "groups"): ("65 groups; the KMF reads 64", "assigned"),
          ("login", "audience"): ("left your groups out", "docs/sso")}),
        ("Entra's group overage", {"claims": {
            **good, "groups": None, "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": "https://graph"}}}},
         {("login", "groups"): ("left this person's groups out", "entra-id"),
          ("login", "audience"): ("left your groups out", "docs/sso")}),
        ("its other way to say so", {"claims": {
            **good, "groups": None, "hasgroups": True}},
         {("login", "groups"): ("left this person's groups out", "assigned"),
          ("login", "audience"): ("left your groups out", "docs/sso")}),
        ("groups that are no list", {"claims": {**good, "groups": "staff"}},
         {("login", "groups"): ("no list", "list of names")}),
        ("an ID token for another client", {"claims": {"aud": "other"}},
         {("login", "tokens"): ("for another client", "client")}),
        ("an ID token of another issuer", {"claims": {
            "iss": "https://sso.example"}},
         {("login", "tokens"): ("of another issuer", "client")}),
        ("an algorithm that nobody takes", {
            "claims": good, "header": {"alg": "ES384"}},
         {("login", "algorithm"): ("ES384", "RS256"), **refused}),
        ("a provider whose clock is ahead", {"claims": {
            **good, "iat": now + 150, "exp": now + 600}},
         {("login", "clock"): ("in the future", "NTP"),
          ("login", "audience"): ("future; clocks differ|not accept", ".")}),
        ("no public client", {"tokens": [
            (401, {"error": "invalid_client"})]},
         {("login", "tokens"): ("public client", "redirect and grants")}),
        ("a grant that is not allowed", {"tokens": [
            (400, {"error": "unauthorized_client"})]},
         {("login", "tokens"): ("allow the grant", "grants")}),
        ("a scope that it does not know", {"tokens": [
            (400, {"error": "invalid_scope"})]},
         {("login", "tokens"): ("scope that the KMF names", ".")}),
        ("a resource that it does not know", {"tokens": [
            (400, {"error": "invalid_target"})]},
         {("login", "tokens"): ("resource_indicator", ".")}),
        ("no ID token, and an access token that is none of ours",
         {"answer": at(s, {"typ": "JWT"})},
         {("login", "audience"): (".", "no at.jwt .RFC 9068.")}),
        ("no ID token, and an access token for somebody else",
         {"answer": at(s, aud="https://graph.example")},
         {("login", "audience"): (".", "made for somebody else.*audience")}),
        ("no ID token, and no client_id",
         {"answer": at(s, client_id=None)},
         {("login", "audience"): (".", "client_id")}),
        ("opaque tokens, and nobody asks about them", {"answer": {
            "id_token": None, "access_token": "opaque"}},
         {("login", "audience"): (".", ".")}),
    ]


def note_rows():
    good = {"email": "a@example.org", "email_verified": True,
            "groups": ["staff"]}
    return [
        ("no address", {"claims": {**good, "email": None}}, "e-mail",
         "invite by group"),
        ("an address that nobody verified", {"claims": {
            **good, "email_verified": False}}, "e-mail", "vouch"),
        ("an address verified in words", {"claims": {
            **good, "email_verified": "true"}}, "e-mail", "vouch"),
        ("no groups", {"claims": {**good, "groups": None}}, "groups",
         "groups_claim"),
        ("no refresh token", {"claims": good, "answer": {
            "refresh_token": None}}, "renewal", "offline_access"),
        ("opaque tokens alone", {"answer": {
            "id_token": None, "access_token": "opaque"}}, "access token",
         "introspection"),
    ]


class Scene:
    def doctor(self, *argv):
        r = self.agent.perch("doctor", "--kmf", self.kmf.url, "--ca", self.ca,
                             "--json", *argv, check=False)
        j = json.loads(r.stdout)
        return r.returncode, {(c["subject"], c["check"]): c
                              for c in j["checks"]}


def judge(name, status, checks, want):
    bad = {k: c for k, c in checks.items() if not c["ok"]}
    wrong = [k for k, (words, advice) in want.items()
             if k not in bad or not re.search(words, bad[k]["what"]) or
             not re.search(advice, bad[k]["do"])]
    tap.ok(set(bad) == set(want) and not wrong and
           (status == 0) == (not want), name, wrong,
           json.dumps(list(bad.values()), indent=1))


def rows(s):
    # whatever was fetched before, the KMF has keys: its own line stays well
    for name, how, want in discovery_rows():
        Idp.reset(**how)
        judge("discovery: " + name, *s.doctor(), want)
    for name, how, want in login_rows(s):
        Idp.reset(**how)
        judge("login: " + name, *s.doctor("--login", "--device"), want)
        s.agent.perch("logout", check=False)
    for name, how, check, words in note_rows():
        Idp.reset(**how)
        _, checks = s.doctor("--login", "--device")
        c = checks.get(("login", check), {})
        tap.ok(c.get("ok") and re.search(words, c["what"] + c.get("do", "")),
               "a note: " + name, json.dumps(c))
        s.agent.perch("logout", check=False)


def main():
    with world.World("perch-doctor-words-") as w:
        cert, key = w.certificate("liar")
        test_idp.serve(w, Idp, cert, key)
        Idp.reset()
        s = Scene()
        s.kmf = stack.Kmf(w, None, None, "https://mdd.invalid:1")
        ca = s.kmf.public_copy(cert, "liar-ca.crt")
        with open(s.kmf.conf, "a") as f:
            f.write("\n".join([
                "[issuer liar]", f"url = {Idp.base}", "name = Liar",
                "client_id = perch", "scope = openid", f"ca_file = {ca}",
                "cooldown_s = 3600", ""]))
        s.kmf.serve()
        s.kmf.wait_keys()
        s.ca = w.write(w.dir / "all.pem", s.kmf.ca.read_text() +
                       cert.read_text(), mode=0o644)
        mdd = stack.Mdd(w)
        mdd.configure(s.kmf)

        class Certificate:
            pass

        liar = Certificate()
        liar.cert = cert
        s.agent = stack.Agent(w, "Alice", None, s.kmf, mdd, liar).start()
        try:
            rows(s)
        except Exception as e:
            tap.ok(False, f"every row is looked at: {e!r}")
            w.tell()
            raise
    tap.done()


if __name__ == "__main__":
    main()
