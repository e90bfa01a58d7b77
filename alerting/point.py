"""One series of numbers at one moment: what every source answers with."""

from __future__ import annotations

from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]
"""Label names and values, in the order of the rule's group_by."""


@dataclass(frozen=True, slots=True)
class Point:
    """One series over one window. value None = unmeasured."""

    labels: Labels
    value: float | None
    requests: int
