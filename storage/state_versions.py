"""Versions of the state store: numbered, forward-only.

`open_state` makes whole tables that are missing (`metadata.create_all`); what that cannot do, such
as a new column in a table that is there, is a step here. To change a table: change its declaration,
add the next step, and a test from the version before (tests/storage/test_state_versions.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Column, Integer, String, Table

from storage.errors import StateTooNew
from storage.state_metadata import metadata

state_version = Table(
    "state_version",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("brings", String(200), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Step:
    """`run` gets the store after all missing tables were made; None = that was all there was to do.

    It must be safe to run twice: two processes may start at the same time.
    """

    version: int
    brings: str
    run: Callable[[sa.Connection], None] | None = None


STEPS = (
    Step(1, "jobs, alerts, silences, imports"),
    Step(2, "users, sessions, API tokens, the audit log"),
)


def migrate(engine: sa.Engine, steps: tuple[Step, ...] = STEPS) -> None:
    """Bring an opened store to the newest version. Raises StateTooNew, SQLAlchemyError."""
    with engine.connect() as connection:
        known = set(connection.execute(sa.select(state_version.c.version)).scalars())
    if max(known, default=0) > steps[-1].version:
        raise StateTooNew(max(known), steps[-1].version)
    for step in steps:
        if step.version in known:
            continue
        try:
            with engine.begin() as connection:
                connection.execute(
                    state_version.insert().values(version=step.version, brings=step.brings)
                )
                if step.run is not None:
                    step.run(connection)
        except sa.exc.IntegrityError:  # another process took this step just now
            continue
