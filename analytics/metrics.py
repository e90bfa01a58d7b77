"""Questions about OTLP metrics: names, counters as rates, histograms as quantiles, and the health
of hosts, processes and runtimes by OpenTelemetry's names (semantic conventions 1.37, system.*,
process.*, jvm.*, go.*)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from analytics.errors import QueryRefused
from analytics.frames import to_frame
from analytics.histograms import (
    HistogramPoint,
    add_up,
    deltas,
    explicit_counts,
    exponential_counts,
    histogram_quantile,
)
from analytics.limits import POINTS_PER_SERIES_MAX
from analytics.series import interval_start, slots_to_times
from analytics.sql_build import ORIGIN
from analytics.sql_files import load_sql
from analytics.timerange import TimeRange
from storage.session import ReadSession

LEAD = timedelta(minutes=10)
"""How far before a range the last point of a cumulative series is looked for."""

UP_AFTER_S = 60.0
"""An instance is up for so long after each of its points; exporters send every 60 s by default
(OTEL_METRIC_EXPORT_INTERVAL), so the gap allowed is `UP_GAPS` of these."""

UP_GAPS = 3

_CPU = ("process.cpu.utilization", "system.cpu.utilization", "container.cpu.utilization")
_MEMORY = ("process.memory.usage", "system.memory.usage", "container.memory.usage",
           "process_resident_memory_bytes")  # fmt: skip
_MEMORY_SHARE = ("system.memory.utilization",)
_DISK = ("system.filesystem.utilization",)
_CPU_TIME = ("process.cpu.time", "process_cpu_seconds_total")
_RUNTIME = ("jvm.memory.used", "go.memory.used", "nodejs.eventloop.utilization",
            "cpython.gc.collections", "process.thread.count", "jvm.thread.count",
            "process.open_file_descriptor.count", "go.goroutine.count")  # fmt: skip


@dataclass(frozen=True, slots=True)
class InstanceHealth:
    """One instance of a service over a range, by what it sent. None = it does not send that."""

    service_name: str | None
    service_instance_id: str | None
    last_seen: datetime
    up: bool
    """Whether its newest point is not older than UP_GAPS intervals at the range's end."""
    cpu: float | None
    """Cores in use (process) or share of all cores (system), newest."""
    memory_bytes: float | None
    memory_share: float | None
    disk_share: float | None
    """Of the fullest file system, 0..1."""
    runtime: dict[str, float]
    """Newest value of each runtime metric it sends, summed over its attributes."""


