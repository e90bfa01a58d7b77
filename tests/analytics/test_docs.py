from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from storage.catalog import Catalog

PAGE = Path(__file__).parents[2] / "docs" / "analytics.md"
BLOCKS = re.findall(r"```yaml catalog\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_catalog_examples_of_the_page_are_read(number: int) -> None:
    catalog = Catalog.model_validate(yaml.safe_load(BLOCKS[number]))
    assert catalog.excluded_endpoints or catalog.plans


def test_routes_the_page_names_are_there() -> None:
    from analytics import api, api_consumers, api_plans, api_reports, api_traces

    routers = (api.router, api_consumers.router, api_plans.router, api_reports.router,
               api_traces.router)  # fmt: skip
    paths = {
        re.sub(r"\{(\w+):path\}", r"{\1}", route.path).removeprefix("/api/v1/analytics/")
        for router in routers
        for route in router.routes
    }
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[2])}
    assert named - {"reports/owner", "reports/consumer"} <= paths
    assert "reports/{audience}" in paths
