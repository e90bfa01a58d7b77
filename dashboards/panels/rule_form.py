"""The form that writes a rule's text: its fields, what a link fills in, what becomes of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from dash import dcc, html

from alerting.rule import SEVERITIES
from alerting.rule_draft import CONDITIONS, STARTERS, Draft
from analytics.query import DIMENSIONS, MEASURES
from dashboards.components import Component, panel, text_field
from dashboards.view import FILTERS


def rule_form() -> Component:
    def field(key: str, label: str, **more: Any) -> Component:
        id = {"type": "rule-field", "key": key}
        return text_field(id, label, maxLength=400, debounce=0.4, **more)

    def choice(key: str, label: str, options: dict[str, str], value: Any, **more: Any) -> Component:
        picker = dcc.Dropdown(
            id={"type": "rule-field", "key": key},
            options=[{"value": k, "label": v} for k, v in options.items()],
            value=value,
            clearable=False,
            className="gl-dropdown",
            **more,
        )
        return html.Label([label, picker])

    measures = {
        name: f"{name.replace('_', ' ')} · {m.description.split('.')[0].lower()}"
        for name, m in MEASURES.items()
    }
    groups = {name: name.replace("_", " ") for name in DIMENSIONS}
    kinds = {"threshold": "A measure beyond a limit", **{k: v[0] for k, v in STARTERS.items()}}
    return panel(
        "What must not be",
        html.Div(
            [
                choice("kind", "Kind", kinds, "threshold"),
                html.Div(
                    [
                        choice("measure", "Measure", measures, "error_rate"),
                        field("condition", "Condition", placeholder="> 5%"),
                        field("window", "Over the last", value="5m"),
                        field("for_", "Lasting for", value="1m"),
                        choice("group_by", "One alert per", groups, ["api"], multi=True),
                        field("min_requests", "At least so many requests", value="20"),
                        field("filters", "Only where", placeholder="api=orders, plan=gold"),
                        choice("severity", "Severity", {s: s for s in SEVERITIES}, "warning"),
                        field("name", "Name", placeholder="made from the rest"),
                        field("owner", "Owner", placeholder="team"),
                        field("summary", "What people read", placeholder="{api} fails {value}"),
                        field("runbook_url", "Runbook", placeholder="https://"),
                    ],
                    id="rule-fields",
                    className="gl-form plain",
                ),
            ],
            className="gl-form-outer",
        ),
    )


def asked_fields(search: str) -> dict[str, Any]:
    """What a link asks a new rule to be: `?measure=p95_ms&api=orders&kind=change`.

    Filters are the same words as everywhere; what is unknown is left out.
    """
    params = parse_qs(search.removeprefix("?")[:4_000])
    asked: dict[str, Any] = {}
    if (measure := params.get("measure", [""])[0]) in MEASURES:
        asked["measure"] = measure
        asked["condition"] = CONDITIONS.get(MEASURES[measure].unit, "")
    if (kind := params.get("kind", [""])[0]) in STARTERS:
        asked["kind"] = kind
    filters = [
        f"{dimension}={value[:100]}"
        for word, dimension in FILTERS.items()
        for value in params.get(word, [])[:10]
    ]
    if filters:
        asked["filters"] = ", ".join(filters)
        if any(part.startswith("consumer=") for part in filters):
            asked["group_by"] = ["consumer"]
    return asked


def draft_of(fields: dict[str, Any]) -> Draft:
    """The form as a draft; anything odd becomes text that the check refuses."""
    filters: dict[str, list[str]] = {}
    for part in str(fields.get("filters") or "").split(","):
        name, _, value = part.strip().partition("=")
        if name.strip():
            filters.setdefault(name.strip(), []).append(value.strip())
    groups = fields.get("group_by") or []
    words = ("measure", "name", "condition", "window", "for_", "min_requests", "severity",
             "summary", "owner", "runbook_url")  # fmt: skip
    return Draft(
        **{word: str(fields.get(word) or "") for word in words},
        group_by=[str(g) for g in groups] if isinstance(groups, list) else [],
        filters=filters,
    )
