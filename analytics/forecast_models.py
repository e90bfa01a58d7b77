"""Which forecast: ours, or with the extra `gatelens[forecast]` one of statsforecast's.

Ours (`forecast.py`) takes milliseconds for thousands of consumers. MSTL takes a tenth of a second
and more for each and seconds to load, and may do better where use grows or falls steadily: for one
consumer at a time, where somebody looks at it closely. Both are told with their error on last week.
Garza, Mergenthaler et al., StatsForecast; Bandara, Hyndman, Bergmeir 2021, arXiv:2107.13462 (MSTL).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from analytics.errors import QueryRefused
from analytics.forecast import DAY, WEEK, Floats, Forecast, best_forecast
from analytics.limits import MSTL_SERIES_MAX

ForecastModel = Literal["seasonal", "mstl"]
Forecaster = Callable[[Floats, int], Forecast]


def forecaster(model: ForecastModel) -> Forecaster:
    """Raises QueryRefused when the extra is not installed."""
    return best_forecast if model == "seasonal" else _mstl_hours


def _mstl_hours(history: Floats, hours: int) -> Forecast:
    """Like `best_forecast`; with less than two weeks of history exactly that."""
    ours = best_forecast(history, hours)
    if history.shape[1] < 2 * WEEK or not hours:
        return ours
    if history.shape[0] > MSTL_SERIES_MAX:
        raise QueryRefused(f"mstl forecasts at most {MSTL_SERIES_MAX} consumers; name one")
    try:
        from statsforecast.models import MSTL, AutoETS
    except ImportError as err:
        raise QueryRefused("mstl needs an extra: pip install 'gatelens[forecast]'") from err
    model = MSTL(season_length=[DAY, WEEK], trend_forecaster=AutoETS(model="ZZN"))
    expected = np.zeros_like(ours.expected)
    for row, past in enumerate(history):
        if past.any():
            found = model.forecast(y=past.astype(np.float64), h=hours)["mean"]
            expected[row] = np.maximum(np.nan_to_num(found), 0.0)
    return Forecast(expected, ours.spread)
