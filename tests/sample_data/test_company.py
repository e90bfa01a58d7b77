"""The fictional company: the same from a seed, Zipf-like, and inside its own plans."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from sample_data.catalog_file import CATALOG_PATH, render_catalog
from sample_data.company import (
    ADDRESSES_PER_CONSUMER,
    CONSUMERS,
    ZIPF_EXPONENT,
    build_company,
)
from sample_data.scenario import DAY_US, Scenario
from sample_data.traffic import generate
from storage.catalog import load_catalog

MONDAY_US = 1_795_392_000 * 1_000_000  # 2026-11-23 00:00 UTC
SAMPLE_DIR = Path(CATALOG_PATH).parent


def test_same_seed_gives_same_company_and_another_seed_another() -> None:
    build_company.cache_clear()
    first = build_company(7)
    build_company.cache_clear()
    assert build_company(7).consumers == first.consumers
    assert build_company(7).addresses == first.addresses
    assert build_company(8).consumers != first.consumers


def test_there_are_a_dozen_apis_and_three_hundred_consumers_with_names_of_their_own() -> None:
    company = build_company()
    assert len(company.apis) == 12
    assert len({c.name for c in company.consumers}) == CONSUMERS == 300
    assert len({c.credential for c in company.consumers}) == CONSUMERS
    assert len({a.text for a in company.addresses}) == CONSUMERS * ADDRESSES_PER_CONSUMER + 2


def test_use_of_consumers_falls_as_zipf_says() -> None:
    company = build_company()
    requests = generate(
        company, Scenario(rate_per_s=20.0, shape="flat"), MONDAY_US, MONDAY_US + DAY_US // 2
    )
    counts = np.bincount(requests.consumer[requests.consumer >= 0], minlength=CONSUMERS)
    ranks = np.arange(1, 101)
    slope = np.polyfit(np.log(ranks), np.log(counts[:100]), 1)[0]
    assert abs(slope + ZIPF_EXPONENT) < 0.05
    assert counts[0] / counts.sum() > 0.2


def test_no_consumer_outgrows_its_quota_at_the_usual_rate_but_the_one_of_the_story() -> None:
    company = build_company()
    total = sum(c.weight for c in company.consumers)
    per_month = 40.0 * 86_400 * 30
    for i, consumer in enumerate(company.consumers):
        quota = consumer.plan.quota_per_month
        if quota is not None and i != company.almost_out:
            assert per_month * consumer.weight / total < quota, consumer.name


def test_plans_get_dearer_and_wider() -> None:
    plans = build_company().plans
    for small, large in zip(plans, plans[1:], strict=False):
        assert small.price_per_month < large.price_per_month
        assert (small.quota_per_month or 0) < (large.quota_per_month or math.inf)
        assert (small.rate_limit_per_minute or 0) < (large.rate_limit_per_minute or math.inf)


def test_committed_catalog_is_what_the_company_renders_to() -> None:
    assert CATALOG_PATH.read_text(encoding="utf-8") == render_catalog(build_company())


def test_catalog_knows_every_operation_and_consumer() -> None:
    company, catalog = build_company(), load_catalog(CATALOG_PATH)
    for op in company.operations:
        if op.kind != "call":
            continue
        host = None if op.gateway == "nginx" else op.host
        api = catalog.match_api(host, op.path_head + "1" if op.has_id else op.path_head, None, None)
        assert op.api is not None and api is not None
        assert api.name == op.api.name
        assert op.template in api.routes
        assert api.behind_gateway
    for consumer in company.consumers:
        known = catalog.consumer(key_hash=consumer.credential)
        assert known is not None and known.plan == consumer.plan.name
        assert catalog.consumer(user=consumer.user) == known


def test_health_endpoints_are_excluded_in_the_catalog() -> None:
    catalog = load_catalog(CATALOG_PATH)
    for op in build_company().operations:
        excluded = catalog.excluded(op.api.name if op.api else None, op.path_head, op.method)
        assert excluded == (op.kind == "health")


def test_nothing_points_at_a_real_host_or_holds_a_secret() -> None:
    looks_secret = re.compile(
        rb"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|ghp_\w{20}|xox[bp]-|Bearer\s+\S{16}"
        rb"|eyJ[\w-]{16}"
    )
    hosts = re.compile(rb"\b(?:[a-z0-9-]+\.)+(?:com|net|org|io|dev|cloud)\b")
    for path in SAMPLE_DIR.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            assert not looks_secret.search(content), path
            if path.suffix not in (".parquet", ".py"):
                assert not hosts.search(content), path
    ranges = (r"198\.1[89]\.", r"203\.0\.113\.", r"192\.0\.2\.")
    for address in build_company().addresses:
        assert re.match("|".join(ranges), address.text), address
