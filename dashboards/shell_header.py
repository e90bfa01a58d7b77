"""The header of every screen: search, environment, compare, time range, refresh, theme, account.

Its buttons say what they do in `data-gl-*` attributes; assets/gatelens.js does it in the browser.
"""

from __future__ import annotations

from dash import dcc, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.components import Component, attrs
from dashboards.identity import Principal
from dashboards.view import RANGES, REFRESHES


def header(who: Principal) -> Component:
    return html.Header(
        [
            html.Div(id=ids.FRESHNESS, className="gl-fresh"),
            html.Button(
                [icon("search"), html.Span("Search or jump to"), html.Kbd("Ctrl K")],
                className="gl-button gl-search",
                type="button",
                **attrs({"data-gl-open": "palette", "aria-label": "Command palette"}),
            ),
            html.Div(className="gl-header-space"),
            _environment_menu(),
            _compare_button(),
            _range_menu(),
            _refresh_menu(),
            _theme_menu(),
            _person_menu(who),
        ],
        className="gl-header",
    )


def icon(name: str) -> Component:
    return html.I(className=f"gl-icon gl-i-{name}", **attrs({"aria-hidden": "true"}))


def _menu(label: Component, body: Component, name: str) -> Component:
    return html.Details(
        [
            html.Summary(label, className="gl-button", **attrs({"aria-label": name})),
            html.Div(body, className="gl-pop-body"),
        ],
        className="gl-pop",
    )


def menu_item(text: str, **attributes: str) -> Component:
    return html.Button(text, className="gl-menu-item", type="button", **attrs(attributes))


def _range_menu() -> Component:
    quick = [
        menu_item(text, **attrs({"data-gl-set": f"from={start}&to=now"})) for start, text in RANGES
    ]
    form = [
        html.Label(
            [
                "From",
                dcc.Input(
                    id=ids.RANGE_FROM,
                    className="gl-input",
                    type="text",
                    placeholder="now-3h or 2026-11-21 10:00",
                ),
            ]
        ),
        html.Label(
            ["To", dcc.Input(id=ids.RANGE_TO, className="gl-input", type="text", placeholder="now")]
        ),
        html.Div("Dragging on a chart zooms.", className="gl-menu-help"),
        # Filled by assets/gl_zone.js with every zone the browser knows.
        html.Label(["Time zone", html.Select([], id="zone-choice", className="gl-select")]),
        html.Button(
            "Apply",
            className="gl-button primary",
            type="button",
            **attrs({"data-gl-apply-range": "1"}),
        ),
    ]
    return _menu(
        [icon("clock"), html.Span(id=ids.RANGE_LABEL)],
        html.Div(
            [html.Div(quick, className="gl-menu-quick"), html.Div(form, className="gl-menu-form")],
            className="gl-menu",
        ),
        "Time range",
    )


def _refresh_menu() -> Component:
    items = [
        menu_item("Refresh now", **attrs({"data-gl-refresh-now": "1"})),
        *(
            menu_item(
                "Off" if name == "off" else f"Every {name}",
                **attrs({"data-gl-set": f"refresh={name}"}),
            )
            for name in REFRESHES
        ),
    ]
    return _menu(
        [icon("refresh"), html.Span(id=ids.REFRESH_LABEL)],
        html.Div(items, className="gl-pop-list"),
        "Auto-refresh",
    )


def _environment_menu() -> Component:
    return _menu(
        [icon("env"), html.Span("All environments", id=ids.ENVIRONMENT)],
        html.Div(id="environment-list", className="gl-pop-list"),
        "Environment",
    )


def _compare_button() -> Component:
    return html.Button(
        [icon("compare"), html.Span("Compare")],
        id="compare",
        className="gl-button",
        type="button",
        title="Draw the equal range just before beside this one",
        **attrs({"data-gl-toggle": "compare", "aria-label": "Compare with the range before"}),
    )


def _theme_menu() -> Component:
    items = [
        menu_item(name.capitalize(), **attrs({"data-gl-theme": name}))
        for name in ("dark", "light", "system")
    ]
    return html.Details(
        [
            html.Summary(
                icon("theme"), className="gl-button icon", **attrs({"aria-label": "Theme"})
            ),
            html.Div(html.Div(items, className="gl-pop-list"), className="gl-pop-body"),
        ],
        className="gl-pop",
    )


def _person_menu(who: Principal) -> Component:
    """Who is signed in, and the way out. Nothing where no login is asked."""
    if who.kind != "user":
        return None
    where = "" if who.at_home else f" · {fmt.plain(who.tenant, 40)}"
    return html.Details(
        [
            html.Summary(
                icon("person"), className="gl-button icon", **attrs({"aria-label": "Account"})
            ),
            html.Div(
                html.Div(
                    [
                        html.Div(
                            [
                                html.B(fmt.plain(who.name, 60)),
                                html.Div(f"{who.role_title}{where}", className="gl-sub"),
                            ],
                            className="gl-person",
                        ),
                        html.Form(
                            html.Button("Sign out", className="gl-menu-item", type="submit"),
                            method="POST",
                            action="/logout",
                        ),
                    ],
                    className="gl-pop-list",
                ),
                className="gl-pop-body",
            ),
        ],
        className="gl-pop",
        id="person",
    )
