"""A lake in a temporary folder, and rows to put in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from storage.lake import Lake
from storage.schemas import TIMESTAMP
from storage.session import ReadSession
from storage.settings import StorageSettings

HOUR = datetime(2026, 11, 21, 10, tzinfo=UTC)

Rows = Callable[..., pa.Table]


@pytest.fixture
def settings(tmp_path: Path) -> StorageSettings:
    return StorageSettings(data_dir=tmp_path / "data")


@pytest.fixture
def lake(settings: StorageSettings) -> Lake:
    return Lake(settings)


@pytest.fixture
def session(lake: Lake) -> Iterator[ReadSession]:
    with ReadSession(lake) as opened:
        yield opened


@pytest.fixture
def often_checkpointed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint every 10 commits, so that a test need not make hundreds."""
    monkeypatch.setattr("storage.commit.CHECKPOINT_INTERVAL", 10)
    monkeypatch.setattr("storage.maintenance.CHECKPOINT_INTERVAL", 10)


def requests(
    count: int,
    *,
    start: datetime = HOUR,
    step_s: float = 1.0,
    tenant: str = "default",
    api: str = "orders",
    first: int = 0,
) -> pa.Table:
    """Rows of `requests`, told apart by request_id = first, first + 1, ..."""
    return pa.table(
        {
            "time": pa.array(
                [start + timedelta(seconds=i * step_s) for i in range(count)], TIMESTAMP
            ),
            "tenant": [tenant] * count,
            "api": [api] * count,
            "route": [f"/r{i % 3}" for i in range(count)],
            "request_id": [f"{first + i:08x}" for i in range(count)],
            "trace_id": [f"{first + i:032x}" for i in range(count)],
            "status_code": pa.array([200] * count, pa.int16()),
            "duration_ms": [float(i) for i in range(count)],
        }
    )
