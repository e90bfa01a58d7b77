"""One way to ask for the fields of a record, whether it was text or JSON: `Fields`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from collector.gateways import scan_values
from collector.gateways.line_scanner import RequestLines, split_request_lines


class Fields(Protocol):
    """Columns of named fields over the same rows. Asking for a field that is not there is an error:
    ask `has` first."""

    @property
    def rows(self) -> int: ...
    def has(self, name: str) -> bool: ...
    def text(self, name: str) -> pa.Array: ...
    def numbers(self, name: str) -> npt.NDArray[np.float64]: ...
    def clf_times(self, name: str) -> npt.NDArray[np.int64]: ...
    def iso_times(self, name: str) -> npt.NDArray[np.int64]: ...
    def request_lines(self, name: str) -> RequestLines: ...


class JsonFields:
    """Top-level keys of JSON objects as fields; `a.b` reaches into an object.

    A value may be a string or a number: operators quote what they like. `-` and '' are NULL.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self._records = records
        self._keys: frozenset[str] = frozenset().union(*records) if records else frozenset()
        self._texts: dict[str, pa.Array] = {}

    @property
    def rows(self) -> int:
        return len(self._records)

    def has(self, name: str) -> bool:
        return name in self._keys or ("." in name and name.partition(".")[0] in self._keys)

    def values(self, name: str) -> list[Any]:
        """Raw values; None where absent."""
        if name in self._keys or "." not in name:
            return [record.get(name) for record in self._records]
        path = name.split(".")
        return [_reach(record, path) for record in self._records]

    def text(self, name: str) -> pa.Array:
        if name not in self._texts:
            self._texts[name] = pa.array([_text(v) for v in self.values(name)], pa.string())
        return self._texts[name]

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        values = self.values(name)
        if all(type(v) is int or type(v) is float or v is None for v in values):
            return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        return scan_values.parse_sums(*scan_values.string_spans(self.text(name)))

    def clf_times(self, name: str) -> npt.NDArray[np.int64]:
        return scan_values.parse_clf_times(*scan_values.string_spans(self.text(name)))

    def iso_times(self, name: str) -> npt.NDArray[np.int64]:
        return scan_values.parse_iso_times(*scan_values.string_spans(self.text(name)))

    def request_lines(self, name: str) -> RequestLines:
        return split_request_lines(*scan_values.string_spans(self.text(name)))


def first_text(fields: Fields, *names: str) -> pa.Array | None:
    """The first named field that exists, filled up from the next ones; None if none does."""
    found: pa.Array | None = None
    for name in names:
        if fields.has(name):
            values = fields.text(name)
            found = values if found is None else pa.compute.coalesce(found, values)
    return found


def first_numbers(fields: Fields, *names: str) -> npt.NDArray[np.float64] | None:
    """As `first_text`, for numbers."""
    found: npt.NDArray[np.float64] | None = None
    for name in names:
        if fields.has(name):
            values = fields.numbers(name)
            found = values if found is None else np.where(np.isnan(found), values, found)
    return found


def _reach(record: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def _text(value: Any) -> str | None:
    if value is None or value == "" or value == "-":
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list) and len(value) == 1:
        return _text(value[0])
    return orjson.dumps(value).decode()
