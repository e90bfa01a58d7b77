"""Ways from one screen to another, and the head every page begins with."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from dash import html

from dashboards import format as fmt
from dashboards import identity
from dashboards.components.base import Component, attrs, dot
from dashboards.doorkeeper import opens


def page_link(
    text: Component, href: str, className: str = "", *, id: str = "", name: str = ""
) -> Component:
    """A link inside the app: the browser follows it without loading a page. Text alone where it
    leads to a screen that the reader may not open.

    Hundreds of `dcc.Link` block the browser for many seconds (each watches the loading state of
    everything); this is a plain link that assets/gatelens.js takes over.
    `name`: what a screen reader says where the text does not say it.
    """
    more: dict[str, Any] = {"id": id} if id else {}
    if not opens(href):
        return html.Span(text, className=className, **more)
    said = {"data-gl-go": "1", **({"aria-label": name} if name else {})}
    return html.A(text, href=href, className=className, **attrs(said), **more)


def api_link(name: str | None, href: str, colour: str) -> Component:
    return html.Span(
        [dot(colour), page_link(fmt.plain(name), href, "gl-name")],
        className="gl-api",
    )


def file_links(answer: str, **asked: object) -> Component:
    """A list of the HTTP API (`quota`, `slos`, ...) as a file of all its rows, asked with these
    words; nothing for those who may take none."""
    if not identity.allowed("export"):
        return None
    return html.Div(
        [
            html.A(
                text,
                href=f"/api/v1/analytics/{answer}?{urlencode({**asked, 'format': shape}, True)}",
                className="gl-button",
                download="",
            )
            for text, shape in (("CSV", "csv"), ("Parquet", "parquet"))
        ],
        className="gl-head-actions",
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
        out += [page_link(text, href), html.Span("/", className="gl-crumb-sep")]
    out.append(html.Span(parts[-1][0]))
    return html.Nav(out, className="gl-crumbs", **attrs({"aria-label": "Breadcrumb"}))
