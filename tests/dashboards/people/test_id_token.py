"""Tokens of single sign-on that must not hold, and what a good one gives."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from dashboards.people.errors import SignOnFailed
from dashboards.people.id_token import Expected, checked_claims, given_by, signing_keys
from dashboards.people.users import Place
from dashboards.settings import DashboardSettings

NOW = 1_800_000_000
EXPECTED = Expected("https://id.example", "gatelens", "n-0S6_WzA2Mj")
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})
CLAIMS = {
    "iss": EXPECTED.issuer,
    "aud": EXPECTED.client_id,
    "sub": "ann-7",
    "exp": NOW + 300,
    "iat": NOW,
    "nonce": EXPECTED.nonce,
}


def keys() -> KeySet:
    public = [KEY.as_dict(private=False), EC.as_dict(private=False)]
    return signing_keys({"keys": public})


def token(
    claims: Mapping[str, Any] | None = None, header: Mapping[str, Any] | None = None, key: Any = KEY
) -> str:
    head = {"alg": "RS256", "kid": "one", **(header or {})}
    return jwt.encode(head, {**CLAIMS, **(claims or {})}, key, algorithms=[head["alg"]])


def unsigned(header: Mapping[str, Any], signature: str = "") -> str:
    def part(values: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")

    return f"{part(header)}.{part(CLAIMS)}.{signature}"


def confused() -> str:
    """Signed with HMAC, the secret being the provider's public key."""
    body = unsigned({"alg": "HS256", "kid": "one"}).removesuffix(".")
    mac = hmac.digest(KEY.as_pem(private=False), body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def tampered() -> str:
    head, body, signature = token().split(".")
    claims = {**CLAIMS, "sub": "root"}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


HOSTILE: dict[str, Callable[[], object]] = {
    "no algorithm": lambda: unsigned({"alg": "none"}),
    "no algorithm, shouted": lambda: unsigned({"alg": "NONE", "kid": "one"}),
    "no algorithm, with a signature": lambda: unsigned({"alg": "none"}, "AAAA"),
    "no header word": lambda: unsigned({"kid": "one"}, "AAAA"),
    "HMAC with the public key": confused,
    "signed by somebody else": lambda: token(key=OTHER),
    "changed after signing": tampered,
    "an unknown critical header": lambda: unsigned(
        {"alg": "RS256", "kid": "one", "crit": ["gl"], "gl": 1}, token().split(".")[2]
    ),
    "kid is a path": lambda: unsigned({"alg": "RS256", "kid": "../../etc/passwd"}, "AAAA"),
    "kid is an address": lambda: unsigned(
        {"alg": "RS256", "kid": "https://evil/k", "jku": "https://evil/k"}, "AAAA"
    ),
    "brings its own key": lambda: jwt.encode(
        {"alg": "RS256", "kid": "one", "jwk": OTHER.as_dict(private=False)}, CLAIMS, OTHER
    ),
    "algorithm of another key type": lambda: unsigned({"alg": "ES256", "kid": "one"}, "AAAA"),
    "expired": lambda: token({"exp": NOW - 61}),
    "without an end": lambda: token({"exp": None}),
    "an end that is text": lambda: token({"exp": "tomorrow"}),
    "not yet valid": lambda: token({"nbf": NOW + 3600}),
    "issued in the future": lambda: token({"iat": NOW + 3600}),
    "for another client": lambda: token({"aud": "billing"}),
    "for nobody": lambda: token({"aud": []}),
    "for several, not saying which": lambda: token({"aud": ["gatelens", "billing"]}),
    "issued to another client": lambda: token({"aud": ["gatelens", "b"], "azp": "b"}),
    "another issuer": lambda: token({"iss": "https://id.example.evil"}),
    "issuer with a slash more": lambda: token({"iss": "https://id.example/"}),
    "another nonce": lambda: token({"nonce": "x"}),
    "no nonce": lambda: token({"nonce": None}),
    "no subject": lambda: token({"sub": ""}),
    "a subject that is a list": lambda: token({"sub": ["ann-7", "root"]}),
    "ten megabytes": lambda: token({"x": "y" * 9_000}) + "A" * 10_000_000,
    "just over the cap": lambda: token({"x": "y" * 7_000}),
    "an encrypted one": lambda: ".".join(["eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0"] + ["AA"] * 4),
    "deep JSON": lambda: base64.urlsafe_b64encode(b'{"alg":' + b"[" * 3000).decode() + ".e30.AA",
    "not base64": lambda: "???.???.???",
    "two parts": lambda: "a.b",
    "empty": lambda: "",
    "no text": lambda: None,
    "a number": lambda: 7,
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_token_does_not_hold(make: Callable[[], object]) -> None:
    with pytest.raises(SignOnFailed):
        checked_claims(make(), keys(), EXPECTED, now=NOW)


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"aud": ["gatelens"]},
        {"aud": ["gatelens", "billing"], "azp": "gatelens"},
        {"exp": NOW - 30},
        {"iat": NOW + 30},
    ],
)
def test_a_good_token_holds(good: dict[str, Any]) -> None:
    assert checked_claims(token(good), keys(), EXPECTED, now=NOW)["sub"] == "ann-7"


