"""What the APIs see in a window of time: pure, seeded, the same window gives the same calls.

Time is cut into slots of ten minutes; each slot draws from a generator of its own, seeded by
(seed, slot), so any window can be made alone, in any order, and neighbours fit without a seam.

Who appears: 300 consumers with Zipf-like use in three time zones and, by the scenario, an incident,
a consumer in a retry storm, one that runs out of quota, a scanner and a monitor's health checks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sample_data.actors import (
    apply_incidents,
    health_checks,
    quota_story,
    retry_storm,
    scanner,
)
from sample_data.company import REGIONS, Company
from sample_data.requests import Requests, concat_requests, draw_requests
from sample_data.scenario import DAY_US, HOUR_US, Scenario

SLOT_US = 600 * 1_000_000

_CELL_BITS = 20
"""Size of the table that maps a random number to (consumer, operation): 2^20 entries per region."""

_UTC_OFFSET_H = {"americas": -6.0, "europe": 1.0, "apac": 7.5}


def generate(company: Company, scenario: Scenario, start_us: int, end_us: int) -> Requests:
    """Calls that start in [start_us, end_us), in order of time."""
    blocks = []
    for slot in range(start_us // SLOT_US, -(-end_us // SLOT_US)):
        block = generate_slot(company, scenario, slot)
        if slot * SLOT_US < start_us or (slot + 1) * SLOT_US > end_us:
            block = block.take((block.time_us >= start_us) & (block.time_us < end_us))
        blocks.append(block)
    if not blocks:
        return generate_slot(company, scenario, start_us // SLOT_US).take(slice(0, 0))
    return concat_requests(blocks)


def iterate(
    company: Company, scenario: Scenario, start_us: int, end_us: int, step_us: int
) -> Iterator[tuple[int, Requests]]:
    """(start of the piece, its calls) for pieces that begin at multiples of `step_us`."""
    for begin, end in pieces_of(start_us, end_us, step_us):
        yield begin, generate(company, scenario, begin, end)


def pieces_of(start_us: int, end_us: int, step_us: int) -> Iterator[tuple[int, int]]:
    """(start, end) of pieces cut at multiples of `step_us`."""
    begin = start_us
    while begin < end_us:
        end = min((begin // step_us + 1) * step_us, end_us)
        yield begin, end
        begin = end


def generate_slot(company: Company, scenario: Scenario, slot: int) -> Requests:
    """All calls of one slot of ten minutes."""
    start, end = slot * SLOT_US, (slot + 1) * SLOT_US
    blocks = [_usual_calls(company, scenario, slot)]
    # Every actor has a generator of its own, so leaving one out changes nothing for the others.
    rngs = [_rng(company, slot, stream) for stream in range(1, 6)]
    if scenario.retry_storm is not None:
        blocks.append(retry_storm(company, rngs[0], scenario.retry_storm, start, end))
    if scenario.quota is not None:
        blocks.append(quota_story(company, rngs[1], scenario.quota, start, end))
    if scenario.scan is not None:
        blocks.append(scanner(company, rngs[2], scenario.scan, start, end))
    if scenario.health_check_period_us is not None:
        blocks.append(health_checks(company, rngs[3], scenario.health_check_period_us, start, end))
    return apply_incidents(company, rngs[4], concat_requests(blocks), scenario.incidents)


def region_rates(scenario: Scenario, company: Company, time_us: int) -> tuple[float, ...]:
    """Usual calls per second and region at a moment; without growth a week's mean is the rate."""
    shares = _region_shares(company)
    rate_per_s = scenario.rate_per_s
    if scenario.growth is not None:
        rate_per_s *= scenario.growth.factor(time_us)
    if scenario.shape == "flat":
        return tuple(rate_per_s * share for share in shares)
    return tuple(
        rate_per_s * share * daily_shape(time_us, _UTC_OFFSET_H[region])
        for region, share in zip(REGIONS, shares, strict=True)
    )


