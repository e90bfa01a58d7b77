"""Admission of a body all of whose records are fine, as nearly all are: one pass over the slots.

What `Signal.decide` does in some forty operations of numpy, each of which costs more than its work
on a body of a hundred records. Where a record would be refused, or is none at all, this answers
nothing and the long way tells which and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numba.core import types

from collector.otlp.body import ROW_MASK, Body
from collector.otlp.limits import FUTURE_MAX_NANO, TIME_MIN_UNIX_NANO, OtlpLimits
from collector.otlp.machine import INTS, kernel
from collector.otlp.plan import TABLE_ID, Plan
from collector.otlp.text import LENGTH_MASK

_RESOURCE, _SCOPE, _METRIC, _RECORD = (
    TABLE_ID[name] for name in ("resource", "scope", "metric", "record")
)
_IDS = 3
"""Ids a record may have. Twin: the longest `ids`."""

(_FIRST_TIME, _OTHER_TIME, _SIGNED, _COUNT, _SCOPE_BYTES, _RESOURCE_BYTES, _DATA, _METADATA,
 _NAME, _DESCRIPTION, _UNIT, _FIRST_ID) = range(12)  # fmt: skip


class QuickCheck:
    """What a signal's `times`, `refusals`, `live` and `repeated_bytes` come to: their twin, held
    to them by tests/collector/otlp/test_quick.py."""

    def __init__(
        self,
        plan: Plan,
        *,
        times: tuple[str, ...],
        signed: str | None = None,
        ids: Mapping[str, int] = MappingProxyType({}),
        of_metrics: bool = False,
    ) -> None:
        """`times`: one or two slots of a record, the first that is not zero is its time. `signed`:
        one that may not be negative. `ids`: slots with the length each has unless it is empty.
        `of_metrics`: records belong to rows of `metric`, and may be dead."""
        record, metric = plan.slots["record"], plan.slots["metric"]
        spec = np.full(_FIRST_ID + 2 * _IDS, -1, dtype=np.int64)
        for place, path in zip((_FIRST_TIME, _OTHER_TIME), times, strict=False):
            spec[place] = record[path]
        if signed:
            spec[_SIGNED] = record[signed]
        spec[_COUNT] = record["attributes.count"]
        spec[_SCOPE_BYTES] = plan.slots["scope"]["scope.bytes"]
        spec[_RESOURCE_BYTES] = plan.slots["resource"]["resource.bytes"]
        if of_metrics:
            for place, path in (
                (_DATA, "data"), (_METADATA, "metadata.bytes"), (_NAME, "name"),
                (_DESCRIPTION, "description"), (_UNIT, "unit"),
            ):  # fmt: skip
                spec[place] = metric[path]
        for number, (path, size) in enumerate(ids.items()):
            spec[_FIRST_ID + 2 * number : _FIRST_ID + 2 * number + 2] = record[path], size
        self._spec = spec
        self._plan = plan

    def repeated_bytes(self, body: Body, received: int, limits: OtlpLimits) -> int | None:
        """The sum of `Signal.repeated_bytes` where every record is accepted; None: ask the long
        way. `received`: unix nanoseconds."""
        found = int(
            _repeated_if_fine(
                body.slots, body.starts, self._plan.widths, body.counts, self._spec, received,
                TIME_MIN_UNIX_NANO, received + FUTURE_MAX_NANO, limits.attributes_per_record_max,
            )
        )  # fmt: skip
        return found if found >= 0 else None


_INT = types.int64


@kernel(_INT(INTS, INTS, INTS, INTS, INTS, _INT, _INT, _INT, _INT))
def _repeated_if_fine(  # type: ignore[no-untyped-def]
    slots, starts, widths, counts, spec, received, earliest, latest, attributes_max
):
    """-1 at the first record that is not simply fine."""
    total = np.int64(0)
    for row in range(counts[_RECORD]):
        at = starts[_RECORD] + row * widths[_RECORD]
        time = slots[at + spec[_FIRST_TIME]]
        if time == 0 and spec[_OTHER_TIME] >= 0:
            time = slots[at + spec[_OTHER_TIME]]
        if time == 0:
            time = received
        # A time past 2262 is negative here; the latest that is allowed lies before.
        if time < earliest or time > latest:
            return -1
        if spec[_SIGNED] >= 0 and slots[at + spec[_SIGNED]] < 0:
            return -1
        if slots[at + spec[_COUNT]] > attributes_max:
            return -1
        for i in range(_IDS):
            slot = spec[_FIRST_ID + 2 * i]
            if slot >= 0:
                size = slots[at + slot] & LENGTH_MASK
                if size != 0 and size != spec[_FIRST_ID + 2 * i + 1]:
                    return -1
        owner = slots[at] & ROW_MASK
        if spec[_DATA] >= 0:
            metric = starts[_METRIC] + owner * widths[_METRIC]
            if row < slots[metric + spec[_DATA]]:
                return -1
            total += slots[metric + spec[_METADATA]]
            total += slots[metric + spec[_NAME]] & LENGTH_MASK
            total += slots[metric + spec[_DESCRIPTION]] & LENGTH_MASK
            total += slots[metric + spec[_UNIT]] & LENGTH_MASK
            owner = slots[metric] & ROW_MASK
        scope = starts[_SCOPE] + owner * widths[_SCOPE]
        total += slots[scope + spec[_SCOPE_BYTES]]
        resource = starts[_RESOURCE] + (slots[scope] & ROW_MASK) * widths[_RESOURCE]
        total += slots[resource + spec[_RESOURCE_BYTES]]
    return total
