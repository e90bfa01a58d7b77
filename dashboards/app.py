"""Makes the Dash app: frame, pages, routing by path. Everything blocking is behind `Data`."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Awaitable, Callable, Sequence
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from urllib.parse import unquote

from dash import Dash, Input, Output, html
from dash import _utils as dash_utils
from dash.backends import _fastapi as dash_fastapi
from fastapi import Request
from fastapi.responses import HTMLResponse

from dashboards import identity, ids, shell, theme
from dashboards.branding import Brand
from dashboards.components import page_head
from dashboards.components.as_data import as_data
from dashboards.data import Data
from dashboards.doorkeeper import Doorkeeper, permission_of
from dashboards.guard import guarded
from dashboards.pages import (
    admin,
    alert_more,
    alerts,
    api_detail,
    apis,
    board,
    boards,
    consumer_detail,
    consumers,
    home,
    logs,
    me,
    metrics,
    operate,
    products,
    reports,
    requests,
    services,
    sql,
    trace_detail,
    traces,
)
from dashboards.serving.first_page import FirstScreen, Place, block
from dashboards.serving.head_start import HeadStarts
from dashboards.serving.light_app import LightApp
from dashboards.serving.warm import Panel

PAGES: dict[str, ModuleType] = {
    "": home,
    "dashboards": boards,
    "apis": apis,
    "consumers": consumers,
    "products": products,
    "reports": reports,
    "requests": requests,
    "traces": traces,
    "services": services,
    "explorer": metrics,
    "logs": logs,
    "sql": sql,
    "operate": operate,
    "alerts": alerts,
    "admin": admin,
    "me": me,
}
"""First part of the path -> page with `layout(data)` and `register(app, data)`."""

DETAILS: dict[str, ModuleType] = {
    "alerts": alert_more,
    "apis": api_detail,
    "dashboards": board,
    "consumers": consumer_detail,
    "traces": trace_detail,
}
"""The same for `/<first>/<name>`: pages about one thing, `layout(data, name)`."""

NOT_FOR_YOU = "This screen needs another role than yours; an admin can give it to you."

_fastapi: Any = dash_fastapi
_to_json: Any = dash_utils.to_json  # not typed by the library

_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{%title%}</title>
{%favicon%}
<style>__TOKENS__</style>
{%css%}
<script src="/assets/boot.js?v=__BOOT__"></script>
</head>
<body>
{%app_entry%}
__FIRST_ANSWERS__
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


_FIRST_ANSWERS = "__FIRST_ANSWERS__"


class HttpOnlyBackend(dash_fastapi.FastAPIDashServer):
    """Dash on FastAPI without its WebSocket: no callback uses it, so it need not be guarded."""

    websocket_capability = False

    def setup_index(self, dash_app: Any) -> None:
        """Called by Dash for `/`, which is an address like the others to `serve_pages`."""

    def _setup_catchall(self) -> None:
        """Called by Dash on start, for whichever app was made last; `serve_pages` does it."""

    def serve_pages(self, app: Any) -> None:
        """Answer every other GET with the page, its screen inside."""

        async def page(request: Request) -> HTMLResponse:
            text = await app.whole_page(request)
            return HTMLResponse(text, headers={"cache-control": "no-store"})

        self.server.add_api_route("/{path:path}", page, methods=["GET"], include_in_schema=False)


class LeanDash(Dash):
    """Dash whose page loads only what its screen needs at once, and brings the screen along."""

    panels: Sequence[Panel] = ()
    """What draws from the page's view alone, of all screens."""
    frame: Callable[[FirstScreen | None], Any]
    """What is around every screen, with one in it or none, for whoever is asking."""
    screen: Callable[[str], Awaitable[Any]]
    """Path, percent-encoded -> its content, for whoever is asking; never raises."""
    head_starts: HeadStarts | None = None
    """Set where questions may go on after the page was sent."""

    async def whole_page(self, request: Request) -> str:
        """The page of an address, with what the framework would ask for next; first_page.py."""
        place = Place.of(request.scope)
        first = FirstScreen(place, await self.screen(place.path))
        if self.head_starts and shown(place.path):
            key, name = split_path(place.path)
            self.head_starts.begin(key + "/" if name else key, name, place.search)
        answers = (
            block("/_dash-layout", _to_json(as_data(self.frame(first))), place),
            block("/_dash-dependencies", self._dependencies),
        )
        token = _fastapi.set_current_request(request)
        try:
            made: Any = super().index  # not typed by the library
            page: str = made()
        finally:
            _fastapi.reset_current_request(token)
        return page.replace(_FIRST_ANSWERS, "".join(answers))

    @functools.cached_property
    def _dependencies(self) -> str:
        """The same for everybody; asked for when all callbacks are registered."""
        text: str = _to_json(self._callback_list)
        return text

    def interpolate_index(self, **parts: str) -> str:  # type: ignore[override]  # by name
        """Called by Dash to put the page together."""
        path = _fastapi.get_current_request().url.path
        scripts = lean(parts.pop("scripts"), path)
        put_together: Any = super().interpolate_index  # not typed by the library
        page: str = put_together(scripts=scripts, **parts)
        return page


