"""Credentials never reach the disk: what identifies a caller is kept as a keyed hash.

HMAC-SHA256 under a secret of this installation, so that a hash cannot be looked up in a table of
known keys, and the same key has the same hash everywhere in one installation. Who has not called
`use_secret` gets hashes under a random key of the process: useless for joins, but never plain.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from collector.naming.unique import Memo
from storage.files import fsync_folder, make_folder

SECRET_FILE = "credential.key"
"""Name of the secret in the data folder; readable by its owner only."""

HASH_CHARS = 32

_secret = secrets.token_bytes(32)


def use_secret(data_dir: Path) -> None:
    """Hash under the secret of this data folder from now on, making it where it is missing.

    Safe to call from several processes at once: the first one's secret is everybody's. Raises
    OSError if the folder cannot be written.
    """
    global _secret
    path = data_dir / SECRET_FILE
    if not path.exists():
        make_folder(data_dir)
        fresh = path.with_name(f"{SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(32))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        # Credentials hashed under a secret that a power cut takes away would be strangers.
        fsync_folder(data_dir)
    _secret = path.read_bytes()
    _memo.forget()


def secret_key(purpose: str) -> bytes:
    """32 bytes that are this installation's alone, other ones for every purpose."""
    return hmac.new(_secret, f"key\0{purpose}".encode(), hashlib.sha256).digest()


def hash_credential(credential: str) -> str:
    """The credential as the `credential` column of `requests` holds it."""
    known = _memo(credential)
    assert known is not None
    return known


def seal_credential(credential: str) -> str:
    """The hash, marked as one: `hash_credential` of it is the hash. Only who has the secret of this
    installation can make such a mark, so that nobody can pass for somebody else by a hash."""
    return _mark() + hash_credential(credential)


def _mark() -> str:
    return f"gl-{hmac.new(_secret, b'sealed', hashlib.sha256).hexdigest()[:16]}-"


def _hash(credential: str) -> str:
    mark = _mark() if credential.startswith("gl-") else ""
    if mark and credential.startswith(mark):
        return credential.removeprefix(mark)
    digest = hmac.new(_secret, credential.encode("utf-8", "replace"), hashlib.sha256)
    return digest.hexdigest()[:HASH_CHARS]


_memo = Memo(_hash)
