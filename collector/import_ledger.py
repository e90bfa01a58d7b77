"""Which file is this, and how much of it is in the lake already?

A file is known by its bytes, not by its name: rotation renames files, a copy is the same file. Its
identity is the digest of its first bytes, as many as the largest of HEAD_SIZES that fits; one that
has grown since is found under the smaller sizes too. The identity alone is not trusted: a former
import is taken up only if the digest of *all* bytes read then still matches, so two logs that
begin alike are never mixed up.

The lake says how far a file got (its application version is the byte position); the ledger, written
before each append, says what the digest at that position was. After a crash between the two, the
lake decides.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Engine, delete, insert, select

from storage.state import import_positions

HEAD_SIZES = (65536, 16384, 4096, 1024, 256, 64, 16, 4, 1)
"""Sizes of the head that identifies a file, in bytes. Never change one: old imports go by them."""

HEAD_BYTES_MAX = HEAD_SIZES[0]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file that was about to be committed once."""

    app_id: str
    position: int
    """Bytes, uncompressed."""
    digest: str
    lines: int
    """Newlines before the position."""


class ImportLedger:
    """Marks of all imports, in the small state."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def candidates(self, head: bytes, scope: str) -> list[Mark]:
        """Marks of imports that this file may continue, furthest first. `scope`: what else must be
        equal (format and tenant)."""
        identities = [identity(head[:size], scope) for size in HEAD_SIZES if size <= len(head)]
        query = select(import_positions).where(import_positions.c.identity.in_(identities))
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        marks = [Mark(r.app_id, r.position, r.digest, r.lines) for r in rows]
        return sorted(marks, key=lambda mark: mark.position, reverse=True)

    def new_app_id(self, head: bytes, scope: str) -> tuple[str, str]:
        """(app_id, identity) for a file seen for the first time. The head is not empty."""
        name = identity(head[: next(s for s in HEAD_SIZES if s <= len(head))], scope)
        query = select(import_positions.c.app_id).where(import_positions.c.identity == name)
        with self._engine.connect() as connection:
            taken = {row.app_id for row in connection.execute(query)}
        app_id, number = name, 1
        while app_id in taken:
            number += 1
            app_id = f"{name}-{number}"
        return app_id, name

    def identity_of(self, app_id: str) -> str:
        """The identity an app_id was made of."""
        query = select(import_positions.c.identity).where(import_positions.c.app_id == app_id)
        with self._engine.connect() as connection:
            return str(connection.execute(query.limit(1)).scalar_one())

    def note(self, mark: Mark, identity: str) -> None:
        """Write down a mark before its rows are committed."""
        key = (import_positions.c.app_id == mark.app_id) & (
            import_positions.c.position == mark.position
        )
        with self._engine.begin() as connection:
            connection.execute(delete(import_positions).where(key))
            connection.execute(
                insert(import_positions).values(
                    app_id=mark.app_id,
                    position=mark.position,
                    identity=identity,
                    digest=mark.digest,
                    lines=mark.lines,
                )
            )

    def settle(self, mark: Mark) -> None:
        """The mark's rows are committed: those before it have served."""
        older = (import_positions.c.app_id == mark.app_id) & (
            import_positions.c.position < mark.position
        )
        with self._engine.begin() as connection:
            connection.execute(delete(import_positions).where(older))


def identity(head: bytes, scope: str) -> str:
    """Digest of a head and its scope, as the lake's application id."""
    digest = hashlib.sha256(scope.encode() + b"\0" + head).hexdigest()
    return f"import:{digest[:40]}:{len(head)}"
