"""The examples of the user pages work as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alerting.channels import load_delivery
from alerting.rule_check import check_rules
from alerting.rule_test import run_rule_tests
from storage.catalog import load_catalog
from storage.settings import StorageSettings
from storage.sql_worker import run_sql

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page: str, info: str) -> list[str]:
    """Code blocks of a page whose fence says exactly `info`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```{re.escape(info)}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no ```{info} block"
    return found


def test_the_catalog_example_loads(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(blocks("catalog.md", "yaml catalog")[0])
    assert load_catalog(path).match_api("api.example.com", "/orders/1") is not None


def test_the_alert_examples_load_and_the_rule_test_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, channels, test = (tmp_path / f"{n}.yaml" for n in ("rules", "channels", "rules_test"))
    rules.write_text(blocks("alerts.md", "yaml rules")[0])
    channels.write_text(blocks("alerts.md", "yaml channels")[0])
    test.write_text(blocks("alerts.md", "yaml rule-test")[0])
    monkeypatch.setenv("ON_CALL_HOOK", "https://hooks.example.com/x")
    monkeypatch.setenv("HOOK_SECRET", "s")
    assert check_rules(rules).problems == ()
    assert load_delivery(channels).channels
    [result] = run_rule_tests(test)
    assert result.failures == ()


@pytest.mark.parametrize("query", blocks("sql.md", "sql"))
def test_the_sql_examples_run(query: str, tmp_path: Path) -> None:
    assert run_sql(StorageSettings(data_dir=tmp_path), query).table.num_rows == 0


def test_the_lake_examples_read_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    import pyarrow as pa

    from storage.lake import Lake

    rows = pa.table(
        {"time": pa.array([datetime.now(UTC)], pa.timestamp("us", "UTC")), "tenant": ["default"]}
    ).append_column("api", pa.array(["orders"]))
    lake = Lake(StorageSettings(data_dir=tmp_path / "gatelens-data"))
    lake.table("requests").append(rows, app_id="t", app_version=1)
    monkeypatch.chdir(tmp_path)
    for code in blocks("sql.md", "python lake"):
        *setup, last = code.strip().splitlines()
        names: dict[str, object] = {}
        exec("\n".join(setup), names)
        answer = eval(last, names)
        counted = answer.rows() if hasattr(answer, "rows") else answer
        assert counted == [("orders", 1)]
