"""Prometheus rule files into ours, where the expression says what one of our measures says.

    sum by (s) (rate(M{code=~"5.."}[W])) / sum by (s) (rate(M[W])) > 0.05   error_rate > 5 %
    ... code=~"4.." or "429" or "401|403" over all                          the other ratios
    sum by (s) (rate(M[W])) < 1                                             requests_per_s
    sum by (s) (increase(M{code=~"5.."}[W])) > 10                           errors, requests, ...
    histogram_quantile(0.95, sum by (le, s) (rate(H_bucket[W]))) > 0.8      p95_ms > 800
    rate(H_sum[W]) / rate(H_count[W]) > 0.5                                 duration_ms_avg > 500
    absent(M{...}), absent_over_time(M[W])                                  kind: absence

M counts requests (its name ends in requests_total, ..._count, rq_total or the like), H is a
histogram of their time. A ratio may be multiplied by 100. Everything else is refused, saying why:
a rule that means something else would be worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import yaml

from alerting.errors import ConfigInvalid, Problem
from alerting.promql import (
    COMPARISONS,
    Aggregation,
    Binary,
    Call,
    LabelMatch,
    Node,
    Number,
    PromqlRefused,
    Selector,
    parse_promql,
)
from alerting.rule import Rule
from alerting.rules import parse_rules
from alerting.yaml_section import Problems, Section, read_text, read_yaml
from analytics.query import MEASURES

DIMENSION_OF: Mapping[str, str] = MappingProxyType(
    {
        "api": "api", "service": "api", "job": "api", "service_name": "api", "app": "api",
        "route": "route", "handler": "route", "path": "route", "uri": "route",
        "http_route": "route", "endpoint": "route",
        "method": "method", "http_method": "method", "http_request_method": "method",
        "env": "environment", "environment": "environment",
        "deployment_environment": "environment", "gateway": "gateway", "ingress": "gateway",
        "consumer": "consumer", "version": "api_version", "plan": "plan", "product": "product",
    }
)  # fmt: skip
"""Label of Prometheus -> our dimension. The status code is read apart."""
STATUS_LABELS = (
    "code", "status", "status_code", "http_status_code", "http_response_status_code",
    "response_code", "http_code",
)  # fmt: skip
_RATIOS = {"5xx": "error_rate", "4xx": "client_error_rate", "429": "rate_limited_rate"}
_COUNTS = {
    "": "requests",
    "5xx": "errors",
    "4xx": "client_errors",
    "429": "rate_limited",
    "401|403": "unauthorized",
}
_QUANTILES = {0.5: "p50", 0.75: "p75", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p999"}
_REQUESTS = re.compile(
    r"(.*_)?(requests?|rq|hits|calls)(_total|_count)?|.*(request|duration|latency)\w*_count"
)
_TIMES = re.compile(r".*(request|response|duration|latency|time).*")
_FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_SEVERITY = {"critical": "critical", "page": "critical", "error": "critical", "info": "info"}


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file. `refused` has one entry per rule that was left out."""

    rules: tuple[Rule, ...]
    source: str
    """The rules as a file of ours; '' = none could be taken."""
    refused: tuple[Problem, ...]


@dataclass(slots=True)
class _Meaning:
    """What an expression says in our words."""

    measure: str = ""
    window_s: float = 0.0
    by: tuple[str, ...] = ()
    filters: dict[str, list[str]] = field(default_factory=dict)
    status: str = ""
    scale: float = 1.0
    """Our value = theirs x scale."""
    summed: bool = False
    """Without sum() every series of theirs is judged by itself, and theirs are not ours."""


def import_prometheus(path: Path) -> Imported:
    """Read a Prometheus rule file. Raises ConfigInvalid when it is none."""
    problems = Problems(str(path))
    top = read_yaml(read_text(path, problems), problems)
    groups = [] if top is None else list(top.sections("groups", required=True))
    problems.raise_if_any()
    taken: list[dict[str, object]] = []
    refused: list[Problem] = []
    for group in groups:
        for section in group.sections("rules"):
            name = section.text("alert") or section.text("record", "a rule")
            try:
                taken.append(_convert(section, {str(rule["name"]) for rule in taken}))
            except PromqlRefused as err:
                line = section.line_of("expr")
                refused.append(Problem(str(path), line, f"{name}: {err}.", ""))
    problems.raise_if_any()
    if not taken:
        return Imported((), "", tuple(refused))
    source = yaml.safe_dump({"rules": taken}, sort_keys=False, allow_unicode=True, width=100)
    try:
        rules = parse_rules(source, file=str(path))
    except ConfigInvalid as err:  # ours to avoid; if it happens, nothing half-right is given out
        return Imported((), "", (*refused, *err.problems))
    return Imported(rules, source, tuple(refused))


