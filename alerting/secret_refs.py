"""Secrets by reference only: `env:NAME` or `file:/path`. The value is read when it is used, so a
rotated secret needs no restart, and it never reaches a log, an error or the state store.
"""

from __future__ import annotations

import os
from pathlib import Path

from alerting.errors import SecretMissing

SECRET_BYTES_MAX = 65_536


def is_reference(text: str) -> bool:
    return text.startswith(("env:", "file:"))


def read_secret(reference: str) -> str:
    """The secret, surrounding white space removed. Raises SecretMissing with the reference."""
    kind, _, where = reference.partition(":")
    if kind == "env":
        value = os.environ.get(where, "")
    elif kind == "file":
        try:
            value = Path(where).read_text(encoding="utf-8")[:SECRET_BYTES_MAX]
        except (OSError, UnicodeDecodeError) as err:
            raise SecretMissing(
                f"The secret {reference!r} cannot be read.", "Check the path and its permissions."
            ) from err
    else:
        raise SecretMissing(
            "A secret must be a reference.", "Write env:NAME or file:/path, not the secret itself."
        )
    if not value.strip():
        raise SecretMissing(f"The secret {reference!r} is empty or not set.", "Set it and retry.")
    return value.strip()
