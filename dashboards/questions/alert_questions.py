"""What screens ask of alerts: those that are on, their history, silences."""

from __future__ import annotations

from alerting.silences import Silence
from alerting.store import ActiveAlert, AlertCounts, AlertStore, HistoryEntry
from dashboards import identity
from dashboards.alert_desk import AlertDesk
from dashboards.errors import Forbidden
from dashboards.questions.asker import Asker
from dashboards.questions.reader import counted_alerts, seen_alerts, seen_changes


class AlertQuestions(Asker):
    """Rules are the home tenant's; somebody narrowed is told of alerts about their own names."""

    @property
    def alerts(self) -> AlertStore:
        """The store itself, for those who see all of the home tenant. Raises Forbidden."""
        _require_all_alerts()
        return self._all_alerts

    @property
    def desk(self) -> AlertDesk:
        """Rules and delivery, for those who see all of the home tenant. Raises Forbidden."""
        _require_all_alerts()
        return self._desk

    async def active_alerts(self) -> list[ActiveAlert]:
        alerts = await self.cache.get("alerts", self._all_alerts.active, ttl_s=1.0)
        return seen_alerts(identity.current(), alerts)

    async def alert_counts(self) -> AlertCounts:
        who = identity.current()
        if who.at_home and who.scope is None:
            return await self.cache.get("alert-counts", self._all_alerts.counts, ttl_s=1.0)
        return counted_alerts(await self.active_alerts())

    async def alert_changes(self, limit: int) -> list[HistoryEntry]:
        """Newest first."""
        who = identity.current()
        looked_at = 200 if who.scope is None else 5_000
        changes = await self.cache.get(
            "changes", lambda: self._all_alerts.history(looked_at), ttl_s=1.0
        )
        return seen_changes(who, changes)[:limit]

    async def silences(self) -> list[Silence]:
        """Of the whole home tenant; nobody narrowed is told of them."""
        who = identity.current()
        if not (who.at_home and who.scope is None):
            return []
        return await self.cache.get("silences", self._all_alerts.silences, ttl_s=1.0)


def _require_all_alerts() -> None:
    identity.require("alerts")
    if not identity.sees_all_alerts():
        raise Forbidden("alerts")
