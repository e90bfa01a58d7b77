"""What bodies of the HTTP API share."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Fields nobody asked for are refused."""

    model_config = ConfigDict(extra="forbid")


def iso(moment: float | None) -> str | None:
    """Epoch seconds -> '2026-11-28T10:00:00+00:00'."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
