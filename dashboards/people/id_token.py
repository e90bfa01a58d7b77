"""Whether an ID token of OpenID Connect is what it says, and what its claims give here. Sans I/O.

Signatures are joserfc's work; this file says which algorithms, keys and claims are accepted (OpenID
Connect Core 1.0, section 3.1.3.7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from dashboards.people.errors import BadUser, SignOnFailed
from dashboards.people.users import Place, place
from dashboards.settings import DashboardSettings

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""Public-key signatures. Never `none`, and never HMAC: a public key must not do as its secret."""

TOKEN_CHARS_MAX = 8192
"""Of an ID token; longer ones are refused unread."""

LEEWAY_S = 60
"""Clocks may differ by so much."""

_SIGNING = frozenset({"RSA", "EC", "OKP"})


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say about itself."""

    issuer: str
    client_id: str
    nonce: str


def signing_keys(document: object) -> KeySet:
    """The public signature keys of a JWKS document. Raises SignOnFailed where there is none."""
    listed = document.get("keys") if isinstance(document, dict) else None
    usable = [
        key
        for key in (listed if isinstance(listed, list) else [])
        if isinstance(key, dict)
        and key.get("kty") in _SIGNING
        and key.get("use", "sig") == "sig"
        and "d" not in key
    ]
    try:
        if usable:
            return KeySet.import_key_set({"keys": usable})
    except (JoseError, ValueError, TypeError, KeyError) as err:
        raise SignOnFailed("The provider's keys cannot be read.") from err
    raise SignOnFailed("The provider publishes no signature key.")


def checked_claims(
    token: object, keys: KeySet, expected: Expected, *, now: int
) -> Mapping[str, Any]:
    """Claims of a token that holds. `now`: epoch seconds. Raises SignOnFailed for every other."""
    if not isinstance(token, str) or not token or len(token) > TOKEN_CHARS_MAX:
        raise SignOnFailed("The provider's token is missing or too long.")
    rules = jwt.JWTClaimsRegistry(
        now=now,
        leeway=LEEWAY_S,
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": expected.nonce},
    )
    try:
        claims: dict[str, Any] = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
        rules.validate(claims)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as err:
        raise SignOnFailed(f"The provider's token does not hold ({type(err).__name__}).") from err
    audience = claims["aud"]
    azp = claims.get("azp")
    if isinstance(audience, list) and len(audience) > 1 and azp is None:
        raise SignOnFailed("The provider's token is for several clients and does not say which.")
    if azp is not None and azp != expected.client_id:
        raise SignOnFailed("The provider's token was issued to another client.")
    if not 0 < len(claims["sub"]) <= 255:
        raise SignOnFailed("The provider's token has no usable subject.")
    return claims


def given_by(claims: Mapping[str, Any], settings: DashboardSettings) -> Place:
    """Role, tenant and rows by the claims. Raises SignOnFailed where they give no role."""
    values = _texts(claims.get(settings.oidc_role_claim))
    role = next((role for value, role in settings.oidc_roles if value in values), "")
    role = role or settings.oidc_default_role
    if not role:
        raise SignOnFailed("Your account there has no role here; ask an admin.")
    tenant = "default"
    if settings.oidc_tenant_claim:
        tenants = _texts(claims.get(settings.oidc_tenant_claim))
        if len(tenants) != 1:
            raise SignOnFailed("Your account there belongs to no tenant here; ask an admin.")
        tenant = tenants[0]
    try:
        return place(
            role,
            tenant,
            apis=_of(claims, settings.oidc_apis_claim, role, ("api_owner", "api_developer")),
            consumers=_of(claims, settings.oidc_consumers_claim, role, ("app_developer",)),
        )
    except BadUser as err:
        raise SignOnFailed(f"Your account there does not fit its role here: {err}") from err


def _of(claims: Mapping[str, Any], claim: str, role: str, roles: Sequence[str]) -> Sequence[str]:
    return _texts(claims.get(claim)) if claim and role in roles else ()


def _texts(value: object) -> list[str]:
    """A claim as a list of texts; what is neither text nor a list of it gives nothing."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list):
        return [v for v in value if isinstance(v, str) and v][:500]
    return []
