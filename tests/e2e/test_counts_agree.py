"""What was sent, counted here, against what Gatelens answers: exact, and 1 % for the quantile."""

from __future__ import annotations

import math
import random
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Troubles, exact_number, wait_for_screen
from tests.e2e.installation import Installation
from tests.e2e.traffic import APIS, Sent, nginx_line, send_everything

CALLS, LOGS, POINTS, LINES, BROKEN = 1_200, 300, 60, 500, 7


def quantile(values: list[float], q: float) -> float:
    """The smallest value with at least q of the values at or below it."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def nginx_file(path: Path, rng: random.Random) -> tuple[int, int, int]:
    """Write LINES good lines and BROKEN broken ones; good lines, 5xx among them, bytes."""
    lines, errors, size_sum = [], 0, 0
    now = time.time()
    for number in range(LINES):
        line, status, size = nginx_line(rng, now - 200 + number / 10)
        lines.append(line)
        errors += status >= 500
        size_sum += size
    for number in range(BROKEN):
        lines.insert(rng.randrange(len(lines)), f"this is not an access log line {number}")
    path.write_text("\n".join(lines) + "\n")
    return LINES, errors, size_sum


@pytest.mark.browser
@pytest.mark.timeout(240)
def test_every_answer_equals_an_independent_count_of_what_was_sent(
    installation: Installation, tmp_path: Path, page: Page
) -> None:
    installation.start("up")
    installation.wait_ready(installation.collector)
    installation.wait_ready(installation.dashboard)
    sent = send_everything(
        installation.collector, installation.grpc, seed=7, calls=CALLS, logs=LOGS, points=POINTS
    )
    good, nginx_errors, nginx_bytes = nginx_file(tmp_path / "access.log", random.Random(11))
    imported = installation.run("import", "nginx", str(tmp_path / "access.log"))
    assert imported.returncode == 0, imported.stderr

    assert_raw_tables_agree(installation, sent, good, nginx_errors, nginx_bytes)
    assert_imported_twice_stores_nothing_twice(installation, tmp_path, good)
    assert_rollups_agree(installation, sent, good)
    assert_screens_agree(installation, page, sent, good, nginx_errors)


def assert_raw_tables_agree(
    installation: Installation, sent: Sent, good: int, nginx_errors: int, nginx_bytes: int
) -> None:
    installation.wait_for_row(
        "SELECT count(*) AS n, sum(value) AS total FROM metrics",
        {"n": sent.points, "total": sent.point_sum},
    )
    assert installation.sql(
        "SELECT (SELECT count(*) FROM spans) AS spans, (SELECT count(*) FROM logs) AS logs, "
        "(SELECT count(*) FROM rejects WHERE source = 'nginx') AS rejects"
    ) == [{"spans": sent.spans, "logs": sent.logs, "rejects": BROKEN}]
    rows = installation.sql(
        "SELECT api, count(*) AS n, count(*) FILTER (status_code >= 500) AS errors, "
        "sum(duration_ms) AS total_ms, count(DISTINCT route) AS routes, "
        "quantile_disc(duration_ms, 0.99) AS p99 FROM requests WHERE source = 'otlp_span' "
        "GROUP BY api"
    )
    assert {row["api"] for row in rows} == set(APIS)
    for row in rows:
        calls = sent.calls_of(row["api"])
        durations = [call.duration_ms for call in calls]
        assert row["n"] == len(calls)
        assert row["errors"] == sum(call.status >= 500 for call in calls)
        assert row["total_ms"] == pytest.approx(sum(durations), rel=1e-9)
        assert row["routes"] == 1
        assert row["p99"] == quantile(durations, 0.99)
    [nginx] = installation.sql(
        "SELECT count(*) AS n, count(*) FILTER (status_code >= 500) AS errors, "
        "sum(response_bytes) AS bytes FROM requests WHERE source = 'nginx'"
    )
    assert nginx == {"n": good, "errors": nginx_errors, "bytes": nginx_bytes}


def assert_imported_twice_stores_nothing_twice(
    installation: Installation, tmp_path: Path, good: int
) -> None:
    again = installation.run("import", "nginx", str(tmp_path / "access.log"), "--max-rejects", "0")
    assert again.returncode == 0, again.stderr
    assert installation.sql("SELECT count(*) AS n FROM requests WHERE source = 'nginx'") == [
        {"n": good}
    ]


def assert_rollups_agree(installation: Installation, sent: Sent, good: int) -> None:
    installation.wait_for_row(
        "SELECT (SELECT sum(requests) FROM usage_minute)::BIGINT AS usage, "
        "(SELECT sum(requests) FROM latency_minute WHERE part = 'total')::BIGINT AS latency",
        {"usage": len(sent.calls) + good, "latency": len(sent.calls)},
    )
    usage = installation.sql(
        "SELECT api, sum(requests) AS n, sum(errors) AS errors, sum(duration_ms_sum) AS total_ms "
        "FROM usage_minute WHERE gateway <> 'nginx' GROUP BY api"
    )
    buckets = installation.sql(
        "SELECT api, bucket, sum(requests) AS n FROM latency_minute WHERE part = 'total' "
        "GROUP BY api, bucket ORDER BY bucket"
    )
    assert {row["api"] for row in usage} == set(APIS)
    for row in usage:
        calls = sent.calls_of(row["api"])
        assert row["n"] == len(calls)
        assert row["errors"] == sum(call.status >= 500 for call in calls)
        assert row["total_ms"] == pytest.approx(sum(c.duration_ms for c in calls), rel=1e-9)
        p99 = p99_of_buckets([b for b in buckets if b["api"] == row["api"]], len(calls))
        assert p99 == pytest.approx(quantile([c.duration_ms for c in calls], 0.99), rel=0.0101)


def p99_of_buckets(buckets: list[dict[str, Any]], calls: int) -> float:
    """Middle of the bucket that holds the p99 rank; `buckets` in rising order."""
    rank = 0
    for row in buckets:
        rank += row["n"]
        if rank >= math.ceil(0.99 * calls):
            middle: float = 1.02 ** (row["bucket"] + 0.5)
            return middle
    raise AssertionError("fewer requests in the buckets than calls")


def assert_screens_agree(
    installation: Installation, page: Page, sent: Sent, good: int, nginx_errors: int
) -> None:
    troubles = Troubles(page)
    page.goto(f"{installation.dashboard}/?from=now-1h&refresh=off")
    wait_for_screen(page)
    errors = sum(call.status >= 500 for call in sent.calls) + nginx_errors
    everything = len(sent.calls) + good
    assert exact_number(page, "home-requests") == everything
    assert exact_number(page, "home-error-rate") == pytest.approx(errors / everything)
    expect(page.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()
    for api in APIS:
        calls = sent.calls_of(api)
        page.goto(f"{installation.dashboard}/apis/{api}?from=now-1h&refresh=off")
        wait_for_screen(page)
        assert exact_number(page, "api-requests") == len(calls)
        for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            expected = quantile([call.duration_ms for call in calls], q)
            assert exact_number(page, f"api-{name}") == pytest.approx(expected, rel=0.0101)
    assert troubles.seen == []
