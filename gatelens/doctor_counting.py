"""What `gatelens doctor` says about calls that several records tell of (docs/counting-once.md)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from storage.lake import Lake
from storage.learned import FRONTS_FILE, TWINS_FILE, read_learned
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
    since = (now or datetime.now(UTC)) - LOOK_BACK
    found = ReadSession(lake, tenant=None).query(_TWICE, [since], start=since)
    for row in found.to_pylist():
        yield (
            f"counting: tenant {row['tenant']}: {row['calls']:,} calls of {row['gateway']} in the "
            f"last day are counted from {' and '.join(row['sources'])}: choose one of them in the "
            "catalog, `count` of the gateway"
        )
