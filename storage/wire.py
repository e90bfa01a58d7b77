"""How the SQL pool and its workers talk: length-prefixed JSON, then Arrow for results.

```
request: u32 length | JSON
answer:  u32 length | JSON | u64 length | Arrow IPC stream (length 0 = none)
```

While a query runs, any number of answers that only tell its progress come first.

A query is two exchanges: the worker reads the request and answers which tables and times it wants;
the server sends the files that can hold them (the worker itself knows of no other) and gets rows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, BinaryIO, cast

import orjson
import pyarrow as pa

from storage.row_scope import RowScope

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

Params = dict[str, object] | list[object]


@dataclass(slots=True)
class Request:
    sql: str
    tenant: str
    params: Params
    rows_max: int
    bytes_max: int
    memory_bytes: int
    scope: RowScope | None = None


@dataclass(slots=True)
class Answer:
    ready: bool = False
    error: str = ""
    """Class name of the SqlError; '' = it went well."""
    message: str = ""
    line: int | None = None
    column: int | None = None
    wanted: dict[str, list[int | None]] | None = None
    """Table -> [start, end) in microseconds since 1970, None = unbounded: asks for `Files`."""
    truncated: bool = False
    elapsed_ms: float = 0.0
    progress: float | None = None
    """Share of the work that is done, 0 to 1: the query still runs and more answers follow."""


@dataclass(slots=True)
class Files:
    """Data files for a query, as answer to `Answer.wanted`."""

    root: str
    """Local folder of the tables."""
    tables: dict[str, list[str]]
    """Table -> paths below `<root>/<table>`."""


def encode_request(request: Request) -> bytes:
    """Parameters may be text, numbers, booleans, None, dates and datetimes, and lists of them."""
    return _framed(asdict(request) | {"params": _pack(request.params)})


def encode_files(files: Files) -> bytes:
    return _framed(asdict(files))


def read_request(source: BinaryIO) -> Request | None:
    """None at the end of the stream."""
    body = _read(source)
    if body is None:
        return None
    body["params"] = _unpack(body["params"])
    body["scope"] = _scope(cast("dict[str, list[str]] | None", body["scope"]))
    return Request(**cast("dict[str, Any]", body))


def read_files(source: BinaryIO) -> Files | None:
    """None at the end of the stream."""
    body = _read(source)
    return None if body is None else Files(**cast("dict[str, Any]", body))


def _scope(body: Mapping[str, Sequence[str]] | None) -> RowScope | None:
    if body is None:
        return None
    return RowScope(**{name: tuple(values) for name, values in body.items()})


def _framed(body: Mapping[str, object]) -> bytes:
    data = orjson.dumps(body)
    return _U32.pack(len(data)) + data


def _read(source: BinaryIO) -> dict[str, object] | None:
    head = source.read(_U32.size)
    if len(head) < _U32.size:
        return None
    return cast("dict[str, object]", orjson.loads(source.read(_U32.unpack(head)[0])))


def write_answer(target: BinaryIO, answer: Answer, table: pa.Table | None = None) -> None:
    data = orjson.dumps(asdict(answer))
    target.write(_U32.pack(len(data)) + data)
    if table is None:
        target.write(_U64.pack(0))
    else:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        buffer = sink.getvalue()
        target.write(_U64.pack(buffer.size))
        target.write(buffer)
    target.flush()


class AnswerReader:
    """Puts answers together from whatever pieces arrive. Sans I/O."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        self._data += data

    def take(self) -> tuple[Answer, pa.Table | None] | None:
        """The next answer once it is whole, else None."""
        if len(self._data) < _U32.size:
            return None
        head_end = _U32.size + _U32.unpack_from(self._data)[0]
        if len(self._data) < head_end + _U64.size:
            return None
        body_start = head_end + _U64.size
        end = body_start + _U64.unpack_from(self._data, head_end)[0]
        if len(self._data) < end:
            return None
        answer = Answer(**orjson.loads(bytes(self._data[_U32.size : head_end])))
        table = None
        if end > body_start:
            body = pa.py_buffer(bytes(self._data[body_start:end]))
            table = pa.ipc.open_stream(body).read_all()
        del self._data[:end]
        return answer, table


def _pack(value: object) -> object:
    if isinstance(value, dict):
        return {"d": {str(k): _pack(v) for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"l": [_pack(v) for v in value]}
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return {"t": aware.isoformat()}
    if isinstance(value, date):
        return {"y": value.isoformat()}
    if value is None or isinstance(value, (str, int, float, bool)):
        return {"v": value}
    raise TypeError(f"a parameter cannot be a {type(value).__name__}")


def _unpack(packed: object) -> object:
    ((kind, value),) = cast("dict[str, object]", packed).items()
    if kind == "d":
        return {k: _unpack(v) for k, v in cast("dict[str, object]", value).items()}
    if kind == "l":
        return [_unpack(v) for v in cast("Sequence[object]", value)]
    if kind == "t":
        return datetime.fromisoformat(cast("str", value))
    if kind == "y":
        return date.fromisoformat(cast("str", value))
    return value
