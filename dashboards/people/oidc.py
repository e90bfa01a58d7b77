"""Single sign-on with OpenID Connect: the authorization code flow with PKCE, state and nonce.

    /auth/start -> the provider -> /auth/callback?code=...&state=... -> a session like any other

Blocking (HTTP, database): call it from a thread. The provider is asked without following redirects,
within HTTP_S, and only over https (or on this machine).
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
import orjson
import sqlalchemy as sa
import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.jwk import KeySet

from dashboards.people.errors import BadUser, SignOnFailed
from dashboards.people.id_token import Expected, checked_claims, given_by, signing_keys
from dashboards.people.secret import digest, new_secret
from dashboards.people.sign_in import SignIn
from dashboards.people.users import User, user_name
from storage.audit import Actor
from storage.state_people import sign_in_flows

log = structlog.get_logger(__name__)

HTTP_S = 5.0
ANSWER_BYTES_MAX = 1 << 20
FLOW_S = 600.0
"""Time somebody has at the provider."""
KNOWN_S = 600.0
"""How long the provider's description and keys are believed."""
KEYS_AGAIN_S = 30.0
"""Tokens with unknown keys make us look for new ones at most this often."""
FLOWS_MAX = 10_000
"""Sign-ons under way; beyond, new ones are refused until old ones are over."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to send the browser, and the cookie that ties the flow to it."""

    url: str
    cookie: str


