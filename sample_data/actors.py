"""The special actors of the traffic: retry storm, used-up quota, scanner, health checks, incidents.

Each takes the window of one slot and returns calls that lie inside it; ticks come from the clock,
not from a generator, so a window is the same whichever slot or process makes it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sample_data.company import MONITOR_AGENT, SCANNER_AGENT, Company
from sample_data.requests import (
    QUOTA_EXCEEDED,
    SERVER_ERROR,
    UNAUTHORIZED,
    Requests,
    draw_requests,
    operation_arrays,
    settle,
)
from sample_data.scenario import SECOND_US, Burst, Incident, QuotaStory

MINUTE_US = 60 * SECOND_US
UPSTREAM_TIMEOUT_MS = 2_500.0
"""When a gateway gives up on an upstream and answers 504."""


def burst_ticks(burst: Burst, start_us: int, end_us: int) -> NDArray[np.int64]:
    """The burst's events in [start, end). Empty outside its windows and before its anchor."""
    step = max(1, round(SECOND_US / burst.rate_per_s))
    first = -(-max(start_us, burst.anchor_us) // step)
    ticks = np.arange(first, -(-end_us // step), dtype=np.int64) * step
    return ticks[(ticks - burst.anchor_us) % burst.period_us < burst.length_us]


def retry_storm(
    company: Company, rng: np.random.Generator, burst: Burst, start_us: int, end_us: int
) -> Requests:
    """One consumer retries without backing off: past its limit per minute everything is 429."""
    ticks = burst_ticks(burst, start_us, end_us)
    limit = company.consumers[company.noisy].plan.rate_limit_per_minute
    assert limit is not None, "the noisy consumer's plan has a rate limit"
    rates = _operations_of(company, "rates", "POST")
    requests = draw_requests(
        company,
        rng,
        ticks,
        np.full(len(ticks), rates[0], np.int16),
        np.full(len(ticks), company.noisy, np.int16),
    )
    # A fixed window per minute: the n-th event of the minute is let through while n < limit.
    nth = (ticks % MINUTE_US) // max(1, round(SECOND_US / burst.rate_per_s))
    status = np.where(nth >= limit, 429, requests.status).astype(np.int16)
    return settle(replace(requests, status=status))


def quota_story(
    company: Company, rng: np.random.Generator, story: QuotaStory, start_us: int, end_us: int
) -> Requests:
    """The consumer that runs out: steady calls, `quota_remaining` counts down, then 429."""
    step = story.interval_us
    first = -(-(start_us - story.start_us) // step)
    count = np.arange(first, -(-(end_us - story.start_us) // step), dtype=np.int64)
    ticks = story.start_us + count * step
    consumer = company.consumers[company.almost_out]
    quota = consumer.plan.quota_per_month
    assert quota is not None, "the consumer that runs out has a quota"
    used = used_quota(story, ticks, quota)
    tracking = _operations_of(company, "tracking", "GET")
    operation = np.array(tracking, np.int16)[np.abs(count) % len(tracking)]
    requests = draw_requests(
        company, rng, ticks, operation, np.full(len(ticks), company.almost_out, np.int16)
    )
    over = used >= quota
    settled = settle(
        replace(
            requests,
            status=np.where(over, 429, requests.status).astype(np.int16),
            quota_remaining=np.maximum(quota - used - 1, 0),
        )
    )
    return replace(settled, outcome=np.where(over, QUOTA_EXCEEDED, settled.outcome).astype(np.int8))


def used_quota(story: QuotaStory, time_us: NDArray[np.int64], quota: int) -> NDArray[np.int64]:
    """Calls used before each of these; before the story (a past month) half of the quota."""
    used = story.used_at_start + (time_us - story.start_us) // story.interval_us
    if story.reset_us is not None:
        fresh = (time_us - story.reset_us) // story.interval_us
        used = np.where(time_us >= story.reset_us, fresh, used)
    return np.where(time_us < story.start_us, quota // 2, used)


def scanner(
    company: Company, rng: np.random.Generator, burst: Burst, start_us: int, end_us: int
) -> Requests:
    """One address probes for files and panels (404) and tries keys on real operations (401)."""
    ticks = burst_ticks(burst, start_us, end_us)
    probes = [i for i, op in enumerate(company.operations) if op.kind == "probe"]
    targets = (
        probes
        + _operations_of(company, "identity", "POST")
        + _operations_of(company, "shipments", "GET")
    )
    nth = ticks // max(1, round(SECOND_US / burst.rate_per_s))
    operation = np.array(targets, np.int16)[nth % len(targets)]
    requests = draw_requests(company, rng, ticks, operation, np.full(len(ticks), -1, np.int16))
    probing = np.isin(operation, probes)
    settled = settle(replace(requests, status=np.where(probing, 404, 401).astype(np.int16)))
    return replace(
        settled,
        # No route matched or the key was wrong: nothing went upstream.
        upstream_status=np.zeros(len(ticks), np.int16),
        upstream_ms=np.full(len(ticks), np.nan, np.float32),
        outcome=np.where(probing, settled.outcome, UNAUTHORIZED).astype(np.int8),
        address=np.full(len(ticks), company.scanner_address, np.int32),
        agent=np.full(len(ticks), SCANNER_AGENT, np.int16),
    )


def health_checks(
    company: Company, rng: np.random.Generator, period_us: int, start_us: int, end_us: int
) -> Requests:
    """A monitor asks every API's health endpoint once a period, spread over the period."""
    health = [i for i, op in enumerate(company.operations) if op.kind == "health"]
    step = max(1, period_us // len(health))
    nth = np.arange(-(-start_us // step), -(-end_us // step), dtype=np.int64)
    ticks = nth * step
    requests = draw_requests(
        company,
        rng,
        ticks,
        np.array(health, np.int16)[nth % len(health)],
        np.full(len(ticks), -1, np.int16),
    )
    return replace(
        requests,
        address=np.full(len(ticks), company.monitor_address, np.int32),
        agent=np.full(len(ticks), MONITOR_AGENT, np.int16),
    )


def apply_incidents(
    company: Company, rng: np.random.Generator, requests: Requests, incidents: tuple[Incident, ...]
) -> Requests:
    """Make the calls of an incident's API slow, and a share of them 502 (passed on) or 504."""
    luck = rng.random(len(requests), np.float32)  # drawn always: the rest must not depend on it
    for incident in incidents:
        hit = _in_incident(company, requests, incident)
        if not hit.any():
            continue
        fails = hit & (luck < incident.fail_share)
        timeouts = fails & (luck < incident.fail_share * 0.6)
        resets = fails & ~timeouts
        upstream_ms = np.where(hit, requests.upstream_ms * incident.slowness, requests.upstream_ms)
        upstream_ms = np.where(hit, np.minimum(upstream_ms, UPSTREAM_TIMEOUT_MS - 1), upstream_ms)
        upstream_ms = np.where(timeouts, UPSTREAM_TIMEOUT_MS + 20 * luck, upstream_ms)
        status = np.where(timeouts, 504, np.where(resets, 502, requests.status))
        # The service itself answers 502 (its provider failed); it never answers in time for a 504.
        answered = np.where(timeouts, 0, np.where(resets, 502, requests.upstream_status))
        requests = replace(
            requests,
            status=status.astype(np.int16),
            outcome=np.where(fails, SERVER_ERROR, requests.outcome).astype(np.int8),
            upstream_status=answered.astype(np.int16),
            upstream_ms=upstream_ms.astype(np.float32),
        )
    return requests


def _in_incident(company: Company, requests: Requests, incident: Incident) -> NDArray[np.bool_]:
    api = [a.name for a in company.apis].index(incident.api)
    calls = np.array([op.kind == "call" for op in company.operations])
    hit: NDArray[np.bool_] = (
        (requests.time_us >= incident.start_us)
        & (requests.time_us < incident.end_us)
        & (operation_arrays(company).api[requests.operation] == api)
        & calls[requests.operation]
        & (requests.upstream_status > 0)
    )
    return hit


def _operations_of(company: Company, api: str, method: str) -> list[int]:
    """Operations of an API's newest version."""
    return [
        i
        for i, op in enumerate(company.operations)
        if op.kind == "call"
        and op.api is not None
        and op.api.name == api
        and op.method == method
        and op.version == op.api.versions[-1][0]
    ]
