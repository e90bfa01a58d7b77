"""Building blocks every page is made of: cards, numbers, panels, tables, empty and error states.

Pure: values in, Dash components out. Looks live in assets/gatelens.css, by class name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from dash import dcc, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.theme import SEVERITY, Mode, rgba

Component = Any
"""A Dash component; the library publishes no types."""

GRAPH_CONFIG: Any = {
    "displaylogo": False,
    "displayModeBar": False,
    "responsive": True,
    "doubleClick": "reset",
    "scrollZoom": False,
}


Tone = Literal["", "good", "warn", "bad"]


def attrs(values: Mapping[str, str]) -> dict[str, Any]:
    """`data-*` and `aria-*` attributes, which are no valid Python keywords."""
    return dict(values)


@dataclass(frozen=True, slots=True)
class Stat:
    """One number with its story. `id` is stable: tests and people's scripts read `data-value`."""

    id: str
    label: str
    value: float | int | None
    text: str
    previous: float | None = None
    """The same in the preceding equal range; None = not known, nothing is compared."""
    better: Literal["up", "down", "neither"] = "neither"
    spark: Sequence[float | None] = ()
    colour: str = "#4a90f5"
    href: str = ""
    tone: Tone = ""
    hint: str = ""
    """Second line instead of the comparison."""


def stat_row(stats: Sequence[Stat], mode: Mode) -> Component:
    return html.Div([stat_card(s, mode) for s in stats], className="gl-stats")


def stat_card(stat: Stat, mode: Mode) -> Component:
    second = html.Span(stat.hint, className="gl-stat-hint") if stat.hint else _comparison(stat)
    inside = [
        html.Div(stat.label, className="gl-stat-label"),
        html.Div(
            html.Span(
                stat.text,
                id=stat.id,
                **attrs({"data-value": fmt.exact(stat.value)}),
            ),
            className=f"gl-stat-value {stat.tone}".strip(),
        ),
        html.Div([second], className="gl-stat-foot"),
        sparkline(stat.spark, stat.colour) if any(v is not None for v in stat.spark) else None,
    ]
    if stat.href:
        return dcc.Link(inside, href=stat.href, className="gl-stat", id=f"{stat.id}-link")
    return html.Div(inside, className="gl-stat")


def _comparison(stat: Stat) -> Component:
    if stat.previous is None or stat.value is None:
        return html.Span("no earlier data" if stat.value is not None else "", className="gl-delta")
    if stat.previous == 0:
        growth = 0.0 if stat.value == 0 else float("inf")
    else:
        growth = (stat.value - stat.previous) / abs(stat.previous)
    tone = ""
    if abs(growth) >= 0.05 and stat.better != "neither":
        tone = "good" if (growth > 0) == (stat.better == "up") else "bad"
    return html.Span(
        [html.B(fmt.change(growth)), " vs before"],
        className=f"gl-delta {tone}".strip(),
        title="Compared with the equal time range just before",
    )


def sparkline(
    values: Sequence[float | None], colour: str, *, height: int = 30, className: str = "gl-spark"
) -> Component:
    """A small line as an inline image; gaps stay gaps. Decoration: hidden from screen readers."""
    return html.Img(
        src="data:image/svg+xml," + quote(spark_svg(values, colour, height=height)),
        className=className,
        alt="",
    )


def spark_svg(
    values: Sequence[float | None], colour: str, *, width: int = 240, height: int = 30
) -> str:
    top = max((v for v in values if v is not None), default=0.0) or 1.0
    step = width / max(1, len(values) - 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((index * step, height - 2 - (height - 5) * max(0.0, value) / top))
    shapes = []
    for run in (r for r in runs if len(r) > 1):
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
        area = f"{run[0][0]:.1f},{height} {line} {run[-1][0]:.1f},{height}"
        shapes.append(
            f'<polygon points="{area}" fill="{rgba(colour, 0.13)}"/>'
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4" '
            'vector-effect="non-scaling-stroke" stroke-linejoin="round"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="none">{"".join(shapes)}</svg>'
    )


def panel(
    title: str,
    body: Component,
    *,
    note: str = "",
    action: Component = None,
    className: str = "",
    id: str = "",
) -> Component:
    head = html.Div(
        [
            html.H2(title, className="gl-panel-title"),
            html.Span(note, className="gl-panel-note") if note else None,
            html.Div(action, className="gl-panel-action") if action is not None else None,
        ],
        className="gl-panel-head",
    )
    extra: dict[str, Any] = {"id": id} if id else {}
    return html.Section(
        [head, html.Div(body, className="gl-panel-body")],
        className=f"gl-panel {className}".strip(),
        **extra,
    )


def graph(
    id: str | dict[str, str],
    *,
    height: int = 220,
    label: str = "",
) -> Component:
    """A chart's place, shimmering until its first figure comes."""
    return html.Div(
        dcc.Graph(
            id=id,
            config=GRAPH_CONFIG,
            responsive=True,
            style={"height": f"{height}px"},
            figure={"data": [], "layout": _BLANK},
        ),
        className="gl-graph",
        role="img",
        **attrs({"aria-label": label or "chart"}),
    )


_BLANK = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "xaxis": {"visible": False},
    "yaxis": {"visible": False},
}


def time_chart(
    title: str,
    name: str,
    *,
    note: str = "",
    height: int = 220,
    alert: str = "",
    raw: str = "",
    className: str = "",
) -> Component:
    """A panel with one chart over time; dragging on it sets the page's range.

    alert: measure a rule made from this chart watches; '' = the chart is not about requests and
    offers neither a rule nor raw requests. raw: filters its raw requests have beyond the page's.
    """
    return panel(
        title,
        graph(ids.time_graph(name), height=height, label=title),
        note=note,
        action=chart_menu(title, alert, raw) if alert else None,
        className=className,
    )


