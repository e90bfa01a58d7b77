"""A trace of 12,000 spans in a real browser: drawn soon, scrolled smoothly, few rows in the page.

`pytest -m slow -s tests/dashboards/test_waterfall_browser.py` prints what it measured.
"""

from __future__ import annotations

import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect

from dashboards.limits import WATERFALL_SPANS_MAX
from storage.lake import Lake
from storage.settings import StorageSettings
from tests.browser import Troubles, wait_for_screen
from tests.dashboards.conftest import serving
from tests.dashboards.known import utc_now

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TRACE = "ab" * 16
FRAMES = """async () => {
    const box = document.querySelector('#trace-grid .ag-body-viewport');
    const took = [];
    let before = await new Promise(requestAnimationFrame);
    for (let step = 1; step <= 60; step += 1) {
        box.scrollTop = box.scrollHeight * step / 60;
        const now = await new Promise(requestAnimationFrame);
        took.push(now - before);
        before = now;
    }
    return took;
}"""


def write_trace(folder: Path) -> StorageSettings:
    """WATERFALL_SPANS_MAX spans, a tree of ten children each, of twenty services."""
    storage = StorageSettings(data_dir=folder)
    target = Lake(storage).table("spans")
    start = utc_now() - timedelta(minutes=5)
    start_ns = int(start.timestamp() * 1e9)
    rows: list[dict[str, Any]] = [
        {
            "time": start + timedelta(milliseconds=n),
            "tenant": "default",
            "trace_id": TRACE,
            "span_id": f"{n:016x}",
            "parent_span_id": f"{(n - 1) // 10:016x}" if n else None,
            "start_time_unix_nano": start_ns + n * 1_000_000,
            "duration_ns": 500_000_000 if n else 20_000_000_000,
            "name": f"step {n}",
            "kind": "INTERNAL",
            "status": "OK",
            "service_name": f"service-{n % 20}",
            "attributes": [("http.request.method", "GET"), ("shop.step", str(n))],
        }
        for n in range(WATERFALL_SPANS_MAX)
    ]
    schema = pa.schema([target.spec.arrow_schema.field(name) for name in rows[0]])
    target.append(pa.Table.from_pylist(rows, schema=schema), app_id="t", app_version=1)
    return storage


def test_twelve_thousand_spans_are_drawn_and_scrolled(page: Page, tmp_path: Path) -> None:
    troubles = Troubles(page)
    with serving(write_trace(tmp_path)) as (url, _):
        page.goto(f"{url}/sql?refresh=off")  # the framework is loaded before the clock runs
        wait_for_screen(page)
        sizes: list[int] = []
        page.on(
            "response",
            lambda r: (
                sizes.append(int(r.headers.get("content-length", 0)))
                if "_dash-update" in r.url
                else None
            ),
        )
        began = time.monotonic()
        page.evaluate(f"() => gatelens.go('/traces/{TRACE}?from=now-1h&refresh=off')")
        expect(page.locator("#trace-grid .ag-row").first).to_contain_text("step 0", timeout=60_000)
        drawn_s = time.monotonic() - began
        rows_in_page = page.locator("#trace-grid .ag-center-cols-container .ag-row").count()
        frames: list[float] = page.evaluate(FRAMES)
        # the last child of the last child of ...: n has the children 10 n + 1 to 10 n + 10
        last = page.locator("#trace-grid .ag-row", has_text="step 11110")
        expect(last.first).to_be_visible()
    slow = sorted(frames)[int(len(frames) * 0.95)]
    sys.stdout.write(
        f"\n{WATERFALL_SPANS_MAX} spans: drawn after {drawn_s:.2f} s, {sum(sizes) / 1e3:.0f} kB, "
        f"{rows_in_page} rows in the page; a frame while scrolling all of it: "
        f"median {statistics.median(frames):.0f} ms, p95 {slow:.0f} ms\n"
    )
    assert rows_in_page < 100, "virtualised: what is not seen is not in the page"
    assert drawn_s < 20
    assert statistics.median(frames) < 500
    assert troubles.seen == []
