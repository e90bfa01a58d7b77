"""Which channels hear of which alert, and in what rhythm: Alertmanager's routing tree, pure.

An alert enters at the root and goes to the deepest child that matches, the first one only unless
that one says `continue`. Children inherit what they do not set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from alerting.matchers import Matcher, all_match
from alerting.time_intervals import TimeInterval

GROUP_BY_ALL = "..."
"""As group_by: every alert is a group of its own."""


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who else is told of an alert that nobody acknowledged."""

    after_s: float
    """Seconds since the alert was first told on the route."""
    channels: tuple[str, ...]
    """Channels or rotations."""


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the tree, inheritance already applied. Times in seconds."""

    name: str
    """Path in the tree: 'root', 'root/0', ...; part of the group's identity."""
    channels: tuple[str, ...] = ()
    """Channels or rotations."""
    matchers: tuple[Matcher, ...] = ()
    group_by: tuple[str, ...] = ("alertname",)
    group_wait_s: float = 0.0
    """How long a new group waits for more alerts before it is first told."""
    group_interval_s: float = 5.0
    """How long between two notifications of a group that changed."""
    repeat_interval_s: float = 14_400.0
    """When an unchanged firing group is told again."""
    mute_during: tuple[TimeInterval, ...] = ()
    active_during: tuple[TimeInterval, ...] = ()
    """() = always."""
    continues: bool = False
    escalations: tuple[Escalation, ...] = ()
    """In the order of their times; each is taken once per firing."""
    children: tuple[Route, ...] = field(default=())

    def muted_at(self, at: float) -> bool:
        """Whether firing is held back at this time (epoch seconds)."""
        if any(interval.contains(at) for interval in self.mute_during):
            return True
        return bool(self.active_during) and not any(i.contains(at) for i in self.active_during)

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        if GROUP_BY_ALL in self.group_by:
            return dict(labels)
        return {name: labels[name] for name in self.group_by if name in labels}

    def group_key(self, labels: Mapping[str, str]) -> str:
        """Stable over restarts: hash of the route's place and the group's labels."""
        text = json.dumps([self.name, sorted(self.group_labels(labels).items())])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def matching_routes(root: Route, labels: Mapping[str, str]) -> list[Route]:
    """The routes an alert goes to, in order; the root when no child takes it."""
    found: list[Route] = []
    for child in root.children:
        if not all_match(child.matchers, labels):
            continue
        found.extend(matching_routes(child, labels))
        if not child.continues:
            break
    return found or [root]


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While an alert matching `source` fires, those matching `target` are not told.

    Only where the labels of `equal` have the same value in both; an alert never inhibits itself.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()


class Inhibitor:
    """Which firing alerts keep others quiet at one moment. Cost: one look-up per rule and alert."""

    def __init__(self, rules: Sequence[Inhibition], firing: Iterable[Mapping[str, str]]) -> None:
        self._rules = rules
        self._sources: list[set[tuple[str, ...]]] = [set() for _ in rules]
        if rules:
            for labels in firing:
                for rule, keys in zip(rules, self._sources, strict=True):
                    if all_match(rule.source, labels):
                        keys.add(_equal_key(rule, labels))

    def quiets(self, labels: Mapping[str, str]) -> bool:
        """An alert that matches a rule's source as well is never quieted by that rule."""
        return any(
            _equal_key(rule, labels) in keys
            and all_match(rule.target, labels)
            and not all_match(rule.source, labels)
            for rule, keys in zip(self._rules, self._sources, strict=True)
        )


def _equal_key(rule: Inhibition, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)


def find_route(root: Route, name: str) -> Route | None:
    """The route of that name in the tree; None when the tree changed."""
    if root.name == name:
        return root
    return next((found for child in root.children if (found := find_route(child, name))), None)
