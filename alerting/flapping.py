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


_h = alert_history.c
_OPENS = sa.func.sum(sa.case((_h.to_state == "firing", 1), else_=0))
_QUERY = (
    sa.select(_h.fingerprint, _OPENS, sa.func.min(sa.case((_h.to_state == "firing", _h.at))))
    .where(
        _h.at > sa.bindparam("since"),
        sa.or_(_h.to_state == "firing", _h.from_state == "firing"),
    )
    .group_by(_h.fingerprint)
    .having(_OPENS >= FLAPPING_OPENS, sa.func.max(_h.at) > sa.bindparam("calm"))
)
"""Made once: it is asked in every round."""


def load_flapping(connection: sa.Connection, now: float) -> Mapping[str, Flapping]:
    """Alerts that flap at `now`, by fingerprint. Cost: the history of half an hour."""
    since, calm = now - FLAPPING_WITHIN_S, now - FLAPPING_CALM_S
    rows = connection.execute(_QUERY, {"since": since, "calm": calm})
    return {f: Flapping(int(n), at) for f, n, at in rows}
