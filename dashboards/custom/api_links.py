"""HTTP: public links of custom dashboards. A token is shown once, and known to nobody after."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from dashboards import identity
from dashboards.custom.boards import Boards
from dashboards.custom.limits import LINK_DAYS_MAX
from dashboards.custom.public_link import PublicLink, Scope
from dashboards.serving.api_body import Body, iso
from dashboards.view import parse_view


class NewLink(Body):
    """`search`: query string of the screen as it is to be shown; range and filters count."""

    days: Annotated[float, Field(gt=0, le=LINK_DAYS_MAX)]
    search: Annotated[str, Field(max_length=4096)] = ""
    pinned: Annotated[
        bool, Field(description="Show this version for ever instead of the newest.")
    ] = False
    note: Annotated[str, Field(max_length=200)] = ""


def link_routes(boards: Boards) -> APIRouter:
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
        "created_at": iso(link.created_at),
        "expires_at": iso(link.expires_at),
        "views": link.views,
        "viewed_at": iso(link.viewed_at),
    }
