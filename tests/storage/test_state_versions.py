"""Stores made by earlier versions open, keep what they hold and get what is new."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.audit import AuditEntry, every_entry, forget_audit, read_audit, write_audit
from storage.errors import StateTooNew
from storage.settings import StorageSettings
from storage.state import metadata, open_state
from storage.state_versions import STEPS, Step, migrate, state_version

VERSION_1 = """
CREATE TABLE silences (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, matchers TEXT NOT NULL, starts_at FLOAT NOT NULL,
    ends_at FLOAT NOT NULL, author VARCHAR(200) NOT NULL, reason TEXT NOT NULL,
    created_at FLOAT NOT NULL, matched BIGINT NOT NULL
);
INSERT INTO silences VALUES (7, '[]', 1.0, 2.0, 'ann', 'upgrade', 1.0, 3);
"""
"""As the first released version left it: no version table, no people."""


def test_a_store_of_version_1_gets_people_and_keeps_its_rows(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.sqlite") as old:
        old.executescript(VERSION_1)
    old.close()
    state = open_state(StorageSettings(data_dir=tmp_path))
    assert set(metadata.tables) <= set(sa.inspect(state).get_table_names())
    with state.connect() as connection:
        kept = connection.execute(sa.select(metadata.tables["silences"])).all()
        versions = connection.execute(sa.select(state_version.c.version)).scalars().all()
    assert [row[0] for row in kept] == [7]
    assert versions == [step.version for step in STEPS]
    state.dispose()
    again = open_state(StorageSettings(data_dir=tmp_path))
    again.dispose()


def test_all_who_open_a_new_store_at_once_get_it(tmp_path: Path) -> None:
    for round in range(3):
        settings = StorageSettings(data_dir=tmp_path / str(round))
        together = threading.Barrier(4)

        def opened(settings: StorageSettings = settings, at: threading.Barrier = together) -> int:
            at.wait()
            state = open_state(settings)
            tables = sa.inspect(state).get_table_names()
            state.dispose()
            return len(tables)

        with ThreadPoolExecutor(4) as pool:
            found = [future.result() for future in [pool.submit(opened) for _ in range(4)]]
        assert found == [len(metadata.tables)] * 4


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    settings = StorageSettings(data_dir=tmp_path)
    state = open_state(settings)
    with state.begin() as connection:
        connection.execute(state_version.insert().values(version=999, brings="the future"))
    state.dispose()
    with pytest.raises(StateTooNew, match="Upgrade"):
        open_state(settings)


def test_each_step_is_taken_once_and_in_order(tmp_path: Path) -> None:
    state = open_state(StorageSettings(data_dir=tmp_path))
    taken: list[int] = []
    last = STEPS[-1].version
    steps = (
        *STEPS,
        Step(last + 1, "one", lambda _: taken.append(1)),
        Step(last + 2, "two", lambda _: taken.append(2)),
    )
    migrate(state, steps)
    migrate(state, steps)
    assert taken == [1, 2]
    state.dispose()


def test_a_step_that_fails_is_taken_again(tmp_path: Path) -> None:
    state = open_state(StorageSettings(data_dir=tmp_path))

    def broken(_: sa.Connection) -> None:
        raise RuntimeError("no space")

    step = STEPS[-1].version + 1
    with pytest.raises(RuntimeError):
        migrate(state, (*STEPS, Step(step, "x", broken)))
    taken: list[int] = []
    migrate(state, (*STEPS, Step(step, "x", lambda _: taken.append(1))))
    assert taken == [1]
    state.dispose()


def test_the_audit_log_gives_back_what_it_was_given(tmp_path: Path) -> None:
    state = open_state(StorageSettings(data_dir=tmp_path))
    for n in range(25):
        write_audit(
            state,
            AuditEntry(
                action="sql.run" if n % 2 else "login",
                target=f"t{n}",
                actor="ann%" if n < 5 else "bob_",
                tenant="a" if n < 20 else "b",
                at=1000.0 + n,
                detail={"sql": "SELECT 'x'\x00" + "y" * 9000, "rows": n, "none": None},
            ),
        )
    assert len(read_audit(state, limit=100)) == 25
    assert [e.target for e in read_audit(state, tenant="b")] == ["t24", "t23", "t22", "t21", "t20"]
    assert len(read_audit(state, actor="ann%")) == 5
    assert read_audit(state, actor="%x") == []
    assert {e.action for e in read_audit(state, action="sql.")} == {"sql.run"}
    assert [e.target for e in read_audit(state, since=1003, until=1005)] == ["t4", "t3"]
    assert len(list(every_entry(state, tenant=None, page=4))) == 25
    cut = read_audit(state, limit=1)[0].detail["sql"]
    assert isinstance(cut, str)
    assert len(cut) == 4000
    assert "\x00" not in cut
    assert forget_audit(state, older_than=1020.0) == 20
    assert len(read_audit(state, limit=100)) == 5
    state.dispose()
