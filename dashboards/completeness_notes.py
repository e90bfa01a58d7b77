"""What a screen has to say about its own data, over the charts: nothing when all is there."""

from __future__ import annotations

from datetime import datetime

from dash import html

from analytics.query import Completeness
from dashboards import format as fmt
from dashboards.components import Component, page_link
from dashboards.doorkeeper import opens
from dashboards.view import View

STALE_S = 300.0
"""Age of the newest request of a range that ends now, from which it is said."""


def completeness_notes(c: Completeness, view: View, now: datetime) -> list[Component]:
    """Each note says what is missing from the charts below it, and where to look."""
    found: list[Component] = []
    if view.to_text == "now" and c.data_until is not None:
        age_s = (now - c.data_until).total_seconds()
        if age_s >= STALE_S:
            found.append(
                f"The newest request is {fmt.span(age_s)} old: since then nothing was sent, or it "
                "did not arrive. What follows it on the charts is not measured."
            )
    if c.uncounted:
        done = c.requests_counted / c.requests_raw if c.requests_raw else 0.0
        found.append(
            f"{fmt.percent(min(1.0, done))} of this range is counted so far: charts leave a gap "
            "where it is not, and totals are too low until it is."
        )
    if c.silent_gateways:
        names = fmt.plain(", ".join(c.silent_gateways), 80)
        found.append(f"Silent while others send: {names}. Their requests are missing here.")
    if c.rejects:
        reasons = ", ".join(fmt.plain(r, 40) for r in list(c.rejects_by_reason)[:3])
        found.append(
            f"{fmt.whole(c.rejects)} records of this range were refused ({reasons}) and are in no "
            "chart."
        )
    operate = f"/operate{view.query()}"
    where = page_link("See Operate", operate) if opens(operate) else None
    return [html.Div([text, " ", where], className="gl-note quiet", role="note") for text in found]
