from __future__ import annotations

import json
from pathlib import Path

from gatelens.upkeep import SWEEP_EVERY_S, LakeKeeper
from storage.lake import Lake
from storage.maintenance import LEDGER
from storage.settings import StorageSettings
from tests.storage.conftest import HOUR, requests


def test_the_whole_lake_is_listed_only_now_and_then(tmp_path: Path) -> None:
    lake = Lake(StorageSettings(data_dir=tmp_path))
    table = lake.table("requests")
    table.append(requests(1, start=HOUR), app_id="w", app_version=1)
    now_s = 1000.0
    keeper = LakeKeeper(lake, clock=lambda: now_s)

    def found_dead() -> list[str]:
        ledger = table.location / LEDGER
        return list(json.loads(ledger.read_bytes())) if ledger.exists() else []

    keeper.tick()
    (table.location / "left-behind.parquet").write_bytes(b"of a crash")
    now_s += SWEEP_EVERY_S - 1
    keeper.tick()
    assert found_dead() == []
    now_s += 1
    keeper.tick()
    assert found_dead() == ["left-behind.parquet"]
