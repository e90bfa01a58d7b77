"""Maintenance windows: those that run or will, and the form that plans one."""

from __future__ import annotations

from datetime import datetime

from dash import html

from alerting.errors import AlertingError
from alerting.maintenance import MaintenanceWindow
from alerting.time_intervals import WEEKDAYS, TimeInterval
from dashboards import format as fmt
from dashboards import identity
from dashboards.components import (
    Component,
    Head,
    author_field,
    badge,
    end_button,
    form_foot,
    table,
    text_field,
)
from dashboards.data import Data
from dashboards.panels.alert_panels import matcher_words, moment
from dashboards.planned_times import read_interval, read_moment

FIELDS = ("name", "matchers", "reason", "author", "from", "until", "days", "hours")


def maintenance_form(*, hidden: bool) -> Component:
    def text(key: str, label: str, placeholder: str) -> Component:
        return text_field(f"maintenance-{key}", label, placeholder)

    return html.Details(
        [
            html.Summary("Plan maintenance", className="gl-link-button"),
            html.Div(
                [
                    text("name", "Name", "database upgrade"),
                    text("matchers", "Matches (empty = every alert)", "gateway=kong, env=prod"),
                    text("reason", "Reason", "rolling restart"),
                    text("from", "From (empty = now)", "22:00 or 2026-12-05 08:00"),
                    text("until", "Until", "4h, 06:00 or 2026-12-05 12:00"),
                    text("days", "Again on (empty = once)", "saturday, monday:friday"),
                    text("hours", "Between, on those days", "22:00-06:00"),
                    author_field("maintenance-author"),
                    html.Div(
                        "Times are in the zone of the screen. Alerts are judged and shown, and "
                        "told to nobody; what still fires at the end is told then.",
                        className="gl-sub gl-form-foot",
                    ),
                    form_foot("Plan it", "maintenance-create", "maintenance-said"),
                ],
                className="gl-form",
            ),
        ],
        id="maintenance-form",
        className="gl-fold",
        hidden=hidden,
    )


def maintenance_table(
    windows: list[MaintenanceWindow], now: datetime, *, may: bool = False
) -> Component:
    heads = (Head("Window"), Head("Matches"), Head("When"), Head("Reason"), Head("By"), Head(""))
    rows = [
        [
            html.Span(
                [
                    html.Span(fmt.plain(window.name, 40), className="gl-name"),
                    badge("now", "accent") if window.runs_at(now.timestamp()) else "",
                ]
            ),
            html.Span(
                fmt.plain(matcher_words(window.matchers) or "everything", 80),
                className="gl-mono",
            ),
            window_times(window),
            html.Span(fmt.plain(window.reason, 80)),
            html.Span(fmt.plain(window.author or "channels file", 30), className="gl-when"),
            end_button("maintenance-end", str(window.id)) if may and window.id else "",
        ]
        for window in windows
    ]
    return table(heads, rows, empty="No maintenance is planned.")


def window_times(window: MaintenanceWindow) -> str:
    """'5 Dec 08:00:00 to 5 Dec 12:00:00'; 'every saturday 22:00-06:00 UTC, from 5 Dec 08:00:00'."""
    ends = [fmt.clock(moment(at)) if at else "" for at in (window.starts_at, window.ends_at)]
    if window.recurs is None:
        return f"{ends[0] or '…'} to {ends[1] or '…'}"
    named = zip(("from", "until"), ends, strict=True)
    bounds = [f"{word} {at}" for word, at in named if at]
    return ", ".join([f"every {interval_words(window.recurs)}", *bounds])


def interval_words(interval: TimeInterval) -> str:
    days = [name for n, name in enumerate(WEEKDAYS) if n in interval.weekdays]
    hours = [f"{s // 60:02}:{s % 60:02}-{e // 60:02}:{e % 60:02}" for s, e in interval.minutes]
    dates = ", ".join(str(day) for day in sorted(interval.days_of_month))
    parts = [", ".join(days) or "day", dates and f"the {dates}.", ", ".join(hours), interval.zone]
    return " ".join(part for part in parts if part)


def plan_maintenance(data: Data, asked: dict[str, str], author: str) -> str:
    """Plan what the form asks for; a sentence that says what happened, or what to change.

    asked: FIELDS -> text.
    """
    parts = [part.strip() for part in asked["matchers"].split(",") if part.strip()]
    now = data.clock().timestamp()
    try:
        starts_at = read_moment(asked["from"], after=now)
        until = read_moment(asked["until"], after=now if starts_at is None else starts_at)
        again = bool(asked["days"].strip() or asked["hours"].strip())
        data.alerts.add_maintenance(
            asked["name"],
            parts,
            author=author,
            reason=asked["reason"],
            starts_at=starts_at,
            ends_at=until,
            recurs=read_interval(asked["name"], asked["days"], asked["hours"]) if again else None,
            audit=identity.audit_entry("maintenance.create", asked["name"], matches=parts),
        )
    except AlertingError as err:
        return str(err)
    return "Planned. Alerts that match are shown meanwhile, and told to nobody."


def end_maintenance(data: Data, key: str) -> str:
    audit = identity.audit_entry("maintenance.end", key[:16])
    known = key.isdigit() and len(key) < 16
    ended = known and data.alerts.end_maintenance(int(key), audit=audit)
    return "The maintenance has ended." if ended else "That window had ended already."
