"""/healthz, /readyz and /metrics: what an orchestrator and Prometheus ask."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

Check = Callable[[], str]
"""Says what is wrong, in one sentence; '' = all is well."""


def operations_app(
    *, alive: Check, trouble: Check, ready: Check, metrics: Callable[[], bytes]
) -> FastAPI:
    """`alive`: restart me if this says something. `trouble`: look at me, a restart does not help;
    told with a 200. `ready`: send me nothing while it does."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    def answer(problem: str) -> JSONResponse:
        if problem:
            return JSONResponse({"status": "unavailable", "reason": problem}, 503)
        return JSONResponse({"status": "ok"})

    @app.api_route("/healthz", methods=["GET", "HEAD"])
    async def healthz() -> Response:
        dead, odd = alive(), trouble()
        if odd and not dead:
            return JSONResponse({"status": "degraded", "reason": odd})
        return answer(dead)

    @app.api_route("/readyz", methods=["GET", "HEAD"])
    async def readyz() -> Response:
        return answer(ready())

    @app.api_route("/metrics", methods=["GET", "HEAD"])
    async def show_metrics() -> Response:
        return Response(metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app
