"""HTTP: custom dashboards, for the screens and for whoever keeps dashboards in a repository.

Every change is a version with its author; `seen` says which version the sender knew. Errors are
{"error": sentence}, of a definition also {"problems": [{line, message, hint}]}.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError

from alerting.errors import ConfigInvalid
from analytics.errors import QueryRefused
from analytics.export import to_csv
from dashboards import identity
from dashboards.custom.api_links import link_routes
from dashboards.custom.boards import Boards
from dashboards.custom.checks import first_problem
from dashboards.custom.definition import Dashboard, Panel
from dashboards.custom.difference import difference
from dashboards.custom.errors import (
    CustomError,
    DashboardConflict,
    DashboardMissing,
    DashboardRefused,
)
from dashboards.custom.limits import DEFINITION_BYTES_MAX, PANEL_SECONDS_MAX
from dashboards.custom.panel_content import ask
from dashboards.custom.store import Saved
from dashboards.custom.yaml_text import from_yaml, to_yaml
from dashboards.serving.api_body import Body, iso
from dashboards.serving.exports import name_export
from dashboards.view import parse_view
from storage.errors import SqlError

STATUS = {
    DashboardMissing: 404,
    DashboardConflict: 409,
    DashboardRefused: 400,
}


class NewDashboard(Body):
    """Either a definition, or YAML text."""

    definition: dict[str, Any] | None = None
    yaml: Annotated[str, Field(max_length=DEFINITION_BYTES_MAX)] = ""
    note: Annotated[str, Field(max_length=500)] = ""


class NextVersion(NewDashboard):
    """The same, and the version that it was made from."""

    seen: Annotated[int, Field(ge=1)]


class Restore(Body):
    version: Annotated[int, Field(ge=1)]
    seen: Annotated[int, Field(ge=1)]


class Switch(Body):
    on: bool


class PanelRows(Body):
    """A panel as it is on the screen, saved or not."""

    panel: dict[str, Any]
    dashboard: Annotated[str, Field(max_length=60)] = ""
    version: Annotated[int | None, Field(ge=1)] = None
    search: Annotated[str, Field(max_length=4096)] = ""


def install(api: FastAPI, boards: Boards) -> None:
    """Add the routes and what their errors answer."""

    @api.exception_handler(CustomError)
    async def as_sentence(_request: Request, err: CustomError) -> JSONResponse:
        body: dict[str, Any] = {"error": str(err)}
        if isinstance(err, DashboardConflict):
            body |= {"author": err.author, "version": err.version}
        return JSONResponse(body, status_code=STATUS.get(type(err), 400))

    @api.exception_handler(ConfigInvalid)
    async def as_problems(_request: Request, err: ConfigInvalid) -> JSONResponse:
        found = [{"line": p.line, "message": p.message, "hint": p.hint} for p in err.problems]
        return JSONResponse({"error": str(err), "problems": found}, status_code=400)

    api.include_router(_dashboards(boards))
    api.include_router(link_routes(boards))


def _dashboards(boards: Boards) -> APIRouter:
    router = APIRouter(prefix="/api/v1/dashboards", tags=["dashboards"])

    @router.get("")
    def every() -> dict[str, Any]:
        """All dashboards, by folder and title; favourite and viewed_at are the asker's own."""
        return {
            "dashboards": [
                {name: getattr(entry, name) for name in entry.__slots__}
                for entry in boards.store.all(identity.current().id)
            ]
        }

    @router.post("", status_code=201)
    def create(body: NewDashboard) -> dict[str, Any]:
        """A new dashboard; its id is made of its title."""
        return _answer(boards.create(_read(body), body.note))

    @router.post("/check")
    def check(body: NewDashboard) -> dict[str, Any]:
        """Whether a definition or YAML is right, without saving it; mistakes have lines."""
        return {"definition": _read(body).plain()}

    @router.post("/panel/csv", response_class=Response)
    async def rows(body: PanelRows, request: Request) -> Response:
        """The rows behind a panel, unrounded."""
        data = boards.data
        try:
            panel = Panel.model_validate(body.panel)
        except ValidationError as err:
            raise DashboardRefused(first_problem(err)) from err
        await asyncio.to_thread(boards.check_asks, panel, body.dashboard, body.version)
        view = parse_view(body.search, now=data.clock(), default_from=data.settings.default_range)
        try:
            answer = await asyncio.wait_for(ask(data, panel, view), PANEL_SECONDS_MAX)
        except (QueryRefused, SqlError, TimeoutError) as err:
            raise DashboardRefused(str(err) or "The question took too long.") from err
        if answer is None:
            raise DashboardRefused("A text has no rows.")
        frame = answer.frame.drop("#", strict=False)
        name_export(request, f"panel {panel.title or panel.id}", rows=frame.height)
        return Response(to_csv(frame), media_type="text/csv; charset=utf-8")

    @router.get("/{dashboard_id}")
    def one(
        dashboard_id: str,
        version: Annotated[int | None, Query(ge=1, description="Default: the newest.")] = None,
    ) -> dict[str, Any]:
        """Definition and version."""
        return _answer(boards.get(dashboard_id, version))

    @router.put("/{dashboard_id}")
    def save(dashboard_id: str, body: NextVersion) -> dict[str, Any]:
        """The next version. 409 when somebody saved since `seen`: nothing is written then."""
        return _answer(boards.save(dashboard_id, _read(body), seen=body.seen, note=body.note))

    @router.delete("/{dashboard_id}")
    def delete(dashboard_id: str) -> dict[str, Any]:
        """Out of the list; `undelete` brings it back with all its versions."""
        boards.delete(dashboard_id)
        return {"deleted": dashboard_id}

    @router.post("/{dashboard_id}/undelete")
    def undelete(dashboard_id: str) -> dict[str, Any]:
        boards.undelete(dashboard_id)
        return _answer(boards.get(dashboard_id))

    @router.get("/{dashboard_id}/yaml", response_class=Response)
    def as_yaml(dashboard_id: str, version: Annotated[int | None, Query(ge=1)] = None) -> Response:
        """The file to keep in a repository; POST it back as `yaml`."""
        text = to_yaml(boards.get(dashboard_id, version).dashboard)
        headers = {"content-disposition": f'attachment; filename="{dashboard_id}.yaml"'}
        return Response(text, media_type="application/yaml; charset=utf-8", headers=headers)

    @router.get("/{dashboard_id}/versions")
    def versions(dashboard_id: str) -> dict[str, Any]:
        """Every save, newest first."""
        return {
            "versions": [
                {
                    "version": v.version,
                    "author": v.author,
                    "note": v.note,
                    "at": iso(v.created_at),
                }
                for v in boards.store.versions(dashboard_id)
            ]
        }

    @router.get("/{dashboard_id}/difference")
    def changes(
        dashboard_id: str,
        old: Annotated[int, Query(ge=1)],
        new: Annotated[int | None, Query(ge=1)] = None,
    ) -> dict[str, Any]:
        """What changed between two versions, in words."""
        before, after = boards.get(dashboard_id, old), boards.get(dashboard_id, new)
        return {
            "old": before.version,
            "new": after.version,
            "changes": difference(before.dashboard, after.dashboard),
        }

    @router.post("/{dashboard_id}/restore")
    def restore(dashboard_id: str, body: Restore) -> dict[str, Any]:
        """An old version as the newest one; again a save."""
        return _answer(boards.restore(dashboard_id, body.version, seen=body.seen))

    @router.put("/{dashboard_id}/favourite")
    def favourite(dashboard_id: str, body: Switch) -> dict[str, Any]:
        boards.store.mark_favourite(dashboard_id, identity.current().id, body.on)
        return {"favourite": body.on}

    return router


def _read(body: NewDashboard) -> Dashboard:
    if body.yaml:
        return from_yaml(body.yaml)
    try:
        return Dashboard.model_validate(body.definition)
    except ValidationError as err:
        raise DashboardRefused(first_problem(err)) from err


def _answer(saved: Saved) -> dict[str, Any]:
    return {
        "id": saved.id,
        "version": saved.version,
        "newest": saved.newest,
        "author": saved.author,
        "at": iso(saved.created_at),
        "definition": saved.dashboard.plain(),
    }
