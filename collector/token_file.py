"""The file of tokens: who may send, as which tenant. Written by `gatelens token`, or by hand.

    # tokens.yaml
    tokens:
      - name: shop-gateways            # shows up in metrics and logs; the user name of basic auth
        sha256: 9f86d081884c7d65...    # of the secret; the secret itself is written nowhere
        tenant: shop                   # default: default
        environment: production        # default: what the telemetry says
        requests_per_s: 200            # default: no limit
        created: 2026-11-21            # for people; nothing depends on it

A secret is 256 random bits (`new_secret`), so a plain SHA-256 cannot be searched backwards; slow
password hashes would cap the intake.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

_HEAD = "# Tokens of the collector; read again within seconds of a change. See `gatelens token`.\n"


class Token(BaseModel):
    """One sender's right to send. Holds the hash of its secret, never the secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    tenant: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    environment: str | None = Field(default=None, min_length=1, max_length=200)
    requests_per_s: float | None = Field(default=None, gt=0)
    created: dt.date | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tokens: list[Token] = []


def new_secret() -> str:
    """A secret to hand out once."""
    return f"gl_{secrets.token_urlsafe(32)}"


def hash_secret(secret: str) -> str:
    """What the file holds of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def make_token(
    name: str,
    *,
    tenant: str = "default",
    environment: str | None = None,
    requests_per_s: float | None = None,
    created: dt.date | None = None,
) -> tuple[Token, str]:
    """A token and its secret, which is kept nowhere. Raises ValueError, in one sentence."""
    secret = new_secret()
    try:
        token = Token(
            name=name,
            sha256=hash_secret(secret),
            tenant=tenant,
            environment=environment,
            requests_per_s=requests_per_s,
            created=created,
        )
    except ValidationError as err:
        raise ValueError(_first_problem(err)) from None
    return token, secret


def read_tokens(path: Path) -> list[Token]:
    """Tokens in the order of the file; empty where it says none.

    Raises OSError, ValueError; neither message holds a value of the file.
    """
    try:
        tokens = _File.model_validate(yaml.safe_load(path.read_text("utf-8")) or {}).tokens
    except ValidationError as err:
        raise ValueError(_first_problem(err)) from None
    except yaml.YAMLError as err:
        raise ValueError("it is not valid YAML") from err
    if len({token.sha256 for token in tokens}) != len(tokens):
        raise ValueError("two tokens have the same hash")
    if len({token.name for token in tokens}) != len(tokens):
        raise ValueError("two tokens have the same name")
    return tokens


def add_token(path: Path, token: Token) -> None:
    """Add one; makes the file where there is none. Raises OSError, ValueError (name is taken)."""
    with _locked(path):
        tokens = read_tokens(path) if path.exists() else []
        if any(known.name == token.name for known in tokens):
            raise ValueError(f"there is a token named {token.name!r} already; revoke it first")
        _write(path, [*tokens, token])


def remove_token(path: Path, name: str) -> bool:
    """Remove one; False = there is none of that name. Raises OSError, ValueError."""
    with _locked(path):
        tokens = read_tokens(path)
        kept = [token for token in tokens if token.name != name]
        if len(kept) < len(tokens):
            _write(path, kept)
        return len(kept) < len(tokens)


def _write(path: Path, tokens: Sequence[Token]) -> None:
    """Replace the file in one step: a collector reads the old one or the new one, never half."""
    rows = [token.model_dump(exclude_none=True) for token in tokens]
    text = _HEAD + yaml.safe_dump({"tokens": rows}, sort_keys=False, allow_unicode=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time; readers need no lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _first_problem(err: ValidationError) -> str:
    first = err.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