def create_app(data: Data) -> LeanDash:
    """The Dash app with every page's callbacks; `app.server` is the ASGI application."""
    app = LeanDash(
        "dashboards",
        backend=HttpOnlyBackend,
        title=escape(data.settings.title),
        update_title="",
        suppress_callback_exceptions=True,
        assets_ignore=r"boot\.js|gridstack.*|gl_public\.js",
        index_string=_index(data.brand),
        add_log_handler=False,
        enable_mcp=False,
    )
    light = LightApp(app)
    app.panels = light.panels

    @guarded(show_in=0)
    async def screen(path: object) -> Any:
        return page_for(path if isinstance(path, str) else "/", data)

    def frame(first: FirstScreen | None = None) -> Any:
        return light.lightened(shell.layout(data.settings, data.brand, identity.current(), first))

    app.screen, app.frame = screen, frame
    with identity.acting_as(identity.LOCAL):  # Dash looks at it once; then it is made per person
        app.layout = frame
    shell.register(cast(Any, light), data)  # as much of an app as it uses
    for pages, mark in ((PAGES, ""), (DETAILS, "/")):
        for key, page in pages.items():
            light.screen = key + mark
            page.register(Doorkeeper(light, permission_of(key)), data)

    # The first screen comes with the page: this is for moving on from it.
    light.callback(
        Output(ids.PAGE, "children"), Input(ids.URL, "pathname"), prevent_initial_call=True
    )(screen)

    backend: Any = app.backend
    backend.serve_pages(app)
    # Dash does this on the first request to `/`; whoever opens another address first would get a
    # page without our scripts.
    setup: Any = app._setup_server
    with identity.acting_as(identity.LOCAL):
        setup()
    return app


_GRID_SCRIPT = re.compile(r'<script src="([^"]*/dash_ag_grid\.[^"]*)"></script>')
_UNUSED_SCRIPT = re.compile(r'<script src="[^"]*/dash_table/[^"]*"></script>')
_WITH_GRID = frozenset({"apis", "consumers", "traces", "logs", "requests"})
"""Screens that show a grid at once; elsewhere its script comes after the first paint."""


def lean(page: str, path: str) -> str:
    """The page without scripts it does not need yet: the grid's 360 kB wait where none is shown
    (assets/gl_deferred.js loads them), and the old table's never come."""
    page = _UNUSED_SCRIPT.sub("", page)
    first, rest = split_path(path)
    if first in _WITH_GRID and (not rest or first == "traces"):
        return page
    return _GRID_SCRIPT.sub(r'<script data-gl-grid="\1"></script>', page)


def _index(brand: Brand) -> str:
    boot = Path(__file__).with_name("assets") / "boot.js"
    version = f"{zlib.crc32(boot.read_bytes()):x}"
    return _INDEX.replace("__TOKENS__", theme.css(brand.accents)).replace("__BOOT__", version)


def split_path(path: str) -> tuple[str, str]:
    """'/apis/orders%20v2' -> ('apis', 'orders v2'); a slash inside the name stays part of it."""
    first, _, rest = path.strip("/").partition("/")
    return first, unquote(rest)


def known_path(path: str) -> bool:
    """Whether a screen lives there; anything else answers 404."""
    first, rest = split_path(path)
    return first in (DETAILS if rest else PAGES)


def shown(path: str) -> bool:
    """Whether the screen that lives there is for whoever is asking."""
    return known_path(path) and identity.allowed(permission_of(split_path(path)[0]))


def page_for(path: str, data: Data) -> Any:
    first, rest = split_path(path)
    if not known_path(path):
        return html.Div(
            [
                page_head("Nothing here"),
                html.P("This address belongs to no screen; start from Home."),
            ]
        )
    if not first and not identity.allowed("read") and identity.allowed("own"):
        return me.layout(data)  # an app developer's home
    if not identity.allowed(permission_of(first)):
        return html.Div([page_head("Not for your role"), html.P(NOT_FOR_YOU)])
    if rest:
        return DETAILS[first].layout(data, rest)
    return PAGES[first].layout(data)