def _convert(section: Section, names: set[str]) -> dict[str, object]:
    alert = section.text("alert")
    if not alert:
        raise PromqlRefused("recording rules are not taken: our measures are there already")
    labels, annotations = section.text_map("labels"), section.text_map("annotations")
    rule: dict[str, object] = {"name": _name(alert, names)}
    rule.update(_condition(parse_promql(section.text("expr"))))
    for key in ("for", "keep_firing_for"):
        if value := section.text(key):
            rule[key] = value
    rule["severity"] = _SEVERITY.get(labels.pop("severity", "").lower(), "warning")
    if runbook := annotations.pop("runbook_url", ""):
        rule["runbook_url"] = runbook
    by = rule.get("group_by")
    known = set(by if isinstance(by, list) else ())
    kept = {
        n: v for n, v in labels.items() if n not in known and "{{" not in v and n != "alertname"
    }
    if kept:
        rule["labels"] = kept
    if annotations:
        words = known | set(kept)
        rule["annotations"] = {n: _template(text, words) for n, text in annotations.items()}
    return rule


def _condition(tree: Node) -> dict[str, object]:
    if isinstance(tree, Call) and tree.name in ("absent", "absent_over_time"):
        return _absence(tree)
    if not isinstance(tree, Binary) or tree.operator not in COMPARISONS:
        raise PromqlRefused("it compares nothing with a number")
    operator, left, right = tree.operator, tree.left, tree.right
    if isinstance(left, Number):
        operator, left, right = _FLIPPED[operator], right, left
    limit = _constant(right)
    if limit is None:
        raise PromqlRefused("it compares two series")
    found = _meaning(left)
    if found.measure not in MEASURES:
        raise PromqlRefused("no measure says that")
    if not found.summed:
        raise PromqlRefused("without sum() or sum by (...) it judges every single series")
    rule: dict[str, object] = {"measure": found.measure}
    if found.filters:
        rule["filters"] = found.filters
    if found.by:
        rule["group_by"] = list(found.by)
    rule["window"] = f"{found.window_s:.0f}s"
    rule["condition"] = f"{operator} {limit * found.scale:.12g}"
    return rule


def _meaning(node: Node) -> _Meaning:
    match node:
        case Binary("*", inner, Number(factor)) | Binary("*", Number(factor), inner):
            found = _meaning(inner)
            found.scale /= factor or 1.0
            return found
        case Binary("/", left, right):
            return _ratio(_meaning(left), _meaning(right))
        case Call("histogram_quantile", (Number(q), inner)):
            return _quantile(q, _meaning(inner))
        case Aggregation("sum", by, inner):
            found = _meaning(inner)
            found.by = _dimensions([label for label in by if label != "le"])
            found.summed = True
            return found
        case Aggregation(name):
            raise PromqlRefused(f"{name}() is not sum()")
        case Call(("rate" | "irate" | "increase") as name, (Selector(range_s=float()) as of,)):
            return _counted(name, of)
        case Call(name):
            raise PromqlRefused(f"{name}() has no measure here")
        case Selector(metric=metric):
            raise PromqlRefused(f"{metric or 'a metric'} without rate() has no measure here")
    raise PromqlRefused("it has no measure here")


def _counted(call: str, of: Selector) -> _Meaning:
    kind = _kind(of.metric)
    found = _Meaning(kind, of.range_s or 0.0)
    found.status = _status(of.matchers)
    found.filters = _filters(of.matchers)
    if kind == "requests" and call != "increase":
        found.measure = "requests_per_s"
    if kind in ("requests",) and found.status:
        # A rate of errors: our counts are over the window, so the limit grows with it.
        per_window = 1.0 if call == "increase" else found.window_s
        if found.status not in _COUNTS:
            raise PromqlRefused(f"no measure counts requests of status {found.status}")
        found.measure, found.scale = _COUNTS[found.status], per_window
    return found


def _kind(metric: str) -> str:
    if metric.endswith("_bucket") and _TIMES.fullmatch(metric):
        return "buckets"
    if metric.endswith("_sum") and _TIMES.fullmatch(metric):
        return "time"
    if _REQUESTS.fullmatch(metric):
        return "requests"
    raise PromqlRefused(f"{metric or 'a metric without a name'} is not known to count requests")


