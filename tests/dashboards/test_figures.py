from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import get_args

import plotly.graph_objects as go
import polars as pl
import pytest

from dashboards import format as fmt
from dashboards.components.spark import spark_svg
from dashboards.figures import series
from dashboards.figures.api_main import latency_chart
from dashboards.figures.base import Figure, TimeAxis, message, nice_ticks
from dashboards.figures.heatmap import ROW, latency_heatmap
from dashboards.figures.limits import limits_chart
from dashboards.figures.service_map import RATE_TALL, columns_of, places_of, service_map
from dashboards.figures.severity import level, severity_bars
from dashboards.figures.status import status_bars
from dashboards.measured import rate_on, rates_by
from dashboards.theme import QUANTILES, SERIES, ColourBook, Mode, css, status_class, template

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def axis(minutes: int = 5, **changes: object) -> TimeAxis:
    return TimeAxis(START, START + timedelta(minutes=minutes), 60, **changes)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def valid(fig: Figure) -> go.Figure:
    """Plotly's own checks of every property."""
    return go.Figure(fig.to_plotly_json())


def test_lines_of_a_table_are_those_of_each_row_alone() -> None:
    frame = pl.DataFrame(
        {
            "api": ["a", "a", None, "b", "a"],
            "time": [at(0), at(2), at(1), at(4), at(3)],
            "requests": [60, 120, 30, None, 6],
        }
    )
    shown = axis(measured_until=at(4) + timedelta(seconds=40), gaps=((at(2), at(3)),))
    assert rates_by(shown, frame, "api") == {
        "a": [1.0, 0.0, None, 0.1, 0.0],
        None: [0.0, 0.5, None, 0.0, 0.0],
        "b": [0.0, 0.0, None, 0.0, 0.0],
    }
    for name, line in rates_by(shown, frame, "api").items():
        assert line == rate_on(shown, frame.filter(pl.col("api").eq_missing(pl.lit(name))))
    unfinished = axis(measured_until=at(1) + timedelta(seconds=30))
    assert rates_by(unfinished, frame, "api")[None] == [0.0, 1.0, None, None, None]


@pytest.mark.parametrize("mode", get_args(Mode))
def test_rates_are_per_second_and_missing_intervals_are_zero(mode: Mode) -> None:
    frame = pl.DataFrame(
        {"api": ["a", "a", "b"], "time": [at(0), at(2), at(1)], "requests": [60, 120, 30]}
    )
    lines = series.rates(frame, axis(), by="api", names=["a", "b"], colour=ColourBook().colour)
    assert lines[0].values == [1.0, 0, 2.0, 0, 0]
    assert lines[1].values == [0, 0.5, 0, 0, 0]
    fig = valid(series.stacked(lines, axis(mode=mode), fmt.rate, empty="none"))
    assert list(fig.data[0].y) == [1.0, 0, 2.0, 0, 0]
    assert fig.data[0].customdata[2] == f"2{fmt.THIN}/s"


def test_an_unfinished_interval_counts_by_the_seconds_it_covers() -> None:
    half = axis(minutes=2, measured_until=START + timedelta(seconds=90))
    frame = pl.DataFrame({"api": ["a", "a"], "time": [at(0), at(1)], "requests": [60, 30]})
    (line,) = series.rates(frame, half, by="api", names=["a"], colour=ColourBook().colour)
    assert line.values == [1.0, 1.0]


def test_what_was_before_anything_was_stored_is_no_zero() -> None:
    new = axis(measured_from=START + timedelta(seconds=90))
    frame = pl.DataFrame({"api": ["a", "a"], "time": [at(1), at(2)], "requests": [30, 60]})
    (line,) = series.rates(frame, new, by="api", names=["a"], colour=ColourBook().colour)
    assert line.values == [None, 1.0, 1.0, 0, 0]


def test_what_is_not_counted_yet_is_a_covered_gap() -> None:
    catching_up = axis(gaps=((at(1), at(3)),))
    frame = pl.DataFrame({"api": ["a"] * 2, "time": [at(0), at(2)], "requests": [60, 6]})
    (line,) = series.rates(frame, catching_up, by="api", names=["a"], colour=ColourBook().colour)
    assert line.values == [1.0, None, None, 0, 0]
    drawn = valid(series.stacked([line], catching_up, fmt.rate, empty="none"))
    (cover,) = drawn.layout.shapes
    assert (cover.x0, cover.x1, cover.layer) == (at(1), at(3), "above")
    assert drawn.layout.annotations[0].text == "being counted"


