"""Expected requests of the coming hours, from the same hours of past weeks. Light: plain numpy over
all consumers at once, so that thousands take milliseconds.

    expected hour = weighted mean of the same hour of the week over up to four past weeks
    interval      = the spread of past days around that, widened where history is short

History shorter than a week falls back to the hour of the day, shorter than a day to the mean. How
wrong it has been is told with it: `backtest_error` forecasts the last week from the weeks before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY, WEEK = 24, 168
WEEK_WEIGHTS = (0.4, 0.3, 0.2, 0.1)
"""Weight of last week, the week before, ...: recent weeks know the level, older ones steady it."""

Z80 = 1.2816
"""Half-width of an 80 % interval, in standard deviations."""

SPREAD_MIN = 0.05
"""Smallest relative standard deviation assumed: no history is so even that it must go on so."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Per series (row) and coming hour (column)."""

    expected: Floats
    """Requests per hour."""
    spread: Floats
    """Relative standard deviation of a day's total, one per series."""

    def cumulative(self, sign: float = 0.0) -> Floats:
        """Requests from now to the end of each hour; sign +1 / -1 for the 80 % bounds.

        Days err together (a busy week stays busy), so the relative width does not shrink to nothing
        with the length: it falls with the square root of the days, down to half of one day's.
        """
        days = np.arange(1, self.expected.shape[1] + 1) / DAY
        narrowing = np.maximum(0.5, 1 / np.sqrt(np.maximum(days, 1)))
        factor = 1 + sign * Z80 * self.spread[:, None] * narrowing[None, :]
        total: Floats = np.cumsum(self.expected, axis=1) * np.maximum(factor, 0.0)
        return np.maximum.accumulate(total, axis=1)


def forecast_hours(history: Floats, hours: int) -> Forecast:
    """Forecast `hours` ahead. history: (series, past hours), oldest first, ending now; hours
    without requests are 0. Zero history gives zero."""
    expected = np.zeros((history.shape[0], hours))
    length = history.shape[1]
    ahead = np.arange(hours)
    if length >= WEEK:
        weeks = min(length // WEEK, len(WEEK_WEIGHTS))
        weights = np.array(WEEK_WEIGHTS[:weeks]) / sum(WEEK_WEIGHTS[:weeks])
        recent = history[:, length - weeks * WEEK :].reshape(-1, weeks, WEEK)[:, ::-1, :]
        profile = np.tensordot(recent, weights, axes=([1], [0]))
        expected = profile[:, ahead % WEEK]
    elif length >= DAY:
        days = length // DAY
        profile = history[:, length - days * DAY :].reshape(-1, days, DAY).mean(axis=1)
        expected = profile[:, ahead % DAY]
    elif length:
        expected = np.repeat(history.mean(axis=1)[:, None], hours, axis=1)
    return Forecast(expected, _spread(history))


def _spread(history: Floats) -> Floats:
    """Relative standard deviation of daily totals around the same weekday's mean; 50 % when there
    are fewer than two comparable days."""
    series, length = history.shape
    if length < 2 * DAY:
        return np.full(series, 0.5)
    days = length // DAY
    daily = history[:, length - days * DAY :].reshape(series, days, DAY).sum(axis=2)
    if days >= 14:
        weeks = days // 7
        by_weekday = daily[:, days - weeks * 7 :].reshape(series, weeks, 7)
        residual = (by_weekday - by_weekday.mean(axis=1, keepdims=True)).reshape(series, -1)
        freedom = weeks / (weeks - 1)
    else:
        residual = daily - daily.mean(axis=1, keepdims=True)
        freedom = days / (days - 1)
    deviation = np.sqrt((residual**2).mean(axis=1) * freedom)
    mean = daily.mean(axis=1)
    relative = np.divide(deviation, mean, out=np.zeros(series), where=mean > 0)
    # the mean of past weeks is itself uncertain
    relative = relative * np.sqrt(1 + sum(w * w for w in WEEK_WEIGHTS))
    spread: Floats = np.clip(relative, SPREAD_MIN, 2.0)
    return spread


def hours_until(forecast: Forecast, amount: Floats, sign: float = 0.0) -> Floats:
    """Hours until each series has used up its amount; inf = not within the forecast.

    An amount of 0 or less is used up now: 0 hours.
    """
    total = forecast.cumulative(sign)
    reached = total >= amount[:, None]
    index = reached.argmax(axis=1)
    rows = np.arange(len(amount))
    before = np.where(index > 0, total[rows, np.maximum(index - 1, 0)], 0.0)
    step = np.maximum(total[rows, index] - before, 1e-12)
    hours = index + (amount - before) / step
    hours = np.where(reached.any(axis=1), hours, np.inf)
    until: Floats = np.where(amount <= 0, 0.0, hours)
    return until


def repeat_last_week(history: Floats, hours: int) -> Forecast:
    """Seasonal-naive: the same hour of last week. What a forecast has to beat."""
    expected = history[:, -WEEK:][:, np.arange(hours) % WEEK]
    return Forecast(expected, _spread(history))


def last_week_grown(history: Floats, hours: int) -> Forecast:
    """Last week once more, grown (or shrunk) as it had from the week before, within 1/2 and 2."""
    found = repeat_last_week(history, hours)
    last, before = history[:, -WEEK:].sum(axis=1), history[:, -2 * WEEK : -WEEK].sum(axis=1)
    growth = np.divide(last, before, out=np.ones(len(history)), where=before > 0)
    weeks = np.arange(hours) // WEEK + 1
    factor = np.clip(growth, 0.5, 2.0)[:, None] ** np.minimum(weeks, 4)[None, :]
    return Forecast(found.expected * factor, found.spread)


def best_forecast(history: Floats, hours: int) -> Forecast:
    """Of the weighted mean, last week again, and last week grown: for each series what told its
    last week best; the mean unless another was better by a fifth. Under three weeks: the mean."""
    chosen = forecast_hours(history, hours)
    if history.shape[1] < 3 * WEEK or not hours:
        return chosen
    errors = backtest_error(history)
    expected = chosen.expected.copy()
    for make in (repeat_last_week, last_week_grown):
        found = backtest_error(history, make)
        better = found < 0.8 * errors  # NaN is never better
        expected[better] = make(history, hours).expected[better]
        errors = np.where(better, found, errors)
    return Forecast(expected, chosen.spread)


def backtest_error(
    history: Floats, forecaster: Callable[[Floats, int], Forecast] | None = None
) -> Floats:
    """Mean absolute error of last week's daily totals when forecast from before it, relative to the
    week's mean; NaN where history is shorter than two weeks or last week was idle."""
    series, length = history.shape
    if length < 2 * WEEK:
        return np.full(series, np.nan)
    past, actual = history[:, : length - WEEK], history[:, length - WEEK :]
    found = (forecaster or forecast_hours)(past, WEEK).expected
    daily = np.abs(
        found.reshape(series, 7, DAY).sum(axis=2) - actual.reshape(series, 7, DAY).sum(axis=2)
    ).mean(axis=1)
    mean = actual.sum(axis=1) / 7
    error: Floats = np.divide(daily, mean, out=np.full(series, np.nan), where=mean > 0)
    return error
