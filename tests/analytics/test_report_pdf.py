"""The PDF of a report: hostile names, odd numbers, many pages; read back by another program."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from analytics.report_chart import axis_text, nice_step, runs_of
from analytics.report_content import Chart, KeyNumber, ReportContent, ReportTable
from analytics.report_pdf import markup, register_fonts, render_pdf
from analytics.timerange import TimeRange
from tests.analytics.hostile import NAMES, NOON


def report(**changes: Any) -> ReportContent:
    values: dict[str, Any] = {
        "title": "Team Ü: API report, 2026-11",
        "subtitle": "orders. Days in UTC.",
        "audience": "owner",
        "name": "Team Ü",
        "period": TimeRange(NOON - timedelta(days=30), NOON),
        "period_label": "2026-11",
        "numbers": (KeyNumber("Requests", "1,234", "+5.0%", True),),
        "charts": (),
        "tables": (),
        "note": "All counted.",
        "details": pl.DataFrame(),
        "empty": False,
    }
    return ReportContent(**{**values, **changes})


def chart(kind: Any, *values: float | None, labels: tuple[str, ...] = ()) -> Chart:
    labels = labels or tuple(f"11-{n:02}" for n in range(1, len(values) + 1))
    return Chart(f"{kind} of things", kind, "requests", labels, (("answered", values),))


def names() -> list[str]:
    found = {str(value) for values in NAMES.values() for value in values}
    return sorted(found | {"<b>bold</b>&amp;", "\x00\x07", "株式会社", "한국", "🙂", "x" * 5000})


@pytest.mark.parametrize("kind", ["columns", "lines", "bars"])
@pytest.mark.parametrize(
    "values",
    [(0.0,), (1.0,), (None, None), (None, 3.0, None, 4.0, 5.0), (1e15, 1e-9), (0.0,) * 31],
)
def test_any_numbers_make_a_document(kind: Any, values: tuple[float | None, ...]) -> None:
    assert render_pdf(report(charts=(chart(kind, *values),))).startswith(b"%PDF-")


def test_any_name_makes_a_document_and_the_same_one_again() -> None:
    rows = [(name, "1", "2") for name in names()]
    found = report(
        title="支払い <script> " + "x" * 300,
        charts=(chart("bars", *range(30), labels=tuple(n for n, *_ in rows[-30:])),),
        tables=(ReportTable("名前", ("", "Requests", "p95"), rows),),
    )
    assert render_pdf(found) == render_pdf(found)


def test_names_are_text_not_markup_and_none_is_left_out() -> None:
    register_fonts()
    assert markup("<b>&") == "&lt;b&gt;&amp;"
    assert markup("ab支払い") == 'ab<font name="HeiseiKakuGo-W5">支払い</font>'
    assert markup("株式") == '<font name="STSong-Light">株式</font>'
    assert markup("🙂") == "\ufffd"
    assert markup("Ω Ж ü") == "Ω Ж ü"


def test_a_line_is_not_drawn_over_a_gap() -> None:
    assert runs_of([None, 1, 2, None, 3, None]) == [range(1, 3), range(4, 5)]
    assert runs_of([]) == []


@pytest.mark.parametrize(
    ("rough", "step"),
    [(0, 1), (0.3, 0.5), (1, 1), (1.1, 2), (23, 50), (99, 100), (float("inf"), 1)],
)
def test_axis_steps_are_round(rough: float, step: float) -> None:
    assert nice_step(rough) == pytest.approx(step)


def test_axis_numbers_are_short() -> None:
    assert [axis_text(v) for v in (0, 0.5, 999, 1500, 2e6, 3e9)] == [
        "0", "0.5", "999", "1.5k", "2M", "3G"
    ]  # fmt: skip


@pytest.mark.peer
def test_another_program_reads_every_row_of_every_page() -> None:
    if shutil.which("pdftotext") is None:
        subprocess.run(["apt-get", "install", "-y", "-q", "poppler-utils"], check=True)
    rows = [(f"Zähler {n} Ж", f"{n:,}", "1 ms") for n in range(200)]
    document = render_pdf(report(tables=(ReportTable("Rows", ("", "Requests", "p95"), rows),)))
    done = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=document, capture_output=True, check=True
    )
    text = done.stdout.decode()
    assert all(name in text for name, *_ in rows)
    assert text.count("Requests") >= 5  # the head is repeated on every page
    assert done.stderr == b""
