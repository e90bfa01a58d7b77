"""What a screen says about its own data, above the charts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from analytics.query import Completeness
from dashboards import format as fmt
from dashboards.panels.completeness_notes import STALE_S, completeness_notes
from dashboards.view import parse_view

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def notes(search: str = "?from=now-1h", age_s: float = 10.0, **given: Any) -> list[str]:
    whole: dict[str, Any] = {
        "data_until": NOW - timedelta(seconds=age_s), "counted_until": NOW, "requests_raw": 9,
        "requests_counted": 9, "rows_late": 0, "rejects": 0, "silent_gateways": (),
        "rejects_by_reason": {}, **given,
    }  # fmt: skip
    found = completeness_notes(Completeness(**whole), parse_view(search, now=NOW), NOW)
    return [note.children[0] for note in found]


def test_nothing_is_said_when_all_is_there() -> None:
    assert notes() == []


def test_what_is_not_counted_yet_is_told_with_how_far_it_is() -> None:
    hours = ((NOW - timedelta(hours=2), NOW - timedelta(hours=1)),)
    (text,) = notes(requests_raw=200, requests_counted=76, uncounted=hours)
    assert text.startswith("38\u202f% of this range is counted so far: charts leave a gap")


def test_an_old_newest_request_is_told_from_the_limit_on() -> None:
    assert notes(age_s=STALE_S - 1) == []
    (text,) = notes(age_s=STALE_S)
    assert text.startswith("The newest request is 5\u202fmin old")


def test_age_says_nothing_about_a_range_in_the_past_or_without_data() -> None:
    past = "?from=2026-06-01T00:00:00Z&to=2026-06-02T00:00:00Z"
    assert notes(past, age_s=30 * 86_400) == []
    assert notes(data_until=None) == []


def test_silent_gateways_are_named() -> None:
    (text,) = notes(silent_gateways=("kong-1", "kong\x002"))
    assert "kong-1, kong\ufffd2" in text


def test_refused_records_are_counted_with_their_first_reasons() -> None:
    reasons = {"too_old": 900, "no_time": 90, "too_large": 9, "seldom": 1}
    (text,) = notes(rejects=1000, rejects_by_reason=reasons)
    assert text.startswith(f"{fmt.whole(1000)} records of this range")
    assert "(too_old, no_time, too_large)" in text


def test_each_note_leads_to_operate_with_the_range_kept() -> None:
    view = parse_view("?from=now-6h", now=NOW)
    found = completeness_notes(
        Completeness(NOW, NOW, 1, 1, rows_late=0, rejects=3, silent_gateways=("a",)), view, NOW
    )
    assert len(found) == 2
    for note in found:
        assert note.children[2].href == f"/operate{view.query()}"
        assert note.role == "note"