def test_what_was_not_measured_is_a_gap_not_a_zero() -> None:
    early = axis(measured_until=at(2))
    frame = pl.DataFrame({"api": ["a"], "time": [at(0)], "requests": [60], "p95_ms": [5.0]})
    (rate,) = series.rates(frame, early, by="api", names=["a"], colour=ColourBook().colour)
    assert rate.values == [1.0, 0, None, None, None]
    (p95,) = series.measured_lines(
        frame, axis(), by="api", value="p95_ms", names=["a"], colour=ColourBook().colour
    )
    assert p95.values == [5.0, None, None, None, None]
    fig = valid(series.overlaid([p95], axis(), fmt.milliseconds, empty="none"))
    assert fig.data[0].connectgaps is False


def test_gaps_of_a_small_line_stay_gaps() -> None:
    svg = spark_svg([4.0, 2.0, None, 1.0, None, None, 0.0, 3.0], "#4a90f5", width=70)
    lines = [
        [float(point.split(",")[0]) for point in points.split()]
        for points in re.findall('<polyline points="([^"]+)"', svg)
    ]
    # One measured interval between two gaps is a dash, not lost.
    assert lines == [[0, 10], [29, 31], [60, 70]]
    assert "polyline" not in spark_svg([None, None], "#4a90f5")
    assert "polyline" not in spark_svg([], "#4a90f5")


def test_small_series_are_summed_as_others_and_nothing_is_lost() -> None:
    frame = pl.DataFrame(
        {"api": [f"a{n:02}" for n in range(20)], "time": [at(0)] * 20, "requests": range(1, 21)}
    )
    names = series.largest(frame, "api")
    assert names[0] == "a19"
    lines = series.rates(frame, axis(), by="api", names=names, colour=ColourBook().colour)
    assert lines[-1].name == "others"
    assert sum(line.values[0] or 0 for line in lines) * 60 == pytest.approx(210)


def test_bars_add_up_to_the_requests_by_class() -> None:
    frame = pl.DataFrame(
        {
            "time": [at(0), at(0), at(1), at(1)],
            "status_code": [200, 503, 404, None],
            "requests": [5, 2, 3, 1],
        }
    )
    fig = valid(status_bars(frame, axis(), empty="none"))
    totals = {trace.name: sum(trace.y) for trace in fig.data}
    assert totals == {"5xx server": 2, "4xx client": 3, "no answer": 1, "2xx ok": 5}


def test_heatmap_keeps_every_request() -> None:
    frame = pl.DataFrame(
        {"time": [at(0), at(0), at(3)], "bucket": [200, 201, -32768], "requests": [4, 5, 9]}
    )
    fig = valid(latency_heatmap(frame, axis(), empty="none"))
    counts = sum(round(z * z) for line in fig.data[0].z for z in line if z)
    assert counts == 18
    zero, small = pl.DataFrame({"bucket": [-32768, -300]}).select(ROW)["row"]
    assert zero == small


def test_log_records_keep_their_severity() -> None:
    frame = pl.DataFrame({"time": [at(0)] * 3, "severity_number": [9, 17, None], "logs": [7, 2, 1]})
    fig = valid(severity_bars(frame, axis(), empty="none"))
    assert {t.name: sum(t.y) for t in fig.data} == {"info": 7, "error": 2, "none": 1}
    assert [level(n) for n in (0, 1, 12, 13, 24, 25)] == [
        "none",
        "trace",
        "info",
        "warn",
        "fatal",
        "none",
    ]


def test_no_data_is_a_sentence_and_never_an_empty_frame() -> None:
    nothing = pl.DataFrame(
        schema={"time": pl.Datetime, "status_code": pl.Int16, "requests": pl.Int64}
    )
    for fig in (
        status_bars(nothing, axis(), empty="No <b>data</b>"),
        message("No <b>data</b>", "dark"),
    ):
        assert valid(fig).layout.annotations[0].text == "No &lt;b&gt;data&lt;/b&gt;"


