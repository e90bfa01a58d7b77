"""A report as the body of a mail. Mail programs run no scripts, load no style sheets and show no
SVG: tables, inline styles, and bars that are cells with a background."""

from __future__ import annotations

import html
from collections.abc import Sequence

from analytics.report_content import Chart, KeyNumber, ReportContent, ReportTable

INK, GREY, ACCENT, GOOD, BAD = "#1c2430", "#667085", "#2463d6", "#16794c", "#b42318"

_CELL = 'style="padding:5px 10px;border-bottom:1px solid #e4e7ec;text-align:{}"'


def render_html(report: ReportContent) -> str:
    """A whole document; nothing in it is loaded from elsewhere."""
    title = html.escape(report.title)
    rankings = "".join(_bars(c) for c in report.charts if c.kind == "bars")
    tables = "".join(_table(table) for table in report.tables)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title></head>"
        f'<body style="font-family:system-ui,sans-serif;color:{INK};max-width:760px">'
        f'<h1 style="font-size:20px;margin-bottom:4px">{title}</h1>'
        f'<p style="color:{GREY};margin-top:0">{html.escape(report.subtitle)}</p>'
        f"{_numbers(report.numbers)}{rankings}{tables}"
        f'<p style="color:{GREY}">{html.escape(report.note)}</p></body></html>'
    )


def render_text(report: ReportContent) -> str:
    """The same for programs that show no HTML: the headline only, the rest is attached."""
    lines = [f"{n.label}: {n.value} ({n.change})" for n in report.numbers]
    return "\n".join([report.title, report.subtitle, "", *lines, "", report.note, ""])


def _numbers(numbers: Sequence[KeyNumber]) -> str:
    cells = "".join(
        '<td style="padding:8px 22px 8px 0;vertical-align:top">'
        f'<div style="color:{GREY};font-size:13px">{html.escape(n.label)}</div>'
        f'<div style="font-size:22px">{html.escape(n.value)}</div>'
        f'<div style="color:{_colour(n)};font-size:13px">{html.escape(n.change)}</div></td>'
        for n in numbers
    )
    return f'<table style="border-collapse:collapse"><tr>{cells}</tr></table>'


def _colour(number: KeyNumber) -> str:
    return GREY if number.good is None else GOOD if number.good else BAD


def _bars(chart: Chart) -> str:
    values = [value or 0.0 for value in chart.series[0][1]]
    if not values:
        return ""
    longest = max(max(values), 1.0)
    rows = "".join(
        f'<tr><td style="padding:3px 10px 3px 0">{html.escape(label)}</td>'
        f'<td style="width:320px"><div style="background:{ACCENT};height:12px;'
        f'width:{max(1, round(100 * value / longest))}%"></div></td>'
        f'<td style="padding-left:10px;text-align:right">{value:,.0f}</td></tr>'
        for label, value in zip(chart.labels, values, strict=True)
    )
    return (
        f'<h2 style="font-size:16px">{html.escape(chart.title)}</h2>'
        f'<table style="border-collapse:collapse;font-size:14px">{rows}</table>'
    )


def _table(table: ReportTable) -> str:
    head = _row(table.columns, "th")
    rows = "".join(_row(row, "td") for row in table.rows)
    if not table.rows:
        rows = f'<tr><td colspan="{len(table.columns)}">No requests.</td></tr>'
    return (
        f'<h2 style="font-size:16px">{html.escape(table.title)}</h2>'
        f'<table style="border-collapse:collapse;font-size:14px">{head}{rows}</table>'
    )


def _row(cells: Sequence[str], tag: str) -> str:
    shown = [
        f"<{tag} {_CELL.format('left' if n == 0 else 'right')}>{html.escape(cell)}</{tag}>"
        for n, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(shown)}</tr>"
