"""Passwords: argon2id by argon2-cffi, and the few rules that help (NIST SP 800-63B: length, no
composition rules, no expiry)."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from dashboards.people.errors import WeakPassword

CHARS_MIN = 12
CHARS_MAX = 512
"""Beyond: refused; hashing must not become work for the asking."""


class Passwords:
    """Hashes and checks. Thread-safe; one check takes about 50 ms and 64 MiB by default."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody: str | None = None

    def hash(self, password: str, name: str) -> str:
        """What is kept. Raises WeakPassword."""
        if len(password) < CHARS_MIN:
            raise WeakPassword(f"A password needs at least {CHARS_MIN} characters.")
        if len(password) > CHARS_MAX:
            raise WeakPassword(f"A password has at most {CHARS_MAX} characters.")
        if name and name.lower() in password.lower() and len(password) < len(name) + 8:
            raise WeakPassword("The password is hardly more than the name.")
        if len(set(password)) < 5:
            raise WeakPassword("The password repeats a few characters.")
        return self._hasher.hash(password)

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether it is the password. None = there is no such user: takes as long."""
        known = kept is not None
        try:
            self._hasher.verify(kept or self._nobodys(), password[: CHARS_MAX + 1])
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
        return known

    def _nobodys(self) -> str:
        if self._nobody is None:
            self._nobody = self._hasher.hash("nobody's password")
        return self._nobody

    def outdated(self, kept: str) -> bool:
        """Whether it was made with other costs than today's."""
        return self._hasher.check_needs_rehash(kept)
