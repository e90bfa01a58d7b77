"""How much one round of evaluation can carry, on real data."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from alerting.channels import deliver_to
from alerting.engine import AlertEngine
from alerting.rules import parse_rules
from alerting.settings import AlertingSettings
from alerting.source import AnalyticsSource
from analytics.query import Analytics
from storage.catalog import Catalog
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.state import open_state

START = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC).timestamp()
MEASURES = (
    ("error_rate", "> 5%", "1m"), ("error_rate", "> 2%", "5m"), ("requests_per_s", "> 500", "1m"),
    ("client_error_rate", "> 50%", "5m"), ("p95_ms", "> 2s", "5m"), ("p99_ms", "> 5s", "5m"),
    ("duration_ms_avg", "> 1s", "1m"), ("rate_limited_rate", "> 50%", "5m"),
    ("unauthorized_rate", "> 30%", "5m"), ("p50_ms", "> 500ms", "1m"),
)  # fmt: skip


@pytest.mark.slow
def test_thousand_rules_over_ten_thousand_series_fit_into_one_interval(tmp_path, capsys):
    """100 APIs x 100 routes; 10 rules per API, each over its 100 routes: 100,000 looks a round."""
    storage = StorageSettings(data_dir=tmp_path)
    lake, n, rng = Lake(storage), 300_000, np.random.default_rng(1)
    series = np.arange(n) % 10_000
    micros = (START * 1e6 - rng.uniform(0, 300e6, n)).astype("int64")
    status = np.where(rng.random(n) < 0.01, 500, 200).astype("int16")
    table = pa.table(
        {
            "time": pa.array(micros).cast(pa.timestamp("us", tz="UTC")),
            "tenant": pa.array(["default"] * n),
            "api": pa.array([f"api-{i // 100}" for i in series]),
            "route": pa.array([f"/r{i % 100}/{{id}}" for i in series]),
            "status_code": pa.array(status),
            "outcome": pa.array(np.where(status == 500, "server_error", "ok")),
            "duration_ms": pa.array(rng.lognormal(3, 0.5, n)),
        }
    )
    lake.table("requests").append(table, app_id="load", app_version=1)
    rules = "rules:\n" + "".join(
        f"  - {{name: r{i}-{j}, measure: {m}, filters: {{api: api-{i}}}, group_by: [route], "
        f"window: {w}, condition: '{c}', min_requests: 20, for: 1m}}\n"
        for i in range(100)
        for j, (m, c, w) in enumerate(MEASURES)
    )
    session = ReadSession(lake)
    engine = AlertEngine(
        AnalyticsSource(Analytics(session), Catalog(), tenant="default", lookback_s=120),
        open_state(storage),
        parse_rules(rules),
        deliver_to(),
        AlertingSettings(),
    )
    engine.evaluate_once(START)  # first round: plans and views are made
    cpu = time.process_time()
    done = engine.evaluate_once(START + 5)
    cpu = time.process_time() - cpu
    with capsys.disabled():
        print(f"\n1,000 rules: {done.series:,} looks in {done.took_s:.2f} s, {cpu:.2f} s of CPU")  # noqa: T201
    assert dict(done.failed) == {}
    assert done.series > 90_000
    assert cpu < 15.0
    session.close()
