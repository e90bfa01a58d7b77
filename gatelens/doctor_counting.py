"""What `gatelens doctor` says about calls that several records tell of (docs/counting-once.md)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from analytics.sql_files import load_sql
from storage.lake import Lake
from storage.learned import FRONTS_FILE, TWINS_FILE, read_learned
from storage.session import ReadSession
from storage.settings import StorageSettings

LOOK_BACK = timedelta(days=1)


def counting_lines(storage: StorageSettings, *, now: datetime | None = None) -> Iterator[str]:
    """Services learned to be behind a gateway; gateways whose calls are in `requests` twice."""
    for tenant, fronts in read_learned(storage.data_dir / FRONTS_FILE).items():
        for service, gateway in fronts.items():
            yield (
                f"counting: tenant {tenant}: service {service} is behind {gateway} (learned): its "
                "own spans are not counted, but for those without a parent"
            )
    for tenant, twins in read_learned(storage.data_dir / TWINS_FILE).items():
        for spans, gateway in twins.items():
            yield (
                f"counting: tenant {tenant}: the access log of {gateway} tells of the same calls "
                f"as the spans of {spans} (learned): the log is counted"
            )
    lake = Lake(storage)
    if lake.existing("requests") is None:
        return
    end = now or datetime.now(UTC)
    asked = {"start": end - LOOK_BACK, "end": end}
    found = ReadSession(lake, tenant=None).query(
        load_sql("counted_twice"), asked, start=end - LOOK_BACK
    )
    for row in found.to_pylist():
        yield (
            f"counting: tenant {row['tenant']}: {row['calls']:,} calls of {row['gateway']} in the "
            f"last day are counted from {' and '.join(row['sources'])}: choose one of them in the "
            "catalog, `count` of the gateway"
        )
