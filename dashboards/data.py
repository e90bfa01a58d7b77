"""What screens read: analytics, alerts, the lake. The one door from callbacks to blocking work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

from dashboards import format as fmt
from dashboards import identity
from dashboards.questions.alert_questions import AlertQuestions
from dashboards.questions.plan_questions import PlanQuestions
from dashboards.questions.view_questions import ViewQuestions
from dashboards.serving.sql_audited import audited_sql
from dashboards.view import View, parse_view
from storage.sql_worker import Progress, SqlLimits, SqlResult


class Data(ViewQuestions, AlertQuestions, PlanQuestions):
    """Everything a page may ask; see asker.py for who is answered what."""

    def view(self, stored: object) -> View:
        """Read what the browser says the URL is. Hostile input gives the default view."""
        fields = stored if isinstance(stored, dict) else {}
        fmt.use_zone(fields.get("zone"))
        return parse_view(
            fields.get("search"),
            now=self.clock(),
            mode=fields.get("mode"),
            default_from=self.settings.default_range,
            default_refresh=refresh_name(self.settings.default_refresh_s),
        )

    async def run_sql(
        self,
        text: str,
        *,
        params: Mapping[str, object] | Sequence[object] = (),
        limits: SqlLimits,
        cancelled: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> SqlResult:
        """An analyst's statement over the asker's rows. It is in the audit log before it runs, and
        how it ended before its answer is given. Raises SqlError, Forbidden."""
        who = identity.require("sql")
        return await asyncio.to_thread(
            audited_sql,
            self.state,
            self.storage,
            who,
            text,
            params=params,
            limits=limits,
            cancelled=cancelled,
            progress=progress,
        )


def refresh_name(seconds: int) -> str:
    """10 -> '10s', 60 -> '1m', 0 -> 'off'."""
    if seconds <= 0:
        return "off"
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
