"""The incremental jobs: which table each reads, which it fills, and in what order.

The SQL of a job is `sql/<job>.sql`; job, target table and file share one name. Rollups that are
made of other rollups share a file per kind, whose place holders the job fills in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from analytics.errors import UnknownJob
from analytics.sql_files import load_sql
from storage.schemas import TABLES

Cadence = Literal["minute", "hour", "day", "calm"]


@dataclass(frozen=True, slots=True)
class Job:
    """One rollup: new rows of `source`, through SQL, appended to the table of the job's name."""

    name: str
    source: str
    cadence: Cadence
    """Which interval of the settings it runs at."""
    description: str
    by_hour: bool = False
    """True = rows depend on others of their hour, so an hour that got new rows is counted again and
    the difference is appended (`hourly.py`). False = every new row adds on its own."""

    template: str | None = None
    """SQL file it shares with others; None = the one of its own name."""

    @property
    def target(self) -> str:
        return self.name

    @property
    def sql(self) -> str:
        """The statement, over new rows of `source`, that gives rows of `target`."""
        if self.template is None:
            return load_sql(self.name)
        spec = TABLES[self.target]
        names = (n for n in spec.column_names if n not in ("time", "tenant", *spec.sums))
        filled = {
            "{source}": self.source,
            "{time}": _STEPPED.get(self.name.rsplit("_", 1)[1], "time"),
            "{dimensions}": ",\n    ".join(names),
            "{order}": spec.sort[0],
        }
        sql = load_sql(self.template)
        for holder, value in filled.items():
            sql = sql.replace(holder, value)
        return sql


_STEPPED = {
    "quarter": "time_bucket(INTERVAL '15 minutes', time)",
    "hour": "time_bucket(INTERVAL '1 hour', time)",
    "day": "time_bucket(INTERVAL '24 hours', time)",  # of 24 hours: '1 day' would follow a zone
}


def _usage(name: str, source: str, cadence: Cadence, description: str) -> Job:
    return Job(name, source, cadence, description, template="usage_sums")


def _latency(name: str, source: str, cadence: Cadence, description: str) -> Job:
    return Job(name, source, cadence, description, template="latency_sums")


JOBS: Mapping[str, Job] = MappingProxyType(
    {
        job.name: job
        for job in (
            Job("usage_minute", "requests", "minute", "Requests, errors and bytes per minute."),
            Job("latency_minute", "requests", "minute", "Latency histogram per minute."),
            _usage("usage_hour", "usage_minute", "hour", "Usage added up per hour."),
            _latency("latency_hour", "latency_minute", "hour", "Latency histogram per hour."),
            _usage("usage_day", "usage_hour", "day", "Usage added up per UTC day."),
            _latency("latency_day", "latency_hour", "day", "Latency histogram per UTC day."),
            _usage("usage_api_minute", "usage_minute", "hour", "Usage per minute, by API alone."),
            _usage("usage_api_hour", "usage_hour", "hour", "Usage per hour, by API alone."),
            _usage("usage_api_day", "usage_day", "day", "Usage per UTC day, by API alone."),
            _usage("usage_consumer_quarter", "usage_minute", "hour",
                   "Usage per quarter of an hour, by consumer."),
            _usage("usage_consumer_hour", "usage_consumer_quarter", "hour",
                   "Usage per hour, by consumer."),
            _usage("usage_consumer_day", "usage_consumer_hour", "day",
                   "Usage per UTC day, by consumer."),
            _latency("latency_quarter", "latency_minute", "hour",
                     "Latency histogram per quarter of an hour."),
            Job("latency_consumer_hour", "requests", "day", "Latency histogram per consumer."),
            _latency("latency_consumer_day", "latency_consumer_hour", "day",
                     "Latency histogram per consumer and UTC day."),
            Job("traces", "spans", "minute", "Traces summed up from their spans."),
            Job("attribute_keys", "spans", "hour", "Attributes that spans carry, per hour."),
            Job("service_edges", "spans", "calm", "Calls between services.", by_hour=True),
        )
    }
)  # fmt: skip
"""Every job by name, sources before what is made from them."""


ROLLUPS: tuple[Job, ...] = tuple(
    j for j in JOBS.values() if j.name.startswith(("usage_", "latency_"))
)
"""The jobs whose tables are sums of their source's rows alone; what a recompute corrects."""


def job_named(name: str) -> Job:
    """Raises UnknownJob."""
    try:
        return JOBS[name]
    except KeyError:
        raise UnknownJob(name, tuple(JOBS)) from None
