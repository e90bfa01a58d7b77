"""Running analysts' SQL: a few killable worker processes, a queue in front, a deadline on each.

`run_sql` is the whole interface for a command line; a server keeps one `SqlPool` and may cancel.
Heavy queries cannot stop anything else: they run elsewhere, two at a time, and die at their
deadline.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from storage import errors
from storage.errors import (
    LakeError,
    SqlBusy,
    SqlCancelled,
    SqlError,
    SqlFailed,
    SqlTimeout,
)
from storage.lake import Lake
from storage.limits import (
    SQL_CONCURRENCY_MAX,
    SQL_MEMORY_BYTES_MAX,
    SQL_RESULT_BYTES_MAX,
    SQL_ROWS_MAX,
    SQL_SECONDS_MAX,
    SQL_WAIT_SECONDS_MAX,
    SQL_WAITING_MAX,
)
from storage.log import FileEntry
from storage.row_scope import RowScope
from storage.settings import StorageSettings
from storage.sql_guard import check_text
from storage.wire import Answer, AnswerReader, Files, Request, encode_files, encode_request

_START_SECONDS_MAX = 60.0
"""A worker that is not ready by then is broken. Starting takes about half a second."""

_POLL_SECONDS = 0.05
"""How soon a cancelled query is noticed."""


Progress = Callable[[float], None]
"""Gets the share of a query that is done, 0 to 1: 0 when it starts to run, then now and then. It is
called on the thread that asked; what it raises ends the query."""


@dataclass(frozen=True, slots=True)
class SqlLimits:
    rows_max: int = SQL_ROWS_MAX
    bytes_max: int = SQL_RESULT_BYTES_MAX
    seconds_max: float = SQL_SECONDS_MAX
    memory_bytes: int = SQL_MEMORY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class SqlResult:
    table: pa.Table
    truncated: bool
    """Whether rows were left out because of a limit."""
    elapsed_ms: float
    files: int = 0
    """Data files that could hold the answer and were opened."""
    file_bytes: int = 0
    """What they take on disk: the most that can have been read, since columns that the statement
    does not name stay closed."""


class _Worker:
    """One process. Not thread-safe; one query at a time."""

    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        # -P: the current folder is not on sys.path, so nothing lying there gets imported
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "storage.sql_process", str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._answers = AnswerReader()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        try:
            self._receive(time.monotonic() + _START_SECONDS_MAX, None)
        except SqlError as err:
            self.kill()
            raise SqlFailed(
                "The SQL worker does not start.", hint="Run `gatelens doctor`."
            ) from err

    def run(
        self,
        request: Request,
        find: Callable[[Mapping[str, Sequence[int | None]]], Files],
        deadline: float,
        cancelled: threading.Event | None,
        progress: Progress | None,
    ) -> tuple[Answer, pa.Table | None]:
        """`find` gets what `Answer.wanted` says and gives the files."""
        self._send(encode_request(request))
        answer, table = self._receive(deadline, cancelled)
        if answer.wanted is None:
            return answer, table
        self._send(encode_files(find(answer.wanted)))
        while True:
            answer, table = self._receive(deadline, cancelled)
            if answer.progress is None:
                return answer, table
            if progress is not None:
                progress(answer.progress)

    def _send(self, data: bytes) -> None:
        try:
            self._stdin.write(data)
            self._stdin.flush()
        except BrokenPipeError as err:
            raise SqlFailed("The SQL worker has died; try again.") from err

    def _receive(
        self, deadline: float, cancelled: threading.Event | None
    ) -> tuple[Answer, pa.Table | None]:
        while (found := self._answers.take()) is None:
            if cancelled is not None and cancelled.is_set():
                raise SqlCancelled("The query was cancelled.")
            left = deadline - time.monotonic()
            if left <= 0:
                raise SqlTimeout(
                    "The query took too long and was stopped.",
                    hint="Narrow the time range or select less.",
                )
            if not self._selector.select(min(left, _POLL_SECONDS)):
                continue
            data = os.read(self._stdout.fileno(), 1 << 20)
            if not data:
                raise SqlTimeout(
                    "The query needed more memory than it may have and was stopped.",
                    hint="Narrow the time range or select less.",
                )
            self._answers.feed(data)
        return found

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._selector.close()
        self._stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()


def _environment() -> dict[str, str]:
    """What a Python process needs to start, and nothing that could be a secret."""
    keep = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "LANG", "TZDIR")
    return {k: os.environ[k] for k in keep if k in os.environ} | {"MALLOC_ARENA_MAX": "2"}


class SqlPool:
    """Workers of one lake. Thread-safe. Workers start when first needed and are kept for the next
    query; one that was killed is replaced."""

    def __init__(
        self,
        settings: StorageSettings,
        *,
        concurrency: int = SQL_CONCURRENCY_MAX,
        waiting_max: int = SQL_WAITING_MAX,
        wait_seconds: float = SQL_WAIT_SECONDS_MAX,
    ) -> None:
        self._settings = settings
        self._slots = threading.Semaphore(concurrency)
        self._waiting_max = waiting_max
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._waiting = 0
        self._idle: list[_Worker] = []
        self._lake: Lake | None = None
        self._closed = False

    def run(
        self,
        sql: str,
        *,
        tenant: str = "default",
        scope: RowScope | None = None,
        params: Mapping[str, object] | Sequence[object] = (),
        limits: SqlLimits | None = None,
        cancelled: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> SqlResult:
        """Run an untrusted query over a tenant's rows in scope. Blocks; call it from a thread.

        Raises SqlRefused, SqlFailed, SqlTimeout, SqlBusy (queue full or waited too long) and
        SqlCancelled (soon after `cancelled` is set). The time limit counts from when it starts.
        """
        check_text(sql)
        bounds = limits or SqlLimits()
        request = Request(
            sql=sql,
            tenant=tenant,
            params=dict(params) if isinstance(params, Mapping) else list(params),
            rows_max=bounds.rows_max,
            bytes_max=bounds.bytes_max,
            memory_bytes=bounds.memory_bytes,
            scope=scope,
        )
        self._enter()
        try:
            return self._run(request, bounds, cancelled, progress)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Kill idle workers; a running query ends with its own deadline."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()

    def __enter__(self) -> SqlPool:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _enter(self) -> None:
        with self._lock:
            if self._waiting >= self._waiting_max:
                raise SqlBusy("Too many queries are waiting.", hint="Try again in a moment.")
            self._waiting += 1
        try:
            if not self._slots.acquire(timeout=self._wait_seconds):
                raise SqlBusy("All query workers are busy.", hint="Try again in a moment.")
        finally:
            with self._lock:
                self._waiting -= 1

    def _run(
        self,
        request: Request,
        bounds: SqlLimits,
        cancelled: threading.Event | None,
        progress: Progress | None,
    ) -> SqlResult:
        worker = self._take(request.memory_bytes)
        opened: list[FileEntry] = []
        try:
            deadline = time.monotonic() + bounds.seconds_max
            if progress is not None:
                progress(0.0)
            answer, table = worker.run(
                request,
                lambda wanted: self._find(request.tenant, wanted, opened),
                deadline,
                cancelled,
                progress,
            )
        except BaseException:
            worker.kill()
            raise
        self._give_back(worker)
        if answer.error:
            raise _error(answer)
        assert table is not None
        return SqlResult(
            _plain_integers(table),
            answer.truncated,
            answer.elapsed_ms,
            files=len(opened),
            file_bytes=sum(f.size for f in opened),
        )

    def _take(self, memory_bytes: int) -> _Worker:
        with self._lock:
            for worker in self._idle:
                if worker.memory_bytes == memory_bytes:
                    self._idle.remove(worker)
                    return worker
        return _Worker(memory_bytes)

    def _find(
        self,
        tenant: str,
        wanted: Mapping[str, Sequence[int | None]],
        opened: list[FileEntry],
    ) -> Files:
        """The tenant's files that can hold rows of the wanted times, here to be read; `opened` gets
        them, too."""
        try:
            lake = self._open_lake()
            tables: dict[str, list[str]] = {}
            for name, (start_us, end_us) in wanted.items():
                table = lake.existing(name)
                files = [] if table is None else table.snapshot().select(tenant, start_us, end_us)
                lake.fetch(name, files)
                tables[name] = [f.path for f in files]
                opened += files
        except (LakeError, OSError) as err:
            raise SqlFailed(str(err)) from err
        return Files(str(lake.root), tables)

    def _open_lake(self) -> Lake:
        with self._lock:
            if self._lake is None:
                self._lake = Lake(self._settings, create=False)
            return self._lake

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
                return
        worker.kill()


def _plain_integers(table: pa.Table) -> pa.Table:
    """DuckDB sums BIGINT to HUGEINT, which Arrow has as DECIMAL(38,0) and JSON as text: back to
    BIGINT where every value fits, since a count is a number."""
    for index, field in enumerate(table.schema):
        if field.type == pa.decimal128(38, 0):
            with contextlib.suppress(pa.ArrowInvalid):
                whole = table.column(index).cast(pa.int64())
                table = table.set_column(index, field.name, whole)
    return table


def _error(answer: Answer) -> Exception:
    kind = getattr(errors, answer.error, SqlFailed)
    if not (isinstance(kind, type) and issubclass(kind, SqlError)):
        return SqlFailed(answer.message)
    error = kind(answer.message)
    error.line, error.column = answer.line, answer.column
    return error


_shared: dict[StorageSettings, SqlPool] = {}
_shared_lock = threading.Lock()


def run_sql(
    settings: StorageSettings,
    sql: str,
    *,
    tenant: str = "default",
    scope: RowScope | None = None,
    params: Mapping[str, object] | Sequence[object] = (),
    limits: SqlLimits | None = None,
    cancelled: threading.Event | None = None,
    progress: Progress | None = None,
) -> SqlResult:
    """`SqlPool.run` on a pool that this process shares per lake."""
    with _shared_lock:
        if settings not in _shared:
            _shared[settings] = SqlPool(settings)
            atexit.register(_shared[settings].close)
        pool = _shared[settings]
    return pool.run(
        sql,
        tenant=tenant,
        scope=scope,
        params=params,
        limits=limits,
        cancelled=cancelled,
        progress=progress,
    )
