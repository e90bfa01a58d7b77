"""What gateways say about quotas (`quota_limit`, `quota_remaining` of requests), beside our counts.

A gateway counts in its own windows and knows of other gateways only if they share a counter, so its
numbers and ours may differ for good reasons; a drift that grows is worth a look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics.filters import Filters
from analytics.limits import RAW_PEAK_HOURS_MAX
from analytics.policy import Params
from analytics.query import Analytics
from analytics.quota import QuotaUsage
from analytics.timerange import TimeRange


@dataclass(frozen=True, slots=True)
class GatewayQuota:
    """The newest numbers a gateway reported for a consumer."""

    consumer: str
    gateway: str | None
    product: str | None
    at: datetime
    limit: int | None
    remaining: int | None

    @property
    def used(self) -> int | None:
        """By the gateway's count; None when it does not say both."""
        if self.limit is None or self.remaining is None:
            return None
        return self.limit - self.remaining


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One quota by both counts."""

    ours: QuotaUsage
    gateway: GatewayQuota | None
    """None = no gateway reported a quota with the same limit lately."""

    @property
    def difference(self) -> int | None:
        """Gateway's used minus ours; None when it cannot be told."""
        if self.gateway is None or self.gateway.used is None:
            return None
        return self.gateway.used - self.ours.used


def gateway_quotas(
    analytics: Analytics,
    *,
    now: datetime,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    look_back: timedelta = timedelta(hours=RAW_PEAK_HOURS_MAX),
) -> list[GatewayQuota]:
    """Newest report per consumer, gateway, product and limit, by consumer. From raw requests."""
    window = TimeRange(now - look_back, now)
    params = Params()
    where = analytics.where_raw(window, filters, params)
    told = "(quota_limit IS NOT NULL OR quota_remaining IS NOT NULL) AND consumer IS NOT NULL"
    table = analytics.session.query(
        "SELECT consumer, gateway, product, quota_limit, max(time) AS at, "  # noqa: S608 - bound
        # of one moment, the lowest: several requests may share a time
        "arg_min(quota_remaining, (-epoch_us(time), quota_remaining)) AS remaining "
        f"FROM requests WHERE {where} AND {told} "
        "GROUP BY ALL ORDER BY consumer, gateway, product, quota_limit",
        params.values,
        start=window.start,
        end=window.end,
    )
    return [
        GatewayQuota(
            consumer=row["consumer"],
            gateway=row["gateway"],
            product=row["product"],
            at=row["at"],
            limit=row["quota_limit"],
            remaining=row["remaining"],
        )
        for row in table.to_pylist()
    ]


def side_by_side(ours: Sequence[QuotaUsage], gateways: Sequence[GatewayQuota]) -> list[SideBySide]:
    """Pairs each quota with the newest report for its consumer that speaks of the same limit."""
    newest: dict[tuple[str, int | None], GatewayQuota] = {}
    for report in gateways:
        key = (report.consumer, report.limit)
        if key not in newest or report.at > newest[key].at:
            newest[key] = report
    return [SideBySide(usage, newest.get((usage.consumer, usage.limit))) for usage in ours]
