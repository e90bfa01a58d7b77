"""Rules as text, for people who make them on screen: from a form, a starting point, a file.

What is saved is always the text; a form only writes it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import orjson

from alerting.rule import Rule
from alerting.rules import BUILTIN_RULES
from analytics.query import MEASURES

CONDITIONS: Mapping[str, str] = MappingProxyType(
    {"1": "> 5%", "ms": "> 800ms", "requests/s": "< 0.1", "By/s": "> 10000000"}
)
"""What a new rule about a measure of that unit starts with; any other: `> 100`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The fields of a form for a rule about a measure, as somebody typed them; '' = left out."""

    measure: str = "error_rate"
    name: str = ""
    condition: str = ""
    window: str = "5m"
    for_: str = "1m"
    min_requests: str = "20"
    severity: str = "warning"
    group_by: Sequence[str] = ("api",)
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    summary: str = ""
    owner: str = ""
    runbook_url: str = ""


def draft_source(draft: Draft) -> str:
    """The YAML of a drafted rule. What is missing gets a sensible value; what is wrong stays as it
    is, for the check to say so."""
    measure = MEASURES.get(draft.measure)
    unit = measure.unit if measure else ""
    condition = draft.condition.strip() or CONDITIONS.get(unit, "> 100")
    lines = [
        f"name: {_text(draft.name.strip() or suggested_name(draft))}",
        f"measure: {_text(draft.measure)}",
    ]
    if draft.filters:
        lines.append("filters:")
        lines += [f"  {name}: {_list(values)}" for name, values in draft.filters.items()]
    if draft.group_by:
        lines.append(f"group_by: {_list(draft.group_by)}")
    lines.append(f"window: {_text(draft.window.strip() or '5m')}")
    if draft.min_requests.strip() not in ("", "0"):
        lines.append(f"min_requests: {_text(draft.min_requests.strip())}")
    lines.append(f"condition: {_quoted(condition)}")
    if draft.for_.strip() not in ("", "0"):
        lines.append(f"for: {_text(draft.for_.strip())}")
    lines.append(f"severity: {_text(draft.severity)}")
    lines += [
        f"{name}: {_text(value.strip())}"
        for name, value in (("owner", draft.owner), ("runbook_url", draft.runbook_url))
        if value.strip()
    ]
    said = draft.summary.strip() or suggested_summary(draft)
    lines += ["annotations:", f"  summary: {_quoted(said)}"]
    return "\n".join(lines) + "\n"


def suggested_name(draft: Draft) -> str:
    """'orders-error-rate' for a rule about one API, 'every-api-error-rate' for all of them."""
    named = [v for values in draft.filters.values() for v in values[:1]]
    subject = (
        named[-1] if named else "every-" + (draft.group_by[0] if draft.group_by else "request")
    )
    slug = re.sub(r"[^a-z0-9]+", "-", f"{subject}-{draft.measure}".lower()).strip("-")
    return slug[:100] or "rule"


def suggested_summary(draft: Draft) -> str:
    who = " ".join(f"{{{name}}}" for name in draft.group_by)
    measure = draft.measure.replace("_", " ")
    return f"{who}: {measure} is {{value}} (limit {{threshold}})".removeprefix(": ")


def source_of(rule: Rule) -> str | None:
    """A rule's own text out of the file it came from; None when it came from none, or that changed.

    Input: `  - name: a` and the lines below it, up to the next item. Output: the item alone,
    moved to the left edge.
    """
    path = BUILTIN_RULES if rule.file == "built-in rules" else Path(rule.file)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    if not 0 < rule.line <= len(lines) or not lines[rule.line - 1].lstrip().startswith("- "):
        return None
    first = lines[rule.line - 1]
    edge = len(first) - len(first.lstrip())
    item = [" " * (edge + 2) + first.lstrip()[2:]]
    for line in lines[rule.line :]:
        if line.strip() and len(line) - len(line.lstrip()) <= edge:
            break
        item.append(line)
    return textwrap.dedent("\n".join(item)).strip() + "\n"


STARTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "change": (
            "Change against last week",
            """\
name: traffic-fell
kind: change
measure: requests
group_by: [api]
window: 30m
compare: 1w
min_requests: 500
condition: "< -60%"
for: 5m
severity: warning
annotations:
  summary: "{api}: traffic is {value} against the same time last week"
""",
        ),
        "absence": (
            "Silence of something that was there",
            """\
name: gateway-went-silent
kind: absence
group_by: [gateway]
window: 5m
seen_within: 6h
min_requests: 100
for: 1m
severity: critical
annotations:
  summary: "Nothing from {gateway} for {window}"
""",
        ),
        "burn_rate": (
            "Error budget burns too fast",
            """\
name: orders-budget
kind: burn_rate
filters:
  api: [orders]
group_by: [api]
objective: 99.9%
period: 30d
min_requests: 50
severity: critical
annotations:
  summary: "{api} burns its error budget {value} too fast"
  description: "{evidence}"
""",
        ),
        "quota": (
            "Quota nearly used, or running out early",
            """\
name: quota-runs-out
kind: quota
period: month
runs_out_before_end: 3d
severity: info
annotations:
  summary: "{consumer} is expected to have used up the month's quota in {value}"
  description: "{evidence}"
""",
        ),
        "sql": (
            "A query of your own",
            """\
name: many-different-addresses
kind: sql
group_by: [consumer]
window: 10m
condition: "> 50"
query: |
  SELECT consumer, count(DISTINCT client_address) AS value
  FROM requests
  WHERE time >= $start AND time < $end AND consumer IS NOT NULL
  GROUP BY consumer
severity: warning
annotations:
  summary: "{consumer} calls from {value} addresses in {window}"
""",
        ),
        "log_match": (
            "Log records that match",
            """\
name: panics
kind: log_match
match:
  contains: panic
  severity: error
group_by: [service_name]
window: 5m
condition: "> 0"
severity: critical
annotations:
  summary: "{service_name} logged {value} with 'panic' in {window}"
""",
        ),
        "trace_match": (
            "Spans that match",
            """\
name: slow-failing-spans
kind: trace_match
match:
  status: error
  slower_than: 2s
group_by: [service_name]
window: 5m
condition: ">= 5"
severity: warning
annotations:
  summary: "{service_name}: {value} took over 2 s and failed in {window}"
""",
        ),
        "probe": (
            "A probed target is down",
            """\
name: shop-down
kind: probe
probe: up
condition: "< 1"
for: 30s
severity: critical
annotations:
  summary: "{target} does not answer its probe"
""",
        ),
        "pipeline": (
            "Gatelens itself",
            """\
name: records-refused
kind: pipeline
signal: rejects
window: 10m
condition: "> 100"
severity: warning
annotations:
  summary: "{value} from {source} could not be read ({reason})"
""",
        ),
    }
)
"""Kinds that no form asks for: their title, and a rule to start from."""


def _text(value: str) -> str:
    """A scalar: bare where that is plain to read and unambiguous."""
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_./-]*", value)
    ambiguous = value.lower() in ("yes", "no", "true", "false", "null", "on", "off", "y", "n")
    return value if plain and not ambiguous else _quoted(value)


def _quoted(value: str) -> str:
    # A JSON string is a YAML string.
    return orjson.dumps(value).decode()


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(_text(value) for value in values)}]"
