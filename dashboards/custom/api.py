"""HTTP: custom dashboards, for the screens and for whoever keeps dashboards in a repository.

Every change is a version with its author; `seen` says which version the sender knew. Errors are
{"error": sentence}, of a definition also {"problems": [{line, message, hint}]}.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alerting.errors import ConfigInvalid
from analytics.errors import QueryRefused
from analytics.export import to_csv
from dashboards import identity
from dashboards.custom.boards import Boards
from dashboards.custom.definition import Dashboard, Panel, first_problem
from dashboards.custom.difference import difference
from dashboards.custom.errors import (
    CustomError,
    DashboardConflict,
    DashboardMissing,
    DashboardRefused,
)
from dashboards.custom.limits import DEFINITION_BYTES_MAX, LINK_DAYS_MAX, PANEL_SECONDS_MAX
from dashboards.custom.panel_content import ask
from dashboards.custom.public_link import PublicLink, Scope
from dashboards.custom.store import Saved
from dashboards.custom.yaml_text import from_yaml, to_yaml
from dashboards.exports import name_export
from dashboards.view import parse_view
from storage.errors import SqlError

STATUS = {
    DashboardMissing: 404,
    DashboardConflict: 409,
    DashboardRefused: 400,
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewDashboard(_Body):
    """Either a definition, or YAML text."""

    definition: dict[str, Any] | None = None
    yaml: Annotated[str, Field(max_length=DEFINITION_BYTES_MAX)] = ""
    note: Annotated[str, Field(max_length=500)] = ""


class NextVersion(NewDashboard):
    """The same, and the version that it was made from."""

    seen: Annotated[int, Field(ge=1)]


class Restore(_Body):
    version: Annotated[int, Field(ge=1)]
    seen: Annotated[int, Field(ge=1)]


class Switch(_Body):
    on: bool


class NewLink(_Body):
    """`search`: query string of the screen as it is to be shown; range and filters count."""

    days: Annotated[float, Field(gt=0, le=LINK_DAYS_MAX)]
    search: Annotated[str, Field(max_length=4096)] = ""
    pinned: Annotated[
        bool, Field(description="Show this version for ever instead of the newest.")
    ] = False
    note: Annotated[str, Field(max_length=200)] = ""


class PanelRows(_Body):
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
    api.include_router(_links(boards))


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
                    "at": _iso(v.created_at),
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


def _links(boards: Boards) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["dashboards"])

    def shown(link: PublicLink) -> dict[str, Any]:
        return _link(link, shared=boards.maker_shares(link))

    @router.get("/dashboards/{dashboard_id}/links")
    def every(dashboard_id: str) -> dict[str, Any]:
        """Public links of a dashboard, newest first. Their tokens are known to nobody."""
        return {"links": [shown(link) for link in boards.links_of(dashboard_id)]}

    @router.post("/dashboards/{dashboard_id}/links", status_code=201)
    def create(dashboard_id: str, body: NewLink) -> dict[str, Any]:
        """A read-only link. `path` holds its token and is shown this once."""
        view = parse_view(body.search, now=datetime.now(UTC))
        link, token = boards.create_link(
            dashboard_id,
            Scope.of(view, identity.current().scope),
            days=body.days,
            pinned=body.pinned,
            note=body.note,
        )
        # Behind '#', the token is in no server's log and in no Referer.
        return shown(link) | {"path": f"/public#{token}"}

    @router.delete("/dashboard-links/{link_id}")
    def revoke(link_id: str) -> dict[str, Any]:
        """Dead from now on."""
        return shown(boards.revoke_link(link_id))

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
        "at": _iso(saved.created_at),
        "definition": saved.dashboard.plain(),
    }


State = Literal["alive", "expired", "revoked", "maker gone"]


def _link(link: PublicLink, *, shared: bool) -> dict[str, Any]:
    """shared: whether its maker may still share."""
    now = datetime.now(UTC).timestamp()
    state: State = "revoked" if link.revoked_at else "alive" if link.expires_at > now else "expired"
    if state == "alive" and not shared:
        state = "maker gone"
    return {
        "id": link.id,
        "state": state,
        "version": link.version,
        "shows": link.scope.search(),
        "note": link.note,
        "created_by": link.created_by,
        "created_at": _iso(link.created_at),
        "expires_at": _iso(link.expires_at),
        "views": link.views,
        "viewed_at": _iso(link.viewed_at),
    }


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
