"""What `gatelens doctor` says about calls that several records tell of (docs/counting-once.md)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from collector.naming.fronts import FRONTS_FILE, read_fronts
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

LOOK_BACK = timedelta(days=1)

_TWICE = """
WITH calls AS (
    SELECT
        tenant,
        gateway,
        id,
        list_sort(list(DISTINCT source)) AS sources
    FROM (
        SELECT
            tenant,
            gateway,
            source,
            unnest([request_id, trace_id || '/' || span_id]) AS id
        FROM requests
        WHERE time >= ? AND gateway <> 'service'
    )
    WHERE id IS NOT NULL
    GROUP BY ALL
    HAVING count(DISTINCT source) > 1
)
SELECT tenant, gateway, sources, count(*) AS calls
FROM calls
GROUP BY ALL
ORDER BY ALL
"""
"""Calls that have rows of different sources with the same request id, or trace and span id."""


def counting_lines(storage: StorageSettings, *, now: datetime | None = None) -> Iterator[str]:
    """Services learned to be behind a gateway; gateways whose calls are in `requests` twice."""
    for tenant, fronts in read_fronts(storage.data_dir / FRONTS_FILE).items():
        for service, gateway in fronts.items():
            yield (
                f"counting: tenant {tenant}: service {service} is behind {gateway} (learned): its "
                "own spans are not counted, but for those without a parent"
            )
    lake = Lake(storage)
    if lake.existing("requests") is None:
        return
    since = (now or datetime.now(UTC)) - LOOK_BACK
    found = ReadSession(lake, tenant=None).query(_TWICE, [since], start=since)
    for row in found.to_pylist():
        yield (
            f"counting: tenant {row['tenant']}: {row['calls']:,} calls of {row['gateway']} in the "
            f"last day are counted from {' and '.join(row['sources'])}: choose one of them in the "
            "catalog, `count` of the gateway"
        )
