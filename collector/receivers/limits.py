"""Limits of the receivers: value, unit, what is bounded, what happens beyond it."""

from __future__ import annotations

SNAPPY_RATIO_MAX = 32
"""Decompressed bytes per compressed byte of a snappy block. The format cannot do better than
about 22 (a copy of 64 bytes takes 3), so a larger declared length is a lie. Beyond: 400."""

ATTRIBUTE_DEPTH_MAX = 4
"""Levels of nested JSON that become dotted attribute names; what is deeper stays JSON text."""

ATTRIBUTES_MAX = 1_000
"""Attributes made of one record; the rest stays together as JSON under `more`."""

ANSWER_ITEMS_MAX = 500_000
"""Actions of one `_bulk` body. Beyond: 413."""

PAIR_MEMO_ENTRIES = 65_536
"""Encoded attributes remembered, so that labels which come again and again are encoded once."""

GATEWAY_RECORD_BYTES = 2_000
"""Memory a gateway record may take when decoded, for the limit on decoded bodies."""

HISTOGRAM_BUCKETS_MAX = 10_000
"""Buckets of one native histogram, gaps included: a span's offset may say two thousand million.
Beyond: the histogram is a reject. OpenTelemetry SDKs use 160."""
