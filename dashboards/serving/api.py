"""The HTTP query API under /api: SQL, the analytics router, and its OpenAPI description.

The description page is our own HTML: the usual viewers come from a CDN, and this works offline.
"""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from analytics.api import install
from dashboards.custom import api as custom_api
from dashboards.custom.boards import Boards
from dashboards.data import Data
from dashboards.errors import Forbidden
from dashboards.people import api as people_api
from dashboards.saved_statements import SavedStatements
from dashboards.serving import saved_statements_api
from dashboards.serving.sql_api import create_router

_PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title} API</title>
<style>body{{font:15px/1.55 system-ui,sans-serif;max-width:820px;margin:40px auto;padding:0 20px;
color:#151b26}}code,pre{{font-family:ui-monospace,monospace;font-size:13px}}
pre{{background:#f5f6f8;padding:12px;border-radius:6px;overflow:auto}}
section{{border-top:1px solid #e3e7ed;padding:14px 0}}b.m{{color:#2463d6;margin-right:8px}}
@media(prefers-color-scheme:dark){{body{{background:#0d1015;color:#e7eaf0}}
pre{{background:#14181f}}section{{border-color:#232a35}}b.m{{color:#6ba4ff}}}}</style></head><body>
<h1>{title} query API</h1><p>{about} The machine-readable description is
<a href="/api/openapi.json">openapi.json</a>.</p>{sections}</body></html>"""


def create_api(data: Data) -> FastAPI:
    """The FastAPI application that answers everything under /api."""
    api = FastAPI(
        title=data.settings.title,
        description="Read-only questions to the lake.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )

    api.include_router(create_router(data))
    api.include_router(people_api.create_router(data))
    install(api, lambda _request: data.analytics, lambda _request: data.catalog, data.state)
    custom_api.install(api, Boards(data))
    saved_statements_api.install(api, SavedStatements(data.state))

    @api.get("/api/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(api.openapi()))

    @api.exception_handler(HTTPException)
    async def as_sentence(_request: Request, err: HTTPException) -> JSONResponse:
        text = (
            "Nothing lives at this address; see /api/docs."
            if err.status_code == 404
            else err.detail
        )
        return JSONResponse({"error": text}, status_code=err.status_code, headers=err.headers)

    @api.exception_handler(Forbidden)
    async def not_for_you(_request: Request, err: Forbidden) -> JSONResponse:
        return JSONResponse({"error": str(err)}, status_code=403)

    @api.exception_handler(RequestValidationError)
    async def unreadable(_request: Request, err: RequestValidationError) -> JSONResponse:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"error": f"{where}: {first['msg']}"}, status_code=400)

    return api


def docs_page(schema: dict[str, Any]) -> str:
    """Every operation of an OpenAPI description as plain HTML."""
    sections = []
    for path, operations in schema.get("paths", {}).items():
        for method, operation in operations.items():
            sections.append(
                f"<section><h3><b class=m>{escape(method.upper())}</b>"
                f"<code>{escape(path)}</code></h3>"
                f"<p>{escape(operation.get('summary', ''))}</p>"
                f"<pre>{escape(operation.get('description', ''))}</pre></section>"
            )
    info = schema["info"]
    return _PAGE.format(
        title=escape(info["title"]),
        about=escape(info.get("description", "")),
        sections="".join(sections) or "<p>No operation yet.</p>",
    )
