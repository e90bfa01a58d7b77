"""What is answered as plain data is, to the browser, what the framework would have sent."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import orjson
from dash import Patch, _utils, html, no_update

from dashboards.components.as_data import as_data
from dashboards.components.plain import Plain
from dashboards.figures.base import TimeAxis
from dashboards.figures.series import Line, stacked
from dashboards.format import rate

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AXIS = TimeAxis(NOON, NOON.replace(hour=13), 60)
to_json: Any = _utils.to_json  # not typed by the library


def chart() -> Any:
    line = Line("orders", [1.5, None, *[2.0] * 58], "#123456")
    return stacked([line], AXIS, rate, empty="nothing")


ANSWER = [
    html.Div(["text", None, html.B(3, id="b", **{"data-value": "3"}), [html.I("in a list")]]),
    Plain([["p", {"className": "x"}, "some"]]),
    {"rows": [{"spark": (1.0, math.nan, None)}, {"cell": html.Span("in a dict")}]},
    chart(),
    html.Div(chart(), title="a chart as a property"),
]


def test_the_browser_gets_what_it_got() -> None:
    assert json.loads(to_json(as_data(ANSWER))) == json.loads(to_json(ANSWER))


def test_the_quick_encoder_takes_it() -> None:
    # Options as the framework gives them; anything but data would be an error.
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    assert orjson.dumps(as_data(ANSWER), option=options)


def test_what_the_framework_reads_itself_stays() -> None:
    patch = Patch()
    assert as_data(no_update) is no_update
    assert as_data(patch) is patch
