"""Bounds read off a query: exact enough to skip files, never so tight as to lose a row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from storage.log import time_to_us
from storage.sql_bounds import Bounds, time_bounds

MINUTE_US = 60_000_000
T10 = time_to_us(datetime(2026, 11, 21, 10, tzinfo=UTC))
T12 = T10 + 2 * 60 * MINUTE_US

FROM_10, UNTIL_12 = T10 - MINUTE_US, T12 + 1 + MINUTE_US


def bounds(where: str) -> Bounds:
    sql = where if where.startswith(("SELECT", "WITH")) else f"SELECT * FROM requests {where}"
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    statement = "SELECT json_serialize_sql($1, skip_null := true, skip_empty := true)"
    tree = json.loads(con.execute(statement, [sql]).fetchall()[0][0])
    return time_bounds(con, tree, "requests")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("WHERE time >= '2026-11-21 10:00'", Bounds(FROM_10)),
        ("WHERE time > TIMESTAMP '2026-11-21 10:00'", Bounds(FROM_10)),
        ("WHERE '2026-11-21 10:00' <= time", Bounds(FROM_10)),
        ("WHERE requests.time >= '2026-11-21T10:00:00Z'", Bounds(FROM_10)),
        ("WHERE time <= '2026-11-21 12:00'", Bounds(None, UNTIL_12)),
        (
            "WHERE time >= '2026-11-21 10:00' AND time < '2026-11-21 12:00' AND api = 'a'",
            Bounds(FROM_10, UNTIL_12),
        ),
        (
            "WHERE time BETWEEN '2026-11-21 10:00' AND '2026-11-21 12:00'",
            Bounds(FROM_10, UNTIL_12),
        ),
        ("WHERE time = '2026-11-21 10:00'", Bounds(FROM_10, T10 + 1 + MINUTE_US)),
        ("WHERE time >= '2026-11-21 09:00' AND time >= '2026-11-21 10:00'", Bounds(FROM_10)),
        ("WHERE NOT time >= '2026-11-21 10:00'", Bounds(None, T10 + 1 + MINUTE_US)),
        ("SELECT * FROM requests r WHERE r.time >= '2026-11-21 10:00'", Bounds(FROM_10)),
        # in doubt, everything
        (
            "SELECT * FROM spans s WHERE EXISTS "
            "(SELECT 1 FROM requests r WHERE s.time >= '2026-11-21 10:00')",
            Bounds(),
        ),
        ("", Bounds()),
        ("WHERE api = 'a'", Bounds()),
        ("WHERE time >= '2026-11-21 10:00' OR api = 'a'", Bounds()),
        ("WHERE NOT time >= $1", Bounds()),
        ("WHERE time >= $1", Bounds()),
        ("WHERE time >= (SELECT max(time) FROM spans)", Bounds()),
        ("WHERE time >= 'nonsense'", Bounds()),
        ("WHERE time >= NULL", Bounds()),
        ("WHERE time > requests.time - INTERVAL 1 HOUR", Bounds()),
        ("HAVING max(time) >= '2026-11-21 10:00'", Bounds()),
        ("SELECT * FROM requests r JOIN spans s USING (trace_id) WHERE r.time >= now()", Bounds()),
        (
            "SELECT * FROM requests WHERE time >= '2026-11-21 10:00' AND api IN "
            "(SELECT api FROM requests)",
            Bounds(),
        ),
        # each reference under its own condition: the wider one counts
        (
            "WITH a AS (SELECT * FROM requests WHERE time >= '2026-11-21 12:00') SELECT * FROM a "
            "UNION ALL SELECT * FROM requests WHERE time >= '2026-11-21 10:00'",
            Bounds(FROM_10),
        ),
    ],
)
def test_bounds_of(where: str, expected: Bounds) -> None:
    assert bounds(where) == expected


def test_now_is_understood() -> None:
    before = time_to_us(datetime.now(UTC) - timedelta(hours=1))
    found = bounds("WHERE time >= now() - INTERVAL 1 HOUR").start_us
    assert found is not None
    assert before - MINUTE_US <= found <= before + MINUTE_US
