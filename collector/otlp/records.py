"""What the three signals have in common, and what each must say about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.otlp.admission import REASONS
from collector.otlp.attributes import Attributes
from collector.otlp.body import Body, Ints
from collector.otlp.limits import FUTURE_MAX_NANO, TIME_MIN_UNIX_NANO, OtlpLimits
from collector.otlp.plan import Plan
from collector.otlp.quick import QuickCheck
from collector.otlp.shared import Shared
from collector.otlp.text import LENGTH_MASK

Codes = npt.NDArray[np.uint8]
REASON_CODE = {reason: code for code, reason in enumerate(REASONS, 1)}
"""Reason of refusal -> its code in `Records.codes`; 0 = accepted."""


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a body and what is decided about each."""

    time: Ints
    """Unix nanoseconds, the replacement of an absent time included."""
    codes: Codes
    live: npt.NDArray[np.bool_] | None
    """Which rows are records at all; None = every row."""

    @property
    def count(self) -> int:
        return len(self.codes) if self.live is None else int(np.count_nonzero(self.live))

    @property
    def refused(self) -> Ints:
        """Rows of refused records."""
        refused = self.codes > 0
        return np.flatnonzero(refused if self.live is None else refused & self.live)

    @property
    def accepted(self) -> npt.NDArray[np.bool_] | None:
        """Mask of the rows to keep; None = all of them."""
        if self.live is None:
            return None if not self.codes.any() else self.codes == 0
        accepted: npt.NDArray[np.bool_] = self.live & (self.codes == 0)
        return accepted


def sized(references: Ints, size: int) -> npt.NDArray[np.bool_]:
    """Which ids are of another length than `size`, and not absent."""
    lengths = references & LENGTH_MASK
    wrong: npt.NDArray[np.bool_] = (lengths != size) & (lengths != 0)
    return wrong


class Signal(ABC):
    """Traces, logs or metrics. Stateless."""

    name: str
    table: str
    """Lake table of its records."""
    source: str
    """`source` of its rows in the rejects table."""
    plan: Plan
    quick: QuickCheck
    shown: tuple[str, ...]
    """Columns that a refused record is shown with; none that could hold a secret."""

    @abstractmethod
    def times(self, body: Body, received: Ints) -> Ints:
        """Time of every record; `received` (per record) where it gives none."""

    @abstractmethod
    def scopes(self, body: Body) -> Ints:
        """Row of the scope of every record."""

    @abstractmethod
    def columns(self, attributes: Attributes, shared: Shared) -> dict[str, pa.Array]:
        """The signal's own columns, one entry per row of the `record` table."""

    def live(self, body: Body) -> npt.NDArray[np.bool_] | None:
        """Rows that are records; None = all."""
        return None

    def refusals(self, body: Body) -> list[tuple[str, npt.NDArray[np.bool_]]]:
        """Reasons beyond time and number of attributes, with the rows they hold for."""
        return []

    def repeated_bytes(self, body: Body) -> Ints:
        """Bytes of the wire that become part of a row, per record, besides its own."""
        resources = body.owner_rows("scope")
        sizes = body.column("resource", "resource.bytes")[resources]
        return (sizes + body.column("scope", "scope.bytes"))[self.scopes(body)]

    def decide(self, body: Body, received: Ints, limits: OtlpLimits) -> Records:
        """Accept or refuse every record, by reception times and limits."""
        time = self.times(body, received)
        unsigned = time.view(np.uint64)
        codes = np.zeros(len(time), dtype=np.uint8)
        latest = (received + FUTURE_MAX_NANO).view(np.uint64)
        early_or_late = (unsigned < np.uint64(TIME_MIN_UNIX_NANO)) | (unsigned > latest)
        many = body.column("record", "attributes.count") > limits.attributes_per_record_max
        found = [
            ("time_out_of_range", early_or_late),
            *self.refusals(body),
            ("too_many_attributes", many),
        ]
        # The first reason in REASONS is told, so it is written last.
        for reason, mask in sorted(found, key=lambda pair: -REASON_CODE[pair[0]]):
            codes[mask] = REASON_CODE[reason]
        return Records(time, codes, self.live(body))
