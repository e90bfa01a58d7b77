"""How objectives look: budget left, how fast it burns, how much was measured."""

from __future__ import annotations

from dash import html

from analytics.slo import SloStatus
from dashboards import format as fmt
from dashboards.components import Component, Head, Tone, number, page_link, table
from dashboards.view import View, api_path


def slo_table(statuses: list[SloStatus], view: View) -> Component:
    rows = [
        [
            html.Div(
                [
                    page_link(
                        fmt.plain(s.slo.name, 50), api_path(s.slo.api) + view.query(), "gl-name"
                    ),
                    html.Div(objective_text(s), className="gl-when"),
                ]
            ),
            number(fmt.percent(s.count.ratio), s.count.ratio),
            budget_bar(s.budget_left),
            number(fmt.percent(s.budget_left), s.budget_left, tone=budget_tone(s.budget_left)),
            number(burn_text(s.burn_rates.get("1h")), s.burn_rates.get("1h"), tone="muted"),
            number(fmt.percent(s.coverage), s.coverage, tone="muted"),
        ]
        for s in statuses
    ]
    heads = (
        Head("Objective"),
        Head("Good", True),
        Head("Budget", width="20%"),
        Head("Left", True),
        Head("Burn 1 h", True),
        Head("Measured", True),
    )
    return table(heads, rows, empty="The catalog has no objectives; add `slos` to catalog.yaml.")


def objective_text(status: SloStatus) -> str:
    slo = status.slo
    told = f"{fmt.percent(slo.objective)} "
    told += "answered" if slo.kind == "availability" else f"in {fmt.milliseconds(slo.threshold_ms)}"
    return f"{told}, {slo.window_days} d"


def burn_text(rate: float | None) -> str:
    return fmt.MISSING if rate is None else f"×{rate:.1f}"


def budget_tone(left: float | None) -> Tone:
    if left is None:
        return "muted"
    return "bad" if left <= 0 else "warn" if left < 0.25 else "good"


def budget_bar(left: float | None) -> Component:
    """What is left of an error budget; nothing measured = an empty bar."""
    tone = budget_tone(left)
    width = max(0.0, min(1.0, left or 0.0)) * 100
    return html.Div(
        html.Div(style={"width": f"{width:.1f}%"}, className=f"gl-fill {tone}"), className="gl-bar"
    )
