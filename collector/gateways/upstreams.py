"""Lists of upstream tries, `a, b : c`, of which the last one answered."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def last_of_list(values: pa.Array) -> pa.Array:
    """The last of a list; NULL where that is `-`."""
    if pc.any(pc.match_substring_regex(values, r"[, ]")).as_py():
        values = pc.replace_substring_regex(values, r".*[, ]", "")
    return pc.if_else(pc.equal(values, "-"), pa.scalar(None, pa.string()), values)


def status_column(texts: pa.Array) -> pa.Array:
    """Statuses written as text; NULL where it is none."""
    good = pc.fill_null(pc.match_substring_regex(texts, "^[0-9]{3}$"), False)
    return pc.cast(pc.if_else(good, texts, pa.scalar(None, pa.string())), pa.int16())