def _ratio(above: _Meaning, below: _Meaning) -> _Meaning:
    if (above.by, above.window_s) != (below.by, below.window_s) or above.filters != below.filters:
        raise PromqlRefused("both sides of '/' must have the same window, labels and filters")
    above.summed = above.summed and below.summed
    if above.measure == "time" and below.measure in ("requests", "requests_per_s"):
        above.measure, above.scale = "duration_ms_avg", 1000.0
        return above
    if below.status or below.measure not in ("requests", "requests_per_s"):
        raise PromqlRefused("it is divided by something other than all requests")
    if above.status not in (*_RATIOS, "401|403"):
        raise PromqlRefused("no measure is that ratio")
    above.measure = _RATIOS.get(above.status, "unauthorized_rate")
    above.scale, above.status = 1.0, ""
    return above


def _quantile(q: float, found: _Meaning) -> _Meaning:
    if found.measure != "buckets":
        raise PromqlRefused("histogram_quantile() is over something other than buckets of time")
    if q not in _QUANTILES:
        raise PromqlRefused(f"there is no measure for the quantile {q:g}")
    found.measure, found.scale = f"{_QUANTILES[q]}_ms", 1000.0
    return found


def _absence(call: Call) -> dict[str, object]:
    match call.arguments:
        case (Selector() as of,) | (Call("rate" | "increase", (Selector() as of,)),):
            _kind(of.metric)
        case _:
            raise PromqlRefused("absent() is over something other than a metric")
    filters = _filters(of.matchers)
    if _status(of.matchers):
        raise PromqlRefused("absence of one status has no rule here")
    rule: dict[str, object] = {"kind": "absence"}
    if filters:
        rule["filters"] = filters
    return {**rule, "window": f"{of.range_s or 300.0:.0f}s", "seen_within": "1d"}


def _dimensions(labels: Sequence[str]) -> tuple[str, ...]:
    for label in labels:
        if label not in DIMENSION_OF:
            raise PromqlRefused(f"the label {label!r} is no dimension here")
    return tuple(dict.fromkeys(DIMENSION_OF[label] for label in labels))


def _filters(matchers: Sequence[LabelMatch]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for matcher in matchers:
        if matcher.label in STATUS_LABELS:
            continue
        if matcher.operator not in ("=", "=~"):
            raise PromqlRefused(f"{matcher.label}{matcher.operator}... leaves something out")
        values = matcher.value.split("|") if matcher.operator == "=~" else [matcher.value]
        plain = all(re.fullmatch(r"[\w /{}:-]+", v) for v in values)
        if matcher.operator == "=~" and not plain:
            raise PromqlRefused(f"{matcher.label}=~{matcher.value!r} is a pattern")
        (dimension,) = _dimensions([matcher.label])
        found.setdefault(dimension, []).extend(values)
    return found


def _status(matchers: Sequence[LabelMatch]) -> str:
    """'5xx', '4xx', '429', '401|403' or '' for every status."""
    found = [m for m in matchers if m.label in STATUS_LABELS]
    if not found:
        return ""
    (matcher,) = found if len(found) == 1 else (None,)
    if matcher is None or matcher.operator not in ("=", "=~"):
        raise PromqlRefused("the status is matched in a way that has no measure here")
    text = matcher.value
    if digits := re.fullmatch(r"\^?([45])(?:\.\.|\.\*|\.\+|xx|XX|\[0-9\]\[0-9\]|\\d\\d)\$?", text):
        return f"{digits[1]}xx"
    if text == "429" or sorted(text.split("|")) == ["401", "403"]:
        return "429" if text == "429" else "401|403"
    raise PromqlRefused(f"no measure counts requests of status {text!r}")


def _constant(node: Node) -> float | None:
    match node:
        case Number(value):
            return value
        case Binary("*", left, right) if (a := _constant(left)) is not None:
            return None if (b := _constant(right)) is None else a * b
        case Binary("/", left, right) if (a := _constant(left)) is not None:
            return None if not (b := _constant(right)) else a / b
    return None


def _name(alert: str, taken: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", alert).strip("-._")[:90] or "imported"
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name


def _template(text: str, known: set[str]) -> str:
    """Go's `{{ $labels.api }}` and `{{ $value }}` in our words; what has none is left out."""
    parts = re.split(r"(\{\{.*?\}\})", text)
    return "".join(
        _word(p[2:-2].strip(" -"), known) if p.startswith("{{") and p.endswith("}}") else
        p.replace("{", "{{").replace("}", "}}")
        for p in parts
    )  # fmt: skip


def _word(inside: str, known: set[str]) -> str:
    expression = inside.split("|")[0].strip()
    if expression == "$value" or re.fullmatch(r'printf\s+"[^"]*"\s+\$value', expression):
        return "{value}"
    label = re.fullmatch(r"\$labels\.(\w+)", expression)
    name = DIMENSION_OF.get(label[1], label[1]) if label else ""
    return f"{{{name}}}" if name in known else "(...)"
