"""`rules explain` and `rules import-prometheus` as a person meets them."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from alerting.explain_text import explain_text
from alerting.store import AlertStore
from gatelens.cli_rules import app
from tests.alerting.world import make_world

RULES = """
rules:
  - {name: errors, measure: error_rate, group_by: [api], condition: "> 5%", severity: critical,
     annotations: {summary: "{api} fails {value}"}}
"""


@pytest.fixture
def world(tmp_path):
    world = make_world(tmp_path, RULES)
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    return world


def test_alert_is_explained_from_the_start_of_its_fingerprint(world):
    (alert,) = AlertStore(world.state, clock=lambda: world.now).active()
    text = explain_text(world.state, alert.fingerprint[:6])
    lines = text.splitlines()
    assert lines[0] == "errors (critical)"
    assert "Fired at 2026-09-21 14:13:24 UTC: orders fails 20.0 %" in lines
    assert "  value 0.2 against 0.05" in lines
    assert any("outcome = 'server_error'" in line for line in lines)
    assert any(line.startswith("  Chart: http://127.0.0.1:8050/apis/orders?") for line in lines)


def test_unknown_alert_is_none(world):
    assert explain_text(world.state, "zzz") is None


def test_command_explains_and_ends_with_one_when_there_is_no_such_alert(world, tmp_path):
    (alert,) = AlertStore(world.state, clock=lambda: world.now).active()
    found = CliRunner().invoke(app, ["explain", alert.fingerprint[:8], "--data", str(tmp_path)])
    assert (found.exit_code, "orders fails 20.0 %" in found.output) == (0, True)
    assert CliRunner().invoke(app, ["explain", "zz", "--data", str(tmp_path)]).exit_code == 1


def test_command_writes_what_it_takes_and_ends_with_one_for_what_it_refuses(tmp_path):
    file, out = tmp_path / "prom.yaml", tmp_path / "ours.yaml"
    file.write_text(
        "groups:\n  - name: g\n    rules:\n"
        "      - {alert: Busy, expr: 'sum(rate(http_requests_total[5m])) > 5'}\n"
        "      - {alert: Disk, expr: 'node_filesystem_avail_bytes < 1'}\n"
    )
    found = CliRunner().invoke(app, ["import-prometheus", str(file), "-o", str(out)])
    assert found.exit_code == 1
    assert CliRunner().invoke(app, ["check", str(out)]).exit_code == 0
