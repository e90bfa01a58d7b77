from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.forecast import backtest_error, forecast_hours, hours_until
from analytics.query import Analytics
from analytics.quota import QuotaUsage, quota_usage
from analytics.windows import window_of
from storage.catalog import Catalog, Consumer, Plan, Product
from tests.analytics.oracle import Row

NOW = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)


def catalog(**limits: int | None) -> Catalog:
    return Catalog(
        products=(Product(name="core"), Product(name="extra")),
        plans=(Plan(name="gold", product="core", **limits),),  # type: ignore[arg-type]
        consumers=(Consumer(name="acme", plan="gold", group="partners"), Consumer(name="free")),
    )


def call(moment: datetime, **fields: Any) -> Row:
    return {
        "time": moment,
        "tenant": "default",
        "consumer": "acme",
        "product": "core",
        "outcome": "ok",
        **fields,
    }


def only(found: list[QuotaUsage]) -> QuotaUsage:
    assert len(found) == 1
    return found[0]


def test_only_what_was_let_through_under_the_product_counts(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    today = NOW - timedelta(hours=1)
    store(
        [call(today)] * 5
        + [call(today, outcome="server_error"), call(today, outcome=None, product=None)]
        + [call(today, outcome="quota_exceeded")] * 2
        + [call(today, outcome="unauthorized"), call(today, product="extra")]
        + [call(today, consumer="free"), call(NOW - timedelta(days=1))]
    )
    found = only(quota_usage(analytics, catalog(quota_per_day=10), now=NOW))
    assert (found.used, found.refused, found.remaining, found.percent) == (7, 2, 3, 70.0)
    assert (found.consumer, found.group, found.plan) == ("acme", "partners", "gold")


def test_every_window_of_a_plan_is_told(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    # the 16th is a Monday: Sunday is another week, October another month
    days_ago = (0, 1, 10, 20)
    store([call(NOW - timedelta(days=n, minutes=1)) for n in days_ago])
    plan = catalog(quota_per_day=100, quota_per_week=200, quota_per_month=300)
    found = {u.kind: u.used for u in quota_usage(analytics, plan, now=NOW)}
    assert found == {"day": 1, "week": 1, "month": 3}


def test_idle_consumer_has_used_nothing_and_lasts(analytics: Analytics) -> None:
    found = only(quota_usage(analytics, catalog(quota_per_month=10), now=NOW))
    assert (found.used, found.percent) == (0, 0.0)
    assert found.forecast is not None
    assert (found.forecast.exhausted_at, found.forecast.used_at_end) == (None, 0.0)


def test_quota_of_zero_is_used_up_from_the_start(analytics: Analytics) -> None:
    found = only(quota_usage(analytics, catalog(quota_per_day=0), now=NOW))
    assert (found.percent, found.remaining) == (100.0, 0)
    assert found.forecast is not None
    assert found.forecast.exhausted_at == NOW


def test_steady_use_runs_out_when_arithmetic_says(
    store: Callable[[list[Row]], None], analytics: Analytics
) -> None:
    hours = 30
    store([call(NOW - timedelta(hours=h, minutes=30)) for h in range(hours) for _ in range(2)])
    used = hours * 2
    found = only(quota_usage(analytics, catalog(quota_per_month=used + 100), now=NOW))
    assert found.used == used
    forecast = found.forecast
    assert forecast is not None
    assert forecast.earliest and forecast.exhausted_at and forecast.latest
    assert abs(forecast.exhausted_at - (NOW + timedelta(hours=50))) < timedelta(minutes=1)
    assert forecast.earliest < forecast.exhausted_at < forecast.latest
    assert forecast.error is None  # two weeks are needed to tell
    left = (found.window.end - NOW).total_seconds() / 3600
    assert forecast.used_at_end == pytest.approx(used + left * 2)


def test_nothing_to_forecast_without_plans(analytics: Analytics) -> None:
    assert quota_usage(analytics, Catalog(), now=NOW) == []


@pytest.mark.parametrize(
    ("kind", "moment", "zone", "start", "hours"),
    [
        ("day", "2026-03-29T12:00", "Europe/Berlin", "2026-03-28T23:00", 23),
        ("day", "2026-10-25T12:00", "Europe/Berlin", "2026-10-24T22:00", 25),
        ("month", "2026-03-31T22:30", "Europe/Berlin", "2026-03-31T22:00", 30 * 24),
        ("month", "2028-02-29T12:00", "UTC", "2028-02-01T00:00", 29 * 24),
        ("month", "2026-12-31T23:59", "UTC", "2026-12-01T00:00", 31 * 24),
        ("week", "2027-01-01T00:00", "UTC", "2026-12-28T00:00", 7 * 24),
        ("day", "2026-12-31T23:00", "Asia/Tokyo", "2026-12-31T15:00", 24),
    ],
)
def test_windows_follow_the_calendar_of_the_zone(
    kind: Any, moment: str, zone: str, start: str, hours: int
) -> None:
    found = window_of(kind, datetime.fromisoformat(moment).replace(tzinfo=UTC), ZoneInfo(zone))
    assert found.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert found.seconds == hours * 3600


def weekly_traffic(rng: np.random.Generator, series: int, weeks: int) -> Any:
    """Office hours, quiet weekends, days that differ by 15 %, and chance."""
    hour = np.arange(weeks * 168)
    shape = np.where((hour % 24 >= 8) & (hour % 24 < 18), 50.0, 5.0)
    shape = np.where(hour % 168 >= 120, shape * 0.2, shape)
    level = rng.lognormal(0, 1, series)[:, None]
    days = np.repeat(rng.normal(1, 0.15, (series, weeks * 7)).clip(0.2), 24, axis=1)
    return rng.poisson(shape * level * days).astype(float)


def test_forecast_beats_repeating_last_week() -> None:
    rng = np.random.default_rng(7)
    traffic = weekly_traffic(rng, 300, 6)
    past, actual = traffic[:, : 5 * 168], traffic[:, 5 * 168 :]
    ours = np.abs(forecast_hours(past, 168).expected - actual).sum()
    naive = np.abs(past[:, -168:] - actual).sum()
    assert ours < 0.9 * naive


def test_interval_holds_about_four_of_five_months() -> None:
    rng = np.random.default_rng(8)
    traffic = weekly_traffic(rng, 400, 6)
    forecast = forecast_hours(traffic[:, : 4 * 168], 2 * 168)
    actual = np.cumsum(traffic[:, 4 * 168 :], axis=1)
    for hours in (24, 72, 336):
        low = forecast.cumulative(-1)[:, hours - 1]
        high = forecast.cumulative(+1)[:, hours - 1]
        inside = ((low <= actual[:, hours - 1]) & (actual[:, hours - 1] <= high)).mean()
        assert inside > 0.75, hours


@pytest.mark.parametrize("length", [0, 1, 23, 24, 100, 168, 400])
def test_any_length_of_history_gives_a_forecast(length: int) -> None:
    forecast = forecast_hours(np.full((3, length), 4.0), 50)
    assert forecast.expected.shape == (3, 50)
    assert np.allclose(forecast.expected, 4.0 if length else 0.0)
    assert np.isfinite(forecast.cumulative(1)).all()


@pytest.mark.slow
def test_thousands_of_consumers_take_moments() -> None:
    history = np.ones((5000, 672))
    hours = hours_until(forecast_hours(history, 720), np.full(5000, 100.0))
    assert np.allclose(hours, 100)
    assert np.allclose(backtest_error(history), 0)