def test_hostile_names_are_escaped_in_every_legend() -> None:
    line = series.Line("<a href='x'>&", [1.0] * 5, SERIES[0])
    for build in (series.stacked, series.overlaid):
        fig = valid(build([line], axis(), fmt.rate, empty="none"))
        assert all("<" not in trace.name for trace in fig.data)


@pytest.mark.parametrize("top", [0, 0.003, 1, 7, 99, 12345.6])
def test_ticks_are_round_and_reach_the_top(top: float) -> None:
    ticks = nice_ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] >= top
    assert len({round(b - a, 9) for a, b in pairwise(ticks)}) == 1
    assert len(ticks) <= 7


def test_a_name_keeps_its_colour_and_learned_names_differ() -> None:
    names = [f"api-{n}" for n in range(len(SERIES))]
    book = ColourBook(names)
    assert len({book.colour(n) for n in names}) == len(SERIES)
    assert [ColourBook(reversed(names)).colour(n) for n in names] == [book.colour(n) for n in names]
    assert book.colour("later") == ColourBook().colour("later")


def test_both_modes_have_every_token_and_a_template() -> None:
    text = css()
    for mode in get_args(Mode):
        go.Figure(layout={"template": template(mode)})
        assert f'[data-scheme="{mode}"]' in text
    assert text.count("--gl-surface:") == 2


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (None, "none"),
        (0, "none"),
        (101, "2xx"),
        (204, "2xx"),
        (404, "4xx"),
        (599, "5xx"),
        (700, "none"),
    ],
)
def test_every_status_has_a_class(code: int | None, name: str) -> None:
    assert status_class(code) == name


def test_services_lie_beside_their_callers_and_no_rate_lies_on_another() -> None:
    pairs = [(f"edge-{i % 2}", f"service-{i}") for i in range(12)]
    pairs += [("service-3", "store"), ("service-3", "cache")]
    edges = pl.DataFrame(
        [
            {"source": s, "target": t, "calls": 100 - i, "errors": 0, "p95_ms": 5.0}
            for i, (s, t) in enumerate(pairs)
        ]
    )
    calls = dict.fromkeys({n for pair in pairs for n in pair}, 1)
    places = places_of(pairs, columns_of(pairs), calls)
    ordered = sorted((n for n in places if n.startswith("service")), key=lambda n: -places[n][1])
    assert [int(n[-1]) % 2 for n in ordered if len(n) == 9] == [0] * 5 + [1] * 5

    fig = valid(service_map(edges, "dark", seconds=60.0, empty="none"))
    low, high = fig.layout.yaxis.range
    written = [(t.x[0], t.y[0]) for t in fig.data if t.mode == "markers+text" and len(t.x) == 1]
    assert len(written) >= 8
    for one, other in ((a, b) for i, a in enumerate(written) for b in written[:i]):
        assert abs(one[0] - other[0]) > 0.05 or abs(one[1] - other[1]) >= RATE_TALL * (high - low)


def test_calls_over_a_limit_are_per_second_by_limit_and_others_are_left_out() -> None:
    frame = pl.DataFrame(
        {
            "time": [at(0), at(0), at(1), at(1)],
            "outcome": ["rate_limited", "ok", "quota_exceeded", "client_error"],
            "requests": [60, 600, 30, 90],
        }
    )
    drawn = limits_chart(frame, axis(), empty="")
    lines = {line["name"]: list(line["y"]) for line in drawn.data if line["mode"] == "lines"}
    assert lines == {"rate limit": [1.0, 0, 0, 0, 0], "quota": [0, 0.5, 0, 0, 0]}
    calm = limits_chart(frame.filter(pl.col("outcome") == "ok"), axis(), empty="None was refused.")
    assert calm.layout["annotations"][0]["text"] == "None was refused."


def test_latency_shows_the_quantiles_asked_for_in_their_own_colours() -> None:
    frame = pl.DataFrame({"time": [at(0)], "p50_ms": [1.0], "p95_ms": [2.0], "p99_ms": [3.0]})
    drawn = latency_chart(frame, axis(), quantiles=("p50_ms", "p95_ms"), empty="")
    colours = {line["name"]: line["line"]["color"] for line in drawn.data if "line" in line}
    assert colours == {"p50": QUANTILES["p50_ms"], "p95": QUANTILES["p95_ms"]}
