"""Requests as they come from the wild: late, repeated, unnamed, unicode, absurd values."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from storage.schemas import TABLES
from tests.analytics.oracle import Row

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

NAMES: dict[str, list[Any]] = {
    "environment": [None, "production", "staging"],
    "gateway": [None, "kong", "nginx"],
    "api": [None, "orders", "Ü-Ä", "支払い", "o'brien; DROP TABLE requests--", "", "(none)"],
    "api_version": [None, "v1", "v2"],
    "route": [None, "/orders/{id}", "/🙂/{id}"],
    "method": [None, "GET", "POST"],
    "product": [None, "core"],
    "plan": [None, "free", "gold"],
    "consumer": [None, "acme", "ACME", "acmé", "acme\u0301", "x" * 300],
    "status_code": [None, 0, 200, 201, 304, 400, 401, 404, 429, 499, 500, 503, 599, 999],
    "outcome": [
        None, "ok", "redirect", "client_error", "server_error", "rate_limited", "quota_exceeded",
        "unauthorized", "aborted",
    ],
    "country": [None, "DE", "JP"],
    "client_kind": [None, "sdk", "bot"],
}  # fmt: skip

TIMES_MS = [None, 0.0, -0.0, -3.5, 1e-9, 1.0, 1.02, 7.25, 1e12, float("inf"), float("nan")]
BYTES = [None, 0, 1, 1500, 2**40]


def random_row(
    rng: random.Random, *, around: datetime = NOON, spread_s: float = 7200, every_h: int = 1
) -> Row:
    """`every_h`: only each so-manieth hour has rows. An hour costs a file in each of twenty tables,
    so long spans are better thin."""
    row: Row = {name: rng.choice(values) for name, values in NAMES.items()}
    offset = rng.choice([rng.uniform(-spread_s, spread_s), rng.choice([-60, 0, 60, 3600])])
    offset -= offset // 3600 % every_h * 3600
    row["time"] = around + timedelta(microseconds=round(offset * 1e6))
    row["tenant"] = "default"
    for column in ("duration_ms", "upstream_ms", "gateway_ms"):
        odd = rng.random() < 0.2
        row[column] = rng.choice(TIMES_MS) if odd else rng.lognormvariate(3, 1.5)
    row["request_bytes"] = rng.choice(BYTES)
    row["response_bytes"] = rng.choice(BYTES)
    return row


def random_rows(seed: int, count: int, **how: Any) -> list[Row]:
    """Some rows are exact copies of others: two equal requests are two requests."""
    rng = random.Random(seed)
    rows = [random_row(rng, **how) for _ in range(count)]
    for _ in range(count // 10):
        rows[rng.randrange(count)] = dict(rng.choice(rows))
    return rows


def request_table(rows: list[Row]) -> pa.Table:
    schema = TABLES["requests"].arrow_schema
    names = sorted({name for row in rows for name in row}) or ["time", "tenant"]
    return pa.Table.from_pylist(rows, schema=pa.schema([schema.field(n) for n in names]))
