"""The Operate screen's table of calls that two senders tell of: learned, or counted twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from dash import html

from dashboards import format as fmt
from dashboards.components import Component, Head, badge, number, table
from dashboards.identity import HOME_TENANT
from storage.learned import FRONTS_FILE, TWINS_FILE, read_learned


@dataclass(frozen=True, slots=True)
class Fact:
    """Two tellings of the same calls, one of which is counted."""

    tellers: str
    counted: str


def learned_facts(data_dir: Path, tenant: str = HOME_TENANT) -> list[Fact]:
    """What the collector of this machine learned; [] where there is none."""
    fronts = read_learned(data_dir / FRONTS_FILE).get(tenant, {})
    twins = read_learned(data_dir / TWINS_FILE).get(tenant, {})
    return [
        Fact(f"{service} is behind {gateway}", f"the spans of {gateway}")
        for service, gateway in sorted(fronts.items())
    ] + [
        Fact(f"access log of {gateway} and spans of {spans}", "the access log")
        for spans, gateway in sorted(twins.items())
    ]


def counting_table(facts: list[Fact], twice: pl.DataFrame) -> Component:
    """`twice`: rows of analytics/sql/counted_twice.sql."""
    lines = [
        [
            html.Span(f"{fmt.plain(row['gateway'], 30)}: {' and '.join(row['sources'])}"),
            badge("counted twice", "bad"),
            html.Span("both; say `count` of the gateway in the catalog"),
            number(fmt.count(row["calls"]), row["calls"], tone="warn"),
        ]
        for row in twice.iter_rows(named=True)
    ]
    lines += [
        [
            html.Span(fmt.plain(fact.tellers, 120)),
            badge("once", "good"),
            html.Span(fmt.plain(fact.counted, 80)),
            "",
        ]
        for fact in facts
    ]
    heads = (Head("Told by"), Head("Calls are"), Head("Counted"), Head("Calls", True))
    return table(heads, lines, empty="Nothing that comes in tells of the same calls twice.")
