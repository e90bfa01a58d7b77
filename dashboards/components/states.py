"""What stands where there is no data: skeletons while it comes, how to get it in, a failure."""

from __future__ import annotations

from collections.abc import Sequence

from dash import html

from dashboards import ids
from dashboards.components.base import Component


def skeleton_stats(count: int = 6) -> Component:
    return html.Div(
        [html.Div(className="gl-stat gl-skeleton") for _ in range(count)], className="gl-stats"
    )


def skeleton_rows(count: int = 6) -> Component:
    return html.Div(
        [html.Div(className="gl-row gl-skeleton") for _ in range(count)], className="gl-rows"
    )


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
        empty_box(ids.EMPTY_TITLE, ids.EMPTY_TEXT, snippets),
        id="empty-installation",
    )


def empty_box(title: str, text: str, snippets: Sequence[tuple[str, str]] = ()) -> Component:
    """Why there is nothing, and what to type to change that: (title, code) side by side."""
    return html.Div(
        [
            html.H2(title),
            html.P(text),
            html.Div(
                [
                    html.Div([html.Div(title, className="gl-snippet-title"), html.Pre(code)])
                    for title, code in snippets
                ],
                className="gl-snippets",
            )
            if snippets
            else None,
        ],
        className="gl-empty",
    )


def failure(request_id: str) -> Component:
    return html.Div(ids.ERROR_TEXT.format(id=request_id), className="gl-failure", role="alert")
