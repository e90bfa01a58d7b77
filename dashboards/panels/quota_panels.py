"""How quotas look: a bar per limit with what is expected by its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dash import html

from analytics.quota import QuotaUsage
from dashboards import format as fmt
from dashboards.components import Component, Head, Stat, Tone, badge, number, page_link, table
from dashboards.identity import sees_quotas
from dashboards.view import View

AT_RISK = 80.0
"""Percent used, or expected at the end, from which a quota is called at risk."""


NOT_COUNTED = "counts calls to all APIs"
"""Short hint where somebody sees only some APIs."""

NOT_YOURS = (
    "Quotas and bills count calls to all APIs; they are shown to those who see every API, and to "
    "the consumer's own developers."
)


def told(empty: str) -> str:
    """Why a panel about quotas or bills is empty, for whoever asks."""
    return empty if sees_quotas() else NOT_YOURS


def quota_tone(percent: float | None) -> Tone:
    if percent is None:
        return ""
    return "bad" if percent >= 100 else "warn" if percent >= AT_RISK else "good"


def at_risk(usage: QuotaUsage) -> bool:
    """Nearly used up, or expected to run out before its window ends."""
    runs_out = usage.forecast is not None and usage.forecast.exhausted_at is not None
    return usage.percent >= AT_RISK or runs_out


def quota_stat(quotas: Sequence[QuotaUsage] | None, query: str, *, id: str) -> Stat:
    """How many quotas end early; None = not counted yet, shortly after the start."""
    if not sees_quotas():
        return Stat(id, "Quota at risk", None, fmt.MISSING, hint=NOT_COUNTED)
    risk = None if quotas is None else sum(1 for u in quotas if at_risk(u))
    return Stat(
        id,
        "Quota at risk",
        risk,
        fmt.MISSING if risk is None else str(risk),
        href=f"/products{query}",
        tone="warn" if risk else "" if risk is None else "good",
        hint="being counted" if risk is None else "80 % used, or runs out early",
    )


def quota_bar(usage: QuotaUsage) -> Component:
    """Used, and lighter behind it what is expected at the end of the window."""
    expected = 0.0
    if usage.forecast is not None and usage.limit:
        expected = 100 * usage.forecast.used_at_end / usage.limit
    tone = quota_tone(usage.percent)
    return html.Div(
        [
            html.Div(style={"width": f"{min(100.0, expected):.1f}%"}, className="gl-ahead"),
            html.Div(
                style={"width": f"{min(100.0, usage.percent):.1f}%"}, className=f"gl-fill {tone}"
            ),
        ],
        className="gl-bar tall",
        title=f"{usage.percent:.1f} % used, {expected:.0f} % expected at the end",
    )


def forecast_text(usage: QuotaUsage, now: datetime) -> str:
    """When it runs out, as a sentence's part."""
    if usage.percent >= 100:
        return "used up"
    ahead = usage.forecast
    if ahead is None:
        return fmt.MISSING
    sure = "" if ahead.error is None else f" (±{fmt.percent(ahead.error)} last week)"
    if ahead.exhausted_at is None:
        return f"lasts the {usage.kind}{sure}"
    left = (ahead.exhausted_at - now).total_seconds()
    if left < 3600:
        return "runs out within the hour"
    return f"runs out {fmt.minute(ahead.exhausted_at)}{sure}"


def quota_table(usages: Sequence[QuotaUsage], view: View, now: datetime) -> Component:
    rows = [
        [
            page_link(
                fmt.plain(u.consumer, 50),
                f"/consumers/{fmt.url_part(u.consumer)}{view.query()}",
                "gl-name",
            ),
            html.Span(f"{fmt.plain(u.plan, 30)} · {u.kind}", className="gl-when"),
            number(f"{fmt.count(u.used)} of {fmt.count(u.limit)}", u.used),
            quota_bar(u),
            number(fmt.percent(u.percent / 100), u.percent / 100, tone=_number_tone(u.percent)),
            html.Span(forecast_text(u, now), className="bad-text" if at_risk(u) else "gl-when"),
            number(fmt.count(u.refused), u.refused, tone="warn" if u.refused else "muted"),
        ]
        for u in usages
    ]
    heads = (
        Head("Consumer"),
        Head("Plan"),
        Head("Used", True),
        Head("", width="22%"),
        Head("Share", True),
        Head("Forecast"),
        Head("Refused", True),
    )
    return table(heads, rows, empty=told("No consumer of the catalog has a plan with a quota."))


def _number_tone(percent: float) -> Tone:
    tone = quota_tone(percent)
    return "" if tone == "good" else tone


def quota_cards(usages: Sequence[QuotaUsage], now: datetime) -> Component:
    """The limits of one consumer, each with its bar."""
    if not usages:
        return html.Div(told("No quota limits this consumer."), className="gl-none")
    return html.Div(
        [
            html.Div(
                [
                    html.Div(
                        [
                            html.B(f"This {u.kind}"),
                            badge(forecast_text(u, now), "bad" if at_risk(u) else "good"),
                        ],
                        className="gl-tile-head",
                    ),
                    quota_bar(u),
                    html.Div(
                        [
                            number(fmt.whole(u.used), u.used),
                            f" of {fmt.whole(u.limit)} · {fmt.whole(u.remaining)} left · "
                            f"until {fmt.minute(u.window.end)}",
                        ],
                        className="gl-sub",
                    ),
                ],
                className="gl-quota",
            )
            for u in usages
        ]
    )
