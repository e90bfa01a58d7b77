"""What besides the alerts decides who is told what in one round: read once, inside its transaction.

Silences, maintenance windows, who is on call, what flaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from alerting.channels import Delivery
from alerting.flapping import Flapping, load_flapping
from alerting.maintenance import MaintenanceWindow, load_maintenance
from alerting.on_call import Override, load_overrides, resolve_channels
from alerting.silences import Silence, load_silences


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All as of `now` (epoch seconds)."""

    now: float
    delivery: Delivery
    external_url: str = ""
    silences: Sequence[Silence] = ()
    maintenance: Sequence[MaintenanceWindow] = ()
    overrides: Sequence[Override] = ()
    flapping: Mapping[str, Flapping] = field(default_factory=dict)
    """By fingerprint."""

    def hushed(self, labels: Mapping[str, str]) -> bool:
        """Whether a silence or a maintenance window keeps such an alert quiet."""
        return any(s.covers(labels, self.now) for s in self.silences) or any(
            w.covers(labels, self.now) for w in self.maintenance
        )

    def channels(self, names: Sequence[str]) -> tuple[str, ...]:
        """Channels of names that may be rotations; those that exist no more are left out."""
        found = resolve_channels(names, self.delivery.rotations, self.overrides, self.now)
        return tuple(name for name in found if name in self.delivery.channels)


def load_surroundings(
    connection: sa.Connection, delivery: Delivery, *, now: float, external_url: str
) -> Surroundings:
    return Surroundings(
        now,
        delivery,
        external_url,
        load_silences(connection, now),
        (*delivery.maintenance, *load_maintenance(connection, now)),
        load_overrides(connection, now),
        load_flapping(connection, now),
    )
