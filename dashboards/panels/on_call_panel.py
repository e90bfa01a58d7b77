"""Who is on call, who stands in, and the form that lets somebody stand in."""

from __future__ import annotations

from datetime import datetime

from dash import dcc, html

from alerting.channels import Delivery
from alerting.errors import AlertingError
from alerting.on_call import Override
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
from dashboards.panels.alert_panels import moment
from dashboards.planned_times import TimeUnread, read_moment

FIELDS = ("rotation", "channel", "from", "until", "author")


def stand_in_form(delivery: Delivery | None) -> Component:
    """None = the asker may not change it: the form stays hidden."""

    def choice(key: str, label: str, names: list[str]) -> Component:
        picker = dcc.Dropdown(
            id=f"stand-in-{key}",
            options=[{"value": name, "label": fmt.plain(name, 60)} for name in names],
            value=names[0] if names else None,
            clearable=False,
            className="gl-dropdown",
        )
        return html.Label([label, picker])

    def text(key: str, label: str, placeholder: str) -> Component:
        return text_field(f"stand-in-{key}", label, placeholder)

    rotations = [r.name for r in delivery.rotations] if delivery else []
    channels = list(delivery.channels) if delivery else []
    return html.Details(
        [
            html.Summary("Somebody stands in", className="gl-link-button"),
            html.Div(
                [
                    choice("rotation", "Rotation", rotations),
                    choice("channel", "Who stands in", channels),
                    author_field("stand-in-author"),
                    text("from", "From (empty = now)", "18:00 or 2026-12-05 08:00"),
                    text("until", "Until", "8h, 09:00 or 2026-12-06 09:00"),
                    form_foot("Let them stand in", "stand-in-create", "stand-in-said"),
                ],
                className="gl-form",
            ),
        ],
        id="stand-in-form",
        className="gl-fold",
        hidden=not rotations,
    )


def on_call_table(delivery: Delivery, turns: dict[str, str]) -> Component:
    heads = (Head("Rotation"), Head("Now"), Head("Turns"))
    rows = [
        [
            html.Span(fmt.plain(rotation.name, 40), className="gl-name"),
            badge(fmt.plain(turns.get(rotation.name, ""), 40), "accent"),
            html.Span(fmt.plain(" → ".join(rotation.channels), 80), className="gl-when"),
        ]
        for rotation in delivery.rotations
    ]
    return table(heads, rows, empty="No rotation is written in the channels file.")


def stand_ins_table(overrides: list[Override], now: datetime, *, may: bool = False) -> Component:
    heads = (Head("Stands in"), Head("On"), Head("When"), Head("By"), Head(""))
    rows = [
        [
            html.Span(
                [
                    html.Span(fmt.plain(o.channel, 40), className="gl-name"),
                    badge("now", "accent") if o.starts_at <= now.timestamp() else "",
                ]
            ),
            fmt.plain(o.rotation, 40),
            f"{fmt.clock(moment(o.starts_at))} to {fmt.clock(moment(o.ends_at))}",
            html.Span(fmt.plain(o.author or "channels file", 30), className="gl-when"),
            end_button("stand-in-end", str(o.id)) if may and o.id else "",
        ]
        for o in overrides
    ]
    return table(heads, rows, empty="Nobody stands in.")


def let_stand_in(data: Data, asked: dict[str, str], author: str) -> str:
    """Do what the form asks for; a sentence that says what happened, or what to change.

    asked: FIELDS -> text.
    """
    now = data.clock().timestamp()
    try:
        starts_at = read_moment(asked["from"], after=now)
        ends_at = read_moment(asked["until"], after=now if starts_at is None else starts_at)
        if ends_at is None:
            raise TimeUnread("It needs an end.", "Write 8h, 09:00 or 2026-12-06 09:00.")
        data.alerts.stand_in(
            asked["rotation"],
            asked["channel"],
            author=author,
            starts_at=starts_at,
            ends_at=ends_at,
            audit=identity.audit_entry(
                "on-call.stand-in", asked["rotation"], channel=asked["channel"]
            ),
        )
    except AlertingError as err:
        return str(err)
    return f"{fmt.plain(asked['channel'], 40)} stands in until {fmt.clock(moment(ends_at))}."


def end_stand_in(data: Data, key: str) -> str:
    audit = identity.audit_entry("on-call.stand-in-end", key[:16])
    known = key.isdigit() and len(key) < 16
    ended = known and data.alerts.end_stand_in(int(key), audit=audit)
    return "The rotation is as written again." if ended else "That had ended already."