class Metrics:
    """Questions of one tenant about its metrics. Thread-safe. No points = empty answers."""

    def __init__(self, session: ReadSession) -> None:
        self._session = session

    def names(self, time_range: TimeRange) -> pl.DataFrame:
        """Metrics seen in the range: name, type, unit, description, series, points, services."""
        sql = (
            "SELECT name, any_value(type) AS type, any_value(unit) AS unit, "
            "any_value(description) AS description, count(DISTINCT series) AS series, "
            "count(*) AS points, count(DISTINCT service_name) AS services FROM metrics "
            "WHERE time >= $start AND time < $end GROUP BY name ORDER BY name"
        )
        return self._ask(sql, time_range)

    def points(self, time_range: TimeRange, names: Sequence[str]) -> pl.DataFrame:
        """Growth of counters and values of gauges, point by point: sql/metric_points.sql."""
        params = {"names": list(names), "lead": LEAD}
        return self._ask(load_sql("metric_points"), time_range, **params)

    def series(
        self,
        time_range: TimeRange,
        name: str,
        *,
        interval_s: int,
        by: Sequence[str] = (),
    ) -> pl.DataFrame:
        """One counter or gauge per interval: time, *by, value, rate_per_s, points.

        value: counters: growth in the interval; gauges: mean. rate_per_s: counters only. `by`:
        service_name, service_instance_id, or any attribute. Intervals without points are missing.
        """
        if interval_s < 1 or time_range.seconds / interval_s > POINTS_PER_SERIES_MAX:
            raise QueryRefused("the interval is shorter than a second, or makes too many points")
        rows = self.points(time_range, (name,)).drop_nulls("value")
        columns = [_label(rows, label) for label in by]
        since = (pl.col("time") - pl.lit(ORIGIN)).dt.total_microseconds() // (
            interval_s * 1_000_000
        )
        counter = bool(rows["counter"].any())
        total = pl.col("value").sum()
        rate = total / interval_s if counter else pl.lit(None, pl.Float64)
        return (
            slots_to_times(rows.select(since.alias("slot"), *columns, "value"), interval_s)
            .group_by("time", *by)
            .agg(
                (total if counter else pl.col("value").mean()).alias("value"),
                rate.alias("rate_per_s"),
                pl.len().cast(pl.Int64).alias("points"),
            )
            .sort("time", *by)
        )

    def quantiles(
        self,
        time_range: TimeRange,
        name: str,
        *,
        quantiles: Sequence[float] = (0.5, 0.95, 0.99),
        interval_s: int | None = None,
        service: str | None = None,
    ) -> pl.DataFrame:
        """Quantiles of a histogram metric in its own unit: [time,] count, and q0.5, q0.95, ...

        Error: see histograms.py. No row where nothing was observed.
        """
        by_time: dict[datetime | None, list[HistogramPoint]] = defaultdict(list)
        for point in self._histogram_deltas(time_range, name, service):
            slot = None if interval_s is None else interval_start(point.time, interval_s)
            by_time[slot].append(point)
        rows = []
        for slot, points in by_time.items():
            counts = add_up(points)
            if total := sum(counts.values()):
                found = {f"q{q:g}": histogram_quantile(counts, q) for q in quantiles}
                rows.append({"time": slot, "count": total, **found})
        schema: dict[str, pl.DataType] = {"time": pl.Datetime("us", "UTC"), "count": pl.Int64()}
        schema |= {f"q{q:g}": pl.Float64() for q in quantiles}
        frame = pl.DataFrame(rows, schema=schema)
        return frame.drop("time") if interval_s is None else frame.sort("time")

    def _histogram_deltas(
        self, time_range: TimeRange, name: str, service: str | None
    ) -> list[HistogramPoint]:
        params = {"name": name, "lead": LEAD, "service": service}
        rows = self._ask(load_sql("histogram_points"), time_range, **params)
        found: list[HistogramPoint] = []
        for _, group in rows.group_by("series", maintain_order=True):
            points = [_histogram_point(row) for row in group.iter_rows(named=True)]
            found += deltas(points, time_range.start)
        return found

    def health(self, time_range: TimeRange) -> list[InstanceHealth]:
        """Every service instance that sent a metric in the range, those down first."""
        seen = self._ask(
            "SELECT service_name, service_instance_id, max(time) AS last_seen FROM metrics "
            "WHERE time >= $start AND time < $end GROUP BY ALL "
            "ORDER BY service_name, service_instance_id",
            time_range,
        )
        names = (*_CPU, *_MEMORY, *_MEMORY_SHARE, *_DISK, *_CPU_TIME, *_RUNTIME)
        newest = self._newest(self.points(time_range, names).drop_nulls("value"))
        limit = time_range.end - timedelta(seconds=UP_AFTER_S * UP_GAPS)
        found = []
        for service, instance, last_seen in seen.iter_rows():
            values = newest.get((service, instance), {})
            found.append(
                InstanceHealth(
                    service_name=service,
                    service_instance_id=instance,
                    last_seen=last_seen,
                    up=last_seen >= limit,
                    cpu=_first(values, (*_CPU, *_CPU_TIME)),
                    memory_bytes=_first(values, _MEMORY),
                    memory_share=_first(values, _MEMORY_SHARE),
                    disk_share=_first(values, _DISK),
                    runtime={name: values[name] for name in _RUNTIME if name in values},
                )
            )
        return sorted(
            found, key=lambda h: (h.up, h.service_name or "", h.service_instance_id or "")
        )

    def _newest(
        self, points: pl.DataFrame
    ) -> dict[tuple[str | None, str | None], dict[str, float]]:
        """Newest value per instance and metric; over the attributes: the sum of what is in use
        (state `used` where memory is told by state, every CPU mode but idle), disks the fullest."""
        values: dict[tuple[str | None, str | None], dict[str, float]] = defaultdict(dict)
        for (name, _), series in points.group_by("name", "series", maintain_order=True):
            row = series.row(-1, named=True)
            labels = _labels(row["attributes"])
            if not _in_use(str(name), labels):
                continue
            value = row["value"]
            if name in _CPU_TIME:
                value = value / row["seconds"] if row["seconds"] else None
            if value is None:
                continue
            known = values[(row["service_name"], row["service_instance_id"])]
            if name in _DISK:
                known[str(name)] = max(known.get(str(name), 0.0), value)
            else:
                known[str(name)] = known.get(str(name), 0.0) + value
        return values

    def uptime(self, time_range: TimeRange) -> pl.DataFrame:
        """Share of the range's minutes in which a service was up: service_name, instances,
        minutes_up, uptime (0..1), first_seen, last_seen; least up first.

        Up in a minute = any instance sent a metric in it or the two before (UP_GAPS). A service
        that never sent any is not known here.
        """
        gap = timedelta(seconds=UP_AFTER_S * UP_GAPS)
        seen = self._session.query(
            "SELECT service_name, service_instance_id, epoch_us(time) // 60000000 AS minute, "
            "min(time) AS first_seen, max(time) AS last_seen FROM metrics "
            "WHERE time >= $start AND time < $end AND service_name IS NOT NULL GROUP BY ALL",
            {"start": time_range.start - gap, "end": time_range.end},
            start=time_range.start - gap,
            end=time_range.end,
        )
        first = int(time_range.start.timestamp()) // 60
        last = -(-int(time_range.end.timestamp()) // 60)
        rows = []
        for (service,), group in to_frame(seen).group_by("service_name"):
            minutes = {
                minute + after
                for minute in group["minute"].to_list()
                for after in range(UP_GAPS)
                if first <= minute + after < last
            }
            rows.append(
                {
                    "service_name": service,
                    "instances": group["service_instance_id"].n_unique(),
                    "minutes_up": len(minutes),
                    "uptime": len(minutes) / (last - first),
                    "first_seen": group["first_seen"].min(),
                    "last_seen": group["last_seen"].max(),
                }
            )
        moment = pl.Datetime("us", "UTC")
        schema: dict[str, pl.DataType] = {
            "service_name": pl.String(),
            "instances": pl.Int64(),
            "minutes_up": pl.Int64(),
            "uptime": pl.Float64(),
            "first_seen": moment,
            "last_seen": moment,
        }
        return pl.DataFrame(rows, schema=schema).sort("uptime", "service_name")

    def _ask(self, sql: str, time_range: TimeRange, **params: object) -> pl.DataFrame:
        values = {"start": time_range.start, "end": time_range.end, **params}
        start = time_range.start - LEAD
        return to_frame(self._session.query(sql, values, start=start, end=time_range.end))


def _label(rows: pl.DataFrame, label: str) -> pl.Expr:
    if label in ("service_name", "service_instance_id"):
        return pl.col(label)
    values = [_labels(item).get(label) for item in rows["attributes"].to_list()]
    return pl.lit(pl.Series(label, values, dtype=pl.String)).alias(label)


def _labels(attributes: Any) -> dict[str, str]:
    """A MAP as polars hands it out: a dict or a list of entries, by its version."""
    if isinstance(attributes, Mapping):
        return dict(attributes)
    return {item["key"]: item["value"] for item in attributes or ()}


def _in_use(name: str, labels: dict[str, str]) -> bool:
    if name.startswith("system.memory"):
        return labels.get("system.memory.state", labels.get("state", "used")) == "used"
    if name.startswith("system.filesystem"):
        return labels.get("system.filesystem.state", labels.get("state", "used")) == "used"
    if ".cpu." in name:
        mode = labels.get("cpu.mode", labels.get("state", labels.get("process.cpu.state", "")))
        return mode not in ("idle", "iowait", "wait")
    return True


def _first(values: dict[str, float], names: Sequence[str]) -> float | None:
    return next((values[name] for name in names if name in values), None)


def _histogram_point(row: dict[str, Any]) -> HistogramPoint:
    if row["scale"] is None:
        # of a cumulative series min and max move, and with them the edges that are compared
        ends = (None, None) if row["cumulative"] else (row["min"], row["max"])
        counts = explicit_counts(row["bounds"] or (), row["bucket_counts"] or (), *ends)
    else:
        counts = exponential_counts(
            row["scale"],
            row["zero_count"] or 0,
            (row["positive_offset"] or 0, row["positive_counts"] or ()),
            (row["negative_offset"] or 0, row["negative_counts"] or ()),
        )
    return HistogramPoint(row["time"], row["start_time"], bool(row["cumulative"]), counts)
