"""Panels made of rows: bars, tables, numbers. Plain HTML, so that a name is a text and a link."""

from __future__ import annotations

from dash import html

from analytics.measures import MEASURES
from dashboards import format as fmt
from dashboards.components import Component, attrs, number, sparkline
from dashboards.custom.answer import Answer, formatter, label
from dashboards.custom.definition import Panel
from dashboards.custom.draw_chart import group_lines
from dashboards.custom.look import Look, empty_text, filter_of, group_name, tone_of

TABLE_ROWS_MAX = 1_000
"""Rows of a table panel; beyond, it says how many there are."""


def ranked(answer: Answer, limit: int) -> list[dict[str, object]]:
    """Rows by their first value, largest first, NULL last; SQL keeps the order it was written
    in."""
    frame = answer.frame
    if not answer.values or frame.is_empty() or "#" not in frame.columns:
        return frame.head(limit).to_dicts()
    order = frame.sort(
        [answer.values[0], *answer.names],
        descending=[True, *(False for _ in answer.names)],
        nulls_last=True,
    )
    return order.head(limit).to_dicts()


def bars(panel: Panel, answer: Answer, look: Look) -> Component:
    """A ranking: name, bar, value; further values as numbers behind it."""
    if not answer.values or not answer.names:
        return nothing("Bars need a column of names and one of numbers.")
    first = answer.values[0]
    rows = [r for r in ranked(answer, panel.source.limit) if as_float(r[first]) is not None]
    if not rows or (MEASURES.get(first) and not any(as_float(r[first]) for r in rows)):
        return nothing(empty_text(panel, look.view))
    names = [group_name(row, answer.names) for row in rows]
    look.learn(answer.names, names)
    colour = look.colour(answer.names)
    top = max(abs(as_float(r[first]) or 0.0) for r in rows) or 1.0
    out = []
    for row, name in zip(rows, names, strict=True):
        value = as_float(row[first])
        tone = tone_of(value, panel.thresholds)
        share = f"{max(0.6, 100 * abs(value or 0.0) / top):.1f}%"
        fill = {"width": share} if tone else {"width": share, "background": colour(name)}
        out.append(
            html.Div(
                [
                    name_cell(name, filter_of(row, answer), look),
                    html.Div(
                        html.Div(style=fill, className=f"gl-fill {tone}".strip()),
                        className="gl-bar tall",
                    ),
                    *(
                        number(formatter(panel, v)(as_float(row[v])), as_float(row[v]))
                        for v in answer.values
                    ),
                ],
                className="gl-rank",
                style={"gridTemplateColumns": _columns(len(answer.values))},
            )
        )
    return html.Div(out, className="gl-ranks")


def _columns(values: int) -> str:
    return "minmax(90px, 34%) minmax(40px, 1fr)" + " minmax(58px, auto)" * values


def table(panel: Panel, answer: Answer, look: Look) -> Component:
    """Every row; a click on a head sorts (assets/gl_board.js)."""
    limit = TABLE_ROWS_MAX if panel.source.sql else panel.source.limit
    rows = ranked(answer, limit)
    if not rows:
        return nothing(empty_text(panel, look.view))
    columns = [c for c in answer.frame.columns if c != "#"]
    shown = list(answer.names) + [c for c in columns if c not in answer.names]
    if panel.source.sql:
        shown = columns
    head = [
        html.Th(
            html.Button(
                _column_title(name) if not panel.source.sql else fmt.plain(name, 60),
                type="button",
                className="gl-sort",
            ),
            className="r" if name in answer.values else "",
        )
        for name in shown
    ]
    body = [
        html.Tr(
            [
                html.Td(
                    _cell(panel, answer, look, row, name),
                    className="r" if name in answer.values else "",
                    **attrs({"data-sort": _sort_key(row[name])}),
                )
                for name in shown
            ]
        )
        for row in rows
    ]
    more = answer.frame.height - len(rows)
    note = f"{fmt.whole(more)} more rows are not shown." if more > 0 else ""
    if answer.truncated:
        note = "There are more rows than a panel takes; narrow the statement."
    return html.Div(
        [
            html.Table(
                [html.Thead(html.Tr(head)), html.Tbody(body)], className="gl-table gl-sortable"
            ),
            html.Div(note, className="gl-none") if note else None,
        ],
        className="gl-table-wrap",
    )


