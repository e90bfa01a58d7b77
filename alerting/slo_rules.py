"""Burn-rate rules for the SLOs of the catalog: nobody has to write them.

Two per SLO. The fast one wakes people (2 % of a 30-day budget gone in an hour), the slow one asks
for a look (5 % in six hours); while the fast one fires, the slow one is not told
(`BURN_INHIBITION`). Google SRE Workbook, chapter 5, table 5-8.
"""

from __future__ import annotations

from alerting.matchers import Matcher
from alerting.routes import Inhibition
from alerting.rule import BurnRate, BurnWindow, Rule, Severity
from alerting.state_machine import Timing
from analytics.query import Filters
from storage.catalog import Catalog, Slo

REQUESTS_MIN = 100
"""In the longest window; with fewer one failure would look like a fire."""

BURN_INHIBITION = Inhibition(
    source=(Matcher("burn", "=", "fast"),), target=(Matcher("burn", "=", "slow"),), equal=("slo",)
)


def slo_rules(catalog: Catalog, *, tenant: str = "default") -> tuple[Rule, ...]:
    """Rules of every SLO: bad are failed requests, or those slower than its threshold."""
    return tuple(
        rule
        for slo in catalog.slos
        for rule in (
            _rule(slo, "fast", "critical", BurnWindow(3_600, 300, 14.4), tenant),
            _rule(slo, "slow", "warning", BurnWindow(21_600, 1_800, 6.0), tenant),
        )
    )


def _rule(slo: Slo, speed: str, severity: Severity, window: BurnWindow, tenant: str) -> Rule:
    return Rule(
        name=f"slo-{slo.name}-{speed}",
        check=BurnRate(
            "error_rate",
            slo.objective,
            slo.window_days * 86_400.0,
            (window,),
            REQUESTS_MIN,
            slo.threshold_ms if slo.kind == "latency" else None,
        ),
        filters=Filters(tenant=tenant, api=(slo.api,), route=tuple(slo.routes)),
        group_by=("api",),
        timing=Timing(for_s=0.0, keep_firing_for_s=300.0),
        severity=severity,
        labels={"slo": slo.name, "burn": speed},
        annotations={
            "summary": "{api} uses up its error budget {value} as fast as {slo} allows",
            "description": "{evidence}",
        },
        file="catalog",
    )
