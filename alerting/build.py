"""Puts alerting together for the jobs process."""

from __future__ import annotations

import sqlalchemy as sa

from alerting.channels import Delivery, load_delivery
from alerting.engine import AlertEngine
from alerting.rules import load_rules
from alerting.settings import AlertingSettings
from alerting.source import AnalyticsSource
from analytics.query import Analytics
from storage.catalog import Catalog


def build_alerting(
    settings: AlertingSettings,
    state: sa.Engine,
    analytics: Analytics,
    catalog: Catalog,
    *,
    delivery: Delivery | None = None,
) -> AlertEngine:
    """An engine ready to `tick()` every `settings.evaluate_interval_s`.

    state: from storage.state.open_state. delivery: channels made in code; None = those of
    `settings.channels_path`. Raises ConfigInvalid with every mistake of the files, ValueError for
    settings that make no sense.
    """
    settings.validate()
    rules = load_rules(settings.rules_path, builtin=settings.builtin_rules, tenant=settings.tenant)
    return AlertEngine(
        source=AnalyticsSource(
            analytics, catalog, tenant=settings.tenant, lookback_s=settings.stale_after_s * 2
        ),
        state=state,
        rules=rules,
        delivery=delivery or load_delivery(settings.channels_path),
        settings=settings,
    )
