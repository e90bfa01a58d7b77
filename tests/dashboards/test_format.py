from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from collector.naming.overflow import OVERFLOW
from collector.naming.routes import UNMATCHED
from dashboards import format as fmt
from dashboards.pages.apis import UNCATALOGUED, mark


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (math.nan, "–"), (0, "0"), (7, "7"), (999, "999"), (999.6, "1k"),
        (1234, "1.23k"),
        (999_600, "1M"), (5_600_000, "5.6M"), (-1500, "-1.5k"), (0.25, "0.25"),
    ],
)  # fmt: skip
def test_counts(value: float | None, text: str) -> None:
    assert fmt.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0, "0 ms"), (0.4213, "0.42 ms"), (12.34, "12.3 ms"), (999.6, "1 s"),
        (1234, "1.23 s"), (90_000, "1.5 min"), (7_200_000, "2 h"),
    ],
)  # fmt: skip
def test_times(value: float | None, text: str) -> None:
    assert fmt.milliseconds(value).replace(fmt.THIN, " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0, "0 %"), (0.045, "4.5 %"), (1, "100 %"), (0.00001, "<0.01 %"),
        (0.999999, ">99.99 %"),
    ],
)  # fmt: skip
def test_percentages_never_round_something_to_nothing(value: float | None, text: str) -> None:
    assert fmt.percent(value).replace(fmt.THIN, " ") == text


def test_growth_is_signed_or_a_factor_or_new() -> None:
    shown = [fmt.change(v).replace(fmt.THIN, " ") for v in (0.12, -0.5, 0.001, 11.0, math.inf)]
    assert shown == ["+12 %", "−50 %", "±0 %", "×12", "new"]


def test_ages_take_their_largest_unit() -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    ages = [fmt.ago(now - timedelta(seconds=s), now).replace(fmt.THIN, " ") for s in (0, 12, 250)]
    assert ages == ["just now", "12 s ago", "4 min ago"]
    assert fmt.ago(None, now) == "never"


def test_text_for_charts_is_escaped_and_cut() -> None:
    assert fmt.for_plotly("<b>&</b>") == "&lt;b&gt;&amp;&lt;/b&gt;"
    assert fmt.for_plotly("x" * 100, 10) == "x" * 9 + "…"
    assert fmt.plain("a\x1b[31m\nb") == "a\ufffd[31m\ufffdb"


def test_exact_keeps_every_digit() -> None:
    assert float(fmt.exact(1 / 3)) == 1 / 3
    assert fmt.exact(None) == ""


def test_names_that_the_collector_made_up_are_put_in_words() -> None:
    assert fmt.OVERFLOW == OVERFLOW
    assert fmt.plain(OVERFLOW) == fmt.for_plotly(OVERFLOW) == "other (unnamed)"
    assert fmt.plain(UNMATCHED) == "no route (never answered)"
    assert fmt.cleaned(OVERFLOW) == OVERFLOW  # what a click filters by
    assert fmt.plain("my__overflow__") == "my__overflow__"


def test_what_got_no_name_is_not_called_uncatalogued() -> None:
    assert mark("orders", True)["mark"] == ""
    assert mark("orders", False)["mark"] == UNCATALOGUED
    assert mark(None, False)["mark"] == UNCATALOGUED
    badge = mark(OVERFLOW, False)
    assert badge["mark"] == "many names"
    assert "nothing ever answered" in badge["mark_why"]
