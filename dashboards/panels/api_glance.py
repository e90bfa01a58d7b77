"""What else one API has to say in numbers, beside the four of its switch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from dash import html

from analytics.apdex import Apdex
from analytics.query import Overview
from dashboards import format as fmt
from dashboards.components import Component, Tone, number, page_link
from dashboards.data import Data
from dashboards.questions.view_questions import APDEX_THRESHOLD_MS
from dashboards.view import View

DATA_SENT = "response_bytes"
_MEASURES = (
    DATA_SENT,
    "upstream_p95_ms",
    "gateway_p95_ms",
    "client_error_rate",
    "rate_limited_rate",
)


@dataclass(frozen=True, slots=True)
class Glance:
    measures: Mapping[str, float | None]
    apdex: Apdex
    threshold_ms: float


async def ask_glance(data: Data, view: View, api: str) -> Glance:
    known = data.catalog.api(api)
    threshold = known.apdex_threshold_ms if known else APDEX_THRESHOLD_MS
    apdex, values = await asyncio.gather(
        data.apdex(view, threshold),
        asyncio.gather(*(data.measure(view, name) for name in _MEASURES)),
    )
    return Glance(dict(zip(_MEASURES, values, strict=True)), apdex, threshold)


def glance_list(overview: Overview, glance: Glance, view: View) -> Component:
    """One line per number; each leads to the requests it is about."""
    m = glance.measures
    slow, limited = view.query(), view.query(outcome="rate_limited")
    lines = (
        ("Latency p50", "api-p50", overview.p50_ms, fmt.milliseconds, slow),
        ("Latency p99", "api-p99", overview.p99_ms, fmt.milliseconds, slow),
        ("Upstream p95", "api-upstream-p95", m["upstream_p95_ms"], fmt.milliseconds, slow),
        ("Gateway p95", "api-gateway-p95", m["gateway_p95_ms"], fmt.milliseconds, slow),
        (
            f"Apdex, T = {fmt.milliseconds(glance.threshold_ms)}",
            "api-apdex",
            glance.apdex.score,
            apdex_text,
            slow,
        ),
        ("Client errors", "api-client-errors", m["client_error_rate"], fmt.percent,
         view.query(outcome="client_error")),
        ("Refused by limits", "api-limited", m["rate_limited_rate"], fmt.percent, limited),
    )  # fmt: skip
    return html.Div(
        [
            page_link(
                [html.Span(text), number(formatter(value), value, id=id)],
                f"/requests{query}",
                "gl-glance",
            )
            for text, id, value, formatter, query in lines
        ]
    )


def apdex_text(score: float | None) -> str:
    """Two digits, as the specification rounds it."""
    return fmt.MISSING if score is None else f"{score:.2f}"


def apdex_tone(score: float | None) -> Tone:
    """The specification's own words: from 0.85 good, under 0.7 poor."""
    return "" if score is None or score >= 0.85 else "warn" if score >= 0.7 else "bad"
