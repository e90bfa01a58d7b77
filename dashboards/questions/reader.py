"""What one kind of reader asks with: a tenant and the rows of it that may be seen.

Everybody with the same tenant and rows shares one `Reader`, and so one cache line per question.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from alerting.store import ActiveAlert, AlertCounts, HistoryEntry
from analytics.query import Analytics, CollectorTimes, Policy
from analytics.scope import narrow_catalog
from analytics.settled import SettledSums
from analytics.traces import Traces
from dashboards.identity import HOME_TENANT, Principal
from storage.catalog import Catalog
from storage.row_scope import RowScope
from storage.session import ReadSession

READERS_MAX = 256
"""Kept at a time, least recently used first out. One is a few small objects."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Questions that cannot see more than `key` allows."""

    key: tuple[str, RowScope | None]
    session: ReadSession
    analytics: Analytics
    traces: Traces
    catalog: Catalog


class Readers:
    """Readers by what they may see. Thread-safe."""

    def __init__(
        self,
        session: ReadSession,
        catalog: Catalog,
        clock: Callable[[], datetime],
        collectors: CollectorTimes,
    ) -> None:
        self._session = session
        self._catalog = catalog
        self._clock = clock
        self._collectors = collectors
        # The policy decides what counts as a request: the same for everybody.
        self._policy = Policy.of(catalog)
        self._settled = SettledSums()
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, RowScope | None], Reader] = OrderedDict()

    def of(self, principal: Principal) -> Reader:
        key = (principal.tenant, principal.scope)
        with self._lock:
            if key not in self._made:
                self._made[key] = self._make(*key)
            self._made.move_to_end(key)
            while len(self._made) > READERS_MAX:
                self._made.popitem(last=False)
            return self._made[key]

    def _make(self, tenant: str, scope: RowScope | None) -> Reader:
        session = self._session.narrowed(scope, tenant=tenant)
        return Reader(
            key=(tenant, scope),
            session=session,
            analytics=Analytics(
                session,
                clock=self._clock,
                policy=self._policy,
                settled=self._settled,
                collectors=self._collectors,
            ),
            traces=Traces(session, settled=self._settled),
            # The catalog is the home tenant's.
            catalog=narrow_catalog(self._catalog, scope) if tenant == HOME_TENANT else Catalog(),
        )


def may_see_alert(principal: Principal, labels: dict[str, str]) -> bool:
    """Rules are the home tenant's; somebody narrowed sees the alerts about the own names."""
    if not principal.at_home:
        return False
    scope = principal.scope
    if scope is None:
        return True
    return labels.get("api") in scope.apis or labels.get("consumer") in scope.consumers


def seen_alerts(principal: Principal, alerts: list[ActiveAlert]) -> list[ActiveAlert]:
    return [a for a in alerts if may_see_alert(principal, dict(a.labels))]


def seen_changes(principal: Principal, changes: list[HistoryEntry]) -> list[HistoryEntry]:
    return [c for c in changes if may_see_alert(principal, dict(c.labels))]


def counted_alerts(alerts: list[ActiveAlert]) -> AlertCounts:
    """Counts of exactly these; nothing about notices, which are nobody's in particular."""
    states = [a.state.value for a in alerts]
    firing: dict[str, int] = {}
    for alert in alerts:
        if alert.state.value == "firing":
            firing[alert.severity] = firing.get(alert.severity, 0) + 1
    return AlertCounts(
        firing=states.count("firing"),
        pending=states.count("pending"),
        no_data=states.count("no_data"),
        resolved=0,
        firing_by_severity=firing,
        undelivered=0,
        dead_letters=0,
    )
