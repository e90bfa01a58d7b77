"""Grains: dimensions that the tables of all tiers keep. A question takes the smallest that does.

    usage    api       all but product, plan, consumer, country    hundreds of rows an hour
             consumer  api, product, plan, consumer, status, outcome   thousands
             full      every dimension                             tens of thousands
    latency  consumer  environment, gateway, api, consumer         whole times only
             full      LATENCY_DIMENSIONS                          by part

A grain may borrow a tier of a finer one, where its own would have hardly fewer rows.

A grain answers when it has every dimension the question names: to group by, to filter by, for the
catalog's policy, or for who may see what. All grains are sums of the same requests, so any that can
answer gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from analytics.filters import DIMENSIONS
from analytics.jobs import JOBS
from analytics.plan import TIER_SECONDS, Tier
from storage.schemas import TABLES

Kind = Literal["usage", "latency"]


@dataclass(frozen=True, slots=True)
class Grain:
    """One set of dimensions and its tables."""

    name: str
    kind: Kind
    tables: Mapping[Tier, str]
    """Without raw, which every grain falls back on."""

    @property
    def dimensions(self) -> frozenset[str]:
        kept = (frozenset(TABLES[table].column_names) for table in self.tables.values())
        return frozenset.intersection(_DIMENSIONS, *kept)

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """Coarsest first; always ends with raw."""
        return (*(t for t in TIER_SECONDS if t in self.tables), "raw")

    def table(self, tier: Tier) -> str:
        return RAW if tier == "raw" else self.tables[tier]


RAW = "requests"

_DIMENSIONS = frozenset(DIMENSIONS)


def source_of(table: str) -> str | None:
    """The table a rollup is made from; None = it is raw."""
    job = JOBS.get(table)
    return None if job is None else job.source


def _tables(prefix: str, *tiers: Tier) -> dict[Tier, str]:
    return {tier: f"{prefix}_{tier}" for tier in tiers}


USAGE_API = Grain("usage by api", "usage", _tables("usage_api", "minute", "hour", "day"))
USAGE_CONSUMER = Grain(
    "usage by consumer",
    "usage",
    _tables("usage_consumer", "quarter", "hour", "day") | {"minute": "usage_minute"},
)
USAGE = Grain("usage", "usage", _tables("usage", "minute", "hour", "day"))
LATENCY_CONSUMER = Grain(
    "latency by consumer", "latency", _tables("latency_consumer", "hour", "day")
)
LATENCY = Grain("latency", "latency", _tables("latency", "minute", "quarter", "hour", "day"))
ONLY_RAW = Grain("raw", "latency", {})

_OF_KIND: Mapping[Kind, tuple[Grain, ...]] = {
    "usage": (USAGE_API, USAGE_CONSUMER, USAGE),
    "latency": (LATENCY, LATENCY_CONSUMER),
}
"""The one to take first, first."""


def grain_for(kind: Kind, named: Iterable[str], part: str = "total") -> Grain:
    """The grain that answers a question which names these dimensions; ONLY_RAW = none does."""
    needed = set(named)
    for grain in _OF_KIND[kind]:
        if needed <= grain.dimensions and (grain is not LATENCY_CONSUMER or part == "total"):
            return grain
    return ONLY_RAW
