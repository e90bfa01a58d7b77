"""Home's own panels: who moved most against last week, recent incidents, what is nearly used up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
from dash import html

from alerting.store import HistoryEntry
from analytics.query import TimeRange
from analytics.quota import QuotaUsage
from analytics.slo import SloStatus
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Head,
    api_link,
    badge,
    errors_cell,
    latency_cell,
    number,
    page_link,
    severity_tone,
    sparkline,
    table,
    when,
)
from dashboards.data import Data
from dashboards.figures.base import TimeAxis
from dashboards.measured import rates_by
from dashboards.panels.alert_panels import labels_text, moment, subject
from dashboards.panels.quota_panels import at_risk, forecast_text, quota_bar
from dashboards.panels.slo_panels import budget_bar, budget_tone
from dashboards.view import View, api_path

MOVERS_SHOWN = 10
ATTENTION_SHOWN = 3
INCIDENTS_SHOWN = 9
WEEK = timedelta(weeks=1)


def compared_range(view: View) -> tuple[TimeRange, str]:
    """What movers are measured against: the same time a week ago; of ranges longer than a week
    the equal range just before, which then lies further back."""
    if view.end - view.start <= WEEK:
        return view.time_range.shifted(-WEEK), "last week"
    return view.time_range.previous(), "the range before"


def no_changes(rows: pl.DataFrame, told: str) -> str:
    """Why nobody moved, in a sentence; '' = some did. told: what they are compared with."""
    if rows["growth"].count() or not rows.height:
        return ""
    if rows["requests_previous"].sum():
        return f"Only a part of {told} is stored: changes against it would mislead."
    return f"Nothing was measured {told}: all is new."


def movers_table(
    rows: pl.DataFrame, usage: pl.DataFrame, axis: TimeAxis, view: View, data: Data
) -> Component:
    """APIs by how many requests they gained or lost, most first."""
    sparks = rates_by(axis, usage, "api")
    moved = rows.with_columns(
        (pl.col("requests") - pl.col("requests_previous").fill_null(0)).abs().alias("_moved")
    ).sort("_moved", "requests", descending=True, nulls_last=True)
    lines = []
    for row in moved.head(MOVERS_SHOWN).iter_rows(named=True):
        name = row["api"]
        colour = data.colours.colour(name)
        href = api_path(name or "(none)") + view.query()
        lines.append(
            [
                api_link(name or "(no name)", href, colour),
                sparkline(sparks.get(name, []), colour, height=22, className="gl-cell-spark"),
                page_link(
                    number(
                        fmt.count(row["requests"]), row["requests"], id=f"mover-requests-{name}"
                    ),
                    "/requests" + view.narrowed(api=name or "(none)").query(),
                ),
                number(fmt.change(row["growth"]), row["growth"]),
                errors_cell(row["error_rate"]),
                latency_cell(row["p95_ms"]),
                latency_cell(row["p99_ms"], "muted"),
            ]
        )
    heads = (
        Head("API"),
        Head("Requests over time", width="20%"),
        Head("Requests", True),
        Head("Change", True),
        Head("Errors", True),
        Head("p95", True),
        Head("p99", True),
    )
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


@dataclass(frozen=True, slots=True)
class Incident:
    """One firing of one series. `resolved_at` None = it lasts."""

    change: HistoryEntry
    resolved_at: float | None

    @property
    def lasted_s(self) -> float | None:
        return None if self.resolved_at is None else self.resolved_at - self.change.at


def incidents(changes: Sequence[HistoryEntry]) -> list[Incident]:
    """Firings, newest first, each with its end. `changes`: newest first, as stored."""
    ends: dict[str, float] = {}
    found = []
    for change in changes:
        if change.to_state.value == "firing":
            found.append(Incident(change, ends.pop(change.fingerprint, None)))
        else:
            ends[change.fingerprint] = change.at
    return found


def incidents_table(found: Sequence[Incident], view: View, now: datetime) -> Component:
    lines = [
        [
            html.Div(
                [
                    page_link(
                        fmt.plain(i.change.rule, 40), subject(i.change.labels, view), "gl-name"
                    ),
                    html.Div(
                        fmt.plain(i.change.summary or labels_text(i.change.labels), 70),
                        className="gl-when gl-ellipsis",
                        title=fmt.plain(i.change.summary, 300),
                    ),
                ],
                className="gl-two-lines",
            ),
            when(moment(i.change.at), now),
            number(fmt.span(i.lasted_s), i.lasted_s)
            if i.resolved_at is not None
            else badge("firing", severity_tone(i.change.severity)),
        ]
        for i in found[:INCIDENTS_SHOWN]
    ]
    heads = (Head("What"), Head("Began"), Head("Lasted", True))
    return table(heads, lines, empty="No alert has fired yet.")


def attention(
    slos: Sequence[SloStatus], quotas: Sequence[QuotaUsage], view: View, now: datetime
) -> Component:
    """The error budgets and quotas that are nearest their end."""
    burnt = [s for s in slos if s.budget_left is not None][:ATTENTION_SHOWN]
    full = quotas[:ATTENTION_SHOWN]
    parts: list[Component] = []
    if burnt:
        parts.append(html.H3("Error budgets, worst first"))
        parts += [
            page_link(
                [
                    html.Span(fmt.plain(s.slo.name, 40)),
                    budget_bar(s.budget_left),
                    number(
                        f"{fmt.percent(s.budget_left)} left",
                        s.budget_left,
                        tone=budget_tone(s.budget_left),
                    ),
                ],
                api_path(s.slo.api) + view.query(),
                "gl-line",
            )
            for s in burnt
        ]
    if full:
        parts.append(html.H3("Quotas, fullest first"))
        parts += [
            page_link(
                [
                    html.Span(fmt.plain(u.consumer, 40)),
                    quota_bar(u),
                    html.Span(
                        forecast_text(u, now), className="bad-text" if at_risk(u) else "gl-when"
                    ),
                ],
                f"/consumers/{fmt.url_part(u.consumer)}{view.query()}",
                "gl-line",
            )
            for u in full
        ]
    return parts
