"""One collector for all tests of this folder that knock at its doors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from collector.service import Collector
from tests.collector.core.doors import eventually, open_collector, query


@dataclass(frozen=True)
class Running:
    collector: Collector
    folder: Path
    http: httpx.Client

    def rows(self, sql: str, at_least: int) -> list[dict[str, object]]:
        """Rows once there are so many; the lake is at most a moment behind."""

        def found() -> bool:
            return len(query(self.folder, sql)) >= at_least

        eventually(found)
        return query(self.folder, sql)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("receivers")
    with open_collector(folder) as collector:
        base = f"http://127.0.0.1:{collector.http_port}"
        with httpx.Client(base_url=base) as http:
            yield Running(collector, folder, http)
