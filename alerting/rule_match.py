"""The part of a rule file that says which logs, spans, probes or signals of Gatelens count."""

from __future__ import annotations

from typing import Literal, cast

import pyarrow as pa
import pyarrow.compute as pc

from alerting.match_sql import (
    LOG_COLUMNS,
    PROBES,
    SEVERITY_NUMBERS,
    SPAN_COLUMNS,
    RowMatch,
    log_query,
    page_of,
    probe_query,
    span_query,
)
from alerting.pipeline import SIGNALS, Signal
from alerting.rule import Condition, Match, Pipeline
from alerting.yaml_section import Section


def read_rows(
    section: Section, kind: Literal["log_match", "trace_match"], condition: Condition
) -> tuple[Match, tuple[str, ...]]:
    """A log_match or trace_match rule's check, and its group_by."""
    table, columns = ("logs", LOG_COLUMNS) if kind == "log_match" else ("spans", SPAN_COLUMNS)
    _no_filters(section)
    by = section.texts("group_by", choices=columns)
    inner = section.section("match", required=True)
    found = RowMatch() if inner is None else _row_match(inner, kind)
    query, params = (log_query if table == "logs" else span_query)(found, by)
    window_s = section.duration_s("window", 300.0, positive=True)
    unit = "records" if table == "logs" else "spans"
    return Match(kind, query, params, window_s, condition, unit, page_of(table, found)), by


def read_probe(section: Section, condition: Condition) -> tuple[Match, tuple[str, ...]]:
    """A probe rule's check: up (1 or 0), or seconds until a certificate ends."""
    _no_filters(section)
    probe = section.text("probe", "up", required=True, choices=tuple(PROBES))
    query, params = probe_query(probe)
    window_s = section.duration_s("window", 300.0, positive=True)
    return Match("probe", query, params, window_s, condition, PROBES[probe][1]), ("target",)


def read_pipeline(section: Section, condition: Condition) -> tuple[Pipeline, tuple[str, ...]]:
    """A rule about Gatelens itself."""
    _no_filters(section)
    signal = section.text("signal", "job_failures", required=True, choices=tuple(SIGNALS))
    known = cast(Signal, signal)
    window_s = section.duration_s("window", 600.0, positive=True)
    return Pipeline(known, window_s, condition), SIGNALS[known][0]


def _row_match(inner: Section, kind: str) -> RowMatch:
    inner.title = "'match'"
    pattern = inner.text("pattern")
    if pattern and (wrong := _pattern_problem(pattern)):
        inner.wrong("pattern", f"The pattern cannot be read: {wrong}.", "It is RE2, without (?=).")
        pattern = ""
    logs = kind == "log_match"
    found = RowMatch(
        contains=inner.text("contains"),
        pattern=pattern,
        services=inner.texts("service"),
        environments=inner.texts("environment"),
        severity=inner.text("severity", choices=("", *SEVERITY_NUMBERS)) if logs else "",
        status="" if logs else inner.text("status", choices=("", "error", "ok")),
        slower_than_ms=0.0 if logs else inner.duration_s("slower_than") * 1000.0,
        attributes=inner.text_map("attributes"),
    )
    inner.finish()
    return found


def _no_filters(section: Section) -> None:
    if "filters" in section:
        section.wrong("filters", "Rules of this kind take no filters.", "Use their own fields.")
        section.section("filters")


def _pattern_problem(pattern: str) -> str:
    """'' when RE2, which DuckDB uses, takes it."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as err:
        return str(err).split(":", 1)[-1].strip()
    return ""
