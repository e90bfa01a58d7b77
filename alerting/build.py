"""Puts alerting together for the jobs process."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa

from alerting.channels import Delivery, load_delivery
from alerting.engine import AlertEngine
from alerting.events import export_events
from alerting.explain import Explainer
from alerting.rules import load_rules
from alerting.settings import AlertingSettings
from alerting.slo_rules import slo_rules
from alerting.source import AnalyticsSource
from analytics.query import Analytics
from storage.catalog import Catalog
from storage.lake import Lake
from storage.session import ReadSession


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
    own = load_rules(settings.rules_path, builtin=settings.builtin_rules, tenant=settings.tenant)
    source = AnalyticsSource(
        analytics,
        catalog,
        tenant=settings.tenant,
        lookback_s=settings.stale_after_s * 2,
        storage=lake.settings if lake else None,
        state=state,
        session=ReadSession(lake, tenant=settings.tenant) if lake else None,
    )
    names = {rule.name for rule in own}
    from_slos = slo_rules(catalog, tenant=settings.tenant) if settings.builtin_rules else ()
    return AlertEngine(
        source=source,
        state=state,
        rules=(*own, *(rule for rule in from_slos if rule.name not in names)),
        delivery=delivery or load_delivery(settings.channels_path),
        settings=settings,
        explain=Explainer(source),
        export=partial(export_events, state, lake, tenant=settings.tenant) if lake else None,
    )
