"""`POST /api/v1/sql`: one read-only statement in, JSON, CSV, Arrow or Parquet out.

A statement that was given an id can be watched (GET) and stopped (DELETE) while it runs.

The statement is untrusted: an allow-list and a killable worker process (storage/sql_worker.py)
stand between it and the lake. `gatelens sql` goes through the same guard.
"""

from __future__ import annotations

import asyncio
import csv
import io
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from analytics.export import FORMULA_BEGINS
from dashboards import identity
from dashboards.data import Data
from dashboards.questions.sql_queries import ID_PATTERN, IdTaken
from storage.errors import (
    SqlBusy,
    SqlCancelled,
    SqlError,
    SqlFailed,
    SqlRefused,
    SqlTimeout,
)
from storage.sql_worker import SqlLimits, SqlResult

Format = Literal["json", "csv", "arrow", "parquet"]

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"

STATUS: dict[type[SqlError], int] = {
    SqlRefused: 400,
    SqlFailed: 400,
    SqlTimeout: 408,
    SqlBusy: 503,
    SqlCancelled: 499,
}
"""Kind of failure -> HTTP status. 503 alone is worth another try."""


class SqlQuestion(BaseModel):
    """A statement and the values of its parameters."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(description="One SELECT over the documented tables.", max_length=65_536)
    params: list[Any] | dict[str, Any] = Field(
        default_factory=list, description="Values of `?` (list) or `$name` (object)."
    )
    rows_max: int | None = Field(default=None, ge=1, description="Rows wanted at most.")
    id: str | None = Field(
        default=None,
        pattern=ID_PATTERN,
        description="Name of the running statement, to watch and stop it: a random UUID.",
    )


def chosen_format(asked: str | None, accept: str | None) -> Format:
    """`?format=` wins over the Accept header; JSON where neither says anything known."""
    if asked in ("json", "csv", "arrow", "parquet"):
        return asked  # type: ignore[return-value]
    wanted = (accept or "").lower()
    if ARROW in wanted:
        return "arrow"
    if PARQUET in wanted:
        return "parquet"
    return "csv" if "text/csv" in wanted else "json"


def render(result: SqlResult, wanted: Format) -> Response:
    """The answer in one of the formats; `X-Truncated: true` says that rows were left out,
    `X-File-Bytes` how large the files are that were opened for it."""
    headers = {
        "x-truncated": str(result.truncated).lower(),
        "x-elapsed-ms": f"{result.elapsed_ms:.1f}",
        "x-files": str(result.files),
        "x-file-bytes": str(result.file_bytes),
    }
    if wanted == "arrow":
        return Response(arrow_bytes(result.table), media_type=ARROW, headers=headers)
    if wanted == "parquet":
        return Response(parquet_bytes(result.table), media_type=PARQUET, headers=headers)
    if wanted == "csv":
        return Response(csv_text(result.table), media_type="text/csv", headers=headers)
    body = {
        "columns": [{"name": f.name, "type": str(f.type)} for f in result.table.schema],
        "rows": [list(row.values()) for row in result.table.to_pylist()],
        "truncated": result.truncated,
        "elapsed_ms": round(result.elapsed_ms, 1),
        "files": result.files,
        "file_bytes": result.file_bytes,
    }
    # orjson writes NaN and infinity as null, which JSON has no other word for.
    text = orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)
    return Response(text, media_type="application/json", headers=headers)


def arrow_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def csv_text(table: pa.Table) -> str:
    """RFC 4180. Text that a spreadsheet would run as a formula gets a `'` in front."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_harmless(name) for name in table.column_names])
    for row in table.to_pylist():
        writer.writerow([_harmless(value) for value in row.values()])
    return out.getvalue()


def csv_line(values: Sequence[object]) -> str:
    """One line of the same kind of CSV."""
    out = io.StringIO()
    csv.writer(out).writerow([_harmless(v) for v in values])
    return out.getvalue()


def _harmless(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_BEGINS) else value
    return value


def create_router(data: Data) -> APIRouter:
    router = APIRouter()
    settings = data.settings
    running = data.running

    @router.post(
        "/api/v1/sql",
        summary="Ask the lake anything, read-only",
        responses={
            400: {"description": "Not allowed, or it does not run"},
            408: {},
            409: {},
            503: {},
        },
    )
    async def sql(
        question: SqlQuestion,
        request: Request,
        format: Annotated[str | None, Query(description="json, csv, arrow or parquet")] = None,
        accept: Annotated[str | None, Header()] = None,
    ) -> Response:
        """One SELECT over the tables of the lake (`gatelens sql --schema` lists them).

        Answers JSON, CSV, an Arrow stream or Parquet, by `?format=` or the Accept header. Stops
        when the asker leaves. With an `id`, GET and DELETE of `/api/v1/sql/{id}` watch and stop it
        while it runs."""
        if not settings.sql_enabled:
            return JSONResponse({"error": "SQL is switched off here."}, status_code=403)
        limits = SqlLimits(
            rows_max=min(question.rows_max or settings.sql_rows_max, settings.sql_rows_max),
            seconds_max=settings.sql_timeout_s,
        )
        async with left(request) as cancelled:
            try:
                with running.entered(_own(question.id), cancelled) as query:
                    result = await data.run_sql(
                        question.sql,
                        params=question.params,
                        limits=limits,
                        cancelled=cancelled,
                        progress=query.note,
                    )
                return render(result, chosen_format(format, accept))
            except IdTaken:
                sentence = "A statement with this id is running; take a random UUID."
                return JSONResponse({"error": sentence}, status_code=409)
            except SqlError as err:
                return refusal(err)

    @router.get("/api/v1/sql/{query_id}", summary="How far a running statement is")
    async def progress(query_id: str) -> Response:
        """`state` is waiting, running, or ended for ten seconds after that; later 404. `progress`
        is the share that is done (0 to 1, as far as the engine can tell), `elapsed_ms` counts from
        when it was asked."""
        query = running.look(_own(query_id))
        return _ended() if query is None else JSONResponse(query.as_json())

    @router.delete("/api/v1/sql/{query_id}", summary="Stop a running statement")
    async def cancel(query_id: str) -> Response:
        """Its POST is answered 499 soon after. 404 when it has ended."""
        query = running.find(_own(query_id))
        if query is None:
            return _ended()
        query.cancelled.set()
        return JSONResponse(query.as_json(), status_code=202)

    return router


def _own(query_id: str | None) -> tuple[str, str] | None:
    """An id as its asker's: nobody else's GET or DELETE finds the statement."""
    return None if query_id is None else (identity.current().id, query_id)


def _ended() -> JSONResponse:
    return JSONResponse({"error": "No such statement is running."}, status_code=404)


def refusal(err: SqlError) -> JSONResponse:
    body = {"error": str(err), "line": err.line, "column": err.column}
    status = STATUS.get(type(err), 400)
    headers = {"retry-after": "2"} if status == 503 else None
    return JSONResponse(body, status_code=status, headers=headers)


@asynccontextmanager
async def left(request: Request) -> AsyncIterator[threading.Event]:
    """An event that is set once the asker has gone, so that nobody's query runs for nobody."""
    gone = threading.Event()

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.25)
        gone.set()

    watcher = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watcher.cancel()
