"""Slow, plain-Python twins of every measure, over rows as dicts. Shares no code with analytics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]

PARTS = {"total": "duration_ms", "upstream": "upstream_ms", "gateway": "gateway_ms"}


def is_error(row: Row) -> bool:
    if row.get("outcome") is not None:
        return bool(row["outcome"] == "server_error")
    return row.get("status_code") is not None and row["status_code"] >= 500


def known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def select(
    rows: Iterable[Row],
    start: datetime,
    end: datetime,
    keep: Callable[[Row], bool] = lambda r: True,
) -> list[Row]:
    return [r for r in rows if start <= r["time"] < end and keep(r)]


def group(rows: Iterable[Row], by: tuple[str, ...]) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(name) for name in by)].append(row)
    return groups


def total(rows: list[Row], name: str) -> float | None:
    values = [r[name] for r in rows if known(r.get(name))]
    return math.fsum(values) if values else None


def exact_quantile(values: list[float], q: float) -> float:
    """Smallest value with at least a share q at or below it."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(q * len(ordered), 9)) - 1)]


def quantile(rows: list[Row], q: float, part: str = "total") -> float | None:
    values = [max(0.0, r[PARTS[part]]) for r in rows if known(r.get(PARTS[part]))]
    return exact_quantile(values, q) if values else None


def measure(name: str, rows: list[Row], seconds: float) -> float | None:
    n = len(rows)
    status = [r.get("status_code") for r in rows]
    counts = {
        "requests": n,
        "errors": sum(is_error(r) for r in rows),
        "expected_errors": 0,  # without a policy
        "client_errors": sum(s is not None and 400 <= s <= 499 for s in status),
        "rate_limited": sum(r.get("outcome") in ("rate_limited", "quota_exceeded") for r in rows),
        "unauthorized": sum(r.get("outcome") == "unauthorized" for r in rows),
        "aborted": sum(r.get("outcome") == "aborted" for r in rows),
    }
    if name in counts:
        return counts[name]
    if name == "requests_per_s":
        return n / seconds
    if name.endswith("_rate"):
        plural = {"error_rate": "errors", "client_error_rate": "client_errors"}
        counted = plural.get(name, name.removesuffix("_rate"))
        return counts[counted] / n if n else None
    if name in ("request_bytes", "response_bytes"):
        return total(rows, name)
    if name == "bandwidth_bytes_per_s":
        both = [total(rows, "request_bytes"), total(rows, "response_bytes")]
        present = [b for b in both if b is not None]
        return sum(present) / seconds if present else None
    if name == "duration_ms_avg":
        timed = [r for r in rows if known(r.get("duration_ms"))]
        summed = total(timed, "duration_ms")
        return None if summed is None else summed / len(timed)
    part = name.split("_")[0] if name.startswith(("upstream", "gateway")) else "total"
    digits = name.removesuffix("_ms").rsplit("p", 1)[1]
    return quantile(rows, int(digits) / 10 ** len(digits), part)


def interval_of(moment: datetime, seconds: int) -> datetime:
    origin = datetime(2000, 1, 3, tzinfo=UTC)
    return origin + timedelta(seconds=(moment - origin).total_seconds() // seconds * seconds)
