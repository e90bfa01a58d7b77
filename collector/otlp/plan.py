"""Plans of the wire scanner, derived from the descriptors of `opentelemetry-proto`.

A plan says what becomes of every field number of every message. Three rules make it:

* a message named in RECORDS becomes a row of a table, as often as it occurs;
* any other message is flattened into the row it belongs to (`status.code`, `scope.name`), which is
  what makes a repeated singular message merge as protobuf demands;
* every other field gets a slot in its row, so a field that a newer `opentelemetry-proto` brings is
  scanned at once, and needs only its line where columns are made (traces.py, logs.py, metrics.py).

A row is `width` int64 slots. Slot 0 is the owner: its table << 40 | its row. Text and bytes are
offset << 32 | length, 0 when absent. Integers and bools are themselves, doubles their bits. A oneof
has a slot with the field number that was set last (0 = none) and one for its value, shared.
For messages in a oneof that value is the number of rows its child table had when the member was
set: children below it were replaced on the wire ("last one wins") and are dead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_PREFIX = "opentelemetry.proto."

RECORDS: Mapping[str, str] = {
    "trace.v1.ResourceSpans": "resource",
    "logs.v1.ResourceLogs": "resource",
    "metrics.v1.ResourceMetrics": "resource",
    "trace.v1.ScopeSpans": "scope",
    "logs.v1.ScopeLogs": "scope",
    "metrics.v1.ScopeMetrics": "scope",
    "trace.v1.Span": "record",
    "trace.v1.Span.Event": "event",
    "trace.v1.Span.Link": "link",
    "logs.v1.LogRecord": "record",
    "metrics.v1.Metric": "metric",
    "metrics.v1.NumberDataPoint": "record",
    "metrics.v1.HistogramDataPoint": "record",
    "metrics.v1.ExponentialHistogramDataPoint": "record",
    "metrics.v1.SummaryDataPoint": "record",
    "metrics.v1.SummaryDataPoint.ValueAtQuantile": "quantile",
    "metrics.v1.Exemplar": "exemplar",
    "common.v1.EntityRef": "entity",
    "common.v1.KeyValue": "attribute",
}
"""Message -> table of its rows. `record` is what is counted and refused one by one."""

TABLES = (
    "resource", "scope", "record", "attribute", "node", "element",
    "event", "link", "metric", "exemplar", "quantile", "entity",
)  # fmt: skip
"""Tables of every plan; their index is the table's number. `node`: values inside array and kvlist
values, in the order of the wire. `element`: entries of repeated scalars (owner, list, value)."""

TABLE_ID: Mapping[str, int] = {name: number for number, name in enumerate(TABLES)}
OWNER_SHIFT = 40
FIELDS = 32
"""Field numbers a context knows; OTLP uses 1-16. Higher ones are unknown fields."""

_SKIPPED = {"key_strindex"}
"""Fields only profiles use. Skipping them as unknown accepts and rejects the same bytes."""

# Columns of an entry; scan.py names the same numbers.
(WIRE, OP, SLOT, CONTEXT, TABLE, KIND_SLOT, CASE, LIVE_TABLE, CLEAR_FROM, CLEAR_TO, HAS_BIT,
 EXTRA_SLOT, EXTRA_BYTES, POSITION_SLOT, PAIR) = range(15)  # fmt: skip
ENTRY_WIDTH = 16

# Operations of an entry. 1-7 convert a scalar; a list adds OP_LIST to its element's operation.
(OP_SKIP, OP_INT64, OP_INT32, OP_UINT32, OP_BOOL, OP_SINT32, OP_FIXED64, OP_FIXED32,
 OP_STRING, OP_BYTES, OP_MESSAGE) = range(11)  # fmt: skip
OP_LIST = 16

# google.protobuf.FieldDescriptor.TYPE_* -> (wire type, operation)
_SCALARS: Mapping[int, tuple[int, int]] = {
    1: (1, OP_FIXED64),
    3: (0, OP_INT64),
    4: (0, OP_INT64),
    5: (0, OP_INT32),
    6: (1, OP_FIXED64),
    7: (5, OP_FIXED32),
    8: (0, OP_BOOL),
    9: (2, OP_STRING),
    12: (2, OP_BYTES),
    13: (0, OP_UINT32),
    14: (0, OP_INT32),
    16: (1, OP_FIXED64),
    17: (0, OP_SINT32),
}
_MESSAGE_TYPE = 11


@dataclass(slots=True)
class _Layout:
    """Slots of one table while the plan is made."""

    slots: dict[str, int] = field(default_factory=lambda: {"owner": 0, "has": 1})
    bits: dict[str, int] = field(default_factory=dict)

    def slot(self, name: str) -> int:
        return self.slots.setdefault(name, len(self.slots))

    def bit(self, name: str) -> int:
        return self.bits.setdefault(name, len(self.bits))


@dataclass(frozen=True, slots=True)
class Plan:
    """What the scanner needs to know about one request message."""

    entries: npt.NDArray[np.int32]
    """contexts x FIELDS x ENTRY_WIDTH, flat: the kernel is slower on views of rows."""
    widths: npt.NDArray[np.int64]
    """Slots of a row, per table."""
    slots: Mapping[str, Mapping[str, int]]
    """Table -> path of the field -> slot."""
    bits: Mapping[str, Mapping[str, int]]
    """Table -> path of an optional field or message -> its bit in slot `has`."""


class _Planner:
    def __init__(self) -> None:
        self.layouts = {name: _Layout() for name in TABLES}
        for name in ("list", "value"):
            self.layouts["element"].slot(name)
        self.contexts: dict[tuple[str, str, str], int] = {}
        self.entries: list[npt.NDArray[np.int32]] = []

    def context(self, message: Any, table: str, path: str) -> int:
        """Number of the context for `message` read into a row of `table` under `path`."""
        key = (message.full_name, table, path)
        if key in self.contexts:
            return self.contexts[key]
        number = self.contexts[key] = len(self.entries)
        rows = np.full((FIELDS, ENTRY_WIDTH), -1, dtype=np.int32)
        rows[:, OP] = OP_SKIP
        self.entries.append(rows)
        oneofs: set[str] = set()
        for descriptor in message.fields:
            if descriptor.name not in _SKIPPED and descriptor.number < FIELDS:
                self._field(rows[descriptor.number], descriptor, table, path)
                oneof = _real_oneof(descriptor)
                if oneof is not None and descriptor.message_type is not None:
                    oneofs.add(oneof.name)
        for name in oneofs:
            self._clear_on_switch(rows, message, table, f"{path}{name}.")
        return number

    def _field(self, row: npt.NDArray[np.int32], descriptor: Any, table: str, path: str) -> None:
        layout = self.layouts[table]
        name = path + descriptor.name
        oneof = _real_oneof(descriptor)
        if oneof is not None:
            row[KIND_SLOT] = layout.slot(f"{path}{oneof.name}.case")
            row[CASE] = descriptor.number
            row[SLOT] = layout.slot(path + oneof.name)
        if descriptor.type == _MESSAGE_TYPE:
            self._message(row, descriptor, table, path)
            return
        row[WIRE], row[OP] = _SCALARS[descriptor.type]
        if descriptor.is_repeated:
            row[OP] += OP_LIST
            row[SLOT] = layout.bit(name)
            row[TABLE] = TABLE_ID["element"]
            return
        if oneof is None:
            row[SLOT] = layout.slot(name)
        if descriptor.has_presence and oneof is None:
            row[HAS_BIT] = layout.bit(name)

    def _message(self, row: npt.NDArray[np.int32], descriptor: Any, table: str, path: str) -> None:
        layout = self.layouts[table]
        name = path + descriptor.name
        child = descriptor.message_type
        row[WIRE], row[OP] = 2, OP_MESSAGE
        if descriptor.is_repeated:
            child_table = _table_of(descriptor)
            row[TABLE] = TABLE_ID[child_table]
            row[CONTEXT] = self.context(child, child_table, "")
            row[PAIR] = child_table == "attribute"
            if child_table in ("attribute", "record"):
                # What metadata costs is its bytes, once per data point; attributes are counted.
                by_bytes = table == "metric" and child_table == "attribute"
                row[EXTRA_SLOT] = layout.slot(f"{name}.{'bytes' if by_bytes else 'count'}")
                row[EXTRA_BYTES] = by_bytes
            if child_table == "resource":
                row[POSITION_SLOT] = self.layouts[child_table].slot("position")
            return
        if _real_oneof(descriptor) is not None:
            # Array and kvlist values have nodes below, the data of a metric has points.
            row[LIVE_TABLE] = TABLE_ID["node" if _is(child, "common.v1") else "record"]
            child_path = (
                path if _is(child, "common.v1") else f"{path}{descriptor.containing_oneof.name}."
            )
            row[CONTEXT] = self.context(child, table, child_path)
            return
        if child.name != "AnyValue":
            row[HAS_BIT] = layout.bit(name)
        if table in ("resource", "scope"):
            row[EXTRA_SLOT] = layout.slot(f"{name}.bytes")
            row[EXTRA_BYTES] = 1
        # The value of a key and the elements of an array share their slots in `node`.
        child_path = "" if child.name == "AnyValue" else f"{name}."
        row[CONTEXT] = self.context(child, table, child_path)

    def _clear_on_switch(
        self, rows: npt.NDArray[np.int32], message: Any, table: str, prefix: str
    ) -> None:
        """Setting a member clears what the other members' messages had left in the row."""
        slots = [
            slot for name, slot in self.layouts[table].slots.items() if name.startswith(prefix)
        ]
        slots = [slot for slot in slots if slot != rows[:, KIND_SLOT].max()]
        if not slots:
            return
        assert max(slots) - min(slots) + 1 == len(slots), (message.full_name, slots)
        members = rows[:, KIND_SLOT] >= 0
        rows[members, CLEAR_FROM] = min(slots)
        rows[members, CLEAR_TO] = max(slots) + 1