def chart_menu(title: str, alert: str, raw: str = "") -> Component:
    """What one can do from a chart; assets/gl_palette.js acts on it."""

    def item(text: str, **values: str) -> Component:
        return html.Button(text, className="gl-menu-item", type="button", **attrs(values))

    return html.Details(
        [
            html.Summary("⋯", className="gl-dots", **attrs({"aria-label": f"Actions of {title}"})),
            html.Div(
                html.Div(
                    [
                        item("Raw requests", **{"data-gl-raw": raw}),
                        item("Create alert", **{"data-gl-alert": alert}),
                    ],
                    className="gl-pop-list",
                ),
                className="gl-pop-body",
            ),
        ],
        className="gl-pop",
    )


def skeleton_stats(count: int = 6) -> Component:
    return html.Div(
        [html.Div(className="gl-stat gl-skeleton") for _ in range(count)], className="gl-stats"
    )


def skeleton_rows(count: int = 6) -> Component:
    return html.Div(
        [html.Div(className="gl-row gl-skeleton") for _ in range(count)], className="gl-rows"
    )


def page_link(text: Component, href: str, className: str = "") -> Component:
    """A link inside the app for long lists: the browser follows it without loading a page.

    Hundreds of `dcc.Link` block the browser for many seconds (each watches the loading state of
    everything); this is a plain link that assets/gatelens.js takes over.
    """
    return html.A(text, href=href, className=className, **attrs({"data-gl-go": "1"}))


def api_link(name: str | None, href: str, colour: str) -> Component:
    return html.Span(
        [dot(colour), page_link(fmt.plain(name), href, "gl-name")],
        className="gl-api",
    )


def dot(colour: str) -> Component:
    return html.I(className="gl-dot", style={"background": colour})


def badge(text: str, tone: str = "") -> Component:
    return html.Span(text, className=f"gl-badge {tone}".strip())


def number(
    text: str,
    value: float | int | None,
    *,
    id: str = "",
    tone: str = "",
) -> Component:
    extra: dict[str, Any] = {"data-value": fmt.exact(value)}
    if id:
        extra["id"] = id
    return html.Span(text, className=f"gl-num {tone}".strip(), **extra)


@dataclass(frozen=True, slots=True)
class Head:
    """A table's column; numbers stand right."""

    title: str
    right: bool = False
    width: str = ""


def table(heads: Sequence[Head], rows: Sequence[Sequence[Component]], *, empty: str) -> Component:
    """A small table. `empty` is the sentence shown instead of no rows."""
    if not rows:
        return html.Div(empty, className="gl-none")
    return html.Div(
        html.Table(
            [
                html.Thead(
                    html.Tr(
                        [
                            html.Th(
                                h.title,
                                className="r" if h.right else "",
                                style={"width": h.width} if h.width else {},
                            )
                            for h in heads
                        ]
                    )
                ),
                html.Tbody(
                    [
                        html.Tr(
                            [
                                html.Td(cell, className="r" if head.right else "")
                                for head, cell in zip(heads, row, strict=True)
                            ]
                        )
                        for row in rows
                    ]
                ),
            ],
            className="gl-table",
        ),
        className="gl-table-wrap",
    )


def share_bar(share: float | None, colour: str) -> Component:
    """A share from 0 to 1 as a thin bar."""
    width = f"{max(0.0, min(1.0, share or 0.0)) * 100:.1f}%"
    return html.Div(
        html.Div(style={"width": width, "background": colour}),
        className="gl-bar",
        title=fmt.percent(share),
    )


def page_head(title: Component, sub: Component = None, actions: Component = None) -> Component:
    return html.Div(
        [
            html.Div(
                [html.H1(title), html.Div(sub, className="gl-sub") if sub is not None else None]
            ),
            html.Div(actions, className="gl-head-actions") if actions is not None else None,
        ],
        className="gl-page-head",
    )


def crumbs(*parts: tuple[str, str]) -> Component:
    """Way back up: (text, href) pairs, the last one is where one is."""
    out: list[Component] = []
    for text, href in parts[:-1]:
        out += [dcc.Link(text, href=href), html.Span("/", className="gl-crumb-sep")]
    out.append(html.Span(parts[-1][0]))
    return html.Nav(out, className="gl-crumbs", **attrs({"aria-label": "Breadcrumb"}))


def empty_installation(collector_http: str = "http://localhost:4318") -> Component:
    """Shown instead of charts while nothing has ever come in: how to get data in."""
    snippets = (
        ("OpenTelemetry SDK or collector", f"export OTEL_EXPORTER_OTLP_ENDPOINT={collector_http}"),
        (
            "NGINX access log",
            "gatelens import nginx /var/log/nginx/access.log --follow",
        ),
        (
            "Any line, from a shell",
            f"tail -1 access.log | curl --data-binary @- {collector_http}/ingest/nginx",
        ),
        ("Sample traffic of a fictional company", "gatelens demo"),
    )
    return html.Div(
        [
            html.H2(ids.EMPTY_TITLE),
            html.P(ids.EMPTY_TEXT),
            html.Div(
                [
                    html.Div([html.Div(title, className="gl-snippet-title"), html.Pre(code)])
                    for title, code in snippets
                ],
                className="gl-snippets",
            ),
        ],
        className="gl-empty",
        id="empty-installation",
    )


def failure(request_id: str) -> Component:
    return html.Div(ids.ERROR_TEXT.format(id=request_id), className="gl-failure", role="alert")


def severity_tone(severity: str) -> str:
    return SEVERITY.get(severity.lower(), "accent")


def when(moment: datetime | None, now: datetime) -> Component:
    return html.Span(fmt.ago(moment, now), title=fmt.clock(moment), className="gl-when")
