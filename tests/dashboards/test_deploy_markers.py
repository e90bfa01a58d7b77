"""Marks of new versions, also over ranges whose spans are read in the background."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from dashboards.data import Data
from dashboards.figures.base import TimeAxis, figure
from dashboards.figures.markers import Mark, mark
from dashboards.settings import DashboardSettings
from dashboards.view import parse_view
from storage.settings import StorageSettings
from tests.aio import run
from tests.dashboards.known import utc_now
from tests.dashboards.telemetry import DEPLOYED_AT, TRACES, write_telemetry

SERVICES = ("orders-service",)


@pytest.mark.parametrize(("range_", "waits"), [("now-22h", False), ("now-3d", True)])
def test_a_deployment_is_marked_over_hours_and_over_days(
    tmp_path: Path, range_: str, waits: bool
) -> None:
    storage = StorageSettings(data_dir=tmp_path)
    now = utc_now()
    told = now - timedelta(hours=20)
    write_telemetry(storage, told)
    data = Data(DashboardSettings(port=0), storage)
    view = parse_view(f"?from={range_}", now=now)

    async def ask() -> tuple[list[object], list[object]]:
        first = await data.service_versions(view, SERVICES)
        found, until = first, time.monotonic() + 20
        while not found and time.monotonic() < until:  # read in the background
            await asyncio.sleep(0.01)
            found = await data.service_versions(view, SERVICES)
        return list(first), list(found)

    first, found = run(ask())
    data.close()
    if not waits:
        assert first == found
    (new,) = [v for v in found if v.deployed]
    assert new.version == "1.1"
    end = told - timedelta(minutes=1)
    assert new.first_seen == end - timedelta(seconds=10 * (TRACES - DEPLOYED_AT))

    drawn = figure("dark")
    drawn.add("scatter", x=[view.start], y=[1])
    mark(drawn, [Mark(new.first_seen, "orders 1.1")], TimeAxis(view.start, view.end, 3600))
    assert [s["x0"] for s in drawn.layout["shapes"]] == [new.first_seen]