def _is(message: Any, package: str) -> bool:
    return bool(message.full_name.startswith(_PREFIX + package))


def _real_oneof(descriptor: Any) -> Any:
    """The oneof of a field, unless it is only how `optional` is written in proto3."""
    oneof = descriptor.containing_oneof
    if oneof is None or (oneof.name == "_" + descriptor.name and len(oneof.fields) == 1):
        return None
    return oneof


def _table_of(descriptor: Any) -> str:
    """Table of the rows that a repeated message field makes."""
    if descriptor.containing_type.name in ("ArrayValue", "KeyValueList"):
        return "node"
    return RECORDS[descriptor.message_type.full_name.removeprefix(_PREFIX)]


def make_plan(request: Any) -> Plan:
    """Plan of one Export*ServiceRequest class. Context 0 is the request itself."""
    planner = _Planner()
    planner.context(request.DESCRIPTOR, "resource", "request.")
    layouts = planner.layouts
    return Plan(
        entries=np.concatenate(planner.entries).ravel(),
        widths=np.array([len(layouts[name].slots) for name in TABLES], dtype=np.int64),
        slots={name: dict(layouts[name].slots) for name in TABLES},
        bits={name: dict(layouts[name].bits) for name in TABLES},
    )


TRACES = make_plan(ExportTraceServiceRequest)
LOGS = make_plan(ExportLogsServiceRequest)
METRICS = make_plan(ExportMetricsServiceRequest)
