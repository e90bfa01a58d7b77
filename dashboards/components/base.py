"""The smallest pieces: a number, a badge, a dot, a moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from dash import html

from dashboards import format as fmt
from dashboards.theme import SEVERITY

Component = Any
"""A Dash component; the library publishes no types."""


Tone = Literal["", "good", "warn", "bad", "muted"]


def attrs(values: Mapping[str, str]) -> dict[str, Any]:
    """`data-*` and `aria-*` attributes, which are no valid Python keywords."""
    return dict(values)


def dot(colour: str) -> Component:
    return html.I(className="gl-dot", style={"background": colour})


def badge(text: str, tone: str = "") -> Component:
    return html.Span(text, className=f"gl-badge {tone}".strip())


def number(
    text: str,
    value: float | int | None,
    *,
    id: str = "",
    tone: str = "",
) -> Component:
    extra: dict[str, Any] = {"data-value": fmt.exact(value)}
    if id:
        extra["id"] = id
    return html.Span(text, className=f"gl-num {tone}".strip(), **extra)


def severity_tone(severity: str) -> str:
    return SEVERITY.get(severity.lower(), "accent")


def when(moment: datetime | None, now: datetime) -> Component:
    return html.Span(fmt.ago(moment, now), title=fmt.clock(moment), className="gl-when")
