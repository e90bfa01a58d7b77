"""The life of one alert, pure: values in, values out, no clock, no store.

    inactive --breach--> pending --for elapsed--> firing --fine again--> resolved
        ^                   |                       |
        +----fine again-----+                       +-- keep_firing_for holds it here

`pending` is skipped when `for` is 0. A resolved alert that breaches again starts over. Only two
steps are told to people: into `firing` (an open) and `firing` to `resolved` (a close). They
alternate by construction: only a closed state opens, only `firing` closes.

Unmeasured is neither breach nor fine. By the rule's policy it counts as a breach (`alert`), as fine
(`ok`), or as nothing (`keep`): then a firing alert stays open, a pending one stops counting time,
and a quiet one is shown as `no_data`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from alerting.limits import EVALUATION_GAP_S, NO_DATA_KEEP_S


class State(StrEnum):
    """Where an alert is. Only FIRING is open."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    NO_DATA = "no_data"


NoData = Literal["keep", "alert", "ok"]


@dataclass(frozen=True, slots=True)
class Timing:
    """What of a rule decides about time. All in seconds."""

    for_s: float = 0.0
    """How long a breach must last before it fires; 0 = at once."""
    keep_firing_for_s: float = 0.0
    """How long without breach before it resolves; 0 = at once."""
    no_data: NoData = "keep"
    gap_s: float = EVALUATION_GAP_S
    no_data_keep_s: float = NO_DATA_KEEP_S


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one series. Times are epoch seconds of the data's clock.

    breached: None = unmeasured. `value` may be None either way.
    """

    at: float
    breached: bool | None
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """State of one alert between two looks. `updated_at` None = never looked at."""

    state: State = State.INACTIVE
    value: float | None = None
    threshold: float | None = None
    active_since: float | None = None
    fired_at: float | None = None
    resolved_at: float | None = None
    last_breach_at: float | None = None
    unmeasured_since: float | None = None
    updated_at: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A step from one state to another."""

    before: State
    after: State

    @property
    def opens(self) -> bool:
        return self.after is State.FIRING

    @property
    def closes(self) -> bool:
        return self.before is State.FIRING


def advance(
    instance: Instance, seen: Observation, timing: Timing
) -> tuple[Instance, Change | None]:
    """The instance after one look, and the change of state, None when there was none.

    A look that is not newer than the last one changes nothing: the data's clock never runs back.
    """
    if instance.updated_at is not None and seen.at <= instance.updated_at:
        return instance, None
    if seen.breached is None:
        after = _unmeasured(instance, seen, timing)
    else:
        after = replace(
            _breached(instance, seen, timing) if seen.breached else _fine(instance, seen, timing),
            unmeasured_since=None,
            value=seen.value,
            threshold=seen.threshold,
        )
    after = replace(after, updated_at=seen.at)
    if after.state is instance.state:
        return after, None
    return after, Change(instance.state, after.state)


def _breached(instance: Instance, seen: Observation, timing: Timing) -> Instance:
    if instance.state is State.FIRING:
        return replace(instance, last_breach_at=seen.at)
    if instance.state is State.PENDING and instance.active_since is not None:
        since = instance.active_since + _uncounted_gap(instance, seen, timing)
    else:
        since = seen.at
    if seen.at - since < timing.for_s:
        return replace(
            instance,
            state=State.PENDING,
            active_since=since,
            last_breach_at=seen.at,
            fired_at=None,
            resolved_at=None,
        )
    return replace(
        instance,
        state=State.FIRING,
        active_since=since,
        last_breach_at=seen.at,
        fired_at=seen.at,
        resolved_at=None,
    )


def _fine(instance: Instance, seen: Observation, timing: Timing) -> Instance:
    if instance.state is State.FIRING:
        last = instance.last_breach_at if instance.last_breach_at is not None else seen.at
        if seen.at - last < timing.keep_firing_for_s:
            return instance
        return replace(instance, state=State.RESOLVED, resolved_at=seen.at)
    if instance.state is State.RESOLVED:
        return instance
    return replace(instance, state=State.INACTIVE, active_since=None, last_breach_at=None)


def _unmeasured(instance: Instance, seen: Observation, timing: Timing) -> Instance:
    since = instance.unmeasured_since if instance.unmeasured_since is not None else seen.at
    marked = replace(instance, unmeasured_since=since)
    if timing.no_data == "alert":
        return replace(_breached(marked, seen, timing), value=None, threshold=seen.threshold)
    if timing.no_data == "ok":
        return replace(_fine(marked, seen, timing), value=None, threshold=seen.threshold)
    if instance.state is State.FIRING:
        if seen.at - since >= timing.no_data_keep_s:
            return replace(marked, state=State.RESOLVED, resolved_at=seen.at)
        return marked
    if instance.state is State.PENDING:
        # Unmeasured time does not prove a breach: it is taken out of what counts towards `for`.
        passed = seen.at - (instance.updated_at if instance.updated_at is not None else seen.at)
        began = instance.active_since if instance.active_since is not None else seen.at
        return replace(marked, active_since=began + passed)
    return replace(marked, state=State.NO_DATA)


def _uncounted_gap(instance: Instance, seen: Observation, timing: Timing) -> float:
    """Seconds since the last look that nobody watched."""
    if instance.updated_at is None:
        return 0.0
    return max(0.0, seen.at - instance.updated_at - timing.gap_s)
