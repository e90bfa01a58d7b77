"""Series in promtool's compact notation, one value per interval.

    1 2 3        three values
    1x4          1 1 1 1 1        (n + 1 values)
    1+2x3        1 3 5 7          (start, step, n more)
    9-3x2        9 6 3
    _            nothing measured
    _x3          nothing, three times

As in https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series.
"""

from __future__ import annotations

import re

VALUES_MAX = 100_000
"""Values in one series; more is refused."""

_ITEM = re.compile(
    r"(?P<start>_|-?\d+(?:\.\d+)?)(?:(?P<step>[+-]\d+(?:\.\d+)?))?(?:x(?P<times>\d{1,6}))?"
)


def parse_series(text: str) -> list[float | None]:
    """Values; None = unmeasured. Raises ValueError with the item that cannot be read."""
    values: list[float | None] = []
    for item in text.split():
        match = _ITEM.fullmatch(item)
        if match is None or (match["step"] and not match["times"]):
            raise ValueError(f"{item!r} is no series item; write 5, 5x3, 1+2x3, _ or _x3")
        times = int(match["times"]) if match["times"] else 0
        if match["start"] == "_":
            if match["step"]:
                raise ValueError(f"{item!r} steps from nothing")
            values.extend([None] * max(times, 1))
        else:
            start, step = float(match["start"]), float(match["step"] or 0)
            values.extend(start + step * i for i in range(times + 1))
        if len(values) > VALUES_MAX:
            raise ValueError(f"a series has at most {VALUES_MAX} values")
    return values