class Provider:
    """One provider, as the settings name it. Thread-safe: what is kept is only replaced."""

    def __init__(
        self,
        sign_in: SignIn,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sign_in = sign_in
        self._settings = sign_in.settings
        self._state = sign_in.state
        self._transport = transport
        self._clock = clock
        self._described: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def start(self, redirect_uri: str, next_path: str) -> Start:
        """Raises SignOnFailed when the provider cannot be asked."""
        endpoint = self._endpoint("authorization_endpoint")
        state, nonce, verifier, cookie = new_secret(), new_secret(), new_secret(), new_secret()
        now = self._clock()
        with self._state.begin() as connection:
            flows = sign_in_flows.c
            connection.execute(sign_in_flows.delete().where(flows.expires_at < now))
            count = sa.select(sa.func.count()).select_from(sign_in_flows)
            if connection.execute(count).scalar_one() >= FLOWS_MAX:
                raise SignOnFailed("Too many people are signing on; try again in some minutes.")
            connection.execute(
                sign_in_flows.insert().values(
                    id=digest(state),
                    browser=digest(cookie),
                    nonce=nonce,
                    verifier=verifier,
                    next=next_path,
                    expires_at=now + FLOW_S,
                )
            )
        url = prepare_grant_uri(
            endpoint,
            self._settings.oidc_client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=self._settings.oidc_scopes,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return Start(str(url), cookie)

    def finish(
        self, query: Mapping[str, str], cookie: str, redirect_uri: str, address: str
    ) -> tuple[str, str]:
        """(session's secret, path to go to). Raises SignOnFailed, TooManyAttempts."""
        self._sign_in.attempts.take("", address)
        flow = self._take_flow(query.get("state", ""), cookie)
        if "error" in query:
            raise SignOnFailed("The provider did not let you in.")
        # RFC 9207: a code of another provider must not be sent to ours.
        if query.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise SignOnFailed("The answer is of another provider.")
        tokens = self._exchange(query.get("code", ""), flow["verifier"], redirect_uri)
        claims = self._claims(tokens, flow["nonce"])
        user = self._user(claims, address)
        self._sign_in.attempts.right("", address)
        return self._sign_in.sessions.start(user, address, how="single sign-on"), flow["next"]

    def _take_flow(self, state: str, cookie: str) -> Mapping[str, str]:
        """The flow this answer belongs to; it works once, in the browser that began it."""
        query = sa.select(sign_in_flows).where(
            sign_in_flows.c.id == digest(state), sign_in_flows.c.expires_at > self._clock()
        )
        with self._state.begin() as connection:
            row = connection.execute(query).mappings().first()
            gone = connection.execute(
                sign_in_flows.delete().where(sign_in_flows.c.id == digest(state))
            )
        if row is None or gone.rowcount != 1:
            raise SignOnFailed("This sign-on is not under way (any more); start again.")
        if not hmac.compare_digest(row["browser"], digest(cookie)):
            raise SignOnFailed("This sign-on was started in another browser; start again.")
        return {key: row[key] for key in ("nonce", "verifier", "next")}

    def _exchange(self, code: str, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
        if not code or len(code) > 2048:
            raise SignOnFailed("The provider sent no code.")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        auth: tuple[str, str] | None = None
        secret_file = self._settings.oidc_client_secret_file
        if secret_file is None:
            form["client_id"] = self._settings.oidc_client_id
        else:  # RFC 6749, section 2.3.1: both parts are form-encoded first
            secret = secret_file.read_text("utf-8").strip()
            auth = (quote_plus(self._settings.oidc_client_id), quote_plus(secret))
        return self._ask("POST", self._endpoint("token_endpoint"), data=form, auth=auth)

    def _claims(self, tokens: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        expected = Expected(self._settings.oidc_issuer, self._settings.oidc_client_id, nonce)
        token, now = tokens.get("id_token"), int(self._clock())
        try:
            claims = dict(checked_claims(token, self._signing_keys(), expected, now=now))
        except SignOnFailed:
            if not self._look_for_new_keys():
                raise
            claims = dict(checked_claims(token, self._signing_keys(), expected, now=now))
        wanted = {
            self._settings.oidc_name_claim,
            self._settings.oidc_role_claim,
            self._settings.oidc_tenant_claim,
            self._settings.oidc_apis_claim,
            self._settings.oidc_consumers_claim,
        } - {""}
        access = tokens.get("access_token")
        more = self._description().get("userinfo_endpoint")
        if not wanted <= claims.keys() and more and isinstance(access, str):
            headers = {"authorization": f"Bearer {access}"}
            told = self._ask("GET", self._endpoint("userinfo_endpoint"), headers=headers)
            if told.get("sub") != claims["sub"]:  # OIDC Core, section 5.3.2
                raise SignOnFailed("The provider tells about somebody else.")
            claims = {**{k: told[k] for k in wanted & told.keys()}, **claims}
        return claims

    def _user(self, claims: Mapping[str, Any], address: str) -> User:
        """The user the claims are about, made or changed by them."""
        given = given_by(claims, self._settings)
        issuer, subject = self._settings.oidc_issuer, str(claims["sub"])
        actor = Actor("single sign-on", "system", address)
        users = self._sign_in.users
        known = users.by_subject(issuer, subject)
        try:
            if known is None:
                name = user_name(str(claims.get(self._settings.oidc_name_claim) or subject))
                title = claims.get("name")
                return users.add(
                    name,
                    given,
                    actor=actor,
                    title=title if isinstance(title, str) else "",
                    subject=(issuer, subject),
                )
        except BadUser as err:
            # A local user of that name is not theirs for the asking.
            raise SignOnFailed(f"You cannot be added: {err}") from err
        if known.disabled_at is not None:
            raise SignOnFailed("Your account here is disabled; ask an admin.")
        have = (known.role, known.tenant, known.apis, known.consumers)
        if have != (given.role, given.tenant, given.apis, given.consumers):
            known = users.change(known.name, given, actor=actor)
            self._sign_in.forget()
        return known

    def _description(self) -> Mapping[str, Any]:
        now = self._clock()
        if self._described is None or now - self._described[0] > KNOWN_S:
            base = self._settings.oidc_issuer.rstrip("/")
            found = self._ask("GET", f"{base}/.well-known/openid-configuration")
            if found.get("issuer") != self._settings.oidc_issuer:
                raise SignOnFailed("The provider calls itself by another name than oidc_issuer.")
            self._described = (now, found)
        return self._described[1]

    def _signing_keys(self) -> KeySet:
        now = self._clock()
        if self._keys is None or now - self._keys[0] > KNOWN_S:
            self._keys = (now, signing_keys(self._ask("GET", self._endpoint("jwks_uri"))))
        return self._keys[1]

    def _look_for_new_keys(self) -> bool:
        """Forget the keys, as a provider may have changed them; False = that was just done."""
        if self._keys is None or self._clock() - self._keys[0] < KEYS_AGAIN_S:
            return False
        self._keys = None
        return True

    def _endpoint(self, name: str) -> str:
        url = self._description().get(name)
        if not isinstance(url, str) or not _may_be_asked(url):
            raise SignOnFailed(f"The provider's {name} is not an https address.")
        return url

    def _ask(
        self,
        method: str,
        url: str,
        *,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """A JSON object from the provider. Raises SignOnFailed; the log says what was wrong."""
        if not _may_be_asked(url):
            raise SignOnFailed("oidc_issuer must be an https address.")
        body = b""
        try:
            with (
                httpx.Client(timeout=HTTP_S, transport=self._transport) as client,
                client.stream(
                    method,
                    url,
                    data=data,
                    headers=headers,
                    auth=auth or httpx.USE_CLIENT_DEFAULT,
                    follow_redirects=False,
                ) as answer,
            ):
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise SignOnFailed("The provider's answer is too long.")
                status = answer.status_code
            found = orjson.loads(body)
        except (httpx.HTTPError, ValueError) as err:
            log.warning("oidc_provider_fails", url=url.split("?")[0], why=type(err).__name__)
            raise SignOnFailed("The provider cannot be asked; try again later.") from err
        if status != 200 or not isinstance(found, dict):
            why = found.get("error") if isinstance(found, dict) else None
            log.warning("oidc_provider_refuses", url=url, status=status, why=str(why)[:100])
            raise SignOnFailed("The provider refuses; start again.")
        return found


def _may_be_asked(url: str) -> bool:
    """https, or http on this machine (for tests and a provider beside us)."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme != "http":
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
