"""What screens ask of objectives, quotas and bills: costly, so kept for minutes."""

from __future__ import annotations

from analytics.billing import Invoice, invoices
from analytics.plan_fit import PlanFit, plan_fits
from analytics.quota import QuotaUsage, quota_usage
from analytics.slo import SloStatus, slo_statuses
from dashboards.questions.asker import Asker

SLOS_TTL_S = 600.0
"""How old objectives may be, in seconds: seven windows of each are read, up to a month long."""

PLANS_TTL_S = 120.0
"""How old quotas and invoices may be, in seconds: they read a month of rollups."""


class PlanQuestions(Asker):
    """All of them run on the thread for slow questions."""

    async def quotas(self) -> list[QuotaUsage]:
        """Every consumer against every limit of its plan, fullest first; up to PLANS_TTL_S old."""
        return await self.cache.get(
            "quotas",
            self._quotas,
            ttl_s=PLANS_TTL_S,
            executor=self.slow,
        )

    async def plans_soon(self) -> tuple[list[SloStatus] | None, list[QuotaUsage] | None]:
        """Objectives and quotas as far as they are known, without waiting; None = not yet."""
        return (
            await self.cache.soon("slos", self._slos, ttl_s=SLOS_TTL_S, executor=self.slow),
            await self.cache.soon("quotas", self._quotas, ttl_s=PLANS_TTL_S, executor=self.slow),
        )

    def _slos(self) -> list[SloStatus]:
        return slo_statuses(self.analytics, self.catalog, now=self.clock())

    def _quotas(self) -> list[QuotaUsage]:
        return quota_usage(self.analytics, self.catalog, now=self.clock())

    async def plan_fits(self) -> list[PlanFit]:
        """Every consumer with a plan, those on a wrong one first; up to PLANS_TTL_S old."""
        return await self.cache.get(
            "plan-fits",
            lambda: plan_fits(self.analytics, self.catalog, now=self.clock()),
            ttl_s=PLANS_TTL_S,
            executor=self.slow,
        )

    async def invoices(self) -> list[Invoice]:
        """What the running month costs each consumer so far; up to PLANS_TTL_S old."""
        now = self.clock()
        return await self.cache.get(
            "invoices",
            lambda: invoices(self.analytics, self.catalog, now, now=now),
            ttl_s=PLANS_TTL_S,
            executor=self.slow,
        )
