"""What a rule about logs, traces or a metric begins with when it is made from their screens: the
text of its kind, about what the screen's URL searches.

`/logs?service=shop&least=error&q=lost` -> a log_match rule of that service, severity and text.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import yaml

from alerting.rule_draft import STARTERS
from dashboards.search_terms import parse_search

_SUMMARY = {
    "log_match": "{service_name} logged {value} such records in {window}",
    "trace_match": "{service_name}: {value} such spans in {window}",
}
TEXT_MAX = 200


def rule_start(kind: str, search: str) -> str:
    """YAML of one rule. search: the URL's query; one that searches nothing gives the kind's own
    example (`STARTERS`), as an unknown kind gives KeyError."""
    asked = {k: v[0][:TEXT_MAX] for k, v in parse_qs(search.removeprefix("?")[:4_000]).items()}
    if kind in _SUMMARY:
        match = _match(kind, asked)
        if match:
            return _written(kind, match)
    if kind == "sql" and asked.get("metric"):
        return _metric_rule(asked["metric"])
    return STARTERS[kind][1]


def _match(kind: str, asked: dict[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    searched = parse_search(asked.get("q"))
    if searched.text:
        found["contains"] = searched.text
    if asked.get("service"):
        found["service"] = [asked["service"]]
    if kind == "log_match" and asked.get("least") in ("warn", "error"):
        found["severity"] = asked["least"]
    if kind == "trace_match":
        if asked.get("errors"):
            found["status"] = "error"
        if asked.get("ms", "").isdecimal():
            found["slower_than"] = f"{int(asked['ms'])}ms"
    equal = {t.key: t.value for t in searched.terms if t.op == "="}
    if equal:
        found["attributes"] = equal
    return found


def _written(kind: str, match: dict[str, object]) -> str:
    rule: dict[str, object] = {
        "name": kind.replace("_", "-"),
        "kind": kind,
        "match": match,
        "group_by": ["service_name"],
        "window": "5m",
        "condition": "> 0",
        "severity": "warning",
        "annotations": {"summary": _SUMMARY[kind]},
    }
    return _yaml(rule)


def _metric_rule(name: str) -> str:
    """The mean over the window, of gauges and of what histograms observed, per service."""
    quoted = name.replace("'", "''")
    query = (
        "SELECT service_name, avg(coalesce(value, sum / nullif(count, 0))) AS value\n"
        "FROM metrics\n"
        f"WHERE name = '{quoted}' AND time >= $start AND time < $end\n"
        "GROUP BY service_name\n"
    )
    rule: dict[str, object] = {
        "name": "metric-beyond-a-limit",
        "kind": "sql",
        "group_by": ["service_name"],
        "window": "10m",
        "condition": "> 1",
        "query": query,
        "severity": "warning",
        "annotations": {"summary": "{service_name}: {value} over {window}"},
    }
    return _yaml(rule)


def _yaml(rule: dict[str, object]) -> str:
    text: str = yaml.dump(
        rule,
        Dumper=_Blocks,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=None,
    )
    return text


class _Blocks(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a query reads as one."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Blocks.add_representer(str, _block)
