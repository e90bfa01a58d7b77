"""Puts alerting together for the jobs process."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa

from alerting.channels import Delivery, load_delivery
from alerting.engine import AlertEngine
from alerting.events import export_events
from alerting.explain import Explainer
from alerting.rule import Rule
from alerting.rules import builtin_rules, load_rules
from alerting.settings import AlertingSettings
from alerting.slo_rules import slo_rules
from alerting.source import AnalyticsSource
from alerting.stored_rules import RuleBook, RuleStore
from analytics.query import Analytics
from storage.catalog import Catalog
from storage.lake import Lake
from storage.session import ReadSession


def rule_book(settings: AlertingSettings, state: sa.Engine, catalog: Catalog) -> RuleBook:
    """All rules of an installation: those of files, stored ones, built-in ones with the objectives
    of the catalog. Raises ConfigInvalid with every mistake of the files."""
    own = load_rules(settings.rules_path, builtin=False, tenant=settings.tenant)
    builtin: tuple[Rule, ...] = ()
    if settings.builtin_rules:
        builtin = (*builtin_rules(settings.tenant), *slo_rules(catalog, tenant=settings.tenant))
    return RuleBook(RuleStore(state, tenant=settings.tenant), own, builtin)


def build_alerting(
    settings: AlertingSettings,
    state: sa.Engine,
    analytics: Analytics,
    catalog: Catalog,
    *,
    delivery: Delivery | None = None,
    lake: Lake | None = None,
) -> AlertEngine:
    """An engine ready to `tick()` every `settings.evaluate_interval_s`.

    state: from storage.state.open_state. delivery: channels made in code; None = those of
    `settings.channels_path`. lake: where `alert_events` are written and `sql` rules ask; None =
    neither. Raises ConfigInvalid with every mistake of the files, ValueError for settings that
    make no sense.
    """
    settings.validate()
    book = rule_book(settings, state, catalog)
    source = AnalyticsSource(
        analytics,
        catalog,
        tenant=settings.tenant,
        lookback_s=settings.stale_after_s * 2,
        storage=lake.settings if lake else None,
        state=state,
        session=ReadSession(lake, tenant=settings.tenant) if lake else None,
    )
    return AlertEngine(
        source=source,
        state=state,
        rules=book.changed() or (),
        book=book,
        delivery=delivery or load_delivery(settings.channels_path),
        settings=settings,
        explain=Explainer(source),
        export=partial(export_events, state, lake, tenant=settings.tenant) if lake else None,
    )
