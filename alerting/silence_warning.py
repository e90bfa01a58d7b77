"""A word before a silence ends while what it covers still fires: the next page is no surprise.

Told once per silence, to whoever the covered alerts would go to. The warning ends by itself when
the silence does: its end is written with it and waits in the outbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from alerting.instances import Alert
from alerting.limits import SILENCE_WARNING_S
from alerting.notice import NoticeAlert, OutboxRow, make_notice, outbox_row
from alerting.routes import matching_routes
from alerting.rule import say_span
from alerting.silences import Silence, expiring
from alerting.surroundings import Surroundings
from storage.state import outbox

SILENCE_EXPIRING_ALERT = "GatelensSilenceExpiring"


def expiry_warnings(
    connection: sa.Connection, firing: Sequence[Alert], around: Surroundings
) -> list[OutboxRow]:
    """Outbox rows of warnings that are due and were not told before."""
    rows: list[OutboxRow] = []
    for silence in expiring(around.silences, around.now, SILENCE_WARNING_S):
        if silence.ends_at - silence.starts_at <= SILENCE_WARNING_S:
            continue  # whoever made it so short remembers it
        covered = [a for a in firing if silence.covers(a.labels, around.now)]
        if covered:
            rows += _warnings(connection, silence, covered, around)
    return rows


def _warnings(
    connection: sa.Connection, silence: Silence, covered: Sequence[Alert], around: Surroundings
) -> list[OutboxRow]:
    names = [
        name
        for alert in covered
        for route in matching_routes(around.delivery.root, alert.labels)
        for name in around.channels(route.channels)
    ]
    group = f"silence:{silence.id}:{int(silence.ends_at)}"
    told = sa.select(sa.func.count()).where(outbox.c.group_key == group)
    if not names or connection.execute(told).scalar_one():
        return []
    rows = []
    for name in dict.fromkeys(names):
        for ends_at in (None, silence.ends_at):
            if ends_at is not None and not around.delivery.channels[name].send_resolved:
                continue
            notice = make_notice(
                key=f"{group}:{name}:{'begin' if ends_at is None else 'end'}",
                group_key=group,
                receiver=name,
                group_labels={"alertname": SILENCE_EXPIRING_ALERT},
                alerts=(_warning(silence, covered, around, ends_at),),
                external_url=around.external_url,
            )
            rows.append(outbox_row(notice, around.now, not_before=ends_at))
    return rows


def _warning(
    silence: Silence, covered: Sequence[Alert], around: Surroundings, ends_at: float | None
) -> NoticeAlert:
    left = say_span(timedelta(seconds=silence.ends_at - around.now))
    names = sorted({alert.rule for alert in covered})
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return NoticeAlert(
        status="firing" if ends_at is None else "resolved",
        labels={
            "alertname": SILENCE_EXPIRING_ALERT,
            "severity": "info",
            "silence": str(silence.id),
        },
        annotations={
            "summary": (
                f"Silence {silence.id} of {silence.author} ends in {left}; "
                f"{len(covered)} alerts under it still fire: {shown}"
            ),
            "description": silence.reason,
        },
        starts_at=around.now,
        ends_at=ends_at,
        generator_url=around.external_url,
        fingerprint=f"silence-{silence.id}",
    )
