"""Which button was clicked, where a callback listens to many: of forms, and in rows of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dash import ctx

KEY_CHARS_MAX = 200
"""A key is a name or a number of ours; what a browser sends beyond is cut off."""


@dataclass(frozen=True, slots=True)
class Click:
    """One button. kind: its id, or the `type` of its pattern id; key: the pattern's; '' = none."""

    kind: str
    key: str


def clicked() -> Click | None:
    """The button behind this callback. None = nobody clicked: buttons that have just been drawn
    trigger, too."""
    if not any(part["value"] for part in ctx.triggered):
        return None
    asked: Any = ctx.triggered_id
    if isinstance(asked, dict):
        return Click(str(asked.get("type", "")), str(asked.get("key", ""))[:KEY_CHARS_MAX])
    return Click(str(asked or ""), "")
