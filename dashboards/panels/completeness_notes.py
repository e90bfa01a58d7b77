"""What a screen has to say about its own data, over the charts: nothing when all is there."""

from __future__ import annotations

from datetime import datetime

from dash import html

from analytics.query import Completeness, Outages
from dashboards import format as fmt
from dashboards.components import Component, page_link
from dashboards.doorkeeper import opens
from dashboards.view import View

STALE_S = 300.0
"""Age of the newest request of a range that ends now, from which it is said."""

OUTAGES_NAMED = 3
"""Times without a collector that a note names, the longest of them; it counts all."""


def completeness_notes(c: Completeness, view: View, now: datetime) -> list[Component]:
    """Each note says what is missing from the charts below it, and where to look."""
    found: list[Component] = []
    goes_on = view.to_text == "now" and c.outages.ongoing
    if c.outages.spans:
        found.append(outage_text(c.outages, now, goes_on=goes_on))
    if view.to_text == "now" and c.data_until is not None and not goes_on:
        age_s = (now - c.data_until).total_seconds()
        if age_s >= STALE_S:
            found.append(f"The newest request is {fmt.span(age_s)} old: {_why_old(c.outages)}")
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


def _why_old(outages: Outages) -> str:
    if outages.known_from is None:
        return (
            "since then nothing was sent, or it did not arrive. What follows it on the charts is "
            "not measured."
        )
    return "a collector takes data, but nothing reaches it: nobody calls, or senders are cut off."


def outage_text(outages: Outages, now: datetime, *, goes_on: bool) -> str:
    """When no collector took data, and what that means for the charts; there is such a time.
    goes_on: the last one has not ended."""
    spans = outages.spans
    start, end = spans[-1]
    if len(spans) == 1 and goes_on:
        told = f"No collector has taken data since {fmt.moment(start, now)} {fmt.zone_name()}"
        told += f" ({fmt.minutes(outages.seconds)})"
    elif len(spans) == 1:
        told = f"No collector took data {fmt.between(start, end, now)} {fmt.zone_name()}"
        told += f" ({fmt.minutes(outages.seconds)})"
    else:
        longest = sorted(sorted(spans, key=lambda s: s[0] - s[1])[:OUTAGES_NAMED])
        named = ", ".join(fmt.between(*span, now) for span in longest)
        told = f"No collector took data for {fmt.minutes(outages.seconds)} in all"
        told += f", {len(spans)} times; the longest " if len(spans) > len(longest) else ": "
        told += f"{named} {fmt.zone_name()}"
    return f"{told}. Charts leave a gap where nothing came later; totals may be too low."
