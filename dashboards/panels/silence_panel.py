"""Silences: those that run or will, the form that makes one, and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dash import dcc, html

from alerting.errors import AlertingError
from alerting.silences import Silence
from dashboards import format as fmt
from dashboards import identity
from dashboards.components import (
    Component,
    Head,
    author_field,
    badge,
    end_button,
    form_foot,
    number,
    table,
    text_field,
)
from dashboards.data import Data
from dashboards.identity import sees_all_alerts
from dashboards.panels.alert_panels import matcher_words, moment
from dashboards.planned_times import read_moment

FIELDS = ("matchers", "reason", "author", "for", "from")

DURATIONS = {
    "30m": ("30 min", 1800),
    "2h": ("2 h", 7200),
    "8h": ("8 h", 28_800),
    "1d": ("1 day", 86_400),
    "1w": ("1 week", 604_800),
}
"""How long a silence made here may last."""

NOT_YOURS = "Silences are shown to those who see every API and consumer."
"""Why there are none where somebody sees only some."""


def silence_form(*, hidden: bool) -> Component:
    def text(key: str, label: str, placeholder: str) -> Component:
        return text_field(f"silence-{key}", label, placeholder)

    length = dcc.RadioItems(
        id="silence-for",
        options={key: words for key, (words, _) in DURATIONS.items()},
        value="2h",
        inline=True,
        className="gl-radio",
    )
    return html.Div(
        [
            text("matchers", "Matches", "api=payments, severity=warning"),
            text("reason", "Reason", "planned maintenance"),
            author_field("silence-author"),
            text("from", "Begins", "now, 4h, 18:30, a date"),
            html.Label(["For", html.Div(length)], className="gl-whole"),
            form_foot("Silence", "silence-create", "silence-said"),
        ],
        className="gl-form",
        hidden=hidden,
    )


def silences_table(silences: Sequence[Silence], now: datetime, *, may: bool = True) -> Component:
    rows = [
        [
            html.Span(
                fmt.plain(matcher_words(s.matchers), 90),
                className="gl-mono",
            ),
            html.Span(fmt.plain(s.reason, 60), title=fmt.plain(s.reason, 400)),
            html.Span(fmt.plain(s.author, 30)),
            html.Span(
                f"in {fmt.span(s.starts_at - now.timestamp())}",
                title=fmt.clock(moment(s.starts_at)),
                className="gl-num",
            )
            if s.starts_at > now.timestamp()
            else badge("silent now"),
            html.Span(
                fmt.span(s.ends_at - now.timestamp()),
                title=fmt.clock(moment(s.ends_at)),
                className="gl-num",
            ),
            number(fmt.whole(s.matched), s.matched),
            end_button("silence-end", str(s.id)) if may else "",
        ]
        for s in silences
    ]
    heads = (
        Head("Matches"),
        Head("Reason"),
        Head("By"),
        Head("Begins"),
        Head("Ends in", True),
        Head("Kept quiet", True),
        Head("", True),
    )
    return table(heads, rows, empty="Nothing is silenced." if sees_all_alerts() else NOT_YOURS)


def end_silence(data: Data, key: str) -> str:
    audit = identity.audit_entry("silence.end", key[:16])
    ended = key.isdigit() and len(key) < 16 and data.alerts.end_silence(int(key), audit=audit)
    return "The silence has ended." if ended else "That silence had ended already."


def make_silence(data: Data, asked: dict[str, str], author: str) -> str:
    """Make what the form asks for; a sentence that says what happened, or what to change.

    asked: FIELDS -> text.
    """
    _, seconds = DURATIONS.get(asked["for"], DURATIONS["2h"])
    parts = [part.strip() for part in asked["matchers"].split(",") if part.strip()]
    now = data.clock().timestamp()
    try:
        starts_at = read_moment(asked["from"][:60], after=now)
        data.alerts.silence(
            parts,
            author=author,
            reason=asked["reason"],
            duration_s=seconds,
            starts_at=starts_at,
            audit=identity.audit_entry("silence.create", ", ".join(parts), seconds=seconds),
        )
    except AlertingError as err:
        return str(err)
    if starts_at is not None and starts_at > now:
        return f"It will be silent from {fmt.clock(moment(starts_at))} on."
    return "Silenced. Alerts that match are shown, and told to nobody."
