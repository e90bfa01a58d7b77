"""One panel on a screen: asks within its time, draws, and keeps its own failures as a sentence."""

from __future__ import annotations

import asyncio
import secrets

import polars as pl
import structlog
from dash import html
from pydantic import ValidationError

from analytics.errors import QueryRefused
from dashboards import identity
from dashboards.components import Component, failure
from dashboards.custom.answer import Answer
from dashboards.custom.checks import first_problem
from dashboards.custom.definition import Panel
from dashboards.custom.draw import draw
from dashboards.custom.limits import PANEL_SECONDS_MAX
from dashboards.custom.look import Look
from dashboards.custom.question import ask_measures, ask_sql, view_of
from dashboards.data import Data
from dashboards.figures.base import TimeAxis
from dashboards.measured import axis_of
from dashboards.theme import ColourBook
from dashboards.view import View
from storage.errors import SqlError

log = structlog.get_logger(__name__)

_OTHER_NAMES = ColourBook()
"""Colours of names that no other screen colours."""


async def content(
    data: Data,
    panel: Panel,
    view: View,
    *,
    interactive: bool = True,
    seconds: float = PANEL_SECONDS_MAX,
) -> Component:
    """The inside of the panel; never raises for what is wrong with the panel or its question."""
    try:
        return await asyncio.wait_for(_drawn(data, panel, view, interactive), seconds)
    except TimeoutError:
        return sentence(
            f"This question took longer than {seconds:g} s and was given up here. "
            "Narrow the time range or the filters."
        )
    except QueryRefused as err:
        return sentence(f"{str(err)[:1].upper()}{str(err)[1:].rstrip('.')}.")
    except SqlError as err:
        place = f" (line {err.line})" if err.line else ""
        return sentence(f"{err}{place}")
    except Exception:
        request_id = secrets.token_hex(4)
        log.exception("panel_failed", panel=panel.id, request_id=request_id)
        return failure(request_id)


async def _drawn(data: Data, panel: Panel, view: View, interactive: bool) -> Component:
    own = view_of(panel, view)
    books = {
        "api": data.colours,
        "consumer": data.consumer_colours,
        "product": data.product_colours,
        "": _OTHER_NAMES,
    }
    axis = TimeAxis(own.start, own.end, own.interval_s, own.mode)
    if panel.source.measures:
        answer, completeness = await asyncio.gather(ask(data, panel, view), data.completeness(own))
        axis = axis_of(own, completeness, _came(answer))
    else:
        answer = await ask(data, panel, view)
    return draw(panel, answer, Look(own, axis, books, interactive))


def _came(answer: Answer | None) -> pl.DataFrame | None:
    """time, requests of an answer over time; None = it is none."""
    if answer is None:
        return None
    over_time = answer.frame if answer.trend is None else answer.trend
    if "time" not in over_time.columns:
        return None
    return over_time if answer.spread else over_time.select("time", requests="#")


async def ask(data: Data, panel: Panel, view: View) -> Answer | None:
    """The panel's answer, shared with everybody who asks the same; None for a text.

    Raises QueryRefused, SqlError.
    """
    own, source, person = view_of(panel, view), panel.source, identity.current()
    if source.sql:
        return await data.ask(
            "panel-sql",
            own,
            lambda: ask_sql(panel, data.storage, person, own),
            source.sql,
            panel.kind,
        )
    if not source.measures:
        return None
    return await data.ask(
        "panel",
        own,
        lambda: ask_measures(panel, data.analytics, own),
        source.measures,
        source.by,
        panel.kind,
    )


def sentence(text: str) -> Component:
    """What went wrong, in the panel's place."""
    return html.Div(text, className="gl-failure", role="alert")


def read_panel(raw: object) -> Panel | Component:
    """A panel as the browser sends it; a sentence when it is none (yet): an editor's half-made
    panel is no error."""
    try:
        return Panel.model_validate(raw)
    except ValidationError as err:
        text = first_problem(err)
        return html.Div(f"{text[:1].upper()}{text[1:].rstrip('.')}.", className="gl-none")
