"""The incremental jobs: which table each reads, which it fills, and in what order.

The SQL of a job is `sql/<job>.sql`; job, target table and file share one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from analytics.errors import UnknownJob

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

    @property
    def target(self) -> str:
        return self.name


JOBS: Mapping[str, Job] = MappingProxyType(
    {
        job.name: job
        for job in (
            Job("usage_minute", "requests", "minute", "Requests, errors and bytes per minute."),
            Job("latency_minute", "requests", "minute", "Latency histogram per minute."),
            Job("usage_hour", "usage_minute", "hour", "Usage added up per hour."),
            Job("latency_hour", "latency_minute", "hour", "Latency histogram per hour."),
            Job("usage_day", "usage_hour", "day", "Usage added up per UTC day."),
            Job("latency_day", "latency_hour", "day", "Latency histogram per UTC day."),
            Job("usage_api_minute", "usage_minute", "hour", "Usage per minute, fewer dimensions."),
            Job("usage_api_hour", "usage_hour", "hour", "Usage per hour, fewer dimensions."),
            Job("usage_api_day", "usage_day", "day", "Usage per UTC day, fewer dimensions."),
            Job("latency_consumer_hour", "requests", "day", "Latency histogram per consumer."),
            Job(
                "latency_consumer_day",
                "latency_consumer_hour",
                "day",
                "Latency histogram per consumer and UTC day.",
            ),
            Job("traces", "spans", "minute", "Traces summed up from their spans."),
            Job("attribute_keys", "spans", "hour", "Attributes that spans carry, per hour."),
            Job("service_edges", "spans", "calm", "Calls between services.", by_hour=True),
        )
    }
)
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
