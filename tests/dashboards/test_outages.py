"""Times in which no collector took data: gaps and bands on charts, sentences, Operate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from analytics.outages import Outages
from collector.heartbeat import Heartbeat
from collector.telemetry import Telemetry
from dashboards import format as fmt
from dashboards.custom.html_text import to_html
from dashboards.figures import series
from dashboards.figures.base import TimeAxis
from dashboards.figures.status import status_bars
from dashboards.measured import rate_on, without_outages
from dashboards.panels.collectors_panel import collectors_stat, outages_table
from dashboards.panels.completeness_notes import outage_text
from dashboards.theme import ColourBook
from dashboards.view import parse_view
from storage.settings import StorageSettings
from storage.state_collectors import BEAT_S
from tests.browser import exact_number, go
from tests.dashboards.conftest import Running, serving
from tests.dashboards.known import known_calls, utc_now, write_lake
from tests.dashboards.test_browser import HOUR, opened
from tests.dashboards.test_figures import START, at, axis, valid

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


# -- the axis ---------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 20)), max_size=4),
    st.sets(st.integers(0, 9)),
)
def test_an_interval_is_unknown_when_it_lies_in_an_outage_and_nothing_came(
    lengths: list[tuple[int, int]], came: set[int]
) -> None:
    """Against a look at every one of 100 seconds, in intervals of ten."""
    outages: list[tuple[int, int]] = []
    for start, length in sorted(lengths):
        if not outages or start > outages[-1][1]:
            outages.append((start, start + length))

    def moment(second: int) -> datetime:
        return START + timedelta(seconds=second)

    whole = TimeAxis(
        START,
        moment(100),
        10,
        outages=tuple((moment(a), moment(b)) for a, b in outages),
    )
    shown = whole.with_data(moment(10 * n) for n in came)
    dead = {s for a, b in outages for s in range(a, b)}
    for n, time in enumerate(shown.times()):
        inside = all(s in dead for s in range(10 * n, 10 * n + 10))
        assert shown.measured(time) is (n in came or not inside)
    covered = {s for a, b in shown.outages for s in range(100) if a <= moment(s) < b}
    assert covered == {s for s in dead if s < 100 and s // 10 not in came}


def test_what_nobody_listened_to_is_a_covered_gap_and_what_came_later_is_drawn() -> None:
    known = Outages(at(0), ((at(1) + timedelta(seconds=20), at(8) + timedelta(seconds=10)),))
    frame = pl.DataFrame({"api": ["a"] * 4, "time": [at(n) for n in (0, 1, 5, 8)],
                          "requests": [60, 30, 6, 12]})  # fmt: skip
    shown = without_outages(axis(minutes=10), known, frame)
    (line,) = series.rates(frame, shown, by="api", names=["a"], colour=ColourBook().colour)
    assert line.values == [1.0, 0.5, None, None, None, 0.1, None, None, 0.2, 0]
    assert rate_on(shown, frame) == line.values
    drawn = valid(series.stacked([line], shown, fmt.rate, empty="none"))
    assert [(s.x0, s.x1) for s in drawn.layout.shapes] == [(at(2), at(5)), (at(6), at(8))]
    assert {a.text for a in drawn.layout.annotations} == {"no collector took data"}
    bars = status_bars(frame.with_columns(status_code=200), shown, empty="none")
    assert bars.data[0]["y"] == [60, 30, None, None, None, 6, None, None, 12, 0]


def test_a_shorter_outage_than_an_interval_hides_nothing() -> None:
    frame = pl.DataFrame({"time": [at(0)], "requests": [60]})
    short = Outages(at(0), ((at(0) + timedelta(seconds=10), at(1)),))
    assert rate_on(without_outages(axis(minutes=2), short, frame), frame) == [1.0, 0]


# -- sentences --------------------------------------------------------------------------------


def text(*spans: tuple[datetime, datetime], goes_on: bool = False) -> str:
    return outage_text(Outages(ago(600), spans), NOW, goes_on=goes_on).replace(fmt.THIN, " ")


def test_an_outage_is_told_with_its_times_and_minutes() -> None:
    said = text((ago(57), ago(51)))
    assert said.startswith("No collector took data 11:03–11:09 UTC (6 min). Charts leave a gap")
    assert "11:59:10–11:59:50 UTC (40 s)" in text((ago(5 / 6), ago(1 / 6)))
    assert text((ago(9), NOW), goes_on=True).startswith(
        "No collector has taken data since 11:51 UTC (9 min)."
    )


def test_times_are_of_the_reader_s_zone_with_the_day_where_it_is_not_today() -> None:
    fmt.use_zone("Asia/Tokyo")  # 21:00 there
    try:
        assert "20:03–20:09 Asia/Tokyo (6 min)" in text((ago(57), ago(51)))
        assert "30 Jun 23:50 – 01 Jul 00:10 Asia/Tokyo" in text((ago(1270), ago(1250)))
        assert "30 Jun 20:00–21:00 Asia/Tokyo (1 h)" in text((ago(1500), ago(1440)))
    finally:
        fmt.use_zone("UTC")


def test_of_several_the_longest_are_named_and_all_are_counted() -> None:
    spans = [(ago(60 * n), ago(60 * n - n)) for n in (4, 3, 2, 1)]
    said = text(*spans)
    assert said.startswith(
        "No collector took data for 10 min in all, 4 times; the longest 08:00–08:04,"
    )
    assert "09:00–09:03, 10:00–10:02 UTC" in said
    assert "data for 3 min in all: 10:00–10:02, 11:00:00–11:01:00 UTC." in text(*spans[2:])


def test_operate_says_which_share_is_known_and_taken() -> None:
    view = parse_view("?from=now-1h", now=NOW)

    def card(known: Outages) -> tuple[str, str, str]:
        stat = collectors_stat(known, view, NOW)
        return stat.text.replace(fmt.THIN, " "), stat.hint.replace(fmt.THIN, " "), stat.tone

    assert card(Outages()) == (fmt.MISSING, "not kept down", "")
    assert card(Outages(ago(90))) == ("100 %", "all of the time range", "")
    assert card(Outages(ago(30))) == ("100 %", "known since 11:30", "")
    assert card(Outages(ago(90), ((ago(30), ago(24)),))) == ("90 %", "1 outage, 6 min", "warn")
    blink = ((ago(30), ago(30) + timedelta(seconds=1)),)
    assert card(Outages(ago(9000), blink))[0] == "99.9 %"
    going_on = Outages(ago(90), ((ago(40), ago(35)), (ago(3), NOW)), ongoing=True)
    assert card(going_on) == ("86.6 %", "none takes data now", "bad")
    listed = to_html(outages_table(going_on, NOW))
    assert listed.index("11:57:00") < listed.index("11:20:00")
    assert "goes on" in listed
    assert "Nothing is known" in to_html(outages_table(Outages(), NOW))
    assert "None in this time range" in to_html(outages_table(Outages(ago(90)), NOW))


# -- a real collector's record on real screens ------------------------------------------------


def kept_down(storage: StorageSettings, first: datetime, last: datetime) -> None:
    """What a collector keeps down that is killed right after its beat at `last`."""
    times = [first.timestamp()]
    while times[-1] < last.timestamp():
        times.append(times[-1] + BEAT_S)
    clock = iter(times)
    now = times[0]

    def tell() -> float:
        nonlocal now
        now = next(clock, now)
        return now

    heart = Heartbeat(storage, clock=tell, steady=lambda: now)
    heart.open("one", lambda: True, Telemetry().heartbeat_failures)
    for _ in times[1:]:
        heart.look()
    heart.close(20)


@dataclass(frozen=True)
class Interrupted:
    """An installation whose collector was killed and started again eleven minutes later."""

    server: Running
    dead: tuple[datetime, datetime]
    late: set[datetime]
    """Requests of the time between, which were sent later."""


@pytest.fixture
def interrupted(tmp_path: Path) -> Iterator[Interrupted]:
    now = utc_now().replace(microsecond=0)
    dead = now - timedelta(minutes=20), now - timedelta(minutes=9)
    middle = dead[0] + timedelta(minutes=5)
    calls = known_calls(now)
    late = {c.time for c in calls if middle <= c.time < middle + timedelta(seconds=9)}
    calls = [c for c in calls if not dead[0] <= c.time < dead[1] or c.time in late]
    storage = write_lake(tmp_path, calls)
    kept_down(storage, now - timedelta(minutes=50), dead[0])
    kept_down(storage, dead[1], now + timedelta(minutes=10))  # goes on while the test runs
    with serving(storage) as (url, data):
        yield Interrupted(Running(url, data, calls), dead, late)


TRAFFIC = """() => {
    const { data, layout } = document.querySelector('[id*="traffic"].js-plotly-plot, '
        + '[id*="traffic"] .js-plotly-plot');
    return [[...new Set(data.filter((t) => t.stackgroup).flatMap((t) => [...t.x]))],
            (layout.shapes ?? []).length];
}"""


@pytest.mark.browser
def test_screens_tell_an_outage_from_silence(page: Page, interrupted: Interrupted) -> None:
    troubles = opened(page, interrupted.server, f"/?{HOUR}")
    note = page.get_by_role("note")
    expect(note).to_have_count(1)
    expect(note).to_contain_text("No collector took data")
    expect(note).to_contain_text(f"(11{fmt.THIN}min)")
    start, end = (at.timestamp() for at in interrupted.dead)
    drawn, bands = page.evaluate(TRAFFIC)
    step = parse_view(f"?{HOUR}", now=utc_now()).interval_s
    inside = {x // 1000 for x in drawn if start <= x / 1000 and x / 1000 + step <= end}
    # Nothing is drawn of that time, but for what came later; around it, silence is zero.
    assert inside == {t.timestamp() // step * step for t in interrupted.late}
    assert bands == 2
    assert sum(x / 1000 >= end for x in drawn) * step >= 300

    go(page, f"/operate?{HOUR}")
    # Known for 50 minutes of the hour.
    assert exact_number(page, "operate-collectors") == pytest.approx(39 / 50, abs=0.02)
    expect(page.locator("#operate-collectors-out tbody tr")).to_have_count(1)
    assert troubles.seen == []
