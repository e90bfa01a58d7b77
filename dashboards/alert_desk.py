"""What the screens about rules and delivery do: read, check, try on the past, save, tell.

All of it blocks: callbacks call it through `asyncio.to_thread`. The jobs process judges the rules;
what is saved here reaches it with its next round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from alerting.backtest import Backtest, backtest
from alerting.build import rule_book
from alerting.channels import Delivery, load_delivery
from alerting.errors import AlertingError, ConfigInvalid
from alerting.rule import Rule
from alerting.rule_draft import source_of
from alerting.senders import try_channel
from alerting.settings import AlertingSettings
from alerting.source import AnalyticsSource
from alerting.store import AlertStore
from alerting.stored_rules import RuleStore, StoredRule
from analytics.query import Analytics
from storage.audit import AuditEntry
from storage.catalog import Catalog
from storage.session import ReadSession
from storage.settings import StorageSettings

TRY_SECONDS_MAX = 20.0
"""How long one rule may be tried on the past; then the result says how far it came."""

TRY_LOOKS_MAX = 400
"""Looks of a tried rule that cannot be asked for all at once; fewer than on the command line."""


@dataclass(frozen=True, slots=True)
class ShownRule:
    """One rule and where it comes from."""

    rule: Rule
    stored: StoredRule | None
    """None = of a file, built in, or of an objective in the catalog."""

    @property
    def origin(self) -> str:
        if self.stored is not None:
            return f"made here, version {self.stored.version} by {self.stored.author}"
        if self.rule.file in ("built-in rules", "catalog"):
            return {"built-in rules": "built in", "catalog": "objective of the catalog"}[
                self.rule.file
            ]
        return f"file, line {self.rule.line}"

    @property
    def source(self) -> str | None:
        """Its text; None for what is made from an objective of the catalog."""
        return self.stored.source if self.stored is not None else source_of(self.rule)

    @property
    def of_file(self) -> bool:
        """Whether a file has the last word: such a rule cannot be changed on screen."""
        return self.stored is None and self.rule.file not in ("built-in rules", "catalog")


class TookTooLong(AlertingError):
    """A rule was tried for TRY_SECONDS_MAX and was not through."""


class AlertDesk:
    """Rules and delivery of the installation. Raises ConfigInvalid when its files are wrong."""

    def __init__(
        self,
        settings: AlertingSettings,
        state: Engine,
        catalog: Catalog,
        storage: StorageSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.store = RuleStore(state, tenant=settings.tenant)
        self.delivery: Delivery = load_delivery(settings.channels_path)
        self.alerts = AlertStore(state, clock=clock, delivery=self.delivery)
        self._book = rule_book(settings, state, catalog)
        self._catalog = catalog
        self._storage = storage
        self._state = state
        self._clock = clock

    def rules(self) -> list[ShownRule]:
        """All rules that are judged, by name."""
        stored = {one.name: one for one in self.store.all()}
        shown = [
            ShownRule(rule, stored.get(rule.name) if rule.file == "stored rule" else None)
            for rule in self._book.current()
        ]
        return sorted(shown, key=lambda one: one.rule.name)

    def rule(self, name: str) -> ShownRule | None:
        return next((one for one in self.rules() if one.rule.name == name), None)

    def try_rule(
        self, source: str, analytics: Analytics, session: ReadSession, *, hours: float, zone: str
    ) -> Backtest:
        """What a rule would have done in the past hours. Raises ConfigInvalid for its mistakes,
        TookTooLong, and what its questions raise."""
        rule = self.store.check(source)
        numbers = AnalyticsSource(
            analytics,
            self._catalog,
            tenant=self.settings.tenant,
            lookback_s=self.settings.stale_after_s * 2,
            storage=self._storage,
            state=self._state,
            session=session,
        )
        deadline = time.monotonic() + TRY_SECONDS_MAX

        def in_time(share: float) -> None:
            if time.monotonic() > deadline and share < 1:
                raise TookTooLong(
                    f"After {TRY_SECONDS_MAX:.0f} s only {share:.0%} of the time was looked at.",
                    "Take a shorter time, or `gatelens rules backtest`, which may take longer.",
                )

        end = self._clock()
        (found,) = backtest(
            [rule],
            numbers,
            start=end - hours * 3600,
            end=end,
            looks_max=TRY_LOOKS_MAX,
            zone=zone,
            progress=in_time,
        )
        return found

    def save(
        self, source: str, *, seen: int | None, name: str, author: str, audit: AuditEntry | None
    ) -> StoredRule:
        """Save a new rule (seen None), or a new version. Raises ConfigInvalid, RuleConflict."""
        if seen is None:
            return self.store.create(source, author=author, audit=audit)
        return self.store.update(name, source, author=author, seen=seen, audit=audit)

    def send_test(self, channel: str) -> str:
        """A sentence about what a test notice did; it says resolved, so nobody is paged."""
        config = self.delivery.channels.get(channel)
        if config is None:
            return f"No channel is called {channel!r}."
        try:
            try_channel(config, self._clock(), self.settings.external_url)
        except AlertingError as err:
            return str(err)
        return "It was taken."


def say_mistakes(err: ConfigInvalid) -> list[str]:
    """'Line 3: ...' for each mistake."""
    return [
        (f"Line {p.line}: " if p.line else "")
        + " ".join(part for part in (p.message, p.hint) if part)
        for p in err.problems
    ]
