"""The process that runs analysts' SQL. Started by `sql_worker`, killed by it without ceremony.

Reads one request after the other on stdin and answers on stdout (`wire.py` has the framing). Each
query gets a DuckDB instance of its own that can open only the files of its tenant, has no network,
no extensions, no spill folder, a memory limit and a locked configuration. The process itself is
limited in address space, may not create or extend files, and starts with an empty environment.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import duckdb
import pyarrow as pa

from storage.errors import SqlError, SqlFailed, SqlTimeout
from storage.macros import create_macros
from storage.row_scope import RowScope, scoped_sql
from storage.schemas import TABLES
from storage.sql_bounds import time_bounds
from storage.sql_guard import Tree, check_tree, position_of
from storage.views import literal, quoted, reading_order, view_sql
from storage.wire import Answer, Files, Request, read_files, read_request, write_answer

Wanted = dict[str, list[int | None]]
"""As `Answer.wanted`."""


def main() -> None:
    """Serve until stdin closes. Argument: bytes of memory on top of what starting takes."""
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not end up between two answers
    _limit_process(int(sys.argv[1]))
    write_answer(outgoing, Answer(ready=True))
    while (request := read_request(incoming)) is not None:
        _answer(request, incoming, outgoing)


def _limit_process(memory_bytes: int) -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    ceiling = mapped + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _answer(request: Request, incoming: BinaryIO, outgoing: BinaryIO) -> None:
    started = time.monotonic()

    def ask(wanted: Wanted) -> Files:
        write_answer(outgoing, Answer(wanted=wanted))
        found = read_files(incoming)
        if found is None:  # the server went away
            raise SystemExit(0)
        return found

    def tell(progress: float) -> None:
        write_answer(outgoing, Answer(progress=progress))

    try:
        table, truncated = execute(request, ask, tell)
    except SqlError as err:
        answer = Answer(error=type(err).__name__, message=str(err))
        answer.line, answer.column = err.line, err.column
        write_answer(outgoing, answer)
        return
    except MemoryError:
        write_answer(outgoing, Answer(error=SqlTimeout.__name__, message=OUT_OF_MEMORY))
        return
    elapsed_ms = (time.monotonic() - started) * 1000
    write_answer(outgoing, Answer(truncated=truncated, elapsed_ms=elapsed_ms), table)


UNREADABLE_FILE = "A file of the lake cannot be read."

OUT_OF_MEMORY = "The query needs more memory than it may have."


def execute(
    request: Request, ask: Callable[[Wanted], Files], tell: Callable[[float], None]
) -> tuple[pa.Table, bool]:
    """Run a request; (rows, whether rows were left out). `ask` hands out the files for tables and
    times; `tell` gets the share done, 0 to 1, now and then while it runs. Raises SqlError."""
    con = duckdb.connect(
        config={
            "threads": 2,
            "memory_limit": f"{request.memory_bytes * 6 // 10 // 1_000_000}MB",
            "temp_directory": "",
        }
    )
    root = ""
    try:
        tree = _parse(con, request.sql)
        check_tree(tree, sql=request.sql)
        con.execute("SET TimeZone = 'UTC'")
        files = ask(_wanted(con, request, tree))
        root = files.root
        for name, chosen in files.tables.items():
            files.tables[name] = list(reading_order(request.sql, chosen))
        _prepare(con, files, request.scope)
        with progress_told(con, tell):
            return _run(con, request)
    except duckdb.Error as err:
        raise _explain(err, request.sql, root) from err
    except UnicodeDecodeError as err:  # DuckDB's own message quotes a damaged name
        raise SqlFailed(UNREADABLE_FILE, hint="Run `gatelens doctor`.") from err
    finally:
        con.close()


def _parse(con: duckdb.DuckDBPyConnection, sql: str) -> dict[str, object]:
    row = con.execute(
        "SELECT json_serialize_sql($1, skip_null := true, skip_empty := true)", [sql]
    ).fetchone()
    return cast("dict[str, object]", json.loads(row[0] if row else "{}"))


def _wanted(con: duckdb.DuckDBPyConnection, request: Request, tree: Tree) -> Wanted:
    """The tables the query may name, and the stretch of time it can ask of each."""
    words = request.sql.lower()
    wanted: Wanted = {}
    for name in TABLES:
        if name in words:
            bounds = time_bounds(con, tree, name, request.params)
            wanted[name] = [bounds.start_us, bounds.end_us]
    return wanted


def _prepare(con: duckdb.DuckDBPyConnection, files: Files, scope: RowScope | None = None) -> None:
    """Views over the files, then no way back."""
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET errors_as_json = true")
    create_macros(con)
    root = Path(files.root)
    paths = ", ".join(literal(str(root / n / p)) for n, ps in files.tables.items() for p in ps)
    con.execute(f"SET allowed_paths = [{paths}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET autoload_known_extensions = false")
    con.execute("SET autoinstall_known_extensions = false")
    con.execute("SET python_enable_replacements = false")
    con.execute("SET enable_progress_bar = true")  # DuckDB counts only then
    con.execute("SET enable_progress_bar_print = false")
    for name, chosen in files.tables.items():
        body = scoped_sql(name, view_sql(con, name, root / name, chosen), scope)
        con.execute(f"CREATE VIEW {quoted(name)} AS {body}")
    con.execute("SET lock_configuration = true")


def _run(con: duckdb.DuckDBPyConnection, request: Request) -> tuple[pa.Table, bool]:
    cursor = con.execute(request.sql, cast("object", request.params))
    reader = cursor.to_arrow_reader(10_000)
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in reader:
        room = request.rows_max - rows
        if batch.num_rows > room or size + batch.nbytes > request.bytes_max:
            batches.append(batch.slice(0, room) if batch.num_rows > room else batch.slice(0, 0))
            return pa.Table.from_batches(batches, schema=reader.schema), True
        batches.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
    return pa.Table.from_batches(batches, schema=reader.schema), False


PROGRESS_SECONDS = 0.25
"""How often progress is told."""


@contextmanager
def progress_told(con: duckdb.DuckDBPyConnection, tell: Callable[[float], None]) -> Iterator[None]:
    """Tell how far the query of `con` is while the block runs; never after it."""
    done = threading.Event()

    def watch() -> None:
        told = 0.0
        while not done.wait(PROGRESS_SECONDS):
            share = con.query_progress() / 100  # -1 = DuckDB cannot say
            if share > told:
                told = min(share, 1.0)
                tell(told)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _explain(err: duckdb.Error, sql: str, root: str) -> SqlError:
    """One sentence with a position, without our folder names."""
    text = str(err)
    brace = text.find("{")
    try:
        found = cast("Mapping[str, object]", json.loads(text[brace:])) if brace >= 0 else {}
    except ValueError:
        found = {}
    message = str(found.get("exception_message", text)).split("\n")[0].replace(root, "")
    if isinstance(err, duckdb.OutOfMemoryException):
        return SqlTimeout(OUT_OF_MEMORY, hint="Narrow the time range or select less.")
    if isinstance(err, (duckdb.PermissionException, duckdb.IOException)):
        # the guards let nothing else through that touches files: one of the lake's own is gone
        return SqlFailed(UNREADABLE_FILE, hint="Run `gatelens doctor`.")
    line, column = position_of(sql, found.get("position"))
    return SqlFailed(message.rstrip(".!") + ".", line=line, column=column)


if __name__ == "__main__":
    main()
