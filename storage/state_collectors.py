"""When collectors took data, one row per uninterrupted stretch: what tells "nobody called" from
"nobody listened". Collectors write it (collector/heartbeat.py), analytics read it
(analytics/outages.py).
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, String, Table

from storage.state_metadata import metadata

BEAT_S = 15.0
"""Seconds between two beats of a collector: `until` is that much too early, at most, after a
kill."""

LATE_S = 3 * BEAT_S
"""Seconds without a beat after which a stretch is over: a collector that was stopped or starved for
so long took nothing meanwhile. What is shorter is not noticed."""

collector_stretches = Table(
    "collector_stretches",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("collector", String(200), nullable=False),  # id of its write-ahead log
    Column("since", Float, nullable=False),  # epoch seconds
    Column("until", Float, nullable=False),  # the last beat at which it took data
    Index("collector_stretches_by_since", "since"),
    Index("collector_stretches_by_until", "until"),
)
