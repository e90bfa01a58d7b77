"""Cells that tables about requests share: a count, its change, a share of failures, a latency."""

from __future__ import annotations

from dashboards import format as fmt
from dashboards.components.base import Component, Tone, number


def error_tone(rate: float | None) -> Tone:
    """How an error rate is coloured: from 1 % a warning, from 5 % bad."""
    if rate is None or rate < 0.01:
        return ""
    return "bad" if rate >= 0.05 else "warn"


def count_cell(value: int | None, tone: Tone = "") -> Component:
    return number(fmt.count(value), value, tone=tone)


def change_cell(growth: float | None) -> Component:
    """growth: against the range before, 0.5 = half as many again; None = nothing to compare."""
    return number(fmt.change(growth), growth, tone="muted")


def errors_cell(rate: float | None) -> Component:
    """rate: failures as a share of all, from 0 to 1."""
    return number(fmt.percent(rate), rate, tone=error_tone(rate))


def latency_cell(ms: float | None, tone: Tone = "") -> Component:
    return number(fmt.milliseconds(ms), ms, tone=tone)
