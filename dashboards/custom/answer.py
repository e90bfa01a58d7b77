"""What a panel got as answer, whichever way it was asked: rows, and what each column is for."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from analytics.measures import MEASURES
from dashboards import format as fmt
from dashboards.custom.definition import Panel

_UNIT_OF_MEASURE = {
    "1": "percent",
    "ms": "ms",
    "By": "bytes",
    "By/s": "bytes_per_s",
    "requests": "count",
    "requests/s": "rate",
}
"""Unit of a measure (UCUM) -> unit of a panel."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of `frame`; every column is the time, a name or a value."""

    frame: pl.DataFrame
    values: tuple[str, ...]
    """Columns with numbers: measures, or those of the SQL in order."""
    names: tuple[str, ...] = ()
    """Columns with what the numbers are about; () = about everything."""
    time: str | None = None
    interval_s: int | None = None
    """Seconds between two times; None = the times are the SQL's own."""
    before: pl.DataFrame | None = None
    """The same over the equal range just before, of a number without names."""
    trend: pl.DataFrame | None = None
    """The same over time, of a number without names; `interval_s` is its step."""
    spread: bool = False
    """Whether this is the spread of latency: time, bucket, requests."""
    truncated: bool = False
    """Whether rows were left out at a limit."""


def from_sql(table: pa.Table, kind: str, *, truncated: bool) -> Answer:
    """Columns by type: the first time, texts and flags as names, numbers as values.

    Where a panel needs a name and there is none (status codes, say), the first number is it.
    """
    fields = list(table.schema)
    frame = pl.DataFrame(pl.from_arrow(table.rename_columns(_distinct(table.column_names))))
    columns = frame.columns
    times = [
        name
        for name, field in zip(columns, fields, strict=True)
        if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)
    ]
    numbers = [name for name in columns if frame[name].dtype.is_numeric()]
    time = times[0] if times else None
    names = [n for n in columns if n not in numbers and n != time]
    if kind in ("bar", "treemap", "map") and not names:
        if time is not None:
            names, time = [time], None
        elif len(numbers) > 1:
            names = [numbers.pop(0)]
    decimals = [n for n in numbers if frame[n].dtype == pl.Decimal]
    if decimals:
        frame = frame.with_columns(pl.col(decimals).cast(pl.Float64))
    return Answer(frame, tuple(numbers), tuple(names), time, truncated=truncated)


def _distinct(names: list[str]) -> list[str]:
    """Two columns of one name get a number behind it."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out if len(set(out)) == len(out) else [f"column {i + 1}" for i in range(len(names))]


def formatter(panel: Panel, value: str) -> fmt.Formatter:
    """How numbers of one value column are written: the panel's unit, else the measure's own."""
    unit = panel.unit
    if unit == "auto":
        measure = MEASURES.get(value)
        return _FORMATS[_UNIT_OF_MEASURE.get(measure.unit, "count") if measure else "count"]
    return _FORMATS[unit]


def label(value: str) -> str:
    """A value column as people call it: 'p95_ms' -> 'p95', 'error_rate' -> 'error rate'."""
    if value not in MEASURES:
        return fmt.plain(value, 60)
    return value.removesuffix("_ms").replace("_per_s", " per second").replace("_", " ")


def _seconds(value: float | None) -> str:
    return fmt.milliseconds(None if value is None else value * 1000)


def _money(value: float | None) -> str:
    return fmt.MISSING if value is None or fmt.is_missing(value) else f"{value:,.2f}"


def _bytes_per_s(value: float | None) -> str:
    text = fmt.bytes_size(value)
    return text if text == fmt.MISSING else f"{text}/s"


def _bare(value: float | None) -> str:
    if value is None or fmt.is_missing(value):
        return fmt.MISSING
    return f"{value:,.6g}" if abs(value) < 1e15 else f"{value:.6g}"


_FORMATS: dict[str, fmt.Formatter] = {
    "count": fmt.count,
    "rate": fmt.rate,
    "ms": fmt.milliseconds,
    "s": _seconds,
    "percent": fmt.percent,
    "bytes": fmt.bytes_size,
    "bytes_per_s": _bytes_per_s,
    "money": _money,
    "none": _bare,
}
