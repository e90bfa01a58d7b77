"""Backup and restore: the same answers, only new files copied, damage noticed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from storage.backup import MANIFEST, backup, restore
from storage.errors import BackupError
from storage.lake import Lake
from storage.maintenance import compact
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.state import leases, open_state
from storage.store import LocalStore
from tests.storage.conftest import HOUR, requests

DIGEST = "SELECT count(*) n, count(DISTINCT request_id) ids, sum(duration_ms) ms FROM requests"


def filled(lake: Lake, commits: int, *, first: int = 0) -> None:
    for version in range(first, first + commits):
        rows = requests(3, first=version * 3)
        lake.table("requests").append(rows, app_id="w", app_version=version)


def answers(settings: StorageSettings) -> object:
    with ReadSession(Lake(settings)) as session:
        return session.query(DIGEST).to_pylist()


def restored(source: Path, data_dir: Path) -> StorageSettings:
    settings = StorageSettings(data_dir=data_dir)
    restore(source, settings)
    return settings


def test_a_restored_lake_gives_the_same_answers_and_goes_on(
    lake: Lake, settings: StorageSettings, tmp_path: Path
) -> None:
    filled(lake, 5)
    with open_state(settings).begin() as state:
        state.execute(insert(leases).values(name="l", holder="h", expires_at=1.0, token=3))
    report = backup(settings, tmp_path / "backup")
    assert (report.tables, report.files, report.files_copied) == ({"requests": 5}, 5, 5)
    again = restored(tmp_path / "backup", tmp_path / "new")
    assert answers(again) == answers(settings)
    table = Lake(again).table("requests")
    assert table.append(requests(1), app_id="w", app_version=4) is None
    assert table.append(requests(1, first=99), app_id="w", app_version=5) is not None
    with open_state(again).connect() as state:
        assert state.execute(select(leases.c.token)).scalar() == 3


def test_a_second_backup_copies_only_what_is_new(
    lake: Lake, settings: StorageSettings, tmp_path: Path
) -> None:
    filled(lake, 4)
    backup(settings, tmp_path / "backup")
    filled(lake, 2, first=4)
    second = backup(settings, tmp_path / "backup")
    assert (second.files, second.files_copied) == (6, 2)
    compact(lake, "requests", datetime.now(HOUR.tzinfo) + timedelta(days=2))
    third = backup(settings, tmp_path / "backup")
    assert (third.files, third.files_copied) == (1, 1)
    assert len(list((tmp_path / "backup/lake/requests").rglob("l*.parquet"))) == 1
    assert answers(restored(tmp_path / "backup", tmp_path / "new")) == answers(settings)


@pytest.mark.usefixtures("often_checkpointed")
def test_a_backup_after_checkpoints_and_cleaning_restores(
    lake: Lake, settings: StorageSettings, tmp_path: Path
) -> None:
    from storage.maintenance import clean_log

    filled(lake, 13)
    clean_log(lake.table("requests"), datetime.fromtimestamp(time.time() + 7200, HOUR.tzinfo))
    backup(settings, tmp_path / "backup")
    assert answers(restored(tmp_path / "backup", tmp_path / "new")) == answers(settings)


def test_a_damaged_backup_is_not_restored(
    lake: Lake, settings: StorageSettings, tmp_path: Path
) -> None:
    filled(lake, 2)
    backup(settings, tmp_path / "backup")
    victim = next((tmp_path / "backup/lake/requests").rglob("l0-*.parquet"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(BackupError, match="is damaged"):
        restored(tmp_path / "backup", tmp_path / "a")
    victim.unlink()
    with pytest.raises(BackupError, match="is missing"):
        restored(tmp_path / "backup", tmp_path / "b")


def test_a_folder_in_use_is_never_overwritten(
    lake: Lake, settings: StorageSettings, tmp_path: Path
) -> None:
    filled(lake, 1)
    backup(settings, tmp_path / "backup")
    with pytest.raises(BackupError, match="is not empty.*into a new place"):
        restore(tmp_path / "backup", settings)
    with pytest.raises(BackupError, match=f"no {MANIFEST}"):
        restored(tmp_path, tmp_path / "c")


def test_an_empty_lake_can_be_saved(settings: StorageSettings, tmp_path: Path) -> None:
    assert backup(settings, tmp_path / "backup").files == 0


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


def test_a_backup_killed_at_any_write_restores_to_what_was_or_is(
    lake: Lake,
    settings: StorageSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    often_checkpointed: None,
) -> None:
    filled(lake, 3)
    place, first = tmp_path / "backup", tmp_path / "first"
    backup(settings, place)
    shutil.copytree(place, first)
    before = answers(settings)
    compact(lake, "requests", datetime.now(HOUR.tzinfo) + timedelta(days=2))
    filled(lake, 2, first=3)
    after = answers(settings)
    writes = 0
    for name in ("replace", "delete"):
        monkeypatch.setattr(LocalStore, name, _counted(getattr(LocalStore, name), lambda: limit))
    limit = 10**9
    _COUNT.clear()
    backup(settings, place)
    writes = len(_COUNT)
    seen = []
    for limit in range(writes):
        shutil.rmtree(place)
        shutil.copytree(first, place)
        _COUNT.clear()
        with pytest.raises(Killed):
            backup(settings, place)
        _COUNT.clear()
        limit = 10**9
        seen.append(answers(restored(place, tmp_path / f"restored-{len(seen)}")))
        backup(settings, place)
        assert answers(restored(place, tmp_path / f"again-{len(seen)}")) == after
    assert writes > 5
    assert before in seen and after in seen
    assert all(found["n"] % 3 == 0 for [found] in seen)  # whole commits


_COUNT: list[object] = []


def _counted(method: Callable[..., object], limit: Callable[[], int]) -> Callable[..., object]:
    def counted(self: object, *arguments: object) -> object:
        if len(_COUNT) >= limit():
            raise Killed
        _COUNT.append(arguments[0])
        return method(self, *arguments)

    return counted
