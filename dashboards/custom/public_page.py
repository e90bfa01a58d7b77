"""The page behind a public link: one dashboard, without login, without Dash, without anything else.

GET /public is a page that knows nothing; the token stands behind the `#` of its address, which
browsers send to nobody. The page's script POSTs it to /public/view and gets the drawn dashboard. So
the token is in no access log and in no Referer, and nothing but the link's own scope can be asked:
neither range nor filters are taken from the request.
"""

from __future__ import annotations

import asyncio
import zlib
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import orjson
from dash import html

from dashboards import format as fmt
from dashboards import identity, theme
from dashboards.branding import Brand
from dashboards.components import Component
from dashboards.custom.boards import Boards
from dashboards.custom.definition import Panel
from dashboards.custom.errors import DashboardMissing
from dashboards.custom.html_text import to_html
from dashboards.custom.panel_content import content
from dashboards.custom.public_link import PublicLink
from dashboards.custom.store import Saved
from dashboards.serving.guards import Receive, Scope, Send, refuse, respond_json, with_headers
from dashboards.view import View, parse_view

PATH = "/public"
VIEW_PATH = "/public/view"
BODY_BYTES_MAX = 1_024
REFRESH_S = 30

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"x-robots-tag", b"noindex, nofollow"),
)

GONE = "This link does not work (any more). Ask whoever gave it to you for another."

_PAGE = """<!DOCTYPE html>
<html lang="en" data-scheme="dark"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<link rel="icon" href="data:,">
<style>{tokens}</style>
{styles}</head>
<body class="gl-public"><header class="gl-header"><div class="gl-brand">{brand}</div>
<div class="gl-header-space"></div><span id="public-label" class="gl-sub"></span></header>
<main class="gl-content"><div id="public"><p class="gl-sub">Loading…</p></div></main>
{scripts}</body></html>"""


_ASSETS = Path(__file__).parents[1] / "assets"
_STYLES = ("gatelens.css", "gl_boards.css")
_SCRIPTS = ("vendor/plotly-cartesian.min.js", "gl_map.js", "gl_public.js")


def _asset(name: str) -> str:
    """Address of one of our files; another content has another address, since they are kept."""
    return f"/assets/{name}?v={zlib.crc32((_ASSETS / name).read_bytes()):x}"


def is_public(path: str) -> bool:
    return path == PATH or path.startswith(PATH + "/")


class PublicPages:
    """ASGI, for everything `is_public` is true for. Needs no principal and makes its own."""

    def __init__(self, boards: Boards, brand: Brand) -> None:
        self._boards = boards
        self._page = _PAGE.format(
            title=escape(brand.name),
            tokens=theme.css(brand.accents),
            brand=to_html(brand.mark()),
            styles="".join(f'<link rel="stylesheet" href="{_asset(name)}">' for name in _STYLES),
            scripts="".join(f'<script src="{_asset(name)}"></script>' for name in _SCRIPTS),
        ).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method, sending = scope["path"], scope["method"], with_headers(send, HEADERS)
        if path == PATH and method in ("GET", "HEAD"):
            return await _page(sending, b"" if method == "HEAD" else self._page)
        if path != VIEW_PATH:
            return await refuse(sending, 404, GONE)
        if method != "POST":
            return await refuse(sending, 405, "The view is asked for with POST.")
        token, mode = _read(await _body(receive))
        try:
            link, saved = await asyncio.to_thread(self._boards.find_link, token)
        except DashboardMissing:
            return await refuse(sending, 404, GONE)
        with identity.acting_as(asker(link)):
            return await respond_json(sending, 200, await self._view(link, saved, mode))

    async def _view(self, link: PublicLink, saved: Saved, mode: str) -> dict[str, Any]:
        data = self._boards.data
        view = parse_view(link.scope.search(), now=data.clock(), mode=mode)
        panels = sorted(saved.dashboard.panels, key=lambda p: (p.at.y, p.at.x))
        drawn = await asyncio.gather(
            *(content(data, panel, view, interactive=False) for panel in panels)
        )
        cells = [_cell(panel, inside) for panel, inside in zip(panels, drawn, strict=True)]
        shown = saved.dashboard
        return {
            "title": shown.title,
            "label": f"{view.label}{_filters(view)}",
            "refresh_s": REFRESH_S,
            "html": to_html(
                [
                    html.Div(
                        [
                            html.H1(shown.title),
                            html.Div(shown.description, className="gl-sub"),
                        ],
                        className="gl-page-head gl-public-head",
                    ),
                    html.Div(cells, className="gl-board"),
                    html.Footer(_foot(link, data.clock()), className="gl-sub gl-public-foot"),
                ]
            ),
        }


def asker(link: PublicLink) -> identity.Principal:
    """Who looks through a link: may look, at its maker's rows, and nothing else."""
    return identity.Principal(
        id=f"link {link.id}",
        name=f"public link {link.id}",
        kind="public",
        tenant=link.tenant,
        permissions=frozenset({"read"}),
        scope=link.scope.rows,
    )


def _cell(panel: Panel, inside: Component) -> Component:
    at = panel.at
    title = html.H2(fmt.plain(panel.title, 120), className="gl-panel-title")
    return html.Div(
        html.Div(
            [
                html.Div(title if panel.title else None, className="gl-panel-head"),
                html.Div(inside, className=f"gl-cell-body {panel.kind}"),
            ],
            className="gl-panel",
        ),
        className="gl-cell",
        style={
            "gridColumn": f"{at.x + 1} / span {at.w}",
            "gridRow": f"{at.y + 1} / span {at.h}",
        },
    )


def _filters(view: View) -> str:
    told = [f"{name} {', '.join(values)}" for name, values in view.filters.items()]
    return f" · {' · '.join(told)}" if told else ""


def _foot(link: PublicLink, now: datetime) -> str:
    until = datetime.fromtimestamp(link.expires_at, UTC)
    return f"As of {fmt.clock(now)} UTC. This link works until {fmt.clock(until)} UTC."


def _read(body: bytes) -> tuple[str, str]:
    try:
        said = orjson.loads(body)
        return str(said["token"])[:100], "light" if said.get("mode") == "light" else "dark"
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return "", "dark"


async def _body(receive: Receive) -> bytes:
    """The body, up to a limit; what is longer is no token and is not read on."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX or not message.get("more_body"):
            return body if len(body) <= BODY_BYTES_MAX else b""


async def _page(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
