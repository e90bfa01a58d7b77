"""What a rule would have done: where it is tried, in numbers and as a list of pages."""

from __future__ import annotations

from datetime import UTC, datetime

from dash import dcc, html

from alerting.backtest import Backtest
from alerting.rule import Change, Rule, say_value
from alerting.wording import say_change
from dashboards import format as fmt
from dashboards.alert_desk import ShownRule
from dashboards.components import (
    Component,
    Head,
    Stat,
    badge,
    button,
    graph,
    number,
    panel,
    skeleton_rows,
    stat_row,
    table,
)
from dashboards.figures.tried_rule import series_name
from dashboards.theme import Mode

PAGES_SHOWN = 50

SPANS = {"24": "24 hours", "168": "7 days", "720": "30 days"}
"""Hours a rule may be tried on -> what that is called."""

MANY_A_WEEK = 14
"""Pages a week beyond which people stop reading them (two a day)."""


def tried_panels(shown: ShownRule | None) -> list[Component]:
    """Where the result and the history will stand. shown: None = a new rule, without history."""
    span = dcc.RadioItems(
        id="rule-span", options=SPANS, value="24", inline=True, className="gl-radio"
    )
    tried = panel(
        "Tried on the past",
        html.Div(
            [
                html.Div(
                    [button("Try it", "rule-try"), span,
                     html.Span(id="rule-tried-said", className="gl-sub", role="status")],
                    className="gl-toolbar",
                ),
                html.Div(id="rule-tried-stats"),
                graph("rule-tried-chart", height=300, label="The rule's series and its limit"),
                html.Div(id="rule-tried-pages"),
            ],
            className="gl-form-outer",
        ),
        note="the real checks over the stored data",
    )  # fmt: skip
    if shown is None:
        return [tried]
    past = panel("History", html.Div(skeleton_rows(4), id="rule-history"), className="flush")
    return [tried, past]


def unit_formatter(rule: Rule) -> fmt.Formatter:
    """Values as the rule's notices say them."""
    if isinstance(rule.check, Change):
        return lambda value: say_change(value)
    return lambda value: say_value(value, rule.unit)


def result_stats(tried: Backtest, hours: float, mode: Mode) -> Component:
    pages = len(tried.pages)
    a_week = pages * 168 / hours
    longest = max((page.seconds(tried.end) for page in tried.pages), default=0.0)
    return stat_row(
        [
            Stat(
                "tried-pages",
                "Would have paged",
                pages,
                fmt.whole(pages),
                hint=f"{a_week:.1f} a week" if pages else "not once",
                href="#rule-tried-pages",
                tone="warn" if a_week > MANY_A_WEEK else "",
            ),
            Stat(
                "tried-nights",
                "In the night",
                tried.nights,
                fmt.whole(tried.nights),
                hint="22:00 to 06:00",
                href="#rule-tried-pages",
                tone="warn" if tried.nights else "",
            ),
            Stat(
                "tried-firing",
                "Firing",
                tried.firing_s,
                fmt.span(tried.firing_s) if pages else fmt.MISSING,
                hint=f"longest {fmt.span(longest)}" if pages else "never",
                href="#rule-tried-pages",
            ),
        ],
        mode,
    )


def pages_table(tried: Backtest, formatter: fmt.Formatter) -> Component:
    rows = [
        [
            fmt.clock(datetime.fromtimestamp(page.fired_at, UTC)),
            fmt.plain(series_name(page.labels), 60),
            number(fmt.span(page.seconds(tried.end)), page.seconds(tried.end)),
            number(formatter(page.peak), page.peak),
            badge("night", "warn") if page.at_night else "",
        ]
        for page in reversed(tried.pages[-PAGES_SHOWN:])
    ]
    heads = (
        Head(f"Fired ({fmt.zone_name()})"),
        Head("Who"),
        Head("Lasted", True),
        Head("Worst", True),
        Head(""),
    )
    return table(heads, rows, empty="It would have been quiet.")