def _cell(
    panel: Panel,
    answer: Answer,
    look: Look,
    row: dict[str, object],
    name: str,
) -> Component:
    value = row[name]
    if name in answer.values:
        figure = as_float(value)
        return number(
            formatter(panel, name)(figure),
            figure,
            tone=tone_of(figure, panel.thresholds) if name == answer.values[0] else "",
        )
    if answer.names and name == answer.names[0] and not panel.source.sql:
        filters = filter_of(row, answer)
        return name_cell("(none)" if value is None else str(value), filters, look)
    return html.Span(fmt.MISSING if value is None else fmt.plain(str(value), 200))


def _column_title(name: str) -> str:
    text = "API" if name == "api" else label(name).replace("_", " ")
    return text[:1].upper() + text[1:]


def _sort_key(value: object) -> str:
    return "" if value is None else str(value)[:200]


def numbers(panel: Panel, answer: Answer, look: Look) -> Component:
    """The first row's values, large; compared with the range before where that is known."""
    if not answer.values or answer.frame.is_empty():
        return nothing(empty_text(panel, look.view))
    if answer.names:
        rows = ranked(answer, min(panel.source.limit, 12))
        first = answer.values[0]
        if not rows:
            return nothing(empty_text(panel, look.view))
        tiles = [
            _number(panel, first, as_float(row[first]), None, group_name(row, answer.names), None)
            for row in rows
        ]
        return html.Div(tiles, className="gl-numbers")
    whole = answer.frame.row(0, named=True)
    before = answer.before.row(0, named=True) if answer.before is not None else {}
    tiles = []
    for name in answer.values:
        spark = None
        if answer.trend is not None:
            over_time = Answer(answer.trend, answer.values, (), "time", answer.interval_s)
            (line,) = group_lines(panel, over_time, name, look)
            spark = sparkline(line.values, line.colour, height=44, className="gl-number-spark")
        caption = label(name) if len(answer.values) > 1 else ""
        tiles.append(
            _number(panel, name, as_float(whole[name]), as_float(before.get(name)), caption, spark)
        )
    return html.Div(tiles, className="gl-numbers")


def _number(
    panel: Panel,
    name: str,
    value: float | None,
    before: float | None,
    caption: str,
    spark: Component,
) -> Component:
    tone = tone_of(value, panel.thresholds)
    second: Component = None
    if value is not None and before is not None:
        growth = (value - before) / abs(before) if before else (0.0 if not value else float("inf"))
        second = html.Span([html.B(fmt.change(growth)), " vs before"], className="gl-delta")
    return html.Div(
        [
            html.Div(caption, className="gl-stat-label") if caption else None,
            html.Div(
                number(formatter(panel, name)(value), value),
                className=f"gl-number {tone}".strip(),
            ),
            html.Div(second, className="gl-stat-foot") if second else None,
            spark,
        ],
        className="gl-number-tile",
    )


def name_cell(name: str, filters: str, look: Look) -> Component:
    """A name that narrows the page on a click, where that means something."""
    text = fmt.plain(name, 80)
    if not filters or not look.interactive:
        return html.Span(text, className="gl-ellipsis", title=text)
    return html.Button(
        text,
        type="button",
        className="gl-cell-filter gl-ellipsis",
        title=f"Only {text}",
        **attrs({"data-gl-add": filters}),
    )


def as_float(value: object) -> float | None:
    """A cell as a finite number; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < float("inf") and value == value else None


def nothing(sentence: str) -> Component:
    return html.Div(sentence, className="gl-none")
