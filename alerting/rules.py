"""Rule files: YAML in, rules out, every mistake told with its line.

    rules:
      - name: api-error-ratio            # unique; letters, digits, - _ .
        kind: threshold                  # threshold (default) or another, see below
        measure: error_rate              # any measure of analytics/measures.py
        filters: {environment: production, api: [orders, billing]}
        group_by: [api]                  # every API is an alert of its own
        window: 1m                       # how much data one look takes
        min_requests: 20                 # with fewer the value is not judged (counts as fine)
        condition: "> 5%"                # >, >=, <, <=, ==, != and a number with %, ms or s
        for: 15s                         # breach must last; on the data's clock
        keep_firing_for: 30s             # calm must last before it resolves
        no_data: keep                    # keep (default), alert, ok
        severity: critical               # critical, warning (default), info
        owner: payments
        runbook_url: https://...
        labels: {team: payments}
        annotations:
          summary: "{api} fails {value} of its requests (limit {threshold})"

What other kinds take:

    change      measure, window, compare (how far back, 1w), condition on the relative change
                ("> 50%", "< -40%"), min_requests in the earlier window
    absence     window, seen_within (1d), min_requests in it
    burn_rate   objective (99.9%), period (30d), measure (error_rate) or slower_than (300ms: bad
                are the requests that take longer), windows as a list of
                {long, short, factor}; none gives the usual pair: 1h/5m x14.4 and 6h/30m x6
    quota       period (month, week, day), condition on the share used; or runs_out_before_end
                (2d: the forecast runs out at least two days before the period ends; 0: at all).
                One series per consumer; counted as the screens count, in the plan's own windows
    sql         query: one SELECT over any table, with $start and $end, that gives the columns of
                group_by and `value`; window; condition. A series without a row counts as fine
    log_match   match: {contains, pattern, service, environment, severity, attributes}; condition
                on the number of log records in the window; group_by: service_name, ...
    trace_match the same for spans; match: {contains, pattern, service, status: error,
                slower_than: 2s, ...}
    probe       probe (up: 1 or 0, certificate_expiry: seconds left), condition; one series per
                target that sends the metric `gatelens.probe.up` or `..certificate_expiry_s`
    pipeline    signal of Gatelens itself: job_failures, job_lag_s, job_silence_s, rejects,
                commit_stuck_s, collector_silence_s, disk_free; window, condition

Annotations know {rule} {severity} {value} {threshold} {window} {api} and every other label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from alerting.errors import ConfigInvalid, Problem
from alerting.limits import RULES_MAX
from alerting.rule import (
    KINDS,
    NO_DATA_POLICIES,
    SEVERITIES,
    Absence,
    BurnRate,
    BurnWindow,
    Change,
    Check,
    Condition,
    Match,
    Pipeline,
    Quota,
    Rule,
    Severity,
    Sql,
    Threshold,
    parse_condition,
)
from alerting.rule_match import read_pipeline, read_probe, read_rows
from alerting.source import Period
from alerting.state_machine import NoData, Timing
from alerting.templates import template_problem
from alerting.yaml_section import Problems, Section, read_text, read_yaml
from analytics.query import DIMENSIONS, MEASURES, Filters

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
RESERVED_LABELS = ("alertname", "severity")
TEMPLATE_WORDS = ("rule", "severity", "value", "threshold", "window", "evidence", "owner")
DEFAULT_BURN_WINDOWS = (BurnWindow(3_600, 300, 14.4), BurnWindow(21_600, 1_800, 6.0))
BUILTIN_RULES = Path(__file__).with_name("default_rules.yaml")


def load_rules(
    path: Path | None, *, builtin: bool = True, tenant: str = "default"
) -> tuple[Rule, ...]:
    """Rules of a file or a folder of `*.yaml`, with the built-in ones below them by name.

    Raises ConfigInvalid with every mistake of every file. None and builtin=False give no rules.
    """
    own: list[Rule] = []
    problems: list[Problem] = []
    for file in _files(path):
        found = Problems(str(file))
        text = read_text(file, found)
        own.extend(_read(text, found, tenant))
        problems.extend(found.found)
    problems.extend(_repeated(own))
    if len(own) > RULES_MAX:
        problems.append(Problem(str(path), 0, f"There are more than {RULES_MAX} rules.", ""))
    if problems:
        raise ConfigInvalid(problems)
    if builtin:
        names = {rule.name for rule in own}
        own.extend(r for r in builtin_rules(tenant) if r.name not in names)
    return tuple(own)


def builtin_rules(tenant: str = "default") -> tuple[Rule, ...]:
    """The rules that work with no configuration."""
    return parse_rules(
        BUILTIN_RULES.read_text(encoding="utf-8"), file="built-in rules", tenant=tenant
    )


def parse_rules(text: str, *, file: str = "rules", tenant: str = "default") -> tuple[Rule, ...]:
    """Rules of one text. Raises ConfigInvalid. An empty text gives none."""
    problems = Problems(file)
    rules = _read(text, problems, tenant)
    problems.found.extend(_repeated(rules))
    problems.raise_if_any()
    return tuple(rules)


def _files(path: Path | None) -> Sequence[Path]:
    if path is None:
        return ()
    if path.is_dir():
        return sorted((*path.glob("*.yaml"), *path.glob("*.yml")))
    return (path,)


def _read(text: str, problems: Problems, tenant: str) -> list[Rule]:
    top = read_yaml(text, problems)
    if top is None:
        return []
    rules = [_rule(section, tenant) for section in top.sections("rules", required=True)]
    top.finish()
    return [rule for rule in rules if rule is not None]


def _repeated(rules: Iterable[Rule]) -> list[Problem]:
    seen: dict[str, Rule] = {}
    problems = []
    for rule in rules:
        first = seen.setdefault(rule.name, rule)
        if first is not rule:
            where = f"{first.file}:{first.line}"
            problems.append(
                Problem(
                    rule.file, rule.line, f"Rule {rule.name!r} is there twice.", f"See {where}."
                )
            )
    return problems


def _rule(section: Section, tenant: str) -> Rule | None:
    before = len(section.problems.found)
    name = section.text("name", required=True)
    if name and not _NAME.fullmatch(name):
        section.wrong("name", f"{name!r} is no name.", "Use letters, digits, '-', '_' and '.'.")
    section.title = f"rule {name!r}" if name else "a rule"
    check, group_by = _check(section)
    own = isinstance(check, Sql | Match | Pipeline)
    timing = Timing(
        for_s=section.duration_s("for"),
        keep_firing_for_s=section.duration_s("keep_firing_for"),
        # A query counts what it finds: a series without a row is over, not unmeasured.
        no_data=cast(
            NoData, section.text("no_data", "ok" if own else "keep", choices=NO_DATA_POLICIES)
        ),
    )
    rule = Rule(
        name=name,
        check=check,
        filters=_filters(section, tenant),
        group_by=group_by,
        timing=timing,
        severity=cast(Severity, section.text("severity", "warning", choices=SEVERITIES)),
        labels=_labels(section, group_by),
        annotations=_annotations(section, group_by),
        owner=section.text("owner"),
        runbook_url=_url(section, "runbook_url"),
        file=section.problems.file,
        line=section.line,
    )
    section.finish()
    return rule if len(section.problems.found) == before else None


def _check(section: Section) -> tuple[Check, tuple[str, ...]]:
    """What is judged, and which labels tell its series apart."""
    match section.text("kind", "threshold", choices=tuple(KINDS)):
        case "log_match" | "trace_match" as kind:
            return read_rows(section, kind, _condition(section))
        case "probe":
            return read_probe(section, _condition(section))
        case "pipeline":
            return read_pipeline(section, _condition(section))
        case "sql":
            return _sql(section), section.texts("group_by")
        case "quota":
            period = section.text("period", "month", choices=("month", "week", "day"))
            return _quota(section, cast(Period, period)), ("consumer",)
        case kind:
            return _measured(section, kind), section.texts("group_by", choices=DIMENSIONS)


def _quota(section: Section, period: Period) -> Quota:
    if section.texts("group_by", ("consumer",)) != ("consumer",):
        section.wrong("group_by", "A quota is judged per consumer.", "Leave 'group_by' out.")
    if "runs_out_before_end" not in section:
        return Quota(period, _condition(section, relative=True))
    if "condition" in section:
        hint = "Remove one of them."
        section.wrong("condition", "A rule has 'condition' or 'runs_out_before_end'.", hint)
    return Quota(period, None, section.duration_s("runs_out_before_end"))


def _measured(section: Section, kind: str) -> Check:
    match kind:
        case "change":
            return Change(
                _measure(section),
                section.duration_s("window", 3_600.0, positive=True),
                section.duration_s("compare", 604_800.0, positive=True),
                _condition(section, relative=True),
                int(section.number("min_requests", 0, minimum=0)),
            )
        case "absence":
            return _absence(section)
        case "burn_rate":
            return _burn_rate(section)
        case _:
            return Threshold(
                _measure(section),
                section.duration_s("window", 60.0, positive=True),
                _condition(section),
                int(section.number("min_requests", 0, minimum=0)),
            )


def _absence(section: Section) -> Absence:
    window_s = section.duration_s("window", 300.0, positive=True)
    seen_s = section.duration_s("seen_within", 86_400.0, positive=True)
    if seen_s <= window_s:
        section.wrong("seen_within", "'seen_within' must be longer than 'window'.")
    return Absence(window_s, seen_s, int(section.number("min_requests", 1, minimum=1)))


def _sql(section: Section) -> Sql:
    query = section.text("query", required=True)
    if query and not ("$start" in query and "$end" in query):
        section.wrong(
            "query", "The query must be bound to the window.", "Add time >= $start AND time < $end."
        )
    if "filters" in section:
        section.wrong("filters", "An sql rule takes no filters.", "Put them into the query.")
    window_s = section.duration_s("window", 60.0, positive=True)
    return Sql(query, window_s, _condition(section))


def _burn_rate(section: Section) -> BurnRate:
    raw = section.text("objective", required=True)
    try:
        objective = float(raw.rstrip("% ")) / (100.0 if raw.rstrip().endswith("%") else 1.0)
    except ValueError:
        objective = 0.0
    if raw and not 0 < objective < 1:
        section.wrong("objective", f"'objective' cannot be {raw!r}.", "Write 99.9% or 0.999.")
    windows = []
    for item in section.sections("windows"):
        window = BurnWindow(
            item.duration_s("long", 3_600.0, positive=True),
            item.duration_s("short", 300.0, positive=True),
            item.number("factor", 14.4, minimum=0.1, required=True),
        )
        if window.short_s >= window.long_s:
            item.wrong("short", "'short' must be shorter than 'long'.")
        item.finish()
        windows.append(window)
    slower_s = section.duration_s("slower_than")
    if slower_s and "measure" in section:
        section.wrong("measure", "A rule has 'slower_than' or 'measure'.", "Remove one of them.")
    return BurnRate(
        _measure(section, "error_rate", ratio=True),
        objective,
        section.duration_s("period", 30 * 86_400.0, positive=True),
        tuple(windows) or DEFAULT_BURN_WINDOWS,
        int(section.number("min_requests", 0, minimum=0)),
        slower_s * 1000.0 or None,
    )


def _measure(section: Section, default: str = "", *, ratio: bool = False) -> str:
    known = tuple(n for n, m in MEASURES.items() if not ratio or m.unit == "1")
    return section.text("measure", default, required=not default, choices=known)


def _condition(section: Section, *, relative: bool = False) -> Condition:
    fallback = Condition(">", 0.0)
    raw = section.text("condition", required=True)
    if not raw:
        return fallback
    condition = parse_condition(raw)
    if condition is None:
        hint = 'Write an operator and a number, like "> 5%" or ">= 800ms".'
        section.wrong("condition", f"{raw!r} is no condition.", hint)
        return fallback
    measure = MEASURES.get(section.text("measure")) if "measure" in section else None
    unit = "1" if relative else (measure.unit if measure else "")
    written = raw.rstrip()
    if written.endswith("%") and unit not in ("1", ""):
        section.wrong("condition", f"{raw!r} is a percentage, but the measure is in {unit}.")
    elif written.endswith("s") and unit not in ("ms", "requests/s", "By/s", ""):
        section.wrong("condition", f"{raw!r} is a time, but the measure is not.")
    elif unit == "1" and not relative and not written.endswith("%") and condition.threshold > 1:
        section.wrong(
            "condition", f"{raw!r} can never be: a ratio is at most 1.", "Write it with %."
        )
    return condition


def _filters(section: Section, tenant: str) -> Filters:
    inner = section.section("filters")
    if inner is None:
        return Filters(tenant=tenant)
    values: Any = {name: inner.texts(name) for name in DIMENSIONS}
    inner.title = "'filters'"
    inner.finish()
    return Filters(tenant=tenant, **values)


def _labels(section: Section, group_by: tuple[str, ...]) -> dict[str, str]:
    labels = section.text_map("labels")
    for name in labels:
        if name in RESERVED_LABELS or name in group_by:
            section.wrong("labels", f"The label {name!r} is set by the rule itself.")
        elif not _LABEL_NAME.fullmatch(name):
            section.wrong("labels", f"{name!r} is no label name.", "Use letters, digits and '_'.")
    return labels


def _annotations(section: Section, group_by: tuple[str, ...]) -> dict[str, str]:
    inner = section.section("annotations")
    if inner is None:
        return {}
    labels = section.text_map("labels")
    known = {*TEMPLATE_WORDS, *group_by, *labels}
    found = {name: inner.text(name) for name in inner.names()}
    for name, template in found.items():
        problem = template_problem(template, known)
        if problem:
            inner.wrong(name, f"The template of {name!r} has {problem}.")
    return found


def _url(section: Section, name: str) -> str:
    value = section.text(name)
    if value and not value.startswith(("https://", "http://")):
        section.wrong(name, f"{name!r} must start with https:// or http://.")
    return value