def daily_shape(time_us: int, utc_offset_h: float) -> float:
    """Demand against the mean: low at night, peaks at 11 and 16, a third less at weekends."""
    local_us = time_us + int(utc_offset_h * HOUR_US)
    hour = local_us % DAY_US / HOUR_US
    day = (
        0.35
        + 1.25 * math.exp(-(((hour - 13.5) / 4.6) ** 2))
        - 0.12 * math.exp(-(((hour - 13) / 0.9) ** 2))
    )
    weekday = (local_us // DAY_US + 3) % 7  # 0 = Monday; the epoch was a Thursday
    week = 0.62 if weekday >= 5 else 1.15
    return day * week / 0.753


def _usual_calls(company: Company, scenario: Scenario, slot: int) -> Requests:
    rng = _rng(company, slot, 0)
    start = slot * SLOT_US
    rates = region_rates(scenario, company, start + SLOT_US // 2)
    noise = rng.lognormal(0.0, 0.05) if scenario.shape == "daily" else 1.0
    counts = rng.poisson([rate * noise * SLOT_US / 1e6 for rate in rates])
    n = int(counts.sum())
    time_us = start + np.sort(rng.integers(0, SLOT_US, n, np.int64))
    region = rng.permutation(np.repeat(np.arange(len(REGIONS), dtype=np.int64), counts))
    table = _cells(company)
    cell = table[region, rng.integers(0, 1 << _CELL_BITS, n, np.int64)]
    n_ops = len(company.operations)
    consumer = (cell // n_ops).astype(np.int16)
    operation = (cell % n_ops).astype(np.int16)
    requests = draw_requests(company, rng, time_us, operation, consumer)
    return replace(requests, quota_remaining=_usual_remaining(company, time_us, consumer))


def _usual_remaining(
    company: Company, time_us: NDArray[np.int64], consumer: NDArray[np.int16]
) -> NDArray[np.int64]:
    """What a gateway says is left of the month: falls in proportion to the consumer's weight."""
    quota, share = _quotas(company)
    # Months of 30 days from the epoch: only the gateway's word, never compared with a calendar.
    elapsed = (time_us % (30 * DAY_US)) / (30 * DAY_US)
    left = quota[consumer] * (1.0 - elapsed * share[consumer])
    return np.where(quota[consumer] < 0, -1, left).astype(np.int64)


def _rng(company: Company, slot: int, stream: int) -> np.random.Generator:
    return np.random.Generator(
        np.random.SFC64(np.random.SeedSequence([company.seed, slot, stream]))
    )


@lru_cache(maxsize=4)
def _quotas(company: Company) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    quotas = [float(c.plan.quota_per_month or -1) for c in company.consumers]
    shares = [0.25 + 0.5 * ((c.rank * 7) % 10) / 10 for c in company.consumers]
    return np.array(quotas), np.array(shares)


@lru_cache(maxsize=4)
def _region_shares(company: Company) -> tuple[float, ...]:
    totals = [sum(w for c, w in _usual_weights(company) if c == region) for region in REGIONS]
    return tuple(total / sum(totals) for total in totals)


def _usual_weights(company: Company) -> list[tuple[str, float]]:
    # The consumer that runs out comes from its own story only, so that its count is exact.
    return [
        (c.region, 0.0 if i == company.almost_out else c.weight)
        for i, c in enumerate(company.consumers)
    ]


@lru_cache(maxsize=4)
def _cells(company: Company) -> NDArray[np.int32]:
    """Shape (regions, 2^20): entries are consumer * operations + operation, in their shares."""
    op_weight = np.array([op.weight for op in company.operations])
    product = [op.api.product if op.api else "" for op in company.operations]
    joint = np.zeros((len(company.consumers), len(company.operations)))
    for i, consumer in enumerate(company.consumers):
        allowed = op_weight * np.array([p in consumer.products for p in product])
        joint[i] = allowed / allowed.sum() * _usual_weights_array(company)[i]
    points = (np.arange(1 << _CELL_BITS) + 0.5) / (1 << _CELL_BITS)
    tables = []
    for region in REGIONS:
        inside = np.array([c.region == region for c in company.consumers])
        cumulated = np.cumsum((joint * inside[:, None]).ravel())
        tables.append(np.searchsorted(cumulated / cumulated[-1], points, side="right"))
    return np.stack(tables).astype(np.int32)


@lru_cache(maxsize=4)
def _usual_weights_array(company: Company) -> NDArray[np.float64]:
    return np.array([weight for _, weight in _usual_weights(company)])