def test_a_good_token_of_another_kind_of_key_holds() -> None:
    made = token(header={"alg": "ES256", "kid": "two"}, key=EC)
    assert checked_claims(made, keys(), EXPECTED, now=NOW)["sub"] == "ann-7"


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"keys": []},
        {"keys": ["x"]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]},
        {"keys": [{"kty": "RSA"}]},
        {"keys": [{**KEY.as_dict(private=False), "use": "enc"}]},
        {"keys": [KEY.as_dict(private=True)]},
    ],
)
def test_keys_that_are_no_public_signature_keys_are_not_taken(document: object) -> None:
    with pytest.raises(SignOnFailed):
        signing_keys(document)


SETTINGS = DashboardSettings(
    oidc_roles=(("gatelens-admins", "admin"), ("owners", "api_owner"), ("devs", "app_developer")),
    oidc_tenant_claim="org",
    oidc_apis_claim="apis",
    oidc_consumers_claim="apps",
)


@pytest.mark.parametrize(
    ("claims", "given"),
    [
        ({"groups": ["x", "gatelens-admins"], "org": "acme"}, Place("admin", "acme")),
        ({"groups": "gatelens-admins", "org": "acme"}, Place("admin", "acme")),
        (
            {"groups": ["owners", "gatelens-admins"], "org": "acme", "apis": ["orders"]},
            Place("admin", "acme"),
        ),
        (
            {"groups": ["owners"], "org": "acme", "apis": ["orders", 7, ""]},
            Place("api_owner", "acme", apis=("orders",)),
        ),
        (
            {"groups": ["devs"], "org": ["acme"], "apps": "shop", "apis": ["all"]},
            Place("app_developer", "acme", consumers=("shop",)),
        ),
    ],
)
def test_claims_give_role_tenant_and_rows(claims: dict[str, Any], given: Place) -> None:
    assert given_by(claims, SETTINGS) == given


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"groups": ["nobody"], "org": "acme"},
        {"groups": {"gatelens-admins": True}, "org": "acme"},
        {"groups": ["gatelens-admins"]},
        {"groups": ["gatelens-admins"], "org": ["acme", "other"]},
        {"groups": ["gatelens-admins"], "org": "../other"},
        {"groups": ["owners"], "org": "acme"},
        {"groups": ["devs"], "org": "acme", "apis": ["orders"]},
        {"role": "admin", "org": "acme"},
    ],
)
def test_claims_that_give_nothing_let_nobody_in(claims: dict[str, Any]) -> None:
    with pytest.raises(SignOnFailed):
        given_by(claims, SETTINGS)


def test_a_default_role_is_for_those_without_a_group() -> None:
    lenient = dataclasses.replace(SETTINGS, oidc_default_role="viewer", oidc_tenant_claim="")
    assert given_by({}, lenient) == Place("viewer", "default")
