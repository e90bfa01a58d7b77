"""Who sends: bearer tokens and basic auth, looked up by hash (`token_file.py` has the file).

Looking up a hash takes the same time however much of it is right, and what a hash table reveals
about a hash is of no use to a guesser of the secret.

Wrong tokens are rate-limited per peer (`WrongTokens`): beyond the limit a peer's requests are put
off unread, save those with a token that the peer has used before. So nobody guesses at speed, and
a misconfigured sender does not shut out its neighbours behind the same address.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import structlog

from collector.errors import CollectorStartError, RateLimited, Unauthenticated
from collector.limits import (
    AUTHORIZATION_CHARS_MAX,
    TOKEN_FILE_CHECK_S,
    WRONG_TOKEN_PEERS_MAX,
    WRONG_TOKENS_BURST_MAX,
    WRONG_TOKENS_PER_S_MAX,
)
from collector.token_file import Token, hash_secret, new_secret, read_tokens

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends."""

    tenant: str = "default"
    environment: str | None = None
    credential: str = ""
    """Name of the token, never its secret; '' = none was needed."""


@dataclass(slots=True)
class _Bucket:
    """What may be spent now; it fills up with time."""

    tokens: float
    at: float

    def refill(self, now: float, rate: float, size: float) -> None:
        self.tokens = min(size, self.tokens + (now - self.at) * rate)
        self.at = now


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
        self._by_hash: Mapping[str, Token] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._wrong = WrongTokens(clock)
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

    def authenticate(self, authorization: str, peer: str = "") -> Principal:
        """`authorization`: value of the header, '' = none was sent. `peer`: the sender's address.

        Raises Unauthenticated, RateLimited. Neither says anything about the secret.
        """
        if self._path is None:
            return Principal()
        self._reload_if_changed()
        name, secret = _credentials(authorization)
        digest = hash_secret(secret)
        self._wrong.check(peer, digest)
        token = self._by_hash.get(digest)
        if token is None or (name is not None and name != token.name):
            self._wrong.note_wrong(peer, digest)
            raise Unauthenticated("The token is not known here; check it, or ask for a new one.")
        self._wrong.note_right(peer, digest)
        self._spend(token)
        return Principal(token.tenant, token.environment, token.name)

    def _spend(self, token: Token) -> None:
        """A token bucket that holds one second's worth, and at least one request."""
        rate = token.requests_per_s
        if rate is None:
            return
        size = max(1.0, rate)
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault(token.name, _Bucket(size, now))
            bucket.refill(now, rate, size)
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


class WrongTokens:
    """Which peers have sent too many wrong tokens. Thread-safe, bounded."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._proven: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, peer: str, digest: str) -> None:
        """Raise RateLimited where the peer has to wait before another guess."""
        if not self._buckets:
            return
        key = _network(peer)
        with self._lock:
            bucket = self._buckets.get(key)
            if bucket is None or (key, digest) in self._proven:
                return
            bucket.refill(self._clock(), WRONG_TOKENS_PER_S_MAX, WRONG_TOKENS_BURST_MAX)
            if bucket.tokens < 1:
                raise RateLimited("Too many wrong tokens from this address; wait a little.")

    def note_wrong(self, peer: str, digest: str) -> None:
        now, key = self._clock(), _network(peer)
        with self._lock:
            self._proven.pop((key, digest), None)  # it may have been right until it was revoked
            bucket = self._buckets.pop(key, None) or _Bucket(WRONG_TOKENS_BURST_MAX, now)
            bucket.refill(now, WRONG_TOKENS_PER_S_MAX, WRONG_TOKENS_BURST_MAX)
            bucket.tokens = max(0.0, bucket.tokens - 1)
            self._buckets[key] = bucket
            if len(self._buckets) > WRONG_TOKEN_PEERS_MAX:
                self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            log.warning("too_many_wrong_tokens", peer=peer)

    def note_right(self, peer: str, digest: str) -> None:
        """The peer owns this token: its requests are never put off for others' guesses."""
        key = (_network(peer), digest)
        if key in self._proven:
            return
        with self._lock:
            self._proven[key] = None
            if len(self._proven) > WRONG_TOKEN_PEERS_MAX:
                self._proven.popitem(last=False)


def _network(peer: str) -> str:
    """The address; of IPv6 the /64, since a single host has all of one."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return address.packed[:8].hex()
    return peer


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _read(path: Path) -> Mapping[str, Token]:
    return {token.sha256: token for token in read_tokens(path)}


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


__all__ = ["Principal", "TokenBook", "WrongTokens", "hash_secret", "new_secret"]
