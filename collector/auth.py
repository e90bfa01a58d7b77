"""Who sends: bearer tokens and basic auth, looked up by hash in a file that may change any time.

    # tokens.yaml
    tokens:
      - name: shop-gateways            # shows up in metrics and logs; the user name of basic auth
        sha256: 9f86d081884c7d65...    # of the secret; the secret itself is written nowhere
        tenant: shop                   # default: default
        environment: production        # default: what the telemetry says
        requests_per_s: 200            # default: no limit

A secret is 256 random bits (`new_secret`), so a plain SHA-256 cannot be searched backwards; slow
password hashes would cap the intake. Looking up a hash takes the same time however much of it is
right, and what a hash table reveals about a hash is of no use to a guesser of the secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collector.errors import CollectorStartError, RateLimited, Unauthenticated
from collector.limits import AUTHORIZATION_CHARS_MAX, TOKEN_FILE_CHECK_S

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends."""

    tenant: str = "default"
    environment: str | None = None
    credential: str = ""
    """Name of the token, never its secret; '' = none was needed."""


class _Token(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    tenant: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    environment: str | None = Field(default=None, min_length=1, max_length=200)
    requests_per_s: float | None = Field(default=None, gt=0)


class _TokenFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tokens: list[_Token] = []


def new_secret() -> str:
    """A secret to hand out once."""
    return f"gl_{secrets.token_urlsafe(32)}"


def hash_secret(secret: str) -> str:
    """What the file holds of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(slots=True)
class _Bucket:
    """Requests a token may send now."""

    tokens: float
    at: float


class TokenBook:
    """The tokens of a file. Thread-safe.

    The file is looked at again every few seconds; while it cannot be read or is wrong, the tokens
    read before stay in force, and an ERROR says so.
    """

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """None: everybody is the default tenant. Raises CollectorStartError for a bad file."""
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._by_hash: Mapping[str, _Token] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._checked_at = clock()
        if path is not None:
            try:
                self._by_hash = _read(path)
                self._stamp = _stamp(path)
            except (OSError, ValueError) as err:
                raise CollectorStartError(f"The token file {path} cannot be used: {err}") from err

    @property
    def open_to_all(self) -> bool:
        return self._path is None

    def authenticate(self, authorization: str) -> Principal:
        """`authorization`: value of the header, '' = none was sent.

        Raises Unauthenticated, RateLimited. Neither says anything about the secret.
        """
        if self._path is None:
            return Principal()
        self._reload_if_changed()
        name, secret = _credentials(authorization)
        token = self._by_hash.get(hash_secret(secret))
        if token is None or (name is not None and name != token.name):
            raise Unauthenticated("The token is not known here; check it, or ask for a new one.")
        self._spend(token)
        return Principal(token.tenant, token.environment, token.name)

    def _spend(self, token: _Token) -> None:
        """A token bucket that holds one second's worth, and at least one request."""
        rate = token.requests_per_s
        if rate is None:
            return
        size = max(1.0, rate)
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault(token.name, _Bucket(size, now))
            bucket.tokens = min(size, bucket.tokens + (now - bucket.at) * rate)
            bucket.at = now
            if bucket.tokens < 1:
                raise RateLimited(f"More than {rate:g} requests a second; slow down.")
            bucket.tokens -= 1

    def _reload_if_changed(self) -> None:
        now = self._clock()
        if now - self._checked_at < TOKEN_FILE_CHECK_S or self._path is None:
            return
        with self._lock:
            self._checked_at = now
            try:
                stamp = _stamp(self._path)
                if stamp == self._stamp:
                    return
                self._by_hash = _read(self._path)
                self._stamp = stamp
            except (OSError, ValueError) as err:
                log.error("token_file_unusable_old_tokens_stay", path=str(self._path), why=str(err))
                return
        log.info("tokens_reloaded", path=str(self._path), tokens=len(self._by_hash))


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _read(path: Path) -> Mapping[str, _Token]:
    """Hash -> token. Raises OSError, ValueError; neither message holds a value of the file."""
    try:
        parsed = _TokenFile.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}") from None
    except yaml.YAMLError as err:
        raise ValueError("it is not valid YAML") from err
    by_hash = {token.sha256: token for token in parsed.tokens}
    if len(by_hash) != len(parsed.tokens):
        raise ValueError("two tokens have the same hash")
    if len({token.name for token in parsed.tokens}) != len(parsed.tokens):
        raise ValueError("two tokens have the same name")
    return by_hash


def _credentials(authorization: str) -> tuple[str | None, str]:
    """(user name or None, secret) of a header value. Raises Unauthenticated."""
    scheme, _, value = authorization.partition(" ")
    if not authorization or len(authorization) > AUTHORIZATION_CHARS_MAX:
        raise Unauthenticated("Send a token: Authorization: Bearer <token>.")
    if scheme.lower() == "bearer":
        return None, value.strip()
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        name, found, secret = text.partition(":")
        if found:
            return name, secret
    raise Unauthenticated("The Authorization header is neither Bearer nor Basic.")
