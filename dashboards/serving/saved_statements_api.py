"""HTTP: statements that people saved. Errors are {"error": sentence}."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import Field, StringConstraints

from dashboards.saved_statements import (
    SavedStatements,
    Statement,
    StatementMissing,
    StatementRefused,
)
from dashboards.serving.api_body import Body, iso


class StatementToSave(Body):
    """A statement and the name it is found by; saving under a name of one's own replaces it."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
    sql: Annotated[str, Field(min_length=1, max_length=65_536)]
    shared: bool = Field(False, description="Whether everybody who may ask in SQL finds it.")


def install(api: FastAPI, statements: SavedStatements) -> None:
    """Add the routes and what their errors answer."""

    @api.exception_handler(StatementRefused)
    async def refused(_request: Request, err: StatementRefused) -> JSONResponse:
        return JSONResponse({"error": str(err)}, status_code=400)

    @api.exception_handler(StatementMissing)
    async def missing(_request: Request, err: StatementMissing) -> JSONResponse:
        return JSONResponse({"error": str(err)}, status_code=404)

    router = APIRouter(prefix="/api/v1/statements", tags=["sql"])

    @router.get("")
    def every() -> dict[str, Any]:
        """Your own statements and those that others share, by name."""
        return {"statements": [_plain(statement) for statement in statements.all()]}

    @router.post("")
    def save(body: StatementToSave) -> dict[str, Any]:
        """Keep a statement by name."""
        return _plain(statements.save(body.name, body.sql, shared=body.shared))

    @router.delete("/{statement_id}")
    def delete(statement_id: str) -> dict[str, Any]:
        """Delete one of your own."""
        statements.delete(statement_id)
        return {"deleted": statement_id}

    api.include_router(router)


def _plain(statement: Statement) -> dict[str, Any]:
    return {
        "id": statement.id,
        "name": statement.name,
        "sql": statement.sql,
        "author": statement.author,
        "mine": statement.mine,
        "shared": statement.shared,
        "at": iso(statement.updated_at),
    }
