"""Reports on screen: which one is shown, the mail as it would come, who gets it when."""

from __future__ import annotations

import json
from datetime import datetime
from urllib.parse import urlencode

from dash import html

from analytics.report_schedules import ReportDelivery, ReportSchedule
from analytics.reports import Audience, Report, owners
from analytics.windows import WindowKind
from dashboards import format as fmt
from dashboards import identity
from dashboards.components import Component, Head, attrs, badge, table, when
from storage.catalog import Catalog

PERIODS: dict[WindowKind, str] = {"day": "day", "week": "week", "month": "month"}
_TONES = {"delivered": "good", "failed": "bad", "waiting": "warn", "skipped": ""}


def controls(catalog: Catalog, chosen: tuple[Audience, str, WindowKind]) -> list[Component]:
    """Whose report, over which period, and the files of it for those who may take some."""
    audience, name, period = chosen
    people = [("owner", n) for n in owners(catalog)] + [
        ("consumer", c) for c in sorted(c.name for c in catalog.consumers)
    ]
    items = [
        html.Button(
            [html.Span(fmt.plain(who, 60)), html.Span(kind, className="gl-faint")],
            type="button",
            className="gl-menu-item" + (" active" if (kind, who) == (audience, name) else ""),
            **attrs({"data-gl-set": urlencode({"report": f"{kind}:{who}"})}),
        )
        for kind, who in people[:300]
    ]
    periods = [
        html.Button(
            text.capitalize(),
            type="button",
            className="gl-button",
            **attrs(
                {
                    "data-gl-set": urlencode({"period": kind}),
                    "aria-pressed": str(kind == period).lower(),
                }
            ),
        )
        for kind, text in PERIODS.items()
    ]
    query = urlencode({"name": name, "period": period})
    files = [
        html.A(
            shape.upper(),
            href=f"/api/v1/analytics/reports/{audience}?{query}&format={shape}",
            className="gl-button",
            download="",
        )
        for shape in ("pdf", "csv")
    ]
    return [
        html.Details(
            [
                html.Summary(
                    [html.Span("For", className="gl-muted"), html.B(fmt.plain(name, 40))],
                    className="gl-button",
                    **attrs({"aria-label": "Whose report"}),
                ),
                html.Div(html.Div(items, className="gl-pop-list"), className="gl-pop-body"),
            ],
            className="gl-pop",
        ),
        *periods,
        *(files if identity.allowed("export") else []),
    ]


def sheet(found: Report) -> Component:
    """The mail as it would come. In a frame of its own that may run nothing and load nothing."""
    return html.Div(
        [
            html.Div([html.B("Subject: "), fmt.plain(found.subject, 200)], className="gl-sub"),
            html.Iframe(
                srcDoc=found.html,
                sandbox="",
                className="gl-report-sheet",
                title="Preview of the report",
            ),
        ]
    )


def schedule_table(
    schedules: list[ReportSchedule],
    sent: list[ReportDelivery],
    now: datetime,
    may: bool,
    empty: str,
) -> Component:
    last: dict[int, ReportDelivery] = {}
    for delivery in sent:  # newest first
        last.setdefault(delivery.schedule_id, delivery)
    heads = (
        Head("For"),
        Head("Every"),
        Head("At"),
        Head("To"),
        Head("As"),
        Head("Next"),
        Head("Last"),
        Head("", True),
    )
    return table(heads, [_row(s, last.get(s.id or -1), now, may) for s in schedules], empty=empty)


def _row(
    schedule: ReportSchedule, last: ReportDelivery | None, now: datetime, may: bool
) -> list[Component]:
    look = urlencode({"report": f"{schedule.audience}:{schedule.name}", "period": schedule.period})
    to = ", ".join(schedule.recipients) or f"those of the channel {schedule.channel}".strip()
    return [
        html.Button(
            [html.B(fmt.plain(schedule.name, 60)), " ", badge(schedule.audience)],
            type="button",
            className="gl-cell-filter",
            title="Show it below",
            **attrs({"data-gl-set": look}),
        ),
        schedule.period,
        f"{schedule.send_at} {schedule.zone}",
        html.Span(fmt.plain(to, 60), title=to),
        ", ".join(schedule.formats) or "mail alone",
        html.Span(f"{schedule.next_at(now):%d %b %H:%M} UTC"),
        _last(last, now),
        html.Div(
            [
                _do(schedule, text, what)
                for text, what in (("Send now", "run"), ("Edit", "edit"), ("Remove", "remove"))
            ],
            className="gl-version-do",
        )
        if may
        else None,
    ]


def _last(last: ReportDelivery | None, now: datetime) -> Component:
    if last is None:
        return html.Span("none yet", className="gl-when")
    tone = _TONES[last.state]
    at = last.delivered_at or last.skipped_at or last.dead_at or last.next_attempt_at
    return html.Span(
        [badge(last.state, tone), " ", when(at, now) if at <= now else None],
        title=last.error or "",
    )


def _do(schedule: ReportSchedule, text: str, what: str) -> Component:
    known = {
        "id": schedule.id,
        "audience": schedule.audience,
        "name": schedule.name,
        "period": schedule.period,
        "zone": schedule.zone,
        "send_at": schedule.send_at,
        "channel": schedule.channel,
        "recipients": list(schedule.recipients),
        "formats": list(schedule.formats),
        "skip_empty": schedule.skip_empty,
    }
    return html.Button(
        text,
        type="button",
        className="gl-link-button",
        **attrs({"data-gl-report": what, "data-schedule": json.dumps(known)}),
    )
