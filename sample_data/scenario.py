"""What happens in the traffic: rate and shape, incidents, bursts, and the story of a used-up quota.

Values only. All times are microseconds since the epoch, UTC.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Literal

from sample_data.company import INCIDENT_API

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US

DEMO_RATE_PER_S = 6.0
"""Usual calls of the demonstration, mean of a week: its past stays near three million rows, which
two cores write and roll up in the first minutes."""
STORM_PER_S_MAX = 12.0

LIVE_QUOTA_LEFT = 110
"""Calls the consumer that runs out still has when live traffic starts."""
LIVE_QUOTA_INTERVAL_US = 2 * SECOND_US


@dataclass(frozen=True, slots=True)
class Incident:
    """One API's upstream is slow and fails in [start_us, end_us)."""

    api: str
    start_us: int
    end_us: int
    fail_share: float = 0.35
    """Share of calls answered 502 or 504."""
    slowness: float = 6.0
    """Times the usual upstream latency."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Evenly spaced events in windows: from `anchor_us` on, `length_us` in every `period_us`."""

    anchor_us: int
    period_us: int
    length_us: int
    rate_per_s: float


@dataclass(frozen=True, slots=True)
class QuotaStory:
    """A consumer whose calls come every `interval_us` and use its monthly quota up.

    At `start_us` it had used `used_at_start` calls of this month. Past the quota every call is
    answered 429, and the count starts again from 0 at `reset_us` (the next month), when given.
    """

    start_us: int
    used_at_start: int
    interval_us: int
    reset_us: int | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """The rate rises from `floor` (a share) to the full rate at `until_us`, e-fold in `rise_us`."""

    until_us: int
    rise_us: int
    floor: float

    def factor(self, time_us: int) -> float:
        """Share of the full rate at a moment; 1 from `until_us` on."""
        age = max(0, self.until_us - time_us) / self.rise_us
        return self.floor + (1.0 - self.floor) * math.exp(-age)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything about the traffic but the company itself. None or () = does not happen."""

    rate_per_s: float = 40.0
    """Mean rate of usual calls; bursts, health checks and scans come on top."""
    shape: Literal["daily", "flat"] = "daily"
    incidents: tuple[Incident, ...] = ()
    retry_storm: Burst | None = None
    scan: Burst | None = None
    quota: QuotaStory | None = None
    growth: Growth | None = None
    health_check_period_us: int | None = 15 * SECOND_US


def live_scenario(
    start_us: int, *, rate_per_s: float = DEMO_RATE_PER_S, quota_used: int | None = None
) -> Scenario:
    """The demonstration: incident after one minute, scan, retry storm, quota gone after minutes.

    `rate_per_s`: mean of a week; by day more than by night, as in `history_scenario`.
    `quota_used`: calls of this month that the lake already has of the consumer that runs out; None
    = nearly all of its quota.
    """
    used = 50_000 - LIVE_QUOTA_LEFT if quota_used is None else quota_used
    return Scenario(
        rate_per_s=rate_per_s,
        shape="daily",
        incidents=(
            Incident(INCIDENT_API, start_us + 60 * SECOND_US, start_us + 210 * SECOND_US),
            Incident(
                "customs", start_us + 1_500 * SECOND_US, start_us + 1_620 * SECOND_US, 0.2, 4.0
            ),
        ),
        retry_storm=Burst(
            start_us + 150 * SECOND_US, 900 * SECOND_US, 120 * SECOND_US, storm_per_s(rate_per_s)
        ),
        scan=Burst(start_us + 30 * SECOND_US, 420 * SECOND_US, 40 * SECOND_US, 4.0),
        quota=QuotaStory(start_us, used, LIVE_QUOTA_INTERVAL_US),
    )


def history_scenario(
    start_us: int,
    end_us: int,
    *,
    rate_per_s: float,
    growth: Growth | None = None,
    quota: int = 50_000,
) -> Scenario:
    """The past: a weekly incident, two storms and three scans a day, a quota filling up.

    The quota counts from `start_us` (or from the start of the last month in the window) and is all
    but used at `end_us`, so that live traffic can go on from there.
    """
    month_us = max(start_us, month_start_us(end_us))
    left = LIVE_QUOTA_LEFT
    interval_us = max(1, (end_us - month_us) // max(1, quota - left))
    # Never more than a tenth of all traffic: a short history leaves the quota half empty instead.
    interval_us = max(interval_us, int(10 * SECOND_US / max(rate_per_s, 1e-6)))
    return Scenario(
        rate_per_s=rate_per_s,
        shape="daily",
        incidents=tuple(_weekly_incidents(start_us, end_us)),
        retry_storm=Burst(9 * HOUR_US, 12 * HOUR_US, 300 * SECOND_US, storm_per_s(rate_per_s)),
        scan=Burst(2 * HOUR_US, 8 * HOUR_US, 120 * SECOND_US, 3.0),
        quota=QuotaStory(month_us, 0, interval_us),
        growth=growth,
        health_check_period_us=60 * SECOND_US,
    )


def storm_per_s(rate_per_s: float) -> float:
    """Retries of a storm: it may double all traffic, not drown it."""
    return min(STORM_PER_S_MAX, rate_per_s)


def _weekly_incidents(start_us: int, end_us: int) -> list[Incident]:
    # Day 0 of the epoch was a Thursday: Tuesdays are days 5 modulo 7.
    apis = (INCIDENT_API, "customs", "labels", "rates")
    incidents = []
    for day in range(start_us // DAY_US - 1, end_us // DAY_US + 1):
        if day % 7 == 5:
            begin = day * DAY_US + 14 * HOUR_US + 10 * 60 * SECOND_US
            incidents.append(Incident(apis[day // 7 % 4], begin, begin + 25 * 60 * SECOND_US))
    return incidents


def month_start_us(time_us: int) -> int:
    """Start of the month of a moment, UTC."""
    moment = dt.datetime.fromtimestamp(time_us / SECOND_US, tz=dt.UTC)
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return int(first.timestamp()) * SECOND_US
