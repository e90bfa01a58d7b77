"""HTTP: the report an owner or a consumer gets by mail, to look at or to fetch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from analytics.api_deps import Ask, Known, Zone
from analytics.reports import Audience, render_report
from analytics.windows import WindowKind

router = APIRouter(prefix="/api/v1/analytics", tags=["reports"])


@router.get("/reports/{audience}", response_class=Response)
def report(
    ask: Ask,
    catalog: Known,
    zone: Zone,
    audience: Audience,
    name: Annotated[str, Query(max_length=200, description="Owner team, or consumer.")],
    period: Annotated[WindowKind, Query(description="The last whole one.")] = "week",
    format: Literal["html", "csv"] = "html",
) -> Response:
    """The report of the last whole day, week or month, as mail would bring it."""
    found = render_report(ask, catalog, audience, name, period, now=datetime.now(UTC), zone=zone)
    if format == "csv":
        headers = {"Content-Disposition": 'attachment; filename="gatelens-report.csv"'}
        return Response(found.csv, media_type="text/csv; charset=utf-8", headers=headers)
    return Response(found.html, media_type="text/html; charset=utf-8")
