from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from analytics.query import Analytics
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.state import open_state
from tests.analytics.hostile import NOON, request_table
from tests.analytics.oracle import Row


@pytest.fixture
def settings(tmp_path: Path) -> StorageSettings:
    return StorageSettings(data_dir=tmp_path)


@pytest.fixture
def lake(settings: StorageSettings) -> Lake:
    return Lake(settings)


@pytest.fixture
def store(lake: Lake) -> Callable[[list[Row]], None]:
    """Appends requests to the lake, each call one commit."""
    calls = iter(range(1, 1_000_000))

    def append(rows: list[Row]) -> None:
        lake.table("requests").append(request_table(rows), app_id="test", app_version=next(calls))

    return append


@pytest.fixture
def session(lake: Lake) -> Iterator[ReadSession]:
    with ReadSession(lake, threads=1) as opened:
        yield opened


@pytest.fixture
def analytics(session: ReadSession) -> Analytics:
    return Analytics(session, clock=lambda: NOON + timedelta(hours=3))


@pytest.fixture
def engine(settings: StorageSettings) -> Iterator[Engine]:
    opened = open_state(settings)
    yield opened
    opened.dispose()


class FakeClock:
    """Seconds that pass only when told."""

    def __init__(self, start: datetime = NOON) -> None:
        self.now = start.timestamp()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
