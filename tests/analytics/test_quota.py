from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.errors import QueryRefused
from analytics.forecast import (
    backtest_error,
    best_forecast,
    forecast_hours,
    hours_until,
    repeat_last_week,
)
from analytics.forecast_models import forecaster
from analytics.limits import MSTL_SERIES_MAX
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


def test_the_error_of_repeating_last_week_is_told_beside_ours() -> None:
    rng = np.random.default_rng(4)
    base = np.tile(np.abs(rng.normal(100, 30, 168)), 4)
    noisy = base * rng.lognormal(0, 0.3, (50, len(base)))
    ours, naive = backtest_error(noisy), backtest_error(noisy, repeat_last_week)
    assert np.median(ours) < np.median(naive)
    past, actual = noisy[0, :-168], noisy[0, -168:]
    days = [(sum(past[-168:][d * 24 : d * 24 + 24]), sum(actual[d * 24 : d * 24 + 24]))
            for d in range(7)]  # fmt: skip
    expected = sum(abs(a - b) for a, b in days) / sum(b for _, b in days)
    assert naive[0] == pytest.approx(expected)


@pytest.mark.parametrize("weekly_growth", [0.7, 1.0, 1.3])
def test_steady_growth_is_followed_and_steady_use_not_disturbed(weekly_growth: float) -> None:
    hours = np.arange(6 * 168)
    rng = np.random.default_rng(2)
    shape = 100 * weekly_growth ** (hours / 168) * (1.5 + np.sin(hours / 24 * 2 * np.pi))
    noisy = shape * rng.lognormal(0, 0.2, (200, len(hours)))
    past, actual = noisy[:, : 4 * 168], noisy[:, 4 * 168 : 5 * 168].sum(axis=1)

    def error(make: Any) -> float:
        return float(np.mean(np.abs(make(past, 168).expected.sum(axis=1) / actual - 1)))

    naive = error(repeat_last_week)
    assert error(best_forecast) <= (naive if weekly_growth == 1.0 else 0.5 * naive)


@pytest.mark.parametrize("length", [0, 5, 100, 3 * 168, 4 * 168])
def test_idle_and_short_history_stay_finite(length: int) -> None:
    history = np.zeros((3, length))
    history[1, -1:] = 7.0
    found = best_forecast(history, 400).expected
    assert found.shape == (3, 400)
    assert np.isfinite(found).all()
    assert (found[0] == 0).all()


def test_mstl_refuses_what_it_cannot_do() -> None:
    make = forecaster("mstl")
    short = np.full((3, 100), 4.0)
    assert np.allclose(make(short, 10).expected, forecast_hours(short, 10).expected)
    with pytest.raises(QueryRefused, match="name one"):
        make(np.full((MSTL_SERIES_MAX + 1, 400), 4.0), 10)
    if importlib.util.find_spec("statsforecast") is None:
        with pytest.raises(QueryRefused, match="forecast"):
            make(np.full((1, 400), 4.0), 10)


@pytest.mark.peer
@pytest.mark.filterwarnings("default")  # of the extra's own dependencies
def test_mstl_forecasts_growing_use_better_than_repeating_last_week() -> None:
    pytest.importorskip("statsforecast", reason="install the extra: pip install .[forecast]")
    hours = np.arange(5 * 168)
    rng = np.random.default_rng(1)
    series = 100 * (1 + hours / 600) * (1.5 + np.sin(hours / 24 * 2 * np.pi))
    history = (series * rng.lognormal(0, 0.1, (3, len(hours))))[:, : 4 * 168]
    assert (
        backtest_error(history, forecaster("mstl")) < backtest_error(history, repeat_last_week)
    ).all()
    assert (forecaster("mstl")(history, 50).expected >= 0).all()
