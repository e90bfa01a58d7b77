"""Alerts that open and close again and again: recognised from the history, and damped.

An alert flaps once it opened FLAPPING_OPENS times within FLAPPING_WITHIN_S, and until nothing
changed for FLAPPING_CALM_S. Worked out anew from the history every time: no state of its own that
a crash could lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from alerting.limits import FLAPPING_CALM_S, FLAPPING_OPENS, FLAPPING_WITHIN_S
from storage.state import alert_history


@dataclass(frozen=True, slots=True)
class Flapping:
    """How an alert flaps. Epoch seconds of the data's clock."""

    opens: int
    """In the last FLAPPING_WITHIN_S."""
    since: float
    """First opening in that time."""

    def __str__(self) -> str:
        within, calm = FLAPPING_WITHIN_S / 60, FLAPPING_CALM_S / 60
        return (
            f"Flapping: it fired {self.opens} times within {within:.0f} min. Further changes are "
            f"not sent until nothing changed for {calm:.0f} min."
        )


def load_flapping(connection: sa.Connection, now: float) -> Mapping[str, Flapping]:
    """Alerts that flap at `now`, by fingerprint. Cost: the history of half an hour."""
    table = alert_history
    opened = sa.case((table.c.to_state == "firing", 1), else_=0)
    opens = sa.func.sum(opened)
    first = sa.func.min(sa.case((table.c.to_state == "firing", table.c.at)))
    fired_or_closed = sa.or_(table.c.to_state == "firing", table.c.from_state == "firing")
    query = (
        sa.select(table.c.fingerprint, opens, first)
        .where(table.c.at > now - FLAPPING_WITHIN_S, fired_or_closed)
        .group_by(table.c.fingerprint)
        .having(opens >= FLAPPING_OPENS, sa.func.max(table.c.at) > now - FLAPPING_CALM_S)
    )
    return {f: Flapping(int(n), at) for f, n, at in connection.execute(query)}
