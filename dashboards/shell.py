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
from dashboards.components import attrs
from dashboards.data import Data, refresh_name
from dashboards.doorkeeper import permission_of
from dashboards.guard import guarded
from dashboards.identity import Principal
from dashboards.ids import NavItem
from dashboards.panels.completeness_notes import completeness_notes
from dashboards.serving.first_page import FirstScreen
from dashboards.settings import DashboardSettings
from dashboards.shell_header import header, icon, menu_item
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
            dcc.Store(id="header-options", data=_options(settings, who)),
            dcc.Store(id="nav-links", data=[{"key": item.key} for item in items]),
            dcc.Interval(id=ids.TIMER, interval=_TIMER_MS),
            html.Div(
                [
                    _navigation(settings, brand, items),
                    html.Div([header(who), _content(first)], className="gl-main"),
                ],
                className="gl-shell",
            ),
        ],
    )


def _options(settings: DashboardSettings, who: Principal) -> dict[str, object]:
    return {
        "may": sorted(who.permissions),
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
            menu_item("All environments", **attrs({"data-gl-set": "env="})),
            *(
                menu_item(fmt.plain(name), **attrs({"data-gl-set": f"env={name}"}))
                for name in environments
            ),
        ]
        notes = [html.Div(note, className="gl-note", role="status") for note in view.notes]
        notes += completeness_notes(completeness, view, data.clock())
        return [html.I(), html.Span(text)], f"gl-fresh {tone}", menu, notes
