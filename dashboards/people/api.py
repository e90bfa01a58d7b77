"""`GET /api/v1/me` and `GET /api/v1/audit`: who one is, and the audit log for other tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from dashboards import identity
from dashboards.data import Data
from dashboards.serving.exports import name_export
from dashboards.serving.sql_api import csv_line
from storage.audit import AuditEntry, read_audit

PAGE = 1000


class Me(BaseModel):
    name: str
    kind: str
    role: str | None
    tenant: str
    permissions: list[str]
    apis: list[str] | None
    """null = every API."""
    consumers: list[str] | None


class Entry(BaseModel):
    id: int
    at: float
    actor: str
    actor_kind: str
    address: str
    action: str
    target: str
    outcome: str
    detail: dict[str, object]


def create_router(data: Data) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["people"])

    @router.get("/me")
    def me() -> Me:
        """Who asks, and what they may."""
        who = identity.current()
        return Me(
            name=who.name,
            kind=who.kind,
            role=who.role,
            tenant=who.tenant,
            permissions=sorted(who.permissions),
            apis=None if who.scope is None else list(who.scope.apis),
            consumers=None if who.scope is None else list(who.scope.consumers),
        )

    @router.get("/audit", response_model=list[Entry])
    def audit(
        request: Request,
        since: Annotated[float | None, Query(description="Epoch seconds.")] = None,
        until: Annotated[float | None, Query(description="Epoch seconds, exclusive.")] = None,
        actor: Annotated[str, Query(max_length=200, description="Part of the name.")] = "",
        action: Annotated[str, Query(max_length=100, description="Its beginning.")] = "",
        before_id: Annotated[int | None, Query(description="The next page.")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = 200,
        format: Literal["json", "csv"] = "json",
    ) -> list[Entry] | Response:
        """Who did what in the asker's tenant, newest first; CSV has all of it."""
        who = identity.require("admin")

        def page(before: int | None, size: int) -> list[AuditEntry]:
            return read_audit(
                data.state,
                tenant=who.tenant,
                actor=actor,
                action=action,
                since=since,
                until=until,
                before_id=before,
                limit=size,
            )

        if format == "json":
            return [_shown(e) for e in page(before_id, limit)]
        name_export(request, "audit log")

        def lines() -> Iterator[str]:
            yield csv_line(list(Entry.model_fields))
            before = before_id
            while found := page(before, PAGE):
                for entry in found:
                    yield csv_line(list(_shown(entry).model_dump().values()))
                before = found[-1].id

        headers = {"content-disposition": 'attachment; filename="gatelens-audit.csv"'}
        return StreamingResponse(lines(), media_type="text/csv", headers=headers)

    return router


def _shown(entry: AuditEntry) -> Entry:
    return Entry(
        id=entry.id,
        at=entry.at,
        actor=entry.actor,
        actor_kind=entry.actor_kind,
        address=entry.address,
        action=entry.action,
        target=entry.target,
        outcome=entry.outcome,
        detail=dict(entry.detail),
    )
