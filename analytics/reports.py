"""Reports: what an API owner or a consumer gets each day, week or month, ready to be sent.

    report_content.py   numbers, charts and tables of a period
    report_html.py      ... as the body of a mail
    report_pdf.py       ... as a document to forward
    report_schedules.py who gets which when, and what was delivered

Sending is not this room's business: `alerting/report_mail.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property

from analytics.export import to_csv
from analytics.query import Analytics
from analytics.report_content import Audience, ReportContent, build_report, last_period, owners
from analytics.report_html import render_html, render_text
from analytics.timerange import TimeRange
from analytics.windows import WindowKind
from storage.catalog import Catalog

__all__ = ["Audience", "Report", "ReportContent", "last_period", "owners", "render_report"]


@dataclass(frozen=True)
class Report:
    """One report in every form; each is made when asked for."""

    content: ReportContent

    @property
    def subject(self) -> str:
        return self.content.title

    @property
    def period(self) -> TimeRange:
        return self.content.period

    @property
    def empty(self) -> bool:
        """Whether there was no request at all: such a report may be left unsent."""
        return self.content.empty

    @cached_property
    def html(self) -> str:
        """Body of the mail."""
        return render_html(self.content)

    @cached_property
    def text(self) -> str:
        return render_text(self.content)

    @cached_property
    def csv(self) -> str:
        """One row per API, version and route (owner) or API, route and status (consumer)."""
        return to_csv(self.content.details)

    @cached_property
    def pdf(self) -> bytes:
        from analytics.report_pdf import render_pdf  # a second of imports: only who asks pays

        return render_pdf(self.content)


def render_report(
    analytics: Analytics,
    catalog: Catalog,
    audience: Audience,
    name: str,
    kind: WindowKind,
    *,
    now: datetime,
    zone: tzinfo = UTC,
    period: TimeRange | None = None,
) -> Report:
    """`report_content.build_report`, ready to be shown or sent. Raises QueryRefused."""
    return Report(
        build_report(analytics, catalog, audience, name, kind, now=now, zone=zone, period=period)
    )
