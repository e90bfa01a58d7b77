"""The frame around every page: navigation, header with time range, refresh, environment and theme.

The frame never asks the server for more than the list of environments and the freshness of data;
everything else in it runs in the browser (assets/gatelens.js).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboards import format as fmt
from dashboards import ids
from dashboards.branding import Brand
from dashboards.completeness_notes import completeness_notes
from dashboards.components import attrs
from dashboards.data import Data, refresh_name
from dashboards.doorkeeper import permission_of
from dashboards.first_page import FirstScreen
from dashboards.guard import guarded
from dashboards.identity import Principal
from dashboards.ids import NavItem
from dashboards.settings import DashboardSettings
from dashboards.view import FILTERS, RANGES, REFRESHES

Component = Any

_ICONS = {"": "home", "explorer": "metrics", "me": "person"}
_TIMER_MS = 1000
"""How often the browser looks whether a refresh is due; refreshes come at their own pace."""


def layout(
    settings: DashboardSettings, brand: Brand, who: Principal, first: FirstScreen | None = None
) -> Component:
    """The frame as `who` gets it: only ways to what they may see. first: the screen in it; None =
    it is asked for when the browser has found out where it is."""
    items = [item for item in ids.NAV if who.may(permission_of(item.key))]
    return html.Div(
        [
            _address(first),
            dcc.Store(id=ids.SCHEME),
            dcc.Store(id="scheme-asked", data=0),
            dcc.Store(id=ids.VIEW),
            dcc.Store(id=ids.TICK, data=0),
            dcc.Store(id="zoomed"),
            dcc.Store(id="header-options", data=_options(settings)),
            dcc.Store(id="nav-links", data=[{"key": item.key} for item in items]),
            dcc.Interval(id=ids.TIMER, interval=_TIMER_MS),
            html.Div(
                [
                    _navigation(settings, brand, items),
                    html.Div([_header(who), _content(first)], className="gl-main"),
                ],
                className="gl-shell",
            ),
        ],
    )


def _options(settings: DashboardSettings) -> dict[str, object]:
    return {
        "from": settings.default_range,
        "refresh": refresh_name(settings.default_refresh_s),
        "ranges": [list(pair) for pair in RANGES],
        "refreshes": dict(REFRESHES),
        "dimensions": dict(FILTERS),
    }


def _navigation(settings: DashboardSettings, brand: Brand, items: Sequence[NavItem]) -> Component:
    links: list[Component] = []
    group = ""
    for item in items:
        if item.group != group:
            group = item.group
            links.append(html.Div(group, className="gl-nav-group"))
        links.append(
            dcc.Link(
                [icon(_ICONS.get(item.key, item.key)), html.Span(item.label)],
                href=item.path,
                id=ids.nav(item.key),
                className="gl-nav-link",
            )
        )
    return html.Nav(
        [
            html.Div(
                brand.mark(),
                className="gl-brand",
            ),
            *links,
            html.Button(
                [html.Span("Shortcuts"), html.Kbd("?")],
                className="gl-nav-foot",
                type="button",
                **attrs({"data-gl-open": "shortcuts"}),
            ),
        ],
        className="gl-nav",
        **attrs({"aria-label": "Main"}),
    )


def _header(who: Principal) -> Component:
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


def _address(first: FirstScreen | None) -> Component:
    if first is None:
        return dcc.Location(id=ids.URL, refresh=False)
    place = first.place
    return dcc.Location(id=ids.URL, refresh=False, pathname=place.path, search=place.search)


def _content(first: FirstScreen | None) -> Component:
    return html.Main(
        [
            html.Div(id=ids.FILTER_BAR, className="gl-filters"),
            html.Div(id=ids.NOTES, className="gl-notes"),
            html.Div(first.content if first else None, id=ids.PAGE),
        ],
        className="gl-content",
    )


def _menu(label: Component, body: Component, name: str) -> Component:
    return html.Details(
        [
            html.Summary(label, className="gl-button", **attrs({"aria-label": name})),
            html.Div(body, className="gl-pop-body"),
        ],
        className="gl-pop",
    )


def _item(text: str, **attributes: str) -> Component:
    return html.Button(text, className="gl-menu-item", type="button", **attrs(attributes))


def _range_menu() -> Component:
    quick = [
        _item(text, **attrs({"data-gl-set": f"from={start}&to=now"})) for start, text in RANGES
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
        _item("Refresh now", **attrs({"data-gl-refresh-now": "1"})),
        *(
            _item(
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
        _item(name.capitalize(), **attrs({"data-gl-theme": name}))
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


def icon(name: str) -> Component:
    return html.I(className=f"gl-icon gl-i-{name}", **attrs({"aria-hidden": "true"}))


def register(app: Dash, data: Data) -> None:
    """The frame's callbacks: five in the browser, one on the server."""
    client = "gatelens"
    clientside: Any = app.clientside_callback  # not typed by the library
    clientside(
        ClientsideFunction(client, "scheme"),
        Output(ids.SCHEME, "data"),
        Input("scheme-asked", "data"),
    )
    clientside(
        ClientsideFunction(client, "tick"),
        Output(ids.TICK, "data"),
        Input(ids.TIMER, "n_intervals"),
        State(ids.TICK, "data"),
        prevent_initial_call=True,
    )
    clientside(
        ClientsideFunction(client, "view"),
        Output(ids.VIEW, "data"),
        Input(ids.URL, "search"),
        Input(ids.URL, "pathname"),
        Input(ids.TICK, "data"),
        Input(ids.SCHEME, "data"),
    )
    clientside(
        ClientsideFunction(client, "header"),
        Output(ids.RANGE_LABEL, "children"),
        Output(ids.REFRESH_LABEL, "children"),
        Output(ids.ENVIRONMENT, "children"),
        Output({"type": "nav", "key": ALL}, "href"),
        Output({"type": "nav", "key": ALL}, "className"),
        Input(ids.URL, "search"),
        Input(ids.URL, "pathname"),
        State("nav-links", "data"),
        State("header-options", "data"),
    )
    clientside(
        ClientsideFunction(client, "zoom"),
        Output("zoomed", "data"),
        Input({"type": ids.TIME_GRAPH, "name": ALL}, "relayoutData"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(ids.FRESHNESS, "children"),
        Output(ids.FRESHNESS, "className"),
        Output("environment-list", "children"),
        Output(ids.NOTES, "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=4)
    async def frame(stored: object) -> tuple[Component, str, Component, Component]:
        view = data.view(stored)
        completeness, environments = await asyncio.gather(
            data.completeness(view), data.environments()
        )
        newest = completeness.data_until
        age_s = None if newest is None else (data.clock() - newest).total_seconds()
        tone = "" if age_s is None else "good" if age_s < 60 else "warn"
        text = (
            "No data in range"
            if newest is None
            else f"Data until {fmt.clock(newest)} {fmt.zone_name()}"
        )
        menu = [
            _item("All environments", **attrs({"data-gl-set": "env="})),
            *(
                _item(fmt.plain(name), **attrs({"data-gl-set": f"env={name}"}))
                for name in environments
            ),
        ]
        notes = [html.Div(note, className="gl-note", role="status") for note in view.notes]
        notes += completeness_notes(completeness, view, data.clock())
        return [html.I(), html.Span(text)], f"gl-fresh {tone}", menu, notes
