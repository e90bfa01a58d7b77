"""Operate's share of when collectors took data: a card, and the times when none did."""

from __future__ import annotations

import math
from datetime import datetime

from analytics.query import Outages
from dashboards import format as fmt
from dashboards.components import Component, Head, Stat, number, table
from dashboards.limits import OUTAGES_SHOWN_MAX
from dashboards.view import View

NOT_KNOWN = "Nothing is known: no collector has kept down yet when it took data."


def collectors_stat(known: Outages, view: View, now: datetime) -> Stat:
    """Which share of the range, as far as it is known, some collector took data in."""
    share = known.share_taken(view.time_range, now)
    count = len(known.spans)
    if known.ongoing:
        hint = "none takes data now"
    elif count:
        outages = "1 outage" if count == 1 else f"{fmt.whole(count)} outages"
        hint = f"{outages}, {fmt.minutes(known.seconds)}"
    elif share is None:
        hint = "not kept down" if known.known_from is None else "not known of this range"
    elif known.known_from and known.known_from > view.start:
        hint = f"known since {fmt.moment(known.known_from, now)}"
    else:
        hint = "all of the time range"
    return Stat(
        "operate-collectors",
        "Collectors took data",
        share,
        # Rounded down: what is not all of the time must not look like it.
        fmt.percent(None if share is None else math.floor(share * 1000) / 1000),
        href="#operate-collectors-out",
        tone="bad" if known.ongoing else "warn" if count else "",
        hint=hint,
    )


def outages_table(known: Outages, now: datetime) -> Component:
    """Newest first."""
    if known.known_from is None:
        return table((), (), empty=NOT_KNOWN)
    lines = [
        [
            fmt.clock(start),
            "goes on" if known.ongoing and end == known.spans[-1][1] else fmt.clock(end),
            number(fmt.minutes((end - start).total_seconds()), (end - start).total_seconds()),
        ]
        for start, end in reversed(known.spans[-OUTAGES_SHOWN_MAX:])
    ]
    since = fmt.minute(known.known_from)
    heads = (Head("From"), Head("Until"), Head("Length", True))
    return table(heads, lines, empty=f"None in this time range. Known since {since}.")
