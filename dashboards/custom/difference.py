"""What changed between two versions of a dashboard, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashboards.custom.definition import Dashboard, Panel

_WORDS = {
    "at": "place",
    "by": "grouping",
    "sql": "SQL",
    "kind": "visualisation",
    "range": "default time range",
}
"""Field -> what people call it."""


def difference(old: Dashboard, new: Dashboard) -> list[str]:
    """Sentences, most important first; [] when the two are the same."""
    return [
        *_fields(old, new, ("title", "folder", "range")),
        *(["Description changed."] if old.description != new.description else []),
        *_variables(old, new),
        *_panels(old, new),
    ]


def _fields(old: Any, new: Any, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            word = _WORDS.get(name, name).capitalize()
            yield f"{word}: {_said(before)} → {_said(after)}."


def _variables(old: Dashboard, new: Dashboard) -> Iterator[str]:
    before, after = [v.name for v in old.variables], [v.name for v in new.variables]
    for name in after:
        if name not in before:
            yield f"Variable {name} added."
    for name in before:
        if name not in after:
            yield f"Variable {name} removed."
    if sorted(before) == sorted(after) and old.variables != new.variables:
        yield "Variables put in another order." if before != after else "Variables changed."


def _panels(old: Dashboard, new: Dashboard) -> Iterator[str]:
    before, after = ({p.id: p for p in d.panels} for d in (old, new))
    for key, panel in after.items():
        if key not in before:
            yield f"Panel {_name(panel)} added ({panel.kind.replace('_', ' ')})."
    for key, panel in before.items():
        if key not in after:
            yield f"Panel {_name(panel)} removed."
    moved = []
    for key, panel in after.items():
        if key in before:
            changes = list(_panel(before[key], panel))
            if changes:
                yield f"Panel {_name(panel)}: {'; '.join(changes)}."
            elif before[key].at != panel.at:
                moved.append(_name(panel))
    if moved:
        shown = ", ".join(moved[:4]) + (f" and {len(moved) - 4} more" if len(moved) > 4 else "")
        yield f"Moved or resized: {shown}."


def _panel(old: Panel, new: Panel) -> Iterator[str]:
    for name in ("title", "kind", "unit", "style"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{_WORDS.get(name, name)} {_said(before)} → {_said(after)}"
    for name in ("measures", "by", "filters", "limit"):
        before, after = getattr(old.source, name), getattr(new.source, name)
        if before != after:
            yield f"{_WORDS.get(name, name)} {_said(before)} → {_said(after)}"
    if old.source.sql != new.source.sql:
        yield "SQL changed"
    for name in ("text", "description", "thresholds", "links"):
        if getattr(old, name) != getattr(new, name):
            yield f"{name} changed"


def _name(panel: Panel) -> str:
    return f"“{panel.title or panel.id}”"


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} = {' or '.join(v)}" for k, v in value.items()) or "nothing"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nothing"
    return f"“{value}”" if value not in ("", None) else "nothing"
