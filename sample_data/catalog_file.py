"""The company as a catalog file: what `catalog.yaml` beside this file is written from."""

from __future__ import annotations

from pathlib import Path

import yaml

from sample_data.apis import Api
from sample_data.company import PRODUCTS, Company, Consumer, Plan

CATALOG_PATH = Path(__file__).with_name("catalog.yaml")

_HEADER = """\
# Catalog of Waypost, the fictional company of the demonstration. Written by
# `python -m sample_data files`; change company.py or apis.py instead.
"""

Entry = dict[str, object]


def render_catalog(company: Company) -> str:
    """YAML in the form of `storage.catalog`; the same company gives the same text."""
    document: dict[str, list[Entry]] = {
        "products": [{"name": name, "title": title} for name, title in PRODUCTS],
        "apis": [_api(company, api) for api in company.apis],
        "plans": [_plan(plan) for plan in company.plans],
        "slos": [slo for api in company.apis for slo in _slos(api)],
        "excluded_endpoints": [
            {"path": op.path_head, "method": "GET"}
            for op in company.operations
            if op.kind == "health"
        ],
        "consumers": [_consumer(consumer) for consumer in company.consumers],
    }
    body = yaml.safe_dump(document, sort_keys=False, width=120, default_flow_style=None)
    return _HEADER + body


def _api(company: Company, api: Api) -> Entry:
    templates = {
        op.template: None
        for op in company.operations
        if op.api is api and op.kind == "call" and op.template
    }
    entry: Entry = {
        "name": api.name,
        "title": api.title,
        "owner": api.owner,
        "product": api.product,
        "versions": [version for version, _ in api.versions],
        "path_prefixes": [f"/{version}{api.prefix}" for version, _ in api.versions],
        "services": [api.service],
        "behind_gateway": True,
        "apdex_threshold_ms": api.apdex_threshold_ms,
        "routes": list(templates),
    }
    # A combined log line does not say the host, so the API behind NGINX is known by its path alone.
    if api.gateway != "nginx":
        entry["hosts"] = [api.host]
    return entry


def _plan(plan: Plan) -> Entry:
    entry: Entry = {
        "name": plan.name,
        "title": plan.title,
        "price_per_month": plan.price_per_month,
        "currency": "EUR",
    }
    if plan.quota_per_month is not None:
        entry["quota_per_month"] = plan.quota_per_month
    if plan.rate_limit_per_minute is not None:
        entry["rate_limit_per_minute"] = plan.rate_limit_per_minute
    return entry


def _slos(api: Api) -> list[Entry]:
    return [
        {"name": f"{api.name}-availability", "api": api.name, "objective": 0.995},
        {
            "name": f"{api.name}-latency",
            "api": api.name,
            "kind": "latency",
            "objective": 0.95,
            "threshold_ms": api.apdex_threshold_ms * 2,
        },
    ]


def _consumer(consumer: Consumer) -> Entry:
    return {
        "name": consumer.name,
        "group": consumer.group,
        "plan": consumer.plan.name,
        "users": [consumer.user],
        "key_hashes": [consumer.credential],
    }
