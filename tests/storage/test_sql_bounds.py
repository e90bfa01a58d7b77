"""Bounds read off a query: exact enough to skip files, never so tight as to lose a row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from storage.log import time_to_us
from storage.sql_bounds import Bounds, Params, time_bounds

MINUTE_US = 60_000_000
T10 = time_to_us(datetime(2026, 11, 21, 10, tzinfo=UTC))
T12 = T10 + 2 * 60 * MINUTE_US

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FROM_10, UNTIL_12 = T10 - MINUTE_US, T12 + 1 + MINUTE_US


_CON = duckdb.connect()


def bounds(where: str, params: Params = (), table: str = "requests") -> Bounds:
    sql = where if where.startswith(("SELECT", "WITH")) else f"SELECT * FROM requests {where}"
    con = _CON
    con.execute("SET TimeZone = 'UTC'")
    statement = "SELECT json_serialize_sql($1, skip_null := true, skip_empty := true)"
    tree = json.loads(con.execute(statement, [sql]).fetchall()[0][0])
    return time_bounds(con, tree, table, params)


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
        ("WHERE time >= $2", Bounds()),
        ("WHERE time >= now() - to_seconds(random() * 3600)", Bounds()),
        ("SELECT * FROM requests r(tenant, time) WHERE time >= '2026-11-21 10:00'", Bounds()),
        ("WHERE time >= '2026-11-21 10:00' USING SAMPLE 5 ROWS", Bounds()),
        ("SELECT * FROM requests TABLESAMPLE 5 ROWS WHERE time >= '2026-11-21 10:00'", Bounds()),
        ("SELECT * FROM requests r JOIN spans s USING (trace_id) WHERE s.time >= now()", Bounds()),
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


@pytest.mark.parametrize(
    ("where", "params", "expected"),
    [
        ("WHERE time >= $1", ["2026-11-21 10:00"], Bounds(FROM_10)),
        ("WHERE time >= ?", [datetime(2026, 11, 21, 10, tzinfo=UTC)], Bounds(FROM_10)),
        ("WHERE api = ? AND time >= ?", ["a", datetime(2026, 11, 21, 10)], Bounds(FROM_10)),  # noqa: DTZ001
        ("WHERE time >= $since", {"since": "2026-11-21T10:00:00Z"}, Bounds(FROM_10)),
        ("WHERE time >= $since - INTERVAL 2 HOUR", {"since": NOON}, Bounds(FROM_10)),
        ("WHERE time BETWEEN $1 AND $2", ["2026-11-21 10:00", NOON], Bounds(FROM_10, UNTIL_12)),
        ("WHERE time >= $1", [None], Bounds()),
        ("WHERE time >= $1", [7], Bounds()),
        ("WHERE time >= $1", [], Bounds()),
        ("WHERE time >= $1", {"other": NOON}, Bounds()),
    ],
)
def test_bound_parameters_count(where: str, params: Params, expected: Bounds) -> None:
    assert bounds(where, params) == expected


@pytest.mark.parametrize(
    ("join", "of_requests", "of_spans"),
    [
        ("JOIN spans s USING (trace_id) WHERE r.time >= '{}'", True, False),
        ("JOIN spans s ON s.time >= '{}' AND r.trace_id = s.trace_id", False, True),
        ("LEFT JOIN spans s ON s.time >= '{}' AND r.time >= '{}'", False, True),
        ("RIGHT JOIN spans s ON s.time >= '{}' AND r.time >= '{}'", True, False),
        ("FULL JOIN spans s ON s.time >= '{}' AND r.time >= '{}'", False, False),
        ("FULL JOIN spans s USING (trace_id) WHERE s.time >= '{}'", False, True),
        ("LEFT JOIN spans s USING (trace_id) WHERE s.time >= '{}'", False, True),
        (", spans s WHERE r.time >= '{}' AND s.time >= '{}'", True, True),
        ("JOIN spans s USING (trace_id) WHERE time >= '{}'", False, False),
        ("ASOF JOIN spans s ON r.time >= s.time WHERE s.time >= '{}'", False, False),
        ("POSITIONAL JOIN spans s WHERE r.time >= '{}'", False, False),
        ("ANTI JOIN spans s ON s.time >= '{}' WHERE r.time >= '{}'", False, False),
    ],
)
def test_tables_of_a_join_are_bound_where_no_row_of_the_answer_can_get_lost(
    join: str, of_requests: bool, of_spans: bool
) -> None:
    sql = "SELECT * FROM requests r " + join.replace("{}", "2026-11-21 10:00")
    assert bounds(sql) == (Bounds(FROM_10) if of_requests else Bounds())
    assert bounds(sql, table="spans") == (Bounds(FROM_10) if of_spans else Bounds())


@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
@pytest.mark.parametrize("place", ["ON true AND", "USING (id) WHERE"])
@pytest.mark.parametrize(
    "condition",
    [
        "r.time >= TIMESTAMP '2026-11-21 10:00'",
        "s.time < TIMESTAMP '2026-11-21 10:00'",
        "r.time = s.time AND s.time >= DATE '2026-11-21'",
    ],
)
def test_leaving_out_what_the_bounds_leave_out_changes_no_answer(
    kind: str, place: str, condition: str
) -> None:
    """DuckDB itself as judge: every kind of join over full tables and over bounded ones."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    series = "SELECT i AS id, TIMESTAMPTZ '2026-11-20 22:00:00Z' + INTERVAL (i * {}) MINUTE AS time"
    for name, step in (("requests", 37), ("spans", 41)):
        con.execute(f"CREATE TABLE {name} AS {series.format(step)} FROM range(60) t(i)")
    sql = f"SELECT * FROM requests r {kind} spans s {place} {condition} ORDER BY ALL"
    full = con.execute(sql).to_arrow_table()
    for name in ("requests", "spans"):
        found = bounds(sql, table=name)
        con.execute(
            f"DELETE FROM {name} WHERE epoch_us(time) < $low OR epoch_us(time) >= $high",
            {"low": found.start_us or -(2**62), "high": found.end_us or 2**62},
        )
    assert con.execute(sql).to_arrow_table() == full


@pytest.mark.parametrize(
    ("where", "low", "high"),
    [
        ("WHERE day = '2026-11-21'", "2026-11-21", "2026-11-22"),
        ("WHERE day >= DATE '2026-11-21'", "2026-11-21", None),
        ("WHERE day BETWEEN '2026-11-20' AND '2026-11-21'", "2026-11-20", "2026-11-22"),
        ("WHERE day < '2026-11-21'", None, "2026-11-21"),
    ],
)
def test_a_day_leaves_no_row_of_it_out(where: str, low: str | None, high: str | None) -> None:
    found = bounds(where)
    day_us = 24 * 60 * MINUTE_US
    for bound, text in ((found.start_us, low), (found.end_us, high)):
        assert (bound is None) == (text is None)
        if bound is not None and text is not None:
            exact = time_to_us(datetime.fromisoformat(text).replace(tzinfo=UTC))
            outward = exact - bound if text == low else bound - exact
            assert 0 <= outward <= 2 * day_us


def test_now_is_understood() -> None:
    before = time_to_us(datetime.now(UTC) - timedelta(hours=1))
    found = bounds("WHERE time >= now() - INTERVAL 1 HOUR").start_us
    assert found is not None
    assert before - MINUTE_US <= found <= before + MINUTE_US
