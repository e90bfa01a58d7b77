"""Merging, retention, log cleaning, sweeping and restoring, cut short at a system call: by a kill
(all that was written is there) and by a power cut (what was not synced may be lost). At every call
in the slow suite, at some in the quick one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from storage.backup import backup, restore
from storage.commit import checkpoint
from storage.errors import LakeDamaged, LakeUnfinished
from storage.lake import Lake
from storage.limits import GRACE_SECONDS
from storage.log import commit_name
from storage.maintenance import maintain
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.power_cut import KILLED, Disk, Recorder, recording
from tests.storage.conftest import requests
from tests.storage.test_maintenance import LATER

RETENTION = {"retention_raw_days": 0, "retention_tenant_days": (("gone", 1),)}

DIGEST = """SELECT tenant, count(*) n, count(DISTINCT request_id) ids, sum(duration_ms) ms
FROM requests GROUP BY tenant ORDER BY tenant"""

KEPT_ROWS = {"tenant": "default", "n": 12, "ids": 12, "ms": 12.0}
GONE_ROWS = {"tenant": "gone", "n": 3, "ids": 3, "ms": 3.0}
WHOLE = [KEPT_ROWS, GONE_ROWS]


def settings_of(data_dir: Path) -> StorageSettings:
    return StorageSettings(data_dir=data_dir, **RETENTION)  # type: ignore[arg-type]


def fill(data_dir: Path) -> Path:
    """Two tenants: one keeps its rows for ever, the other's are past their time."""
    table = Lake(settings_of(data_dir)).table("requests")
    for number in range(4):
        table.append(requests(3, first=number * 3), app_id="w", app_version=number)
    table.append(requests(3, tenant="gone", first=900), app_id="g", app_version=0)
    return data_dir / "lake"


def answers(settings: StorageSettings) -> list[dict[str, object]]:
    with ReadSession(Lake(settings), tenant=None) as session:
        return session.query(DIGEST).to_pylist()


def upkeep(settings: StorageSettings) -> None:
    """Once to merge and expire, once more when what that replaced may be deleted."""
    lake = Lake(settings)
    for later in (timedelta(), timedelta(seconds=GRACE_SECONDS)):
        maintain(lake, LATER + later, consumed=lambda _table: 10**6)


def disks(recorder: Recorder, kept: tuple[str, ...], every: int = 1) -> Iterator[tuple[str, Disk]]:
    """What may be left behind, each disk once."""
    seen: set[tuple[tuple[str, bytes | None], ...]] = set()
    for moment in recorder.moments[::every]:
        for kind in kept:
            disk = moment.disk(kind)
            files = tuple(sorted(disk.files.items()))
            if files not in seen:
                seen.add(files)
                yield f"{moment.number} {moment.call}: {kind}", disk


EVERY_KIND = (KILLED, "none", "names", "bytes", "some")
CUTS = [
    pytest.param((KILLED,), 6, id="killed"),
    pytest.param(EVERY_KIND, 1, id="anyhow", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
]


@pytest.mark.parametrize(("kept", "every"), CUTS)
def test_upkeep_cut_short_anywhere_changes_no_answer_and_is_finished_by_the_next(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    often_checkpointed: None,
    kept: tuple[str, ...],
    every: int,
) -> None:
    monkeypatch.setattr("storage.maintenance.CHECKPOINT_INTERVAL", 2)
    root = fill(tmp_path / "data")
    with recording(root, monkeypatch) as recorder:
        upkeep(settings_of(tmp_path / "data"))
    assert {"link", "unlink", "replace"} <= {m.call.split()[0] for m in recorder.moments}
    seen = []
    for turn, (where, disk) in enumerate(disks(recorder, kept, every)):
        place = settings_of(tmp_path / str(turn))
        place.data_dir.mkdir()
        disk.write_to(place.data_dir / "lake")
        found = answers(place)
        assert found in (WHOLE, [KEPT_ROWS]), where
        seen.append(len(found))
        upkeep(place)
        assert answers(place) == [KEPT_ROWS], where
        table = Lake(place).table("requests")
        live = {table.location / f.path for f in table.snapshot().files()}
        assert set(table.location.glob("tenant=*/**/*.parquet")) == live, where
    assert set(seen) == {1, 2}  # before and after the rows went


@pytest.mark.parametrize(("kept", "every"), CUTS)
def test_a_restore_cut_short_anywhere_is_refused_as_a_lake_and_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: tuple[str, ...], every: int
) -> None:
    fill(tmp_path / "data")
    backup(settings_of(tmp_path / "data"), tmp_path / "backup")
    target = settings_of(tmp_path / "new")
    (target.data_dir / "lake").mkdir(parents=True)
    with recording(target.data_dir / "lake", monkeypatch) as recorder:
        restore(tmp_path / "backup", target)
    assert answers(target) == WHOLE
    refused = 0
    for turn, (where, disk) in enumerate(disks(recorder, kept, every)):
        place = settings_of(tmp_path / str(turn))
        place.data_dir.mkdir()
        disk.write_to(place.data_dir / "lake")
        try:
            found = answers(place)
        except LakeUnfinished:
            refused += 1
            restore(tmp_path / "backup", place)
            found = answers(place)
        assert found in (WHOLE, []), where  # [] = nothing had begun
    assert refused > 20 / every


@pytest.mark.parametrize("left", ["hint alone", "empty", "cut"])
def test_a_checkpoint_torn_by_a_power_cut_does_not_keep_its_table_closed(
    tmp_path: Path, left: str
) -> None:
    """Log cleaning has not begun after it, or has after the one before."""
    root = fill(tmp_path / "data")
    table = Lake(settings_of(tmp_path / "data")).table("requests")
    checkpoint(table.log)
    for name in range(3):
        (table.log.folder / commit_name(name)).unlink()
    table.append(requests(3, tenant="late", first=700), app_id="l", app_version=0)
    version = checkpoint(table.log)
    torn = table.log.folder / f"{version:020d}.checkpoint.parquet"
    whole = torn.read_bytes()
    if left == "hint alone":
        torn.unlink()
    else:
        torn.write_bytes(b"" if left == "empty" else whole[: len(whole) // 2])
    assert {r["tenant"]: r["n"] for r in answers(settings_of(tmp_path / "data"))} == {
        "default": 12, "gone": 3, "late": 3
    }  # fmt: skip
    assert not torn.exists()
    assert Lake(settings_of(tmp_path / "data")).table("requests").version() == version
    # Where the commits are gone, too, it is damage, and nothing is deleted.
    version = checkpoint(table.log)
    torn.write_bytes(whole[: len(whole) // 2])
    (table.log.folder / commit_name(version)).unlink()
    (table.log.folder / "_last_checkpoint").unlink()
    with pytest.raises(LakeDamaged):
        answers(settings_of(tmp_path / "data"))
    assert torn.exists()
    assert root.exists()
