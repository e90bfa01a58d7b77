"""What lies beside a table: one of its rows, whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dash import html

from dashboards import format as fmt
from dashboards.components.base import Component, attrs
from dashboards.components.links import page_link

LONG_TEXT = 120
"""Characters from which on a value stands under its name, as typed: stack traces, statements."""


def drawer(title: Component, *parts: Component, label: str, parameter: str) -> Component:
    """label: what a screen reader says. parameter: of the URL, opens it; closing clears it."""
    close = html.Button(
        "Close", className="gl-button", type="button", **attrs({"data-gl-set": f"{parameter}="})
    )
    head = html.Div([html.H2(title, className="gl-api"), close], className="gl-drawer-head")
    return html.Aside([head, *parts], className="gl-drawer", **attrs({"aria-label": label}))


def pairs_of(entries: Iterable[Mapping[str, str | None]] | None) -> list[tuple[str, str | None]]:
    """Keys and values of a map, from DuckDB's `map_entries`."""
    return [(entry["key"] or "", entry["value"]) for entry in entries or ()]


def facts(
    title: str,
    pairs: Iterable[tuple[str, str | None]],
    href: Callable[[str, str], str] | None = None,
) -> Component:
    """Names and values under a title; None where there is none. href: where a value leads, by its
    name and itself. Values are telemetry: shown as text, links come from `href` alone."""
    lines: list[Component] = []
    for name, value in pairs:
        if value is None or value == "":
            continue
        shown: Component = fmt.cleaned(value, 4_000)
        if len(value) > LONG_TEXT or "\n" in value:
            kept = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in value[:8_000])
            shown = html.Pre(kept, className="gl-pre")
        elif href is not None:
            shown = page_link(shown, href(name, value), "gl-name")
        lines += [html.Dt(fmt.plain(name, 80)), html.Dd(shown)]
    if not lines:
        return None
    return html.Div([html.H3(title), html.Dl(lines, className="gl-kv")])
