"""Random secrets and what is kept of them.

256 random bits cannot be searched backwards from a plain SHA-256; looking a hash up takes the same
time however much of it is right, and says nothing about the secret.
"""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "glq_"
"""Of API tokens of the query side; senders' tokens begin with `gl_`."""

SECRET_CHARS_MAX = 200
"""Longer ones are none of ours and are not hashed."""


def new_secret(prefix: str = "") -> str:
    return prefix + secrets.token_urlsafe(32)


def new_id() -> str:
    """Of a user or token; not a secret."""
    return secrets.token_hex(16)


def digest(secret: str) -> str:
    """What is kept of a secret; '' for what can be none of ours."""
    if not secret or len(secret) > SECRET_CHARS_MAX or not secret.isascii():
        return ""
    return hashlib.sha256(secret.encode()).hexdigest()
