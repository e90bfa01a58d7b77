"""Deployments, as versions that spans name tell of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from analytics.deployments import ServiceVersion, service_versions
from analytics.timerange import TimeRange
from storage.lake import Lake
from storage.schemas import TABLES
from storage.session import ReadSession
from tests.analytics.hostile import NOON

RANGE = TimeRange(NOON, NOON + timedelta(hours=1))
NAMES = ("time", "tenant", "service_name", "service_version", "status")


@pytest.fixture
def spans(lake: Lake) -> Any:
    def store(*rows: tuple[float, str, str | None, str]) -> None:
        """(minutes after noon, service, version, status)."""
        schema = TABLES["spans"].arrow_schema
        table = pa.Table.from_pylist(
            [
                dict(zip(NAMES, (NOON + timedelta(minutes=m), "default", *rest), strict=True))
                for m, *rest in rows
            ],
            schema=pa.schema([schema.field(n) for n in NAMES]),
        )
        lake.table("spans").append(table, app_id="test", app_version=1)

    return store


def shown(found: list[ServiceVersion]) -> list[tuple[str, str, int, bool]]:
    return [(v.service, v.version, v.spans, v.deployed) for v in found]


def test_a_version_that_took_over_was_deployed_and_the_first_was_not(
    spans: Any, session: ReadSession
) -> None:
    spans(
        (1, "orders", "1.0", "OK"), (20, "orders", "1.0", "ERROR"),
        (30, "orders", "1.1", "OK"), (40, "orders", "1.1", "OK"),
    )  # fmt: skip
    old, new = service_versions(session, RANGE)
    assert shown([old, new]) == [("orders", "1.0", 2, False), ("orders", "1.1", 2, True)]
    assert (old.errors, old.error_rate) == (1, 0.5)
    assert (new.first_seen, new.last_seen) == (
        NOON + timedelta(minutes=30), NOON + timedelta(minutes=40),
    )  # fmt: skip


def test_versions_that_began_side_by_side_ran_before_the_range(
    spans: Any, session: ReadSession
) -> None:
    spans((1, "orders", "1.0", "OK"), (2, "orders", "1.1", "OK"), (2.1, "orders", "1.2", "OK"))
    assert [v.deployed for v in service_versions(session, RANGE)] == [False, False, True]


def test_a_roll_back_is_no_deployment_of_its_own(spans: Any, session: ReadSession) -> None:
    spans((1, "orders", "1.0", "OK"), (20, "orders", "1.1", "OK"), (40, "orders", "1.0", "OK"))
    assert shown(service_versions(session, RANGE)) == [
        ("orders", "1.0", 2, False), ("orders", "1.1", 1, True),
    ]  # fmt: skip


def test_services_do_not_deploy_each_other(spans: Any, session: ReadSession) -> None:
    spans((1, "orders", "1.0", "OK"), (30, "billing", "7", "OK"))
    assert shown(service_versions(session, RANGE)) == [
        ("orders", "1.0", 1, False), ("billing", "7", 1, False),
    ]  # fmt: skip
    assert shown(service_versions(session, RANGE, ["billing"])) == [("billing", "7", 1, False)]
    assert service_versions(session, RANGE, []) == []
    assert service_versions(session, RANGE, ["nobody"]) == []


def test_spans_without_a_version_or_outside_the_range_are_left_out(
    spans: Any, session: ReadSession
) -> None:
    spans((-1, "orders", "0.9", "OK"), (5, "orders", None, "OK"), (60, "orders", "2.0", "OK"))
    assert service_versions(session, RANGE) == []
