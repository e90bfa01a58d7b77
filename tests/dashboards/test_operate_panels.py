"""What the Operate screen counts: segments of the write-ahead log, and the lake's tables."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from analytics.query import Outages
from dashboards import format as fmt
from dashboards.custom.html_text import to_html
from dashboards.limits import OUTAGES_SHOWN_MAX
from dashboards.measured import axis_of, without_outages
from dashboards.pages.operate import stats
from dashboards.panels.collectors_panel import outages_table
from dashboards.panels.counting_panel import Fact, counting_table, learned_facts
from dashboards.panels.jobs_panel import JobRun
from dashboards.panels.operate_panels import lake_table, table_sizes, wal_sizes, wal_table
from dashboards.view import parse_view
from storage.lake import Lake
from storage.learned import FRONTS_FILE, TWINS_FILE
from storage.settings import StorageSettings
from storage.stuck_commit import StuckCommit, clear_stuck, write_stuck
from tests.dashboards.known import Call, requests_table

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def call(minute: int) -> Call:
    return Call(NOW.replace(minute=minute), "orders", "/orders", "shop", 200, 5.0, 4.0)


def segment(path: Path, size: int, written_at: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (written_at, written_at))


def test_each_log_below_the_folder_is_counted_by_itself(tmp_path: Path) -> None:
    segment(tmp_path / "1.wal", 10, 100)
    segment(tmp_path / "2.wal", 20, 200)
    segment(tmp_path / "otlp" / "1.wal", 5, 50)
    segment(tmp_path / "otlp" / "notes.txt", 999, 900)
    own, otlp = wal_sizes(tmp_path)
    assert (own.name, own.segments, own.bytes) == ("wal", 2, 30)
    assert own.written_at == datetime.fromtimestamp(200, UTC)
    assert (otlp.name, otlp.segments, otlp.bytes) == ("otlp", 1, 5)
    assert otlp.written_at == datetime.fromtimestamp(50, UTC)


def test_a_segment_that_goes_while_it_is_looked_at_is_left_out(tmp_path: Path) -> None:
    segment(tmp_path / "1.wal", 10, 100)
    (tmp_path / "2.wal").symlink_to(tmp_path / "gone")
    assert [(s.segments, s.bytes) for s in wal_sizes(tmp_path)] == [(1, 10)]


def test_a_log_whose_commits_fail_says_so_and_why(tmp_path: Path) -> None:
    segment(tmp_path / "1.wal", 10, 100)
    write_stuck(tmp_path, StuckCommit(0.0, 0.0, 7, 12, "OSError: no space"))
    shown = str(wal_table(wal_sizes(tmp_path), NOW))
    assert "12 requests wait" in shown
    assert "OSError: no space" in shown
    clear_stuck(tmp_path)
    assert "requests wait" not in str(wal_table(wal_sizes(tmp_path), NOW))


def test_without_a_collector_here_the_table_says_so(tmp_path: Path) -> None:
    assert wal_sizes(tmp_path / "none") == []
    assert "collectors run elsewhere" in str(wal_table([], NOW))


def test_tables_that_were_never_written_are_not_listed(tmp_path: Path) -> None:
    assert table_sizes(Lake(StorageSettings(data_dir=tmp_path))) == []
    assert "The lake is empty." in str(lake_table([], NOW))


def test_a_table_is_told_by_its_log(tmp_path: Path) -> None:
    lake = Lake(StorageSettings(data_dir=tmp_path))
    for version, minute in enumerate((5, 3), start=1):
        calls = [call(minute), call(minute + 10)]
        lake.table("requests").append(requests_table(calls), app_id="t", app_version=version)
    (size,) = table_sizes(lake)
    assert (size.name, size.files, size.rows) == ("requests", 2, 4)
    assert size.oldest == NOW.replace(minute=3)
    on_disk = sum(f.stat().st_size for f in tmp_path.rglob("*.parquet"))
    assert size.bytes == on_disk
    assert "requests" in str(lake_table([size], NOW))


def test_what_was_learned_about_senders_of_the_home_tenant_is_listed(tmp_path: Path) -> None:
    assert learned_facts(tmp_path) == []
    (tmp_path / FRONTS_FILE).write_text('{"default": {"orders": "edge"}, "other": {"x": "y"}}')
    (tmp_path / TWINS_FILE).write_text('{"default": {"kong: edge /orders": "kong"}}')
    assert [(f.tellers, f.counted) for f in learned_facts(tmp_path)] == [
        ("orders is behind edge", "the spans of edge"),
        ("access log of kong and spans of kong: edge /orders", "the access log"),
    ]


def test_calls_counted_twice_come_before_what_was_learned() -> None:
    twice = pl.DataFrame(
        {"tenant": ["default"], "gateway": ["tyk"], "sources": [["otlp_span", "tyk"]], "calls": [7]}
    )
    text = str(counting_table([Fact("orders is behind edge", "the spans of edge")], twice))
    assert text.index("tyk: otlp_span and tyk") < text.index("orders is behind edge")
    assert "tells of the same calls twice" in str(counting_table([], twice.clear()))


def test_the_state_row_says_what_is_not_well(tmp_path: Path) -> None:
    view = parse_view("?from=now-1h", now=NOW)
    minutes = [NOW - timedelta(minutes=2), NOW - timedelta(minutes=1), NOW]
    ingest = pl.DataFrame(
        {"time": [*minutes, minutes[0]], "source": ["a", "a", "a", "b"], "requests": [5, 7, 2, 1]}
    )
    no_rejects = pl.DataFrame(schema={"reason": pl.String, "rejected_in_all": pl.Int64})
    jobs = [
        JobRun("usage_minute", NOW, NOW, 1, 1, 1.0, None),
        JobRun("traces", NOW, NOW, 0, 0, None, "OSError: no space"),
    ]
    segment(tmp_path / "1.wal", 10, 100)
    out = (NOW - timedelta(minutes=9), NOW - timedelta(minutes=7))
    axis = without_outages(axis_of(view, None), Outages(view.start, (out,)), ingest)
    shown = stats(view, axis, ingest, no_rejects, jobs, [], wal_sizes(tmp_path))
    values = {stat.id.removeprefix("operate-"): (stat.value, stat.tone) for stat in shown}
    assert values == {
        "stored": (15, ""), "refused": (0, ""), "waiting": (10, ""), "failing": (1, "bad"),
        "size": (0, ""),
    }  # fmt: skip
    # The minute that is not over is left out; those without a collector are no zeros.
    assert list(shown[0].spark)[-9:] == [None, None, 0, 0, 0, 0, 0, 6, 7]
    write_stuck(tmp_path, StuckCommit(0.0, 0.0, 7, 12, "OSError: no space"))
    rejects = pl.DataFrame({"reason": ["malformed", "x"], "rejected_in_all": [9, 9]})
    shown = stats(view, axis, ingest.clear(), rejects, [], [], wal_sizes(tmp_path))
    assert [(stat.value, stat.tone) for stat in shown[:4]] == [
        (0, ""), (9, "warn"), (10, "bad"), (0, ""),
    ]  # fmt: skip
    elsewhere = stats(view, axis, ingest, rejects, [], [], [])[2]
    assert elsewhere.value is None


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_newest_outages_are_listed_up_to_the_limit(beyond: int) -> None:
    hour = timedelta(hours=1)
    count = OUTAGES_SHOWN_MAX + beyond
    spans = tuple((NOW + n * hour, NOW + n * hour + hour / 2) for n in range(count))
    shown = to_html(outages_table(Outages(NOW - hour, spans), NOW + count * hour))
    assert shown.count("<tr") == OUTAGES_SHOWN_MAX + 1
    assert (fmt.clock(spans[0][0]) in shown) == (beyond == 0)
    assert fmt.clock(spans[-1][0]) in shown
